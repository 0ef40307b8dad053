"""Data sets as arrays: `load(config)` returns the training, validation and test split of any data set.

config -> DatasetSpec -> its reader in `sources` -> Arrays -> pipeline -> batches
"""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from amr_tf.data import catalog, pixels
from amr_tf.data.catalog import DatasetSpec, Places, spec_of
from amr_tf.runtime.errors import DataError

__all__ = ["SMOKE_EXAMPLES", "Arrays", "Splits", "check", "ground_truth", "load", "nearest_images", "spec_of"]

SMOKE_EXAMPLES = 512  # largest number of examples of a split with --smoke, unless a batch is larger


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory.

    Attributes:
        images: uint8 [N, H, W, C], which dSprites stores as bits; for 2-D points, float32 [N, 1, 1, 2] in [-1, 1].
        labels: int64 [N] in 0 .. spec.classes - 1.
        spec: the data set.
        attributes: uint8 [N, A], 0 or 1, in the order of spec.attributes; None if the data set has none.
        labelled: bool [N], true for examples whose labels and attributes supervised mixing may use; None if all are.
    """

    images: np.ndarray | pixels.PackedImages
    labels: np.ndarray
    spec: DatasetSpec
    attributes: np.ndarray | None = None
    labelled: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        """Name of the data set for reports."""
        return self.spec.title or self.spec.name

    def targets(self) -> np.ndarray:
        """Returns the attributes for supervised mixing, uint8 [N, A]; one-hot labels if there are no attributes."""
        if self.attributes is not None:
            return self.attributes
        return np.eye(self.spec.classes, dtype=np.uint8)[self.labels]


class Splits(NamedTuple):
    """The three splits of a data set. Results on the test split are reported, but decide nothing."""

    train: Arrays
    validation: Arrays
    test: Arrays


def check(config: Any) -> None:
    """Checks quickly that `load` will find the data of a run.

    Raises:
        DataError: a file is missing or damaged. The message names each such file.
    """
    spec_of(config).check(_places(config))


def load(config: Any) -> Splits:
    """Reads or generates the data set of a run.

    Args:
        config: a Config, or an object with its fields `dataset, data_dir, raw_dir, image_fit, image_width, pixel_range,
            attributes, train_examples, labelled_examples, seed, smoke, batch_size`.

    Raises:
        DataError: the data are missing or damaged, or there are fewer training examples than `train_examples` or
            `labelled_examples`.
    """
    places = _places(config)
    spec, (train, *others) = spec_of(config).read(places)
    if count := config.train_examples:
        train = train.take(_draw(spec.name, len(train.labels), "train_examples", count, (config.seed, count)))
    arrays = []
    for part in (train, *others):
        images, labels, attributes = part.take(slice(places.limit))
        arrays.append(Arrays(pixels.fit(images, spec.width, config.image_fit), labels, spec, attributes))
    size = len(arrays[0])
    if count := min(config.labelled_examples, size) if config.smoke else config.labelled_examples:
        labelled = np.zeros(size, bool)
        labelled[_draw(spec.name, size, "labelled_examples", count, (config.seed, count, size))] = True
        arrays[0] = dataclasses.replace(arrays[0], labelled=labelled)
    return Splits(*arrays)


def ground_truth(config: Any) -> Any:
    """Returns a `metrics.ground_truth.GroundTruth`: images with known factors, for metrics of disentanglement.

    Raises:
        DataError: see `load`; also if the prepared data lack some combinations of factors.
    """
    spec = spec_of(config)
    spec.require_packages()
    return catalog.resolved(spec.ground_truth)(spec, _places(config))


def nearest_images(config: Any) -> Any:
    """Returns a function that finds, for each image, the nearest image that the data set can contain.

    The function maps images float [N, H, W, C] to a `data.nearest.Nearest`.

    Raises:
        DataError: see `load`.
    """
    spec = spec_of(config)
    spec.require_packages()
    return catalog.resolved(spec.nearest)(spec, _places(config))


def _places(config: Any) -> Places:
    limit = max(SMOKE_EXAMPLES, config.batch_size) if config.smoke else None
    # Data sets without TFDS builders read nothing from data_dir, whose home folder may be unknown.
    data_dir = config.place("data_dir") if config.dataset_spec.builders else None
    return Places(data_dir or Path(), config.raw_dir, config.batch_size, config.pixel_range, limit)


def _draw(name: str, size: int, flag: str, count: int, seed: tuple[int, ...]) -> np.ndarray:
    """Samples `count` of `size` training examples without replacement. Returns their row numbers, int64 [count]."""
    if count > size:
        raise DataError(
            f"{name} has only {size} training examples. Received: --{flag}={count}. Lower it, or use 0 for all of them"
        )
    return np.random.default_rng(seed).choice(size, count, replace=False)
