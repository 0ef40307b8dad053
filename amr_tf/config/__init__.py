"""Config: the one place where a hyper-parameter is declared, with its default, meaning and limits.

The flags of the binaries, `--help`, `flags.txt` and `results.json` are generated from the fields below. Nothing
here imports TensorFlow, so that a bad value is refused at once.
"""

import dataclasses
import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from amr_tf.config.rules import FOLDER, NETWORK_RULES, RULES
from amr_tf.runtime.errors import UserError

MODELS = ("ae", "vae", "aegan", "amr", "acai", "acai_amr")
MIXERS = ("mixup", "mixup_channel", "bernoulli", "bernoulli_unit", "supervised")
MASK_GRADIENTS = ("straight_through", "soft", "gumbel")
ARCHS = ("amr", "acai", "amr_fixed", "burgess", "mlp", "resnet")
RECON_LOSSES = ("l1", "l2", "bce", "bce_sum")
GAN_LOSSES = ("bce", "lsgan")
IMAGE_FITS = ("resize", "pad")
SCHEDULES = ("constant", "cosine")
STRATEGIES = ("auto", "none", "mirrored", "multiworker")
PRECISIONS = ("none", "bfloat16", "float16")
IMAGE_SIZES = (0, 32, 64, 128)
# Width in pixels of the images that the networks see; the spiral's 2-D points are images of one pixel.
DATASET_WIDTHS = {
    "lines": 32, "spiral": 1, "mnist": 32, "kmnist": 32, "fashion_mnist": 32, "svhn": 32, "cifar10": 32,
    "dsprites": 64, "celeba": 64, "zappos": 64, "shapes": 32,
}  # fmt: skip
FOLDER_WIDTH = 64
DATASETS = tuple(DATASET_WIDTHS)


class ConfigError(UserError):
    """A value or a combination of values that cannot be run."""


class Default(NamedTuple):
    """Published values that replace the general default where every entry of `where` holds."""

    where: dict[str, Any]
    values: dict[str, Any]


# fmt: off
# Later rows win. `where` may only name fields declared before the ones in `values`.
PUBLISHED_DEFAULTS = (
    Default({"dataset": "spiral"}, {"arch": "mlp", "latent": 2}),
    Default({"dataset": "mnist"}, {"epochs": 2000}),
    Default({"dataset": "fashion_mnist"}, {"epochs": 2000}),
    Default({"dataset": "kmnist"}, {"epochs": 5000}),
    Default({"dataset": "svhn"}, {"epochs": 4000}),
    Default({"dataset": "cifar10"}, {"epochs": 3000}),
    Default({"dataset": "dsprites"}, {"arch": "burgess", "epochs": 500}),
    Default({"dataset": "celeba"}, {"arch": "resnet", "attributes": "Male,Heavy_Makeup,Wearing_Lipstick"}),
    Default({"dataset": "zappos"}, {"arch": "resnet"}),
    Default({"arch": "burgess"}, {"latent": 10, "recon_loss": "bce_sum", "weight_decay": 0.0}),
    Default({"arch": "resnet"}, {"latent": 512, "depth": 64, "latent_width": 8}),
    # A plain autoencoder has no second player to wait for.
    Default({"model": "ae"}, {"update_g_every": 1, "lambda_": 1.0}),
    Default({"model": "vae"}, {"update_g_every": 1, "lambda_": 1.0, "adam_beta1": 0.9}),
    Default(
        {"model": "acai"},
        {"arch": "acai", "lambda_": 1.0, "recon_loss": "l2", "gan_loss": "lsgan", "update_g_every": 1,
         "adam_beta1": 0.9, "adam_beta2": 0.999, "weight_decay": 0.0, "image_fit": "pad",
         "epochs": 256, "steps_per_epoch": 1024},
    ),
    # The AMR paper's rerun of ACAI knows no other reconstruction loss, whatever the networks.
    Default({"model": "acai_amr"}, {"recon_loss": "l1"}),
    Default({"model": "acai", "dataset": "svhn"}, {"depth": 64}),
    Default({"model": "acai", "dataset": "cifar10"}, {"depth": 64}),
    Default({"model": "acai", "dataset": "celeba"}, {"depth": 64}),
    Default({"model": "acai", "dataset": "spiral"}, {"arch": "mlp"}),
    # ACAI's model of the lines is one whole: with another latent or depth it is no longer that model.
    Default({"model": "acai", "dataset": "lines", "latent": 16, "depth": 16}, {"latent_width": 2}),
    Default({"recon_loss": "l2"}, {"consistency_loss": "l2"}),
)
# fmt: on

LARGEST_INT = 2**31 - 1


def option(
    default: Any, help: str, *, choices=None, prefix=None, low=None, above=None, below=None, runtime=False
) -> Any:
    """A field of Config. Unset it is None until the published default for the model and data set fills it in.

    `prefix` begins what is admitted besides the choices. `low` is an inclusive limit, `above` and `below` are exclusive
    ones; whole numbers fit in 32 bits, as TensorFlow's do. `runtime` marks what says where and how a run is carried out
    and not what it computes, which may therefore differ between a run and its continuation.
    """
    high = LARGEST_INT if type(default) is int else None
    limits = {"low": low, "high": high, "above": above, "below": below}
    return dataclasses.field(
        default=None,
        metadata={
            "default": default,
            "help": help,
            "choices": choices,
            "prefix": prefix,
            "limits": limits,
            "runtime": runtime,
        },
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """Every setting of a run, resolved and valid.

    A field left out takes the value its paper publishes for the model, data set and architecture at hand.

    Raises:
        ConfigError: one line that names the flag, what was received and what to do.
    """

    model: str = option("amr", "training method", choices=MODELS)
    dataset: str = option(
        "lines",
        "data set; all but lines, spiral and shapes come from TFDS, dsprites if its file is at hand; folder:PATH is a "
        "folder of your own pictures, whose sub-folders are the labels",
        choices=DATASETS,
        prefix=FOLDER,
    )
    arch: str = option("amr", "networks; amr_fixed is amr without its initialisation slips", choices=ARCHS)
    mixer: str = option(
        "mixup",
        "how codes are mixed; supervised: mixes of asked-for attributes besides those of mixup",
        choices=MIXERS,
    )
    k: int = option(2, "how many codes go into one mix", low=2)
    lambda_: float = option(10.0, "weight of the reconstruction loss (searched: 2, 5, 10, 20, 50)", low=0.0)
    beta: float = option(0.0, "weight of the consistency loss |f(g(h_mix)) - h_mix|", low=0.0)
    beta_kl: float = option(
        1.0, "weight of the VAE's KL divergence, summed over the code; 1 with bce_sum is a plain VAE", low=0.0
    )
    attribute_weight: float = option(
        1.0, "supervised: weight of the generator's loss of a mix's attributes", low=0.0
    )
    mask_eps: float = option(
        1e-8, "supervised: weight of (sum of the mask - half of the feature maps)^2", low=0.0
    )
    mask_gradient: str = option(
        "straight_through", "supervised: how gradient passes the drawn mask", choices=MASK_GRADIENTS
    )
    recon_loss: str = option(
        "l1", "reconstruction; the bce ones need --arch=burgess or resnet", choices=RECON_LOSSES
    )
    consistency_loss: str = option("l1", "distance of codes in the consistency loss", choices=("l1", "l2"))
    gan_loss: str = option("bce", "loss of the discriminator's output against its target", choices=GAN_LOSSES)
    update_g_every: int = option(
        5,
        "THE GENERATOR LEARNS ON EVERY N-TH STEP ONLY: 5 is what the paper's scripts ran although the paper does "
        "not say so; 1 trains it on every step",
        low=1,
    )
    latent: int = option(16, "feature maps of the code; d_h = latent_width^2 * latent", low=1)
    depth: int = option(16, "feature maps at the first scale, doubled at each following one", low=1)
    latent_width: int = option(4, "width and height of the code in pixels (flat codes ignore it)", low=1)
    data_dir: str = option("~/tensorflow_datasets", "where TFDS keeps prepared data sets", runtime=True)
    raw_dir: str = option("", "folder of official archives, imported without a network", runtime=True)
    image_fit: str = option("resize", "how 28 px become 32 px: AMR resizes, ACAI pads", choices=IMAGE_FITS)
    image_size: int = option(
        0,
        "width and height that pictures of celeba, zappos and folder:PATH are cut to (0: 64 px)",
        choices=IMAGE_SIZES,
    )
    attributes: str = option(
        "",
        "attributes of celeba, such as Male,Smiling; the label is which of them hold, the first counts most",
    )
    train_examples: int = option(0, "train on that many examples only, drawn with the seed (0: all)", low=0)
    labelled_examples: int = option(
        0, "supervised: learn from the labels of that many training examples only (0: all)", low=0
    )
    batch_size: int = option(64, "examples per step", low=1)
    epochs: int = option(100, "epochs to train; the papers' counts for their data sets", low=1)
    steps_per_epoch: int = option(0, "steps of an epoch (0: one pass over the training examples)", low=0)
    learning_rate: float = option(1e-4, "Adam's learning rate, for all three players", above=0.0)
    schedule: str = option(
        "constant", "course of the learning rate; cosine: down to 0 at the run's last step", choices=SCHEDULES
    )
    adam_beta1: float = option(0.5, "Adam's beta1", low=0.0, below=1.0)
    adam_beta2: float = option(0.99, "Adam's beta2", low=0.0, below=1.0)
    adam_epsilon: float = option(1e-8, "Adam's epsilon", above=0.0)
    weight_decay: float = option(1e-5, "L2 penalty, added to the gradient of every trainable weight", low=0.0)
    seed: int = option(0, "seed of weights, order of the examples, mixing and low-data draw", low=0)
    mixed_precision: str = option(
        "none",
        "compute in this type; weights and losses stay float32, float16 scales the losses",
        choices=PRECISIONS,
    )
    jit_compile: bool = option(
        False,
        "compile the step with XLA, on one GPU (on a CPU it is much slower); draws other random numbers",
    )
    strategy: str = option(
        "auto",
        "mirrored: a replica on every GPU (without one: on every CPU device), each with its share of the batch and "
        "its own draws; auto: mirrored where there is more than one GPU; multiworker: mirrored over the machines of "
        "TF_CONFIG or of a step of Slurm",
        choices=STRATEGIES,
        runtime=True,
    )
    cpu_devices: int = option(1, "logical CPU devices, to try replicas without GPUs", low=1, runtime=True)
    steps_per_execution: int = option(
        0, "steps per call of the compiled function (0: as many as take half a second)", low=0, runtime=True
    )
    device_data: bool = option(
        False, "keep the training examples in the memory of the one GPU that takes the steps", runtime=True
    )
    checkpoint_minutes: float = option(
        10.0, "save in the middle of an epoch when the last checkpoint is that old", above=0.0, runtime=True
    )
    projector: bool = option(False, "write validation codes for TensorBoard's projector", runtime=True)
    profile_steps: str = option("", "profile these steps for TensorBoard, such as 10,20", runtime=True)
    smoke: bool = option(
        False,
        "try the command: 4 steps on a few examples, stopped, resumed and evaluated in a temporary folder",
    )
    run_dir: str = option("", "folder of the run (empty: runs/<dataset>/<settings>)", runtime=True)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            value = _checked(field, self._published_default(field) if value is None else value)
            # A frozen dataclass has no other way to fill in its own fields.
            object.__setattr__(self, field.name, value)
        for rule in RULES:
            if not rule.holds(self):
                raise ConfigError(rule.message(self))

    def _published_default(self, field: dataclasses.Field) -> Any:
        value = field.metadata["default"]
        for where, values in PUBLISHED_DEFAULTS:
            if field.name in values and all(getattr(self, name) == wanted for name, wanted in where.items()):
                value = values[field.name]
        return value

    def check_networks(self, image_width: int) -> None:
        """Refuses networks that images of this width do not fit.

        Apart from the other rules, since `models.build.build_model` takes the shape of the images, no data set.

        Raises:
            ConfigError: one line that names the flags and what to do.
        """
        for rule in NETWORK_RULES:
            if not rule.holds(self, image_width):
                raise ConfigError(f"{rule.message(self)} (images of {image_width} px)")

    @property
    def image_width(self) -> int:
        """Width in pixels of the images that the networks see."""
        return self.image_size or DATASET_WIDTHS.get(self.dataset, FOLDER_WIDTH)

    def uses(self, name: str) -> bool:
        """Whether the run's method is free to take any value of this setting, such as `mixer` or `k`."""
        return self.model == "amr" if name in ("mixer", "k") else True

    def flag(self, name: str) -> str:
        """`--name=value`, as it would be typed."""
        return f"--{flag_name(name)}={getattr(self, name)}"

    def hyperparameters(self) -> dict[str, Any]:
        """What decides the numbers of a run, by flag name: everything but where and how it is carried out."""
        fields = (field for field in dataclasses.fields(self) if not field.metadata["runtime"])
        return {flag_name(field.name): getattr(self, field.name) for field in fields}


def flag_name(field_name: str) -> str:
    """`lambda_` is `--lambda`: the underscore only keeps Python's keyword out of the way."""
    return field_name.rstrip("_")


def _checked(field: dataclasses.Field, value: Any) -> Any:
    """The value in its field's type.

    Raises:
        ConfigError: wrong type, not finite, outside the limits or not among the choices.
    """
    flag, choices = f"--{flag_name(field.name)}", field.metadata["choices"]
    kind: Any = field.type
    received = f"Received: {flag}={_shown(value)}"
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < sys.float_info.max else math.inf
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{flag} takes {_KIND_NAMES[kind]}. {received}")
    # flags.txt holds one value a line and is read without the spaces at a line's ends.
    if kind is str and (not value.isprintable() or value != value.strip()):
        raise ConfigError(f"{flag} takes printable text on one line, no spaces at its ends. {received}")
    if choices and value not in choices and not _has_prefix(value, field.metadata["prefix"]):
        names = [
            *map(str, choices),
            *([f"{field.metadata['prefix']}PATH"] if field.metadata["prefix"] else []),
        ]
        raise ConfigError(f"{flag} takes one of {', '.join(names)}. {received}")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{flag} takes a finite number. {received}")
    for name, (accepts, words) in _LIMITS.items():
        limit = field.metadata["limits"][name]
        if limit is not None and not accepts(value, limit):
            raise ConfigError(f"{flag} must be {words} {limit}. {received}")
    return value


def _has_prefix(value: Any, prefix: str | None) -> bool:
    return prefix is not None and value.startswith(prefix) and value != prefix


def _shown(value: Any) -> str:
    """`value` on one short line, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python does not print whole numbers of thousands of digits.
        text = "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


_KIND_NAMES = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "low": (lambda value, limit: value >= limit, "at least"),
    "high": (lambda value, limit: value <= limit, "at most"),
    "above": (lambda value, limit: value > limit, "greater than"),
    "below": (lambda value, limit: value < limit, "less than"),
}
