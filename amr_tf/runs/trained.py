"""Trained runs, opened for evaluation, figures and export: settings, restored model and data."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from amr_tf import data
from amr_tf.config import Config
from amr_tf.config.command_line import OWN_NAME
from amr_tf.data.catalog import DatasetSpec
from amr_tf.mixing import mix
from amr_tf.models.build import build_model
from amr_tf.registry import own_data
from amr_tf.runs import data_record
from amr_tf.runs.best import best_by, best_kept, best_row
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunError, RunFolder, checkpoints_in, read_flags, read_rows, step_of
from amr_tf.runtime import files

BATCH = 512
MOST_EXAMPLES = 50_000  # largest number of examples of a split; they are chosen with a fixed seed
MOST_COMBINATIONS = 64


class TrainedRun:
    """A trained run: its settings, its data and its model with the weights of a checkpoint.

    Args:
        path: the run folder.
        checkpoint: `best` (see `runs.best`), `last`, or the number of a step.
        places: new `data_dir` and `raw_dir`, if the data have moved since training.
        on_images: is called for progress with the number of images to process, in addition to earlier ones, and the
            number of images processed since the last call.

    Attributes:
        step: number of steps that the restored model was trained for.
        chosen: the reason for this step, such as "best by validation probe accuracy, epoch 3".
        spec: properties of the run's data set.

    Raises:
        RunError: the folder contains no run, or the checkpoint is missing or damaged.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        checkpoint: str = "best",
        places: dict[str, str] | None = None,
        on_images: Callable[[int, int], None] = lambda due, done: None,
    ):
        self.path, self.checkpoint, self.on_images = files.user_path(path), checkpoint, on_images
        self.config = read_config(self.path, places or {})
        self.folder = RunFolder(self.config)
        self.step, self.chosen = step_named(self.folder, checkpoint)
        spec = data.spec_of(self.config)
        self.spec = spec = spec if spec.complete else self._spec_of_results() or self.splits.train.spec
        self.model = build_model(self.config, spec.image_shape, spec.classes, len(spec.attributes) or None)
        self.codes = functools.cache(lambda part: self.encode(self.examples(part)[0]))  # [N, ...]
        self._encode, self._decode = _in_halves(self._encode_any), _in_halves(self.model.decode)
        self._restore()

    def _restore(self) -> None:
        try:
            Checkpoints(self.folder.checkpoints, self.model, print).restore_step(self.step)
        except RunError:
            # A run that still trains may have deleted the checkpoint since it was chosen.
            before = self.step
            self.step, self.chosen = step_named(self.folder, self.checkpoint)
            if self.step == before:
                raise
            self._restore()

    def _spec_of_results(self) -> DatasetSpec | None:
        """Returns the spec of the user's own data from results.json. Returns None before the end of the first epoch."""
        found = self.folder.read_results()
        if not {"image_shape", "classes"} <= found.keys():
            return None
        _, width, channels = found["image_shape"]
        white = found.get("white", DatasetSpec.white)
        return DatasetSpec(self.config.dataset, width, channels, classes=found["classes"], white=white)

    @functools.cached_property
    def splits(self) -> data.Splits:
        """Data of the run. Raises DataError if the data are missing or have changed since the run began."""
        data.check(self.config)
        splits = data.load(self.config)
        data_record.check(self.path, splits)
        return splits

    @functools.cached_property
    def ground_truth(self) -> Any:
        """Images with their factors, a `metrics.ground_truth.GroundTruth`; requires a `spec.ground_truth`."""
        return data.ground_truth(self.config)

    @property
    def data_name(self) -> str:
        """Name of the data, such as "re-rendered dSprites"."""
        return self.ground_truth.origin if self.spec.ground_truth else self.splits.test.name

    @property
    def has_flat_codes(self) -> bool:
        """True if a code is a vector, false if a code consists of feature maps."""
        return len(self.model.code_shape) == 1

    def examples(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns images and labels of at most MOST_EXAMPLES examples of the split `train`, `validation` or `test`."""
        arrays, rows = getattr(self.splits, part), self._rows(part)
        return arrays.images[rows], arrays.labels[rows]

    def labels(self, part: str) -> np.ndarray:
        """Returns the labels int64 [N] of `examples(part)`, without the images."""
        return getattr(self.splits, part).labels[self._rows(part)]

    def attributes(self, part: str) -> np.ndarray:
        """Returns the attributes of `examples(part)`, uint8 [N, A]; one-hot labels if the data have no attributes."""
        return getattr(self.splits, part).targets()[self._rows(part)]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the columns of `attributes`. A column of one-hot labels has the number of its class as name."""
        return self.spec.attributes or tuple(map(str, range(self.spec.classes)))

    def _rows(self, part: str) -> slice | np.ndarray:
        count = len(getattr(self.splits, part))
        if count <= MOST_EXAMPLES:
            return slice(None)
        return np.sort(np.random.default_rng(0).choice(count, MOST_EXAMPLES, replace=False))

    def mask_parameters(self, requested: np.ndarray) -> np.ndarray:
        """Computes a supervised mixer's Bernoulli parameters for attributes [N, A]: float32 [N, C], C feature maps."""
        return self.model.mask_parameters(tf.constant(requested, tf.float32)).numpy()

    def masks(self, requested: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Samples masks for attributes [N, A]: float32 [N, C], 0 or 1.

        If the run was trained with `mask_gradient` "soft", the Bernoulli parameters are returned as masks.
        """
        parameters = self.mask_parameters(requested)
        if self.config.mask_gradient == "soft":
            return parameters
        return (rng.random(parameters.shape) < parameters).astype(np.float32)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Encodes images [N, H, W, C], uint8 or float in [-1, 1], to codes float32 [N, ...]."""
        return self._in_batches(self._encode, images)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Decodes codes [N, ...] to images float32 [N, H, W, C]."""
        return self._in_batches(self._decode, codes)

    def mixes(self, part: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Mixes `codes(part)` as in training. Returns mixed codes [N, ...] and their decoded images [N, H, W, C]."""
        codes, seed = self.codes(part), tf.constant(rng.integers(2**31, size=2))
        mixed = mix(codes, *self.model.mixer.sample(len(codes), self.model.code_shape, seed)).numpy()
        return mixed, self.decode(mixed)

    def mix_by_mask(self, h1: np.ndarray, h2: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Returns m h1 + (1 - m) h2, float32 [N, ...], for codes h1 and h2 [N, ...] and masks m [N, C]."""
        mask = mask.reshape(len(mask), *(1,) * (h1.ndim - 2), -1).astype(np.float32)
        return mask * h1 + (1 - mask) * h2

    def combinations(self) -> np.ndarray:
        """Returns the MOST_COMBINATIONS most frequent combinations of attributes in the test split, uint8 [K, A]."""
        found, counts = np.unique(self.splits.test.targets(), axis=0, return_counts=True)
        return found[np.sort(np.argsort(-counts, kind="stable")[:MOST_COMBINATIONS])]

    def _in_batches(self, compute: Callable, values: np.ndarray) -> np.ndarray:
        parts = []
        self.on_images(len(values), 0)
        for first in range(0, len(values), BATCH):
            part = values[first : first + BATCH]
            # The padding gives all batches one shape, so that one compiled function serves them all.
            padding = [(0, BATCH - len(part))] + [(0, 0)] * (part.ndim - 1)
            parts.append(compute(np.pad(part, padding)).numpy()[: len(part)])
            self.on_images(0, len(part))
        return np.concatenate(parts)

    def _encode_any(self, x: tf.Tensor) -> tf.Tensor:
        return self.model.encode(x if x.dtype.is_floating else tf.cast(x, tf.float32) / 127.5 - 1.0)


def _in_halves(compute: Callable) -> Callable:
    """Compiles `compute` so that it processes the two halves of a batch concurrently.

    `runtime.startup` limits each operation on a CPU to half of the cores.
    """
    return tf.function(lambda x: tf.concat([compute(half) for half in tf.split(x, 2)], axis=0))


def read_config(path: pathlib.Path, places: dict[str, str]) -> Config:
    """Returns the settings of the run in a folder, changed to use one device.

    Raises:
        RunError: the folder contains no run, or its flags.txt cannot be used.
        ConfigError: a path in `places` is invalid.
    """
    flags = path / OWN_NAME
    if not os.path.isfile(flags):  # pathlib's is_file raises without permission
        what = "flags.txt in it is not a regular file" if os.path.lexists(flags) else "it has no flags.txt"
        raise RunError(f"Not a run folder that can be read, since {what}. Received: {path}")
    config = read_flags(flags)
    alone: dict[str, Any] = {"strategy": "none", "cpu_devices": 1, "run_dir": files.as_word(path)}
    if (prefix := own_data(config.dataset)[0]) and "data_dir" in places:
        return dataclasses.replace(config, **alone, dataset=f"{prefix}{places['data_dir']}")
    return dataclasses.replace(config, **alone | (places if config.dataset_spec.builders else {}))


def step_named(folder: RunFolder, checkpoint: str) -> tuple[int, str]:
    """Returns the step of a checkpoint and the reason for this step, as text.

    Args:
        folder: the run folder.
        checkpoint: `best`, `last` or the number of a step.

    Raises:
        RunError: `checkpoint` is invalid, the folder has no checkpoint or cannot be read, or `best` was requested
            before the end of the first epoch.
    """
    if os.path.isdir(folder.checkpoints) and not os.access(folder.checkpoints, os.R_OK | os.X_OK):
        raise RunError(f"No permission to read {folder.checkpoints}: set it right")
    if os.path.lexists(folder.checkpoints) and not os.path.isdir(folder.checkpoints):
        raise RunError(f"Not a folder. Received: {folder.checkpoints}. Restore it from a backup")
    kept = checkpoints_in(folder.checkpoints)
    if not kept:
        raise RunError(f"{folder.path} has no checkpoint: train it first")
    if checkpoint == "last":
        return step_of(kept[-1]), "last"
    if checkpoint == "best":
        rows = read_rows(folder.metrics)
        if not rows:
            raise RunError(f"{folder.path} has no finished epoch: use --checkpoint=last")
        return _best_step(folder, rows, [*map(step_of, kept)])
    if checkpoint.isdecimal() and len(checkpoint) < 19:
        return int(checkpoint), "requested"
    raise RunError(f"--checkpoint takes best, last or a number of steps. Received: {checkpoint[:30]!r}")


def _best_step(folder: RunFolder, rows: list[dict[str, float]], steps: list[int]) -> tuple[int, str]:
    """Returns the step of the best epoch whose checkpoint exists, and the reason, as `step_named` does.

    The checkpoint of the best epoch of all may be missing, because earlier versions used another criterion.
    """
    by = best_by(folder.read_results(), rows)
    best, kept = best_row(rows, by), best_kept(rows, by, steps)
    if kept is None:
        return steps[-1], "last, since no checkpoint of a finished epoch is kept"
    words = f"best by {by.name}, epoch {kept['epoch']:.0f}"
    if kept is not best:
        words += f", of those kept; the checkpoint of epoch {best['epoch']:.0f}, the best, is not"
    return int(kept["step"]), words
