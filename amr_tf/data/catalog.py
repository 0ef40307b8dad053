"""One `DatasetSpec` for each data set in `amr_tf.registry`. This module imports neither TensorFlow nor NumPy."""

import dataclasses
import difflib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from amr_tf import registry
from amr_tf.runtime import extras
from amr_tf.runtime.errors import DataError

MOST_ATTRIBUTES = 8  # each combination of attributes is a label, hence at most 256 labels


class Places(NamedTuple):
    """Settings of a run for a reader: folders, number of examples, and range of pixels."""

    data_dir: Path = Path()  # folder of TFDS's prepared data sets
    raw_dir: str = ""  # folder of official archives to prepare from
    batch_size: int = 1  # the fewest training examples that a run can use
    pixel_range: str = "full"  # range of 16-bit images, see `Config`
    limit: int | None = None  # largest number of examples used of each split; readers may stop there


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """A data set: the facts known before it is read, and its reader.

    Functions are callables or import paths, "module:function".

    Attributes:
        name: the value of `--dataset`.
        width: width and height in pixels of the images that a model sees; 1 for 2-D points.
        channels: number of colour channels; 2 for 2-D points; 0 for the user's own data before they are read.
        classes: number of labels, which are 0 .. classes - 1; 0 for the user's own data before they are read.
        reader: function (spec, Places) -> (spec, [training, validation, test]). The splits are `sources.Examples`. The
            returned spec includes facts found while reading. None for examples that are already in memory.
        checker: function of (spec, Places) that raises DataError if `reader` would not find its files. It is quick.
        ground_truth: function (spec, Places) -> `metrics.ground_truth.GroundTruth`; None if factors are unknown.
        nearest: function (spec, Places) -> `data.nearest.Search`, which finds the nearest possible image; None for data
            that are not generated from known factors.
        attributes: names of the binary attributes of an example, in the order of `Arrays.attributes`.
        selectable_attributes: names that are valid in `--attributes`.
        generated: true if this package generates the data, or the data are installed with it.
        sized: true if images are cropped and resized to `--image_size`.
        builders: TFDS names, or import paths of builder classes. The first builder that has prepared data is
            used. If no builder has prepared data, the last builder prepares them.
        validation: fraction of the official training split that becomes the validation split.
        idx_sha256: SHA-256 of unpacked archives by file name. It identifies archives that were compressed again.
        title: name for reports, if it differs from `name`.
        class_names: names of the labels of the user's own data.
        sha256: hash of the user's own data, computed from labels and file names (folder) or pixels (npz).
        content_sha256: hash of the files in a folder of images.
        white: value of 16-bit greyscale images that is converted to white.
    """

    name: str
    width: int
    channels: int
    classes: int = 10
    reader: str | Callable[..., Any] | None = None
    checker: str | Callable[..., None] | None = None
    ground_truth: str | Callable[..., Any] | None = None
    nearest: str | Callable[..., Any] | None = None
    attributes: tuple[str, ...] = ()
    selectable_attributes: tuple[str, ...] = ()
    generated: bool = False
    sized: bool = False
    builders: tuple[str, ...] = ()
    validation: float = 0.0
    idx_sha256: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    title: str = ""
    class_names: tuple[str, ...] = ()
    sha256: str = ""
    content_sha256: str = ""
    white: int = 65_535

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return (self.width, self.width, self.channels)

    @property
    def complete(self) -> bool:
        """False for the user's own data before they are read, since classes and channels are still unknown."""
        return self.classes > 0

    def read(self, places: Places) -> tuple["DatasetSpec", list[Any]]:
        """Calls `reader`. Raises UserError as `require_packages` does."""
        self.require_packages()
        return resolved(self.reader)(self, places)

    def check(self, places: Places) -> None:
        """Calls `checker`, if there is one. Raises UserError as `require_packages` does."""
        self.require_packages()
        if self.checker is not None:
            resolved(self.checker)(self, places)

    def require_packages(self) -> None:
        """Raises UserError if a package that the data set needs is not installed."""
        if self.builders:
            extras.require(f"Reading {self.name}", "tensorflow_datasets", "importlib_resources")


def resolved(function: str | Callable[..., Any] | None) -> Any:
    """Imports a function given by its path; a callable is returned unchanged."""
    return pkgutil.resolve_name(function) if isinstance(function, str) else function


def spec_named(dataset: str) -> DatasetSpec:
    """Returns the spec for a value of `--dataset`, which is a name of the registry, `folder:PATH` or `npz:FILE`."""
    return dataclasses.replace(registry.load_dataset(dataset), name=dataset)


def spec_of(config: Any) -> DatasetSpec:
    """Returns the spec of a run's data, with the width and the attributes from the run's Config.

    Raises:
        DataError: an attribute is unknown or repeated, or there are more than MOST_ATTRIBUTES attributes.
    """
    spec = dataclasses.replace(spec_named(config.dataset), width=config.image_width)
    if not spec.selectable_attributes:
        return spec
    names = tuple(config.attributes.split(","))
    received = f"Received: --attributes={config.attributes}"
    for name in names:
        if name not in spec.selectable_attributes:
            near = _nearest(name, spec.selectable_attributes)
            raise DataError(f"{spec.name} has no attribute {name!r}.{near} {received}")
    if len(set(names)) < len(names) or len(names) > MOST_ATTRIBUTES:
        raise DataError(f"--attributes takes 1 to {MOST_ATTRIBUTES} different names. {received}")
    return dataclasses.replace(spec, attributes=names, classes=2 ** len(names))


def _nearest(name: str, known: tuple[str, ...]) -> str:
    """Returns a sentence that suggests up to 3 similar names, ignoring case; "" if no name is similar."""
    by_lower_case = {attribute.lower(): attribute for attribute in known}
    wanted = name.strip().lower().replace(" ", "_").replace("-", "_")
    near = difflib.get_close_matches(wanted, by_lower_case, n=3, cutoff=0.5)
    near = near or [lower for lower in by_lower_case if wanted and wanted in lower][:3]
    return f" Did you mean {' or '.join(by_lower_case[lower] for lower in near)}?" if near else ""


_MNIST_IDX = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_FASHION_MNIST_IDX = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
# fmt: off
_CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)
_SOURCES = "amr_tf.data.sources"
_TFDS: dict[str, Any] = {"reader": f"{_SOURCES}.prepared:read", "checker": f"{_SOURCES}.prepared:check"}
_CUT: dict[str, Any] = {"checker": f"{_SOURCES}.prepared:check", "sized": True}

LINES = DatasetSpec(
    "lines", 32, 1, reader=f"{_SOURCES}.generated:read_lines", generated=True, nearest="amr_tf.data.nearest:of_lines"
)
SPIRAL = DatasetSpec("spiral", 1, 2, reader=f"{_SOURCES}.generated:read_spiral", generated=True)
SHAPES = DatasetSpec(
    "shapes", 32, 3, classes=16, reader=f"{_SOURCES}.shapes:read", generated=True,
    attributes=("square", "large", "filled", "blue"), nearest="amr_tf.data.nearest:of_shapes",
)
DIGITS = DatasetSpec("digits", 32, 1, reader=f"{_SOURCES}.digits:read", generated=True)
# `validation` is a fraction and not a number, so that a part of a data set is divided in the same proportion.
MNIST = DatasetSpec("mnist", 32, 1, builders=("mnist",), validation=1 / 6, idx_sha256=_MNIST_IDX, **_TFDS)
KMNIST = DatasetSpec("kmnist", 32, 1, builders=("kmnist",), validation=1 / 6, **_TFDS)
FASHION_MNIST = DatasetSpec(
    "fashion_mnist", 32, 1, builders=("fashion_mnist",), validation=1 / 6, idx_sha256=_FASHION_MNIST_IDX, **_TFDS
)
SVHN = DatasetSpec(
    "svhn", 32, 3, builders=("svhn_cropped", f"{_SOURCES}.svhn:SvhnTrainTest"), validation=1 / 10, **_TFDS
)
CIFAR10 = DatasetSpec("cifar10", 32, 3, builders=("cifar10",), validation=1 / 5, **_TFDS)
DSPRITES = DatasetSpec(
    "dsprites", 64, 1, classes=3, builders=("dsprites",), reader=f"{_SOURCES}.dsprites:read",
    checker=f"{_SOURCES}.dsprites:check", ground_truth=f"{_SOURCES}.dsprites:ground_truth",
    nearest="amr_tf.data.nearest:of_sprites",
)
CELEBA = DatasetSpec(
    "celeba", 64, 3, builders=("celeb_a",), reader=f"{_SOURCES}.cut:read_celeba",
    selectable_attributes=_CELEBA_ATTRIBUTES, **_CUT,
)
ZAPPOS = DatasetSpec(
    "zappos", 64, 3, classes=21, builders=(f"{_SOURCES}.zappos:UtZappos50k",), reader=f"{_SOURCES}.cut:read_zappos",
    **_CUT,
)
PICTURES = DatasetSpec(
    "folder", 64, 0, classes=0, reader=f"{_SOURCES}.folder:read", checker=f"{_SOURCES}.folder:check", sized=True
)
ARRAYS = DatasetSpec(
    "npz", 64, 0, classes=0, reader=f"{_SOURCES}.arrays:read", checker=f"{_SOURCES}.arrays:check", sized=True
)
# fmt: on
