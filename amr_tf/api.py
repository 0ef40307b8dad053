"""Python API to train runs, load runs and use their models in programs and notebooks. `amr_tf` exports it.

The Keras models of the methods are in `amr_tf.models`.
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

SIZES = (32, 64, 128)  # image widths that the networks accept


class Run(TrainedRun):
    """A trained run with its settings, restored model, data and results.

    `load` and `train` return a `Run`. Images that are passed to a `Run` are uint8 in 0 .. 255, or float in [-1, 1].

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
        """Rows of metrics.csv, one for each epoch: losses, probe accuracies and images per second."""
        return read_rows(self.folder.metrics)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """Encodes and decodes images [N, H, W, C]; returns float32 [N, H, W, C], which can slightly exceed [-1, 1]."""
        return self.decode(self.encode(images))

    def interpolate(self, a: np.ndarray, b: np.ndarray, steps: int = 10) -> np.ndarray:
        """Decodes codes on the path from one image to another. The run's mixer defines the path.

        Args:
            a: first image [H, W, C], or N first images [N, H, W, C].
            b: last image or images, of the same shape as `a`.
            steps: number of points on the path, both ends included.

        Returns:
            float32 [steps, H, W, C], or [N, steps, H, W, C]. Values can slightly exceed [-1, 1].

        Raises:
            ValueError: images of an invalid shape or type, or fewer than two steps.

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
        """Mixes the codes of k images and decodes the mixed codes. The run's mixer defines how weights are applied.

        Args:
            images: the images to mix [k, H, W, C].
            weights: fraction of each image, [k] for one mix or [N, k] for N mixes. Each row sums to 1.

        Returns:
            float32 [H, W, C], or [N, H, W, C]. Values can slightly exceed [-1, 1].

        Raises:
            ValueError: images of an invalid shape or type, negative weights, or weights that do not sum to 1.

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
        """Computes metrics of the run. The results are also stored in results.json, unless the run is read-only.

        Args:
            metrics: names from `amr_tf.registry.METRICS`.
            seed: seed of the random numbers that the metrics use.

        Returns:
            A dict from the metrics' names to their results. `python -m amr_tf.evaluate` stores the same results.

        Raises:
            ConfigError: an unknown metric, or a metric that does not apply to the run.
            DataError: the run's data are missing or have changed.
            RunError: results.json is damaged or cannot be written, or a process is training the run.

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
        """Encodes images [N, H, W, C]; returns codes float32 [N, ...].

        Raises:
            ValueError: images of an invalid shape, type or value range.

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
        # Decoded images can exceed [-1, 1]. Only images that look like 0 .. 255 are refused.
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
    """Trains or resumes a run as `python -m amr_tf.train` does, and returns the trained run.

    The same settings give the same run folder as on the command line and, on the same machine, the same weights. A call
    without arguments trains the demonstration.

    Args:
        preset: name of a preset in `flags/`, such as "fast/mnist_amr_mixup_k2", or the path of a flag file. Flags that
            are given as arguments override the preset.
        data: your own examples, in place of the argument `dataset`. Pass images, a tuple (images, labels), or a dict
            with one of these for "train" and, optionally, "validation" and "test". Images are uint8 [N, H, W],
            [N, H, W, 1] or [N, H, W, 3]. Labels are integers or strings [N]. The arrays are stored in a file in
            `runs/arrays`, so that every command can resume or measure the run. `image_size` defaults to the smallest
            of 32, 64 and 128 that is not below the height of the images, or to 128 for larger images.
        callbacks: Keras callbacks. Their `model` is the model of the run. After a callback sets
            `model.stop_training`, the run ends with the current epoch. A batch event is sent for each call of the
            compiled function, which executes `--steps_per_execution` steps.
        checkpoint: the checkpoint to restore in the returned run: `best`, `last`, or the number of a step.
        flags: flags of the command line as keyword arguments. `lambda_` stands for `--lambda`.

    Raises:
        ConfigError: an unknown flag or preset, or an invalid value.
        DataError: missing or damaged data.
        RunError: an unusable run folder, or a folder that contains another run.
        DivergedError: a loss or weight that is no longer finite.
        KeyboardInterrupt: after Ctrl-C. The run is saved, and the same call resumes the run.
        SystemExit: after SIGTERM or SIGHUP. The run is saved, and the same call resumes the run.

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
    """Opens a run folder and restores the model of the run.

    Args:
        path: the run folder.
        checkpoint: `best`, `last`, or the number of a step.
        data_dir: present folder of the data, if the data have moved since training.
        raw_dir: present folder of the official archives, if they have moved since training.

    Raises:
        RunError: the folder contains no run, or the checkpoint is missing or damaged.

    Example:
        >>> run = amr_tf.load("runs/lines/demo", checkpoint="last")
    """
    places = {
        name: place for name, place in (("data_dir", data_dir), ("raw_dir", raw_dir)) if place is not None
    }
    return Run(path, checkpoint, places)


def _with_data(data: Any, flags: dict[str, Any]) -> dict[str, Any]:
    """Stores the arrays in a file whose name is a hash of their content; returns flags that train on the file."""
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
    """Returns arrays by their names in `npz:FILE`. Raises ConfigError for data that `train` does not accept."""
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
    """Converts a preset and keyword arguments to the words of a command line."""
    words = []
    if preset:
        words.append(f"--flagfile={preset if preset.endswith('.flags') else f'flags/{preset}.flags'}")
    for name, value in flags.items():
        if isinstance(value, (list, tuple)):
            value = ",".join(map(str, value))
        if value is not None:
            words.append(f"--{name.removesuffix('_')}={value}")
    return words
