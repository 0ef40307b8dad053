"""The combinations of settings that cannot be run, and what to do instead. `config` applies them.

What depends on the devices of a machine is checked in `distribution`, what depends on the data in `experiment`.
"""

import math
import re
from collections.abc import Callable
from typing import Any, NamedTuple

CONV_ARCHS = ("amr", "acai", "amr_fixed")
BOUNDED_ARCHS = ("burgess", "resnet")  # their decoders end with a tanh
GENERATED = ("lines", "spiral", "shapes")
CUT_TO_SIZE = ("celeba", "zappos")
FOLDER = "folder:"


class Rule(NamedTuple):
    """A combination that must hold, the fields it is about, and what to do where it does not."""

    fields: tuple[str, ...]
    holds: Callable[..., bool]
    advice: str

    def message(self, config: Any) -> str:
        return f"{self.advice}. Received: {' '.join(config.flag(name) for name in self.fields)}"


def encoded_width(arch: str, image_width: int, latent_width: int) -> int:
    """Width of the code that `arch` makes of images this wide, or 0 where no whole number of halvings leads there.

    `amr` and `amr_fixed` pad the image by one pixel on each side first (32 -> 34 -> 17 -> 8 -> 4), and the
    odd widths on the way are rounded down.
    """
    halvings = image_width / latent_width
    if halvings < 2 or not math.log2(halvings).is_integer():
        return 0
    return (image_width + (0 if arch == "acai" else 2)) // int(halvings)


def comes_from_archives(dataset: str) -> bool:
    """Whether official files hold the data set, which is then neither generated nor a folder of the user's."""
    return dataset not in GENERATED and not dataset.startswith(FOLDER)


def profiled(text: str) -> range | None:
    """The steps, counted from 1, that "10,20" names: both ends included. None where it names none."""
    match = re.fullmatch(r"([1-9]\d{0,9}),([1-9]\d{0,9})", text, re.ASCII)
    steps = range(int(match[1]), int(match[2]) + 1) if match else range(0)
    return steps if len(steps) else None


RULES = (
    Rule(("k", "batch_size"), lambda c: c.k <= c.batch_size, "A mix of k codes needs a batch of at least k"),
    Rule(
        ("model", "k"),
        lambda c: c.model not in ("acai", "acai_amr") or c.k == 2,
        "ACAI predicts the coefficient of a pair: use --k=2, or --model=amr for larger mixes",
    ),
    Rule(
        ("model", "mixer"),
        lambda c: c.model not in ("acai", "acai_amr") or c.mixer == "mixup",
        "ACAI predicts one coefficient per mix: use --mixer=mixup, or --model=amr for other mixers",
    ),
    Rule(
        ("model", "mixer"),
        lambda c: c.mixer != "supervised" or c.model == "amr",
        "Supervised mixing belongs to --model=amr: use it, or another --mixer",
    ),
    Rule(
        ("mixer", "k"),
        lambda c: c.mixer != "supervised" or c.k == 2,
        "A mask chooses between two codes: use --k=2, or another --mixer for larger mixes",
    ),
    Rule(
        ("mixer", "attribute_weight", "mask_eps", "mask_gradient", "labelled_examples"),
        lambda c: (
            c.mixer == "supervised"
            or (c.attribute_weight, c.mask_eps, c.mask_gradient, c.labelled_examples)
            == (1.0, 1e-8, "straight_through", 0)
        ),
        "Only --mixer=supervised learns from labels: use it, or leave attribute_weight, mask_eps, mask_gradient and "
        "labelled_examples out",
    ),
    Rule(
        ("model", "beta"),
        lambda c: c.model in ("amr", "acai_amr") or c.beta == 0,
        "The consistency loss belongs to --model=amr and acai_amr: use --beta=0",
    ),
    Rule(
        ("model", "beta_kl"),
        lambda c: c.model == "vae" or c.beta_kl == 1,
        "Only --model=vae has a KL divergence to weigh: leave --beta_kl out",
    ),
    Rule(
        ("model", "gan_loss"),
        lambda c: c.model != "acai" or c.gan_loss == "lsgan",
        "ACAI's losses are squared errors: use --gan_loss=lsgan, or --model=acai_amr",
    ),
    Rule(
        ("model", "recon_loss"),
        lambda c: c.model != "acai_amr" or c.recon_loss == "l1",
        "The AMR paper's rerun of ACAI reconstructs with l1: use --recon_loss=l1, or --model=acai",
    ),
    Rule(
        ("model", "update_g_every"),
        lambda c: c.model not in ("ae", "vae") or c.update_g_every == 1,
        "An autoencoder alone has no discriminator to train between its updates: use --update_g_every=1",
    ),
    Rule(
        ("arch", "recon_loss"),
        lambda c: c.recon_loss in ("l1", "l2") or c.arch in BOUNDED_ARCHS,
        "Binary cross-entropy needs outputs within the image range, as --arch=burgess and resnet have: use l1 or l2",
    ),
    Rule(
        ("train_examples", "batch_size"),
        lambda c: c.train_examples == 0 or c.train_examples >= c.batch_size,
        "An epoch needs one whole batch: raise --train_examples or lower --batch_size",
    ),
    Rule(
        ("strategy", "device_data"),
        lambda c: c.strategy not in ("mirrored", "multiworker") or not c.device_data,
        "One device can hold the examples, several would read them from it: use --strategy=none or --nodevice_data",
    ),
    Rule(
        ("strategy", "jit_compile"),
        lambda c: c.strategy not in ("mirrored", "multiworker") or not c.jit_compile,
        "XLA cannot compile a step that reaches over several devices: use --strategy=none or --nojit_compile",
    ),
    Rule(
        ("cpu_devices", "strategy"),
        lambda c: c.cpu_devices == 1 or c.strategy == "mirrored",
        "Several CPU devices are of use to replicas only: add --strategy=mirrored, or use --cpu_devices=1",
    ),
    Rule(
        ("smoke", "strategy"),
        lambda c: not c.smoke or c.strategy != "multiworker",
        "A command is tried on one machine: use --strategy=none or mirrored with --smoke",
    ),
    Rule(
        ("profile_steps",),
        lambda c: not c.profile_steps or profiled(c.profile_steps) is not None,
        "--profile_steps takes the first and the last step to profile, such as 10,20",
    ),
    Rule(
        ("raw_dir", "dataset"),
        lambda c: not c.raw_dir or comes_from_archives(c.dataset),
        "Generated data and folders need no archives: name the data set of --raw_dir, such as --dataset=mnist",
    ),
    Rule(
        ("image_size", "dataset"),
        lambda c: c.image_size == 0 or c.dataset in CUT_TO_SIZE or c.dataset.startswith(FOLDER),
        "Only pictures of celeba, zappos and folder:PATH are cut to a size: leave --image_size out",
    ),
    Rule(
        ("attributes", "dataset"),
        lambda c: not c.attributes or c.dataset == "celeba",
        "--attributes chooses those of --dataset=celeba: leave it out",
    ),
)

# These hold for a Config and the width of the images.
NETWORK_RULES = (
    Rule(
        ("arch", "dataset"),
        lambda c, width: c.arch != "burgess" or width in (32, 64),
        "--arch=burgess takes images of 32 or 64 px: use amr, acai or amr_fixed",
    ),
    Rule(
        ("arch", "dataset"),
        lambda c, width: c.arch != "resnet" or width in (64, 128),
        "--arch=resnet takes images of 64 or 128 px: use amr, acai or amr_fixed",
    ),
    Rule(
        ("arch", "latent_width"),
        lambda c, width: c.arch != "resnet" or c.latent_width in (2, 4, 8, 16, 32),
        "--arch=resnet halves the image until it is latent_width wide, at least 2 px: use --latent_width=8",
    ),
    Rule(
        ("arch", "dataset"),
        lambda c, width: (c.arch == "mlp") == (width == 1),
        "--arch=mlp is for the points of --dataset=spiral, the convolutional networks are for images",
    ),
    Rule(
        ("arch", "dataset", "latent_width"),
        lambda c, width: (
            c.arch not in CONV_ARCHS or c.latent_width == encoded_width(c.arch, width, c.latent_width)
        ),
        "The networks halve the image until it is latent_width wide, which they cannot here: use --latent_width=4",
    ),
)
