"""Data sets as arrays: `load(config)` gives the training, validation and test split of any data set.

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

SMOKE_EXAMPLES = 512  # of each split under --smoke, or one batch where that is more


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory.

    Attributes:
        images: uint8 [N, H, W, C]; for points, float32 [N, 1, 1, 2] in [-1, 1]; dSprites as bits.
        labels: int64 [N] in 0 .. spec.classes - 1.
        spec: the data set.
        attributes: uint8 [N, A], 0 or 1, in the order of spec.attributes; None if the data set has none.
        labelled: bool [N], the examples whose labels and attributes supervised mixing may use; None: all.
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
        """Name for reports."""
        return self.spec.title or self.spec.name

    def targets(self) -> np.ndarray:
        """Attributes for supervised mixing, one-hot labels where the data set has none: uint8 [N, A]."""
        if self.attributes is not None:
            return self.attributes
        return np.eye(self.spec.classes, dtype=np.uint8)[self.labels]


class Splits(NamedTuple):
    """The three parts of a data set. The test part chooses nothing."""

    train: Arrays
    validation: Arrays
    test: Arrays


def check(config: Any) -> None:
    """Refuses a run if `load` would not find its data; quick.

    Raises:
        DataError: names each missing or damaged file.
    """
    spec_of(config).check(_places(config))


def load(config: Any) -> Splits:
    """Reads or draws the data set of a run.

    Args:
        config: a Config. Its fields `dataset, data_dir, raw_dir, image_fit, image_width, attributes, train_examples,
            labelled_examples, seed, smoke, batch_size` are read.

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
    """Returns images with their factors for the metrics of disentanglement, a `metrics.ground_truth.GroundTruth`.

    Raises:
        DataError: see `load`; also when the prepared data lack some combinations of factors.
    """
    spec = spec_of(config)
    spec.require_packages()
    return catalog.resolved(spec.ground_truth)(spec, _places(config))


def nearest_images(config: Any) -> Any:
    """Returns the search for the nearest possible image: images float [N, H, W, C] -> `data.nearest.Nearest`.

    Raises:
        DataError: see `load`.
    """
    spec = spec_of(config)
    spec.require_packages()
    return catalog.resolved(spec.nearest)(spec, _places(config))


def _places(config: Any) -> Places:
    limit = max(SMOKE_EXAMPLES, config.batch_size) if config.smoke else None
    # A home folder may be unknown where nothing is read from it.
    data_dir = config.place("data_dir") if config.dataset_spec.builders else None
    return Places(data_dir or Path(), config.raw_dir, config.batch_size, config.pixel_range, limit)


def _draw(name: str, size: int, flag: str, count: int, seed: tuple[int, ...]) -> np.ndarray:
    """Draws `count` of `size` training examples: their rows int64 [count]."""
    if count > size:
        raise DataError(
            f"{name} has only {size} training examples. Received: --{flag}={count}. Lower it, or use 0 for all of them"
        )
    return np.random.default_rng(seed).choice(size, count, replace=False)
