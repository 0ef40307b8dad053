"""Pictures of a model as it is, always of the same examples and the same draw: as PNG files and in TensorBoard."""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from amr_tf.data import Arrays, pixels
from amr_tf.mixing import mix
from amr_tf.plotting import canvas
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime import files

COLUMNS = 12  # examples in a picture of reconstructions or mixes
POINTS = 1000  # points in a scatter plot
PAIRS, STEPS = 4, 10  # pairs in a picture of interpolations, images on the way between the two
PAIR_GAP = 6  # pixels between the pairs
SHOWN_WIDTH = 64  # pixels that a small image is enlarged to
MOST_EPOCHS = 100  # of a run that are drawn, so that a long one does not fill the disk

DESCRIPTIONS = {
    "reconstructions": "Validation examples x above their reconstructions g(f(x)).",
    "mixes": "From the top: parent 1 of each mix, the other parents, the decoded mix x_m = g(Mix(h_1, ..., h_k)). "
    "Points: real ones blue, decoded mixes orange.",
    "interpolations": "Two rows for each pair of validation examples: above g((1 - a) f(x1) + a f(x2)) for a from 0 to "
    "1, so that its ends are reconstructions, below the blend of the pixels (1 - a) x1 + a x2.",
}


def draw(model, examples: np.ndarray) -> dict[str, np.ndarray]:
    """Pictures by name for the model as it is, uint8 [H, W, 3] each.

    Args:
        model: anything with `encode`, `decode`, `interpolate`, `mixer` and `code_shape` of an `Autoencoder`.
        examples: uint8 [N, H, W, C], of which the first are drawn: `reconstructions`, `mixes`, and `interpolations`
            where there are two examples. Or points, float32 [N, 1, 1, 2] in [-1, 1]: `mixes` alone, as a plot.
    """
    if examples.dtype != np.uint8:
        points = examples[:POINTS]
        _, mixed = _mixes(model, points)
        return {"mixes": canvas.scatter(points, mixed)}
    x = pixels.to_float(examples[:COLUMNS])
    parents, mixed = _mixes(model, x)
    pictures = {
        "reconstructions": canvas.grid([x, _as_float(model.decode(model.encode(x)))]),
        "mixes": canvas.grid([*parents, mixed]),
    }
    if len(x) > 1:
        pictures["interpolations"] = _interpolations(model, x)
    factor = max(1, SHOWN_WIDTH // x.shape[2])
    return {name: canvas.enlarge(picture, factor) for name, picture in pictures.items()}


def is_drawn(epoch: int, epochs: int) -> bool:
    """Whether epoch 0 .. epochs - 1 is one of those drawn: evenly spaced, at most MOST_EPOCHS and the last."""
    return (epoch + 1) % math.ceil(epochs / MOST_EPOCHS) == 0 or epoch + 1 == epochs


class Pictures(keras.callbacks.Callback):
    """At the end of an epoch the pictures of the same validation examples, as PNG files and in TensorBoard.

    `close` ends it, also after an error, when Keras calls no `on_train_end`.

    Args:
        run: where `images/epoch_00001_<name>.png` and `tensorboard/images` go.
        validation: the validation split.
        epochs: how many the run will have in all.
    """

    def __init__(self, run: RunFolder, validation: Arrays, epochs: int):
        super().__init__()
        self.run, self.epochs = run, epochs
        self.examples = validation.images[: max(COLUMNS, POINTS)]

    @functools.cached_property
    def writer(self) -> tf.summary.SummaryWriter:
        """Made when the first picture is there, since it makes a file at once."""
        return tf.summary.create_file_writer(str(self.run.tensorboard / "images"))

    def on_epoch_end(self, epoch, logs=None):
        if not is_drawn(epoch, self.epochs):
            return
        step = int(self.model.step.numpy())
        for name, picture in draw(self.model, self.examples).items():
            files.write(self.run.images / f"epoch_{epoch + 1:05d}_{name}.png", canvas.png(picture))
            with self.writer.as_default():
                tf.summary.image(f"pictures/{name}", picture[None], step=step, description=DESCRIPTIONS[name])

    def close(self) -> None:
        """Closes the file of events."""
        if "writer" in vars(self):
            self.writer.close()


def _mixes(model, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """The parents [B, H, W, C] of each mix, k of them, and the decoded mixes [B, H, W, C]."""
    indices, weights = model.mixer.sample(len(x), model.code_shape, tf.constant([0, 0], tf.int64))
    mixed = model.decode(mix(model.encode(x), indices, weights))
    return [x[column] for column in indices.numpy().T], _as_float(mixed)


def _interpolations(model, x: np.ndarray) -> np.ndarray:
    """Two rows for each pair (0, 1), (2, 3), ...: decoded codes on the way, and the same way in pixels."""
    pairs = min(PAIRS, len(x) // 2)
    x1, x2 = x[0 : 2 * pairs : 2], x[1 : 2 * pairs : 2]
    decoded = _as_float(model.interpolate(x1, x2, STEPS))
    share = np.linspace(0, 1, STEPS, dtype=np.float32)[:, None, None, None]
    blended = (1 - share) * x1[:, None] + share * x2[:, None]
    return canvas.stack([canvas.grid(list(rows)) for rows in zip(decoded, blended, strict=True)], PAIR_GAP)


def _as_float(x: tf.Tensor) -> np.ndarray:
    """float32, whatever the model computes in."""
    return tf.cast(x, tf.float32).numpy()
