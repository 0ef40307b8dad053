"""Example images of a model during training. All epochs use the same examples and the same random seed."""

import math

import numpy as np
import tensorflow as tf

from amr_tf.data import pixels
from amr_tf.mixing import mix
from amr_tf.plotting import canvas, charts

COLUMNS = 12  # examples in an image of reconstructions or mixes
POINTS = 1000  # points in a scatter plot
PAIRS, STEPS = 4, 10  # pairs in an image of interpolations, points on the path of each pair
PAIR_GAP = 6  # pixels between two pairs
MOST_EPOCHS = 100  # maximum number of epochs with images, so that a long run does not fill the disk

DESCRIPTIONS = {
    "reconstructions": "Validation examples x above their reconstructions g(f(x)).",
    "mixes": "From the top: parent 1 of each mix, the other parents, the decoded mix x_m = g(Mix(h_1, ..., h_k)). "
    "Points: real ones blue, decoded mixes orange.",
    "interpolations": "Two rows for each pair of validation examples: above the decoded codes on the way from f(x1) to "
    "f(x2) that the model's mixer takes (a convex mixer: (1 - a) f(x1) + a f(x2) for a from 0 to 1; a Bernoulli mixer: "
    "feature maps switched one after the other), below the blend of the pixels (1 - a) x1 + a x2.",
}


def draw(model, examples: np.ndarray) -> dict[str, np.ndarray]:
    """Renders example images of a model. Returns images uint8 [H, W, 3] by name.

    Args:
        model: an object with `encode`, `decode`, `interpolate`, `mixer` and `code_shape` as in `Autoencoder`.
        examples: uint8 [N, H, W, C]. The first of them are rendered as `reconstructions`, `mixes` and, if there are
            two or more examples, `interpolations`. 2-D points, float32 [N, 1, 1, 2] in [-1, 1], give only `mixes`, as
            a scatter plot.
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
    """Returns true for at most MOST_EPOCHS evenly spaced epochs in 0 .. epochs - 1, and for the last epoch."""
    return (epoch + 1) % math.ceil(epochs / MOST_EPOCHS) == 0 or epoch + 1 == epochs


def _mixes(model, x: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Returns the k parents [B, H, W, C] of each mix, and the decoded mixes [B, H, W, C]."""
    indices, weights = model.mixer.sample(len(x), model.code_shape, tf.constant([0, 0], tf.int64))
    mixed = model.decode(mix(model.encode(x), indices, weights))
    return [x[column] for column in indices.numpy().T], mixed.numpy()


def _interpolations(model, x: np.ndarray) -> np.ndarray:
    """Renders two rows for each pair (0, 1), (2, 3), ...: the decoded path between the codes, and blended pixels."""
    pairs = min(PAIRS, len(x) // 2)
    x1, x2 = x[0 : 2 * pairs : 2], x[1 : 2 * pairs : 2]
    paths = zip(model.interpolate(x1, x2, STEPS).numpy(), canvas.blend(x1, x2, STEPS), strict=True)
    return canvas.stack([canvas.grid(list(rows)) for rows in paths], PAIR_GAP)
