"""Rules for combinations of settings, each with advice for the user. `Config` applies the rules.

`amr_tf.distributed` checks the devices, and `amr_tf.training.experiment` checks the data.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from amr_tf.config.defaults import FIXED
from amr_tf.config.fields import ConfigError
from amr_tf.registry import FOLDER

# For each convolutional architecture, the fewest times that it can halve the image. `amr` and `amr_fixed` pad the image
# by one pixel on each side and round odd widths down, such as 32 -> 34 -> 17 -> 8 -> 4. The first halving gives 17, not
# 16.
CONV_ARCHS = {"amr": 2, "acai": 1, "acai_bounded": 1, "amr_fixed": 2}
FLAT_ARCHS = ("burgess", "mlp")  # architectures whose codes are vectors
ROW_ARCHS = ("style",)  # architectures whose codes have a row for each layer of the decoder
ROW_MIXERS = ("style",)  # mixers that exchange rows of codes
BOUNDED_ARCHS = ("acai_bounded", "burgess", "resnet")  # architectures whose decoders end with a tanh


def style_rows(image_width: int) -> int:
    """Returns the number of rows in a code of `--arch=style`.

    There are two rows for each resolution: 4 px, 8 px and so on up to the image width.
    """
    return 2 * image_width.bit_length() - 4


class Rule(NamedTuple):
    """A condition on settings.

    Attributes:
        fields: the settings that the condition reads. The error message shows their values.
        holds: returns true if a Config satisfies the rule. Rules about networks also get the image width.
        advice: the error message if `holds` returns false.
    """

    fields: tuple[str, ...]
    holds: Callable[..., bool]
    advice: str


def check(config: Any) -> None:
    """Raises a ConfigError for the first setting that the method does not accept or that breaks a rule."""
    for name, (value, reason) in FIXED.get(config.model, {}).items():
        if getattr(config, name) != value:
            raise ConfigError(
                f"{reason}. {_received(config, 'model', name)}. Use --{name}={value}, or another --model"
            )
    for field in dataclasses.fields(config):
        name, methods = field.name, field.metadata["methods"]
        if methods and config.model not in methods and getattr(config, name) != field.metadata["default"]:
            owners = f"--{name} is a setting of --model={' and '.join(methods)}"
            raise ConfigError(f"{owners}. {_received(config, 'model', name)}. Leave it out")
    apply(RULES, config)


def apply(rules: tuple[Rule, ...], config: Any, *width: int) -> None:
    """Raises a ConfigError for the first rule that the settings break."""
    for rule in rules:
        if not rule.holds(config, *width):
            images = "".join(f" (images of {pixels} px)" for pixels in width)
            raise ConfigError(f"{rule.advice}. {_received(config, *rule.fields)}{images}")


def _received(config: Any, *fields: str) -> str:
    return f"Received: {' '.join(map(config.flag, fields))}"


def profiled(text: str) -> range | None:
    """Parses "10,20" into the range of steps 10 to 20, the last one included.

    Steps are counted from 1. Returns None for other text, or if the first step is after the last one.
    """
    match = re.fullmatch(r"([1-9]\d{0,9}),([1-9]\d{0,9})", text, re.ASCII)
    return (range(int(match[1]), int(match[2]) + 1) or None) if match else None


RULES = (
    Rule(("k", "batch_size"), lambda c: c.k <= c.batch_size, "A mix of k codes needs a batch of at least k"),
    Rule(
        ("arch", "recon_loss"),
        lambda c: c.recon_loss in ("l1", "l2") or c.arch in BOUNDED_ARCHS,
        "Binary cross-entropy needs outputs within the image range, as --arch=acai_bounded, burgess and resnet have: "
        "use l1 or l2",
    ),
    Rule(
        ("mixer", "arch"),
        lambda c: c.mixer not in ROW_MIXERS or c.arch in ROW_ARCHS or not c.uses("mixer"),
        "--mixer=style exchanges rows of the codes of --arch=style: add --arch=style, or choose another mixer",
    ),
    Rule(
        ("mixer", "k", "image_size", "dataset"),
        lambda c: c.mixer not in ROW_MIXERS or c.image_width < 8 or c.k <= style_rows(c.image_width),
        "A crossover cannot have more parents than the code has rows: lower --k",
    ),
    Rule(
        ("style_mixing", "mixer"),
        lambda c: (
            c.style_mixing == c.__dataclass_fields__["style_mixing"].metadata["default"]
            or c.mixer in ROW_MIXERS
        ),
        "--style_mixing is a setting of --mixer=style: leave it out",
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
        lambda c: not c.raw_dir or c.dataset_spec.builders,
        "Generated data and data of your own need no archives: name the data set of --raw_dir, such as --dataset=mnist",
    ),
    Rule(
        ("image_size", "dataset"),
        lambda c: c.image_size == 0 or c.dataset_spec.sized,
        "Only images of celeba, zappos, folder:PATH and npz:FILE are cut to a size: leave --image_size out",
    ),
    Rule(
        ("pixel_range", "dataset"),
        lambda c: c.pixel_range == "full" or c.dataset.startswith(FOLDER),
        "--pixel_range applies to pictures of folder:PATH only: leave it out",
    ),
    Rule(
        ("attributes", "dataset"),
        lambda c: not c.attributes or c.dataset_spec.selectable_attributes,
        "--attributes chooses those of --dataset=celeba: leave it out",
    ),
)

# Rules for a Config and the width of the images.
NETWORK_RULES = (
    Rule(
        ("arch", "dataset"),
        lambda c, width: width in {"burgess": (32, 64), "resnet": (64, 128)}.get(c.arch, (width,)),
        "--arch=burgess takes images of 32 or 64 px, resnet of 64 or 128 px: use amr, acai or amr_fixed",
    ),
    Rule(
        ("arch", "dataset"),
        lambda c, width: c.arch not in ROW_ARCHS or (width >= 8 and width & (width - 1) == 0),
        "--arch=style doubles images from 4 px to their size, a power of 2 of at least 8: use amr, acai or amr_fixed",
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
            c.arch not in CONV_ARCHS or width in [c.latent_width << n for n in range(CONV_ARCHS[c.arch], 32)]
        ),
        "The networks halve the image until it is latent_width wide, which they cannot here: use --latent_width=4",
    ),
)
