"""Data sets as arrays: `load(config)` gives the training, validation and test split of any data set.

config -> tfds_source, generated, dsprites, shapes or folder -> raw order -> split -> Arrays -> pipeline -> batches
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from amr_tf.config.rules import CUT_TO_SIZE, FOLDER
from amr_tf.data import celeba, dsprites, folder, generated, pixels, shapes
from amr_tf.data.catalog import DATASETS, DatasetSpec
from amr_tf.runtime.errors import DataError

Examples = generated.Examples
SMOKE_EXAMPLES = 512  # of each split, or a batch where that is more


@dataclasses.dataclass(frozen=True, eq=False)
class Arrays:
    """Examples in memory.

    Attributes:
        images: uint8 [N, H, W, C]; for points, float32 [N, 1, 1, 2] in [-1, 1]; dSprites as bits.
        labels: int64 [N] in 0 .. spec.classes - 1.
        spec: the data set they come from.
        origin: what to call them in a report where the data set's name would say too much.
        attributes: uint8 [N, A], 0 or 1, in the order of spec.attributes; None where the data set has none.
        labelled: bool [N], whose labels and attributes supervised mixing may learn from; None: all.
    """

    images: np.ndarray | pixels.PackedImages
    labels: np.ndarray
    spec: DatasetSpec
    origin: str = ""
    attributes: np.ndarray | None = None
    labelled: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def name(self) -> str:
        """What to call them in a report."""
        return self.origin or self.spec.name

    def targets(self) -> np.ndarray:
        """What supervised mixing mixes: the attributes, or else the labels one-hot: uint8 [N, A]."""
        if self.attributes is not None:
            return self.attributes
        return np.eye(self.spec.classes, dtype=np.uint8)[self.labels]


class Splits(NamedTuple):
    """The three parts of a data set. Nothing is ever chosen by the test part."""

    train: Arrays
    validation: Arrays
    test: Arrays


def check(config: Any) -> None:
    """Refuses a run whose data `load` will not find, before anything that takes time.

    Raises:
        DataError: names each missing or damaged file.
    """
    spec = spec_of(config)
    if spec is None:
        folder.check(config.dataset, config.batch_size)
    elif spec.tfds_name and not _is_drawn(spec, config):
        from amr_tf.data import tfds_source

        tfds_source.check(spec, config.data_dir, config.raw_dir)


def load(config: Any) -> Splits:
    """Reads or makes the data set of a run.

    Args:
        config: read are `dataset, data_dir, raw_dir, image_fit, image_width, attributes, train_examples,
            labelled_examples, seed, smoke, batch_size`.

    Raises:
        DataError: the data are neither there nor to be had, a file is damaged, or there are fewer training
            examples than `train_examples` or `labelled_examples` asks for.
    """
    spec, origin = spec_of(config), ""
    count = max(SMOKE_EXAMPLES, config.batch_size) if config.smoke else None
    if spec is None:
        (train, validation, test), spec = folder.read(config.dataset, config.image_width, count)
    elif spec.name == "dsprites":
        images, numbers, origin = _dsprites(config)
        train, validation, test = dsprites.splits(images, numbers)
    elif spec.name in CUT_TO_SIZE:
        from amr_tf.data import tfds_pictures

        train, validation, test = tfds_pictures.read(spec, config.data_dir, config.raw_dir)
    elif spec.tfds_name:
        # Only for what TFDS reads is TensorFlow needed.
        from amr_tf.data import tfds_source

        official, test = tfds_source.read(spec, config.data_dir, config.raw_dir)
        train, validation = hold_out(official, spec.validation)
    elif spec.name == "shapes":
        train, validation, test = shapes.splits()
    else:
        train, validation, test = generated.GENERATORS[spec.name]()
    train = _draw(train, config.train_examples, config.seed, spec.name)
    train, validation, test = (_rows(part, slice(count)) for part in (train, validation, test))
    splits = Splits(*(_arrays(part, spec, config.image_fit, origin) for part in (train, validation, test)))
    return splits._replace(train=_with_labelled(splits.train, config))


def spec_of(config: Any) -> DatasetSpec | None:
    """What is fixed about the data set that a run asks for. None for a folder, of which that is known once it is read.

    Args:
        config: read are `dataset, image_width, attributes`.

    Raises:
        DataError: attributes that the data set does not have.
    """
    if config.dataset.startswith(FOLDER):
        return None
    spec = dataclasses.replace(DATASETS[config.dataset], width=config.image_width)
    if spec.name != "celeba":
        return spec
    names = celeba.chosen(config.attributes)
    return dataclasses.replace(spec, attributes=names, classes=2 ** len(names))


def ground_truth(config: Any) -> dsprites.DSprites:
    """dSprites by its factors, for the metrics that ask for images of chosen factors: the images that `load` gives.

    Args:
        config: read are `data_dir, raw_dir`.

    Raises:
        DataError: see `load`; also when the official data at hand are not all of the images.
    """
    images, numbers, origin = _dsprites(config)
    if len(numbers) != dsprites.COUNT:
        raise DataError(
            f"The metrics of factors need all {dsprites.COUNT} images of dSprites, {config.data_dir} has "
            f"{len(numbers)}: prepare it whole, or name a --data_dir without it to have them drawn"
        )
    return dsprites.DSprites(images, origin)


def _is_drawn(spec: DatasetSpec, config: Any) -> bool:
    """dSprites is drawn where nobody has put its official file. No network is tried for it."""
    if spec.name != "dsprites" or config.raw_dir:
        return False
    from amr_tf.data import tfds_source

    return not tfds_source.at_hand(spec, config.data_dir)


def _dsprites(config: Any) -> tuple[np.ndarray, np.ndarray, str]:
    """dSprites: images uint8 [N, 512] as bits, their numbers int64 [N], and what to call them."""
    spec = DATASETS["dsprites"]
    if _is_drawn(spec, config):
        return dsprites.render(), np.arange(dsprites.COUNT), dsprites.RE_RENDERED
    from amr_tf.data import tfds_dsprites

    return *tfds_dsprites.read(spec, config.data_dir, config.raw_dir), "official dSprites"


def hold_out(examples: Examples, share: float) -> tuple[Examples, Examples]:
    """Divides the official training split, given in raw order, as the public AMR code does: shuffled once by
    RandomState(0), the last `share` of it (at least 1 example) is the validation split.

    Returns:
        The training and the validation part.
    """
    order = np.arange(len(examples[0]))
    np.random.RandomState(0).shuffle(order)
    train = len(order) - max(1, round(share * len(order)))
    return _rows(examples, order[:train]), _rows(examples, order[train:])


def _draw(examples: Examples, count: int, seed: int, name: str) -> Examples:
    """A random `count` of the examples (0: all of them), another one for every seed and count."""
    if count == 0:
        return examples
    size = len(examples[0])
    if count > size:
        raise DataError(
            f"{name} has {size} training examples, --train_examples={count} asks for more: lower it, or "
            "use 0 for all of them"
        )
    return _rows(examples, np.random.default_rng((seed, count)).choice(size, count, replace=False))


def _rows(examples: Examples, rows: slice | np.ndarray) -> Examples:
    return tuple(column[rows] for column in examples)


def _with_labelled(train: Arrays, config: Any) -> Arrays:
    """Marks a random `labelled_examples` (0: all) of the examples, other ones for every seed and count."""
    count = min(config.labelled_examples, len(train)) if config.smoke else config.labelled_examples
    if count == 0:
        return train
    if count > len(train):
        raise DataError(
            f"{train.spec.name} has {len(train)} training examples, --labelled_examples={count} asks for more: lower "
            "it, or use 0 for all of them"
        )
    labelled = np.zeros(len(train), bool)
    rng = np.random.default_rng((config.seed, count, len(train)))
    labelled[rng.choice(len(train), count, replace=False)] = True
    return dataclasses.replace(train, labelled=labelled)


def _arrays(examples: Examples, spec: DatasetSpec, image_fit: str, origin: str) -> Arrays:
    images, labels, *attributes = examples
    if spec.name == "dsprites":
        return Arrays(pixels.PackedImages(images, spec.image_shape), labels, spec, origin)
    if spec.name == "celeba":
        attributes = [celeba.attributes_of(labels, len(spec.attributes))]
    return Arrays(pixels.fit(images, spec.width, image_fit), labels, spec, origin, *attributes)
