"""The data sets, one DatasetSpec each. Importing this module costs nothing: no TensorFlow, no NumPy."""

import dataclasses
from collections.abc import Mapping

# What the tables' protocol holds out of the official training files, as a share, so that a smaller set (a test's,
# or one prepared in part) is divided in the same way.
_HOLD_OUT_MNIST = 1 / 6
_HOLD_OUT_SVHN = 1 / 10
_HOLD_OUT_CIFAR = 1 / 5


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """What is fixed about a data set before any of it is read.

    Attributes:
        name: the value of `--dataset`.
        width: width and height in pixels of the images that a model sees (1: a 2-D point instead).
        channels: colours of a pixel (2: the coordinates of a point).
        tfds_name: name of the TFDS builder, or None where `generated` makes the data. (`dsprites` draws what TFDS
            has no file for.)
        validation: share of the official training split that is held out as validation split.
        idx_sha256: sha256 of the unpacked file by the archive's file name, where it is known. With it an
            archive that was packed anew can be told from a wrong one.
        classes: number of labels, which are 0 .. classes - 1.
        attributes: names of what an example has or has not, in the order of `Arrays.attributes`; empty where an
            example has a label only.
        class_names: those of the labels, where the data set is a folder of pictures that was read.
        sha256: of the names and labels of its pictures, too.
    """

    name: str
    width: int
    channels: int
    tfds_name: str | None = None
    validation: float = 0.0
    idx_sha256: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    classes: int = 10
    attributes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()
    sha256: str = ""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of one image."""
        return (self.width, self.width, self.channels)


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

DATASETS: dict[str, DatasetSpec] = {
    spec.name: spec
    for spec in (
        DatasetSpec("lines", 32, 1),
        DatasetSpec("spiral", 1, 2),
        DatasetSpec("mnist", 32, 1, "mnist", _HOLD_OUT_MNIST, _MNIST_IDX),
        DatasetSpec("kmnist", 32, 1, "kmnist", _HOLD_OUT_MNIST),
        DatasetSpec("fashion_mnist", 32, 1, "fashion_mnist", _HOLD_OUT_MNIST, _FASHION_MNIST_IDX),
        DatasetSpec("svhn", 32, 3, "svhn_cropped", _HOLD_OUT_SVHN),
        DatasetSpec("cifar10", 32, 3, "cifar10", _HOLD_OUT_CIFAR),
        DatasetSpec("dsprites", 64, 1, "dsprites", classes=3),
        # Width, labels and attributes of these follow from the flags.
        DatasetSpec("celeba", 64, 3, "celeb_a"),
        DatasetSpec("zappos", 64, 3, "ut_zappos50k", classes=21),
        DatasetSpec("shapes", 32, 3, classes=16, attributes=("square", "large", "filled", "blue")),
    )
}
