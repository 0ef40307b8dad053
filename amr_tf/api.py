"""The Python API of runs, which `amr_tf` exports: train one, load one, and use its model in a program or a notebook.

Methods as Keras models are in `amr_tf.models`.
"""

import hashlib
import os
import pathlib
import signal
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from amr_tf import registry, training
from amr_tf.config import ConfigError, command_line
from amr_tf.evaluation import measures
from amr_tf.mixing import mix
from amr_tf.runs.folder import read_rows
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files
from amr_tf.runtime.errors import Interrupted

SIZES = (32, 64, 128)  # widths of images that networks take


class Run(TrainedRun):
    """A trained run: its settings, restored model, data and results.

    `load` and `train` return it. Images are uint8 in 0 .. 255, or float in [-1, 1].

    Example:
        >>> run = amr_tf.load("runs/lines/demo")
        >>> images, labels = run.examples("test")
        >>> run.encode(images[:8]).shape
        (8, 4, 4, 16)
        >>> run.interpolate(images[0], images[1], steps=10).shape
        (10, 32, 32, 1)
    """

    @property
    def history(self) -> list[dict[str, float]]:
        """Losses, probe accuracies and images per second of each epoch, the rows of metrics.csv."""
        return read_rows(self.folder.metrics)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Encodes and decodes images [N, H, W, C]; returns float32 [N, H, W, C], slightly beyond [-1, 1] at times."""
        return self.decode(self.encode(images))

    def interpolate(self, a: np.ndarray, b: np.ndarray, steps: int = 10) -> np.ndarray:
        """Decodes codes on the path from one image to another, as the run's mixer defines it.

        Args:
            a: first image [H, W, C], or images [N, H, W, C].
            b: last image, of the same shape.
            steps: points on the path, both ends included.

        Returns:
            float32 [steps, H, W, C], or [N, steps, H, W, C]; values may pass -1 and 1 slightly.

        Raises:
            ValueError: images of another shape, or fewer than two steps.

        Example:
            >>> strip = run.interpolate(images[0], images[1], steps=10)
        """
        first, last = np.asarray(a), np.asarray(b)
        if first.shape != last.shape:
            raise ValueError(f"Both ends of a path have one shape. Received: {first.shape} and {last.shape}.")
        if steps < 2:
            raise ValueError(f"A path has at least 2 steps. Received: {steps}.")
        if first.ndim == len(self.model.image_shape):
            return self.interpolate(first[None], last[None], steps)[0]
        start, end = self.encode(first), self.encode(last)
        weights = self.model.mixer.path(tf.constant(start), tf.constant(end), steps).numpy()
        path = start[:, None] * weights[:, 0] + end[:, None] * weights[:, 1]
        decoded = self.decode(path.reshape(-1, *self.model.code_shape))
        return decoded.reshape(len(first), steps, *self.model.image_shape)

    def mix(self, images: np.ndarray, weights: Sequence[Any] | np.ndarray) -> np.ndarray:
        """Mixes the codes of k images and decodes the mixes. The run's mixer defines the meaning of the weights.

        Args:
            images: the parents [k, H, W, C].
            weights: share of each parent, [k] for one mix or [N, k] for several; each row sums to 1.

        Returns:
            float32 [H, W, C], or [N, H, W, C]; values may pass -1 and 1 slightly.

        Raises:
            ValueError: images of another shape, or weights that are not k shares which sum to 1.

        Example:
            >>> face = run.mix(images[:3], [0.5, 0.3, 0.2])
        """
        codes, shares = self.encode(images), np.asarray(weights, np.float32)
        if shares.ndim not in (1, 2) or shares.shape[-1] != len(codes):
            raise ValueError(
                f"Mixes of {len(codes)} images take weights [{len(codes)}] or [N, {len(codes)}]. "
                f"Received: the shape {shares.shape}."
            )
        if (shares < 0).any() or not np.allclose(shares.sum(axis=-1), 1.0, atol=1e-4):
            raise ValueError(f"The weights of a mix are positive and sum to 1. Received: {weights}.")
        rows = shares.reshape(-1, len(codes))
        parents = np.tile(np.arange(len(codes)), (len(rows), 1))
        of_codes = self.model.mixer.weights(tf.constant(rows), self.model.code_shape)
        mixes = self.decode(mix(codes, parents, of_codes).numpy())
        return mixes[0] if shares.ndim == 1 else mixes

    def evaluate(
        self, metrics: Iterable[str] = ("probe", "clustering", "reconstruction"), seed: int = 0
    ) -> dict[str, dict[str, Any]]:
        """Measures the run, and adds the results to its results.json where that may be written.

        Args:
            metrics: names of `amr_tf.registry.METRICS`.
            seed: seed of the metrics' own random draws.

        Returns:
            The result of each metric by name, as `python -m amr_tf.evaluate` saves it.

        Raises:
            ConfigError: an unknown metric, or one that does not apply to the run.
            DataError: the run's data are missing or have changed.

        Example:
            >>> run.evaluate(["probe"])["probe"]["score"]
            0.93
        """
        names = command_line.known("metrics", list(metrics), registry.METRICS)
        for name in names:
            if reason := registry.load(registry.METRICS, name).reason_not_applicable(self):
                raise ConfigError(f"{name} does not apply to {self.path}: {reason}")
        found = {name: measures.evaluate(self, name, self.checkpoint, seed) for name in names}
        if measures.is_writable(self.folder):
            measures.save(self.folder, found)
        return found

    def encode(self, images: np.ndarray) -> np.ndarray:
        """Encodes images [N, H, W, C]; returns codes, float32 [N, ...].

        Raises:
            ValueError: images of another shape or type.

        Example:
            >>> codes = run.encode(images)
        """
        return super().encode(self._checked(images))

    def _checked(self, images: np.ndarray) -> np.ndarray:
        images, shape = np.asarray(images), self.model.image_shape
        if images.shape[1:] != shape or not len(images):
            raise ValueError(f"The run's images have the shape {(None, *shape)}. Received: {images.shape}.")
        if images.dtype == np.uint8:
            return images
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"Images are uint8, or float in [-1, 1]. Received: {images.dtype}.")
        # A decoder may exceed the range on both sides.
        if images.min() >= 0 and images.max() > 2:
            raise ValueError(
                f"Images of type float are in [-1, 1]. Received: {images.min():g} to {images.max():g}."
            )
        return images.astype(np.float32)

    def __repr__(self) -> str:
        return f"<amr_tf.Run {str(self.path)!r}, {self.config.model} on {self.config.dataset}, step {self.step:,}>"


def train(
    preset: str = "",
    *,
    data: Any = None,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    checkpoint: str = "best",
    **flags: Any,
) -> Run:
    """Trains a run, or resumes it, as `python -m amr_tf.train` does, and opens it.

    The same settings give the same run folder, and the same weights on the same machine, as the command line. Without
    any argument it trains the demonstration.

    Args:
        preset: name of a preset below `flags/`, such as "fast/mnist_amr_mixup_k2", or the path of a flag file. Flags
            given as arguments win.
        data: own examples in place of `dataset`: images, or (images, labels), or a dict with these for "train",
            "validation" and "test", of which the last two may be missing. Images are uint8 [N, H, W], [N, H, W, 1] or
            [N, H, W, 3], labels [N] whole numbers or texts. They are kept in a file below `runs/arrays`, so that the
            run can be resumed and measured by any command. `image_size` is the next one of 32, 64 and 128 by default.
        callbacks: Keras callbacks. Their `model` is the run's, and `model.stop_training` ends the run with its current
            epoch. A batch event covers all the steps of a call (`--steps_per_execution`).
        checkpoint: the checkpoint that is opened: `best`, `last`, or a number of steps.
        flags: flags of the command line by name, with `lambda_` for `--lambda`.

    Raises:
        ConfigError: an unknown flag, preset or value.
        DataError: missing or damaged data.
        RunError: an unusable run folder, or one that contains another run.
        DivergedError: a loss or weight that is no longer finite.
        KeyboardInterrupt: by Ctrl-C. The run is saved, and the same call resumes it.

    Example:
        >>> run = amr_tf.train(dataset="lines", epochs=2, lambda_=2.0)
        >>> run = amr_tf.train("fast/mnist_amr_mixup_k2", epochs=20)
        >>> run = amr_tf.train(data=(images, labels), epochs=5)
    """
    if data is not None:
        flags = _with_data(data, flags)
    config, sources = command_line.parse(_words(preset, flags) or [command_line.DEMO])
    try:
        path = training.start(config, sources, watchers=tuple(callbacks))
    except Interrupted as interrupted:
        if interrupted.number in (None, signal.SIGINT):
            raise KeyboardInterrupt(str(interrupted)) from None
        raise SystemExit(interrupted.exit_code) from interrupted
    return Run(path, checkpoint)


def load(
    path: str | os.PathLike[str],
    checkpoint: str = "best",
    *,
    data_dir: str | None = None,
    raw_dir: str | None = None,
) -> Run:
    """Opens a run folder for reading, with its model restored.

    Args:
        path: the run folder.
        checkpoint: `best`, `last`, or a number of steps.
        data_dir: folder of the data, where they have moved since training.
        raw_dir: folder of official archives, where they have moved since training.

    Raises:
        RunError: no run, no such checkpoint, or a damaged one.

    Example:
        >>> run = amr_tf.load("runs/lines/demo", checkpoint="last")
    """
    places = {
        name: place for name, place in (("data_dir", data_dir), ("raw_dir", raw_dir)) if place is not None
    }
    return Run(path, checkpoint, places)


def _with_data(data: Any, flags: dict[str, Any]) -> dict[str, Any]:
    """Writes arrays to a file that is named by their contents; returns flags that train on it."""
    if "dataset" in flags:
        raise ConfigError(
            f"data is given in place of a data set. Received: dataset={flags['dataset']!r} too. Leave it out"
        )
    arrays = _arrays(data)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype} {arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    path = pathlib.Path("runs/arrays", f"{digest.hexdigest()[:16]}.npz")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.atomic_file(path) as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    widest = max(
        array.shape[1] for name, array in arrays.items() if name == "images" or name.startswith("x_")
    )
    fitting = next((size for size in SIZES if size >= widest), SIZES[-1])
    return {"image_size": fitting, **flags, "dataset": f"npz:{path}"}


def _arrays(data: Any) -> dict[str, np.ndarray]:
    """Returns examples by the names that `npz:FILE` has; raises ConfigError for other data than `train` describes."""
    names = {"train": "train", "validation": "val", "test": "test"}
    parts = data if isinstance(data, dict) else {"": data}
    if isinstance(data, dict) and ("train" not in data or set(data) - set(names)):
        raise ConfigError(
            f"data has the splits {', '.join(names)}. Received: {', '.join(map(str, data)) or 'none'}"
        )
    arrays: dict[str, np.ndarray] = {}
    for split, part in parts.items():
        images, labels = part if isinstance(part, tuple) and len(part) == 2 else (part, None)
        x, y = (f"x_{names[split]}", f"y_{names[split]}") if split else ("images", "labels")
        arrays[x] = np.asarray(images)
        if labels is not None:
            arrays[y] = np.asarray(labels)
        if arrays[x].ndim < 3 or any(array.dtype.hasobject for array in arrays.values()):
            raise ConfigError(
                f"data has arrays of images [N, H, W, C]. Received: {arrays[x].dtype} {arrays[x].shape}"
            )
    return arrays


def _words(preset: str, flags: dict[str, Any]) -> list[str]:
    """Returns the words of a command line that says the same."""
    words = []
    if preset:
        words.append(f"--flagfile={preset if preset.endswith('.flags') else f'flags/{preset}.flags'}")
    for name, value in flags.items():
        if isinstance(value, (list, tuple)):
            value = ",".join(map(str, value))
        if value is not None:
            words.append(f"--{name.removesuffix('_')}={value}")
    return words
