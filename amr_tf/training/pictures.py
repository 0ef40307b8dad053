"""Pictures of a model during training, always of the same examples and with the same random numbers."""

import math

import numpy as np
import tensorflow as tf

from amr_tf.data import pixels
from amr_tf.mixing import mix
from amr_tf.plotting import canvas, charts

COLUMNS = 12  # examples in a picture of reconstructions or mixes
POINTS = 1000  # points in a scatter plot
PAIRS, STEPS = 4, 10  # pairs in a picture of interpolations, images on the way between the two
PAIR_GAP = 6  # pixels between the pairs
MOST_EPOCHS = 100  # drawn epochs of a run, so that a long run does not fill the disk

DESCRIPTIONS = {
    "reconstructions": "Validation examples x above their reconstructions g(f(x)).",
    "mixes": "From the top: parent 1 of each mix, the other parents, the decoded mix x_m = g(Mix(h_1, ..., h_k)). "
    "Points: real ones blue, decoded mixes orange.",
    "interpolations": "Two rows for each pair of validation examples: above the decoded codes on the way from f(x1) to "
    "f(x2) that the model's mixer takes (a convex mixer: (1 - a) f(x1) + a f(x2) for a from 0 to 1; a Bernoulli mixer: "
    "feature maps switched one after the other), below the blend of the pixels (1 - a) x1 + a x2.",
}


def draw(model, examples: np.ndarray) -> dict[str, np.ndarray]:
    """Draws pictures of a model: uint8 [H, W, 3] by name.

    Args:
        model: an object with `encode`, `decode`, `interpolate`, `mixer` and `code_shape` as in `Autoencoder`.
        examples: uint8 [N, H, W, C], of which the first are drawn: `reconstructions`, `mixes`, and `interpolations`
            where there are two examples. Or points, float32 [N, 1, 1, 2] in [-1, 1]: `mixes` alone, as a plot.
    """
    if examples.dtype != np.uint8:
        points = examples[:POINTS]
        _, mixed = _mixes(model, points)
        cloud = charts.Cloud("", points.reshape(-1, 2), mixed.reshape(-1, 2))
        return {"mixes": charts.picture(charts.clouds([cloud]))}
    x = pixels.to_float(examples[:COLUMNS])
    parents, mixed = _mixes(model, x)
    pictures = {
        "reconstructions": canvas.grid([x, model.reconstruct(x).numpy()]),
        "mixes": canvas.grid([*parents, mixed]),
    }
    if len(x) > 1:
        pictures["interpolations"] = _interpolations(model, x)
    factor = canvas.factor(x.shape[2])
    return {name: canvas.enlarge(picture, factor) for name, picture in pictures.items()}


def is_drawn(epoch: int, epochs: int) -> bool:
    """Returns true if an epoch of 0 .. epochs - 1 is drawn: MOST_EPOCHS evenly spaced ones and the last."""
    return (epoch + 1) % math.ceil(epochs / MOST_EPOCHS) == 0 or epoch + 1 == epochs


def _mixes(model, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the k parents [B, H, W, C] of each mix, and the decoded mixes [B, H, W, C]."""
    indices, weights = model.mixer.sample(len(x), model.code_shape, tf.constant([0, 0], tf.int64))
    mixed = model.decode(mix(model.encode(x), indices, weights))
    return [x[column] for column in indices.numpy().T], mixed.numpy()


def _interpolations(model, x: np.ndarray) -> np.ndarray:
    """Draws two rows for each pair (0, 1), (2, 3), ...: the decoded path between the codes, and the blended pixels."""
    pairs = min(PAIRS, len(x) // 2)
    x1, x2 = x[0 : 2 * pairs : 2], x[1 : 2 * pairs : 2]
    paths = zip(model.interpolate(x1, x2, STEPS).numpy(), canvas.blend(x1, x2, STEPS), strict=True)
    return canvas.stack([canvas.grid(list(rows)) for rows in paths], PAIR_GAP)
