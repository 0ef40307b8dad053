"""Config: the only declaration of every hyper-parameter, with its default, meaning and limits.

Flags, `--help`, `flags.txt`, run names and `results.json` are generated from the fields below. This module does not
import TensorFlow, so that an invalid value is reported at once.
"""

import dataclasses
import os
import pathlib
from typing import Any

from amr_tf import registry
from amr_tf.config import aliases, rules
from amr_tf.config.defaults import FIXED, PUBLISHED_DEFAULTS, UNUSED
from amr_tf.config.fields import ConfigError, checked, flag_name, option
from amr_tf.runtime import files

__all__ = ["PUBLISHED_DEFAULTS", "Config", "ConfigError", "flag_name"]

SUPERVISED = ("amr_supervised",)  # methods that read the attributes of the images


@dataclasses.dataclass(frozen=True)
class Config:
    """All settings of a run, validated and with their defaults filled in.

    A field that is not given gets the published default for the run's model, data set and architecture. Fields without
    a published default get the default of their declaration.

    Raises:
        ConfigError: an invalid value or combination. The message is one line: the flag, the value and the advice.
    """

    model: str = option("amr", "training method", choices=registry.MODELS)
    dataset: str = option(
        "lines",
        "data set; lines, spiral, shapes and digits need no files, dsprites is drawn if its file is missing, the "
        "others come from TFDS; folder:PATH is a folder of your pictures, whose sub-folders are the labels; npz:FILE "
        "has your images and labels as arrays",
        choices=registry.DATASETS,
        prefixes=tuple(registry.OWN_DATA),
    )
    arch: str = option("amr", "networks; amr_fixed has sound initial values", choices=registry.ARCHS)
    mixer: str = option(
        "mixup",
        "distribution of the mixing weights",
        choices=registry.MIXERS,
    )
    k: int = option(2, "how many codes go into one mix", low=2)
    lambda_: float = option(10.0, "weight of the reconstruction loss (searched: 2, 5, 10, 20, 50)", low=0.0)
    beta: float = option(
        0.0, "weight of the consistency loss |f(g(h_mix)) - h_mix|", low=0.0,
        methods=("amr", "amr_supervised", "acai_rerun"),
    )  # fmt: skip
    style_mixing: float = option(
        0.9, "probability that a mix has rows of several parents (--mixer=style)", low=0.0, high=1.0
    )
    structure_weight: float = option(
        5e-5, "weight of GAIA's loss of pairwise distances", low=0.0, methods=("gaia",)
    )
    balance_slope: float = option(
        20.0, "slope of the logistic functions that balance GAIA's players", low=0.0, methods=("gaia",)
    )
    input_noise: float = option(
        1.0, "standard deviation of the noise added to images in [-1, 1]", low=0.0, methods=("denoising",)
    )
    keep_probability: float = option(
        0.5, "probability that a number of a code is kept", above=0.0, high=1.0, methods=("dropout",)
    )
    codewords: int = option(16384, "vectors in the codebook", low=2, methods=("vqvae",))
    code_vectors: int = option(10, "vectors that a code is quantized to", low=1, methods=("vqvae",))
    codebook_decay: float = option(
        0.999, "decay of the moving averages that are the codebook", low=0.0, below=1.0, methods=("vqvae",)
    )
    commitment_weight: float = option(
        10.0, "weight of the distance between vectors and their codewords", low=0.0, methods=("vqvae",)
    )
    beta_kl: float = option(
        1.0, "weight of the VAE's KL divergence, summed over the code; 1 with bce_sum is a plain VAE", low=0.0,
        methods=("vae",),
    )  # fmt: skip
    attribute_weight: float = option(
        1.0, "weight of the generator's loss of a mix's attributes", low=0.0, methods=SUPERVISED
    )
    mask_eps: float = option(
        1e-8, "weight of (sum of the mask - half of the feature maps)^2", low=0.0, methods=SUPERVISED
    )
    mask_gradient: str = option(
        "straight_through",
        "gradient through the drawn mask",
        choices=registry.MASK_GRADIENTS,
        methods=SUPERVISED,
    )
    recon_loss: str = option(
        "l1",
        "reconstruction; the bce ones need --arch=acai_bounded, burgess or resnet",
        choices=registry.RECON_LOSSES,
    )
    consistency_loss: str = option("l1", "distance of codes in the consistency loss", choices=("l1", "l2"))
    gan_loss: str = option("bce", "loss of the discriminator's score", choices=registry.GAN_LOSSES)
    update_g_every: int = option(
        5,
        "THE GENERATOR LEARNS ON EVERY N-TH STEP ONLY: 5 is what the paper's scripts ran although the paper does "
        "not say so; 1 trains it on every step",
        low=1,
    )
    latent: int = option(16, "feature maps of the code; d_h = latent_width^2 * latent", low=1)
    depth: int = option(16, "feature maps at the first scale, doubled at each following one", low=1)
    latent_width: int = option(4, "width and height of the code in pixels (flat codes ignore it)", low=1)
    data_dir: str = option(
        "~/tensorflow_datasets",
        "where TFDS keeps prepared data sets; TFDS's variable TFDS_DATA_DIR changes the default",
        runtime=True,
        path=True,
        variable="TFDS_DATA_DIR",
    )
    raw_dir: str = option(
        "", "folder of official archives, imported without a network", runtime=True, path=True
    )
    image_fit: str = option("resize", "from 28 to 32 px: AMR resizes, ACAI pads", choices=("resize", "pad"))
    image_size: int = option(
        0,
        "width and height that images of celeba, zappos, folder:PATH and npz:FILE are cut to (0: 64 px)",
        choices=(0, 32, 64, 128),
    )
    pixel_range: str = option(
        "full",
        "values of 16-bit grey pictures of folder:PATH that become black to white: full is 0 to 65535, auto goes to "
        "the largest number of 10, 12 or 14 bits where all values of all pictures are below it",
        choices=("full", "auto"),
    )
    attributes: str = option(
        "",
        "attributes of celeba, such as Male,Smiling; the label is a number whose bits they are, the highest bit first",
    )
    train_examples: int = option(0, "train on that many examples only, drawn with the seed (0: all)", low=0)
    labelled_examples: int = option(
        0, "learn from the labels of that many training examples only (0: all)", low=0, methods=SUPERVISED
    )
    batch_size: int = option(64, "examples per step", low=1)
    epochs: int = option(100, "epochs to train; the papers' counts for their data sets", low=1)
    steps_per_epoch: int = option(0, "steps of an epoch (0: one pass over the training examples)", low=0)
    learning_rate: float = option(1e-4, "Adam's learning rate, for all three players", above=0.0)
    schedule: str = option(
        "constant",
        "course of the learning rate; cosine: down to 0 at the run's last step",
        choices=("constant", "cosine"),
    )
    adam_beta1: float = option(0.5, "Adam's beta1", low=0.0, below=1.0)
    adam_beta2: float = option(0.99, "Adam's beta2", low=0.0, below=1.0)
    adam_epsilon: float = option(1e-8, "Adam's epsilon", above=0.0)
    weight_decay: float = option(1e-5, "L2 penalty, added to the gradient of every trainable weight", low=0.0)
    seed: int = option(0, "seed of weights, order of the examples, mixing and low-data draw", low=0)
    mixed_precision: str = option(
        "none",
        "compute in this type; weights and losses stay float32, float16 scales the losses",
        choices=("none", "bfloat16", "float16"),
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
        choices=("auto", "none", "mirrored", "multiworker"),
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
    run_dir: str = option("", "folder of the run (empty: runs/<dataset>/<settings>)", runtime=True, path=True)

    def __post_init__(self) -> None:
        fields = dataclasses.fields(self)
        given = {field.name: getattr(self, field.name) for field in fields}
        given["model"] = fields[0].metadata["default"] if given["model"] is None else given["model"]
        for field in fields:
            value = aliases.renamed(given)[field.name]
            value = checked(field, self._published_default(field) if value is None else value)
            # The fields of a frozen dataclass can be set only in this way.
            object.__setattr__(self, field.name, value)
        rules.check(self)

    def _published_default(self, field: dataclasses.Field) -> Any:
        value = field.metadata["default"]
        for where, values in PUBLISHED_DEFAULTS:
            if field.name in values and all(getattr(self, name) == wanted for name, wanted in where.items()):
                value = values[field.name]
        return self._variable(field)[1] or value

    def _variable(self, field: dataclasses.Field) -> tuple[str, str]:
        """Returns the environment variable that gives the field's default, and its value; "" and "" without one."""
        name = field.metadata["variable"]
        # data_dir is the only field with a variable. Only data sets of TFDS, which have builders, read data_dir.
        return (name, os.environ.get(name, "")) if name and self.dataset_spec.builders else ("", "")

    def origin(self, name: str) -> str:
        """Returns the flag of a setting, or the environment variable if the value equals the variable's value."""
        variable, content = self._variable(self.__dataclass_fields__[name])
        return variable if content and content == getattr(self, name) else f"--{flag_name(name)}"

    def place(self, name: str) -> pathlib.Path | None:
        """Returns the path in a setting, or None without one. Raises ConfigError as `files.user_path` does."""
        prefix, place = self._split(name)
        return files.user_path(place, f"{self.origin(name)}={prefix}") if place else None

    def anchored(self) -> "Config":
        """Returns the same settings with absolute paths, as flags.txt stores them."""
        stored: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            prefix, place = self._split(field.name)
            # Flags must be printable. A path stays relative if the working folder's name is not printable.
            if place and (absolute := files.absolute(place)).isprintable():
                stored[field.name] = prefix + absolute
        return dataclasses.replace(self, **stored)

    def _split(self, name: str) -> tuple[str, str]:
        """Splits the value of a setting into a prefix and a path. Both are "" if the value contains no path."""
        metadata, value = self.__dataclass_fields__[name].metadata, getattr(self, name)
        if not metadata["path"]:
            return "", ""
        prefix = next(filter(value.startswith, metadata["prefixes"]), "")
        return (prefix, value.removeprefix(prefix)) if prefix or not metadata["prefixes"] else ("", "")

    def check_networks(self, image_width: int) -> None:
        """Raises a ConfigError if the networks do not fit images of this width."""
        rules.apply(rules.NETWORK_RULES, self, image_width)

    @property
    def image_width(self) -> int:
        """Width in pixels of the images that the networks receive."""
        return self.image_size or self.dataset_spec.width

    @property
    def dataset_spec(self) -> Any:
        """Properties of the data set that are known before it is read, as a `data.catalog.DatasetSpec`."""
        return registry.load_dataset(self.dataset)

    def uses(self, name: str) -> bool:
        """Returns False if the run's method ignores this setting or accepts only one value of it."""
        return name not in UNUSED.get(self.model, ()) and name not in FIXED.get(self.model, {})

    def flag(self, name: str) -> str:
        """Returns a setting as a flag of the command line, such as `--k=2`."""
        return f"--{flag_name(name)}={getattr(self, name)}"

    def hyperparameters(self) -> dict[str, Any]:
        """Returns all settings by flag name, except the runtime settings, which say where and how a run is executed."""
        fields = (field for field in dataclasses.fields(self) if not field.metadata["runtime"])
        return {flag_name(field.name): getattr(self, field.name) for field in fields}
