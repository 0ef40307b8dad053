"""A trained run, opened for reading: its settings, its model as a checkpoint has it, its data.

What looks at finished runs, evaluation and figures, begins here and needs nothing but the run folder.
"""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from amr_tf import data
from amr_tf.config import Config, ConfigError, command_line
from amr_tf.data.catalog import DatasetSpec
from amr_tf.mixing import mix
from amr_tf.models.build import build_model
from amr_tf.runs import data_record
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunError, RunFolder, best_row, checkpoints_in, read_rows, step_of

BATCH = 512
# Of a larger split so many examples stand for it, always the same ones.
MOST_EXAMPLES = 50_000
MOST_COMBINATIONS = 64


class TrainedRun:
    """A run folder with its model restored.

    Args:
        path: the run folder.
        checkpoint: `best` (by the probe's validation accuracy), `last`, or the number of a step.
        places: `data_dir` and `raw_dir` where the data are to be found elsewhere than when the run was trained.
        on_images: told how many images more are about to be coded or decoded, and how many more have been.

    Attributes:
        config: the run's settings.
        checkpoint: what was asked for.
        step: the number of steps that the restored model was trained for.
        spec: what is fixed about its data set.

    Raises:
        RunError: no run, no such checkpoint, or a damaged one.
    """

    def __init__(
        self,
        path: pathlib.Path,
        checkpoint: str = "best",
        places: dict[str, str] | None = None,
        on_images: Callable[[int, int], None] = lambda due, done: None,
    ):
        self.path, self.checkpoint, self.on_images = path, checkpoint, on_images
        self.config = read_config(path, places or {})
        self.folder = RunFolder(self.config)
        self.step = step_named(self.folder, checkpoint)
        spec = data.spec_of(self.config)
        self.spec = spec = spec if spec.complete else self._spec_of_results() or self.splits.train.spec
        self.model = build_model(self.config, spec.image_shape, spec.classes, len(spec.attributes) or None)
        self._restore(checkpoint)
        self._kept_codes: dict[str, np.ndarray] = {}

    def _restore(self, checkpoint: str) -> None:
        """A run that still trains may have deleted the checkpoint since it was chosen; then there is a newer one."""
        checkpoints = Checkpoints(self.folder.checkpoints, self.model, print)
        while True:
            try:
                return checkpoints.restore_step(self.step)
            except RunError:
                before, self.step = self.step, step_named(self.folder, checkpoint)
                if self.step == before:
                    raise

    def _spec_of_results(self) -> DatasetSpec | None:
        """Of a folder of pictures, without a look at them; None where no epoch was finished."""
        found = self.folder.read_results()
        if not {"image_shape", "classes"} <= found.keys():
            return None
        _, width, channels = found["image_shape"]
        return DatasetSpec(self.config.dataset, width, channels, classes=found["classes"])

    @functools.cached_property
    def splits(self) -> data.Splits:
        """The data that the run was trained and judged on.

        Raises:
            DataError: they are gone, or others than when the run began.
        """
        data.check(self.config)
        splits = data.load(self.config)
        data_record.check(self.path, splits)
        return splits

    @functools.cached_property
    def ground_truth(self) -> Any:
        """The images by their factors, for a run whose `spec.ground_truth` is known."""
        return data.ground_truth(self.config)

    @property
    def data_name(self) -> str:
        """What the data are called, such as "re-rendered dSprites"."""
        return self.ground_truth.origin if self.spec.ground_truth else self.splits.test.name

    @property
    def has_flat_codes(self) -> bool:
        """Whether a code is a vector and no stack of feature maps."""
        return len(self.model.code_shape) == 1

    def examples(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels of the split `train`, `validation` or `test`, at most MOST_EXAMPLES of them."""
        arrays, rows = getattr(self.splits, part), self._rows(part)
        return arrays.images[rows], arrays.labels[rows]

    def labels(self, part: str) -> np.ndarray:
        """The labels int64 [N] of `examples(part)`, without the images."""
        return getattr(self.splits, part).labels[self._rows(part)]

    def attributes(self, part: str) -> np.ndarray:
        """What supervised mixing mixes, of `examples(part)`: attributes or one-hot labels, uint8 [N, A]."""
        return getattr(self.splits, part).targets()[self._rows(part)]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Of the columns of `attributes`; a single label's are its number."""
        return self.spec.attributes or tuple(map(str, range(self.spec.classes)))

    def _rows(self, part: str) -> slice | np.ndarray:
        count = len(getattr(self.splits, part))
        if count <= MOST_EXAMPLES:
            return slice(None)
        return np.sort(np.random.default_rng(0).choice(count, MOST_EXAMPLES, replace=False))

    def mask_parameters(self, requested: np.ndarray) -> np.ndarray:
        """p of each feature map for attributes [N, A], by a supervised mixer: float32 [N, C]."""
        return self.model.mask_parameters(tf.constant(requested, tf.float32)).numpy()

    def masks(self, requested: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Masks drawn of them, float32 [N, C]; the parameters themselves where the run was trained with these."""
        parameters = self.mask_parameters(requested)
        if self.config.mask_gradient == "soft":
            return parameters
        return (rng.random(parameters.shape) < parameters).astype(np.float32)

    def codes(self, part: str) -> np.ndarray:
        """The codes [N, ...] of `examples(part)`, computed once."""
        if part not in self._kept_codes:
            self._kept_codes[part] = self.encode(self.examples(part)[0])
        return self._kept_codes[part]

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Images uint8, or float in [-1, 1], [N, H, W, C] -> codes float32 [N, ...]."""
        return self._in_batches(self._encode, images)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Codes [N, ...] -> images float32 [N, H, W, C]."""
        return self._in_batches(self._decode, codes)

    def mixes(self, part: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mixes of `codes(part)`, drawn as in training: their codes [N, ...], and decoded [N, H, W, C]."""
        codes, seed = self.codes(part), tf.constant(rng.integers(2**31, size=2))
        mixed = mix(codes, *self.model.mixer.sample(len(codes), self.model.code_shape, seed)).numpy()
        return mixed, self.decode(mixed)

    def mix_by_mask(self, h1: np.ndarray, h2: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """m h1 + (1 - m) h2: codes [N, ...] twice and masks [N, C] -> codes float32 [N, ...]."""
        mask = mask.reshape(len(mask), *(1,) * (h1.ndim - 2), -1).astype(np.float32)
        return mask * h1 + (1 - mask) * h2

    def combinations(self) -> np.ndarray:
        """The combinations of attributes that test examples have, at most the MOST_COMBINATIONS most frequent:
        uint8 [K, A], in ascending order.
        """
        found, counts = np.unique(self.splits.test.targets(), axis=0, return_counts=True)
        return found[np.sort(np.argsort(-counts, kind="stable")[:MOST_COMBINATIONS])]

    def _in_batches(self, compute: Callable, values: np.ndarray) -> np.ndarray:
        parts = []
        self.on_images(len(values), 0)
        for first in range(0, len(values), BATCH):
            part = values[first : first + BATCH]
            # One shape, one compiled function.
            padding = [(0, BATCH - len(part))] + [(0, 0)] * (part.ndim - 1)
            parts.append(compute(np.pad(part, padding)).numpy()[: len(part)])
            self.on_images(0, len(part))
        return np.concatenate(parts)

    @functools.cached_property
    def _encode(self) -> Callable:
        def encode(x):
            return self.model.encode(x if x.dtype.is_floating else tf.cast(x, tf.float32) / 127.5 - 1.0)

        return _in_halves(encode)

    @functools.cached_property
    def _decode(self) -> Callable:
        return _in_halves(self.model.decode)


def _in_halves(compute: Callable) -> Callable:
    """Halves of a batch run side by side: on a CPU an operation has half of the cores (`startup`)."""
    return tf.function(lambda x: tf.concat([compute(half) for half in tf.split(x, 2)], axis=0))


def read_config(path: pathlib.Path, places: dict[str, str]) -> Config:
    """The settings of the run in a folder; without replicas, which only training has.

    Raises:
        RunError: the folder holds no run, or its flags.txt cannot be used.
        ConfigError: impossible places.
    """
    flags = path / "flags.txt"
    if not os.path.isfile(flags):  # pathlib's raises where the folder may not be entered
        raise RunError(f"Not a run folder, since there is no flags.txt to be read in it: {path}")
    try:
        config, _ = command_line.parse_file(flags)
    except ConfigError as error:
        raise RunError(f"{flags} cannot be used: {error}") from error
    if not config.dataset_spec.builders:
        places = {}
    alone: dict[str, Any] = {"strategy": "none", "cpu_devices": 1, "run_dir": str(path)}
    return dataclasses.replace(config, **alone | places)


def step_named(folder: RunFolder, checkpoint: str) -> int:
    """The step of the checkpoint `best`, `last` or of a number.

    Raises:
        RunError: it is none of these, or nothing was saved or written down yet, or may not be read.
    """
    if os.path.isdir(folder.checkpoints) and not os.access(folder.checkpoints, os.R_OK | os.X_OK):
        raise RunError(f"No permission to read {folder.checkpoints}: set it right")
    kept = checkpoints_in(folder.checkpoints)
    if not kept:
        raise RunError(f"{folder.path} has no checkpoint: train it first")
    if checkpoint == "last":
        return step_of(kept[-1])
    if checkpoint == "best":
        rows = read_rows(folder.metrics)
        if not rows:
            raise RunError(
                f"{folder.path} has no finished epoch of which one could be best: use --checkpoint=last"
            )
        return int(best_row(rows)["step"])
    if checkpoint.isdecimal() and len(checkpoint) < 19:
        return int(checkpoint)
    raise RunError(f"--checkpoint takes best, last or a number of steps. Received: {checkpoint[:30]!r}")
