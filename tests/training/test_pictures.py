"""Pictures of a model show their subject, are the same for the same weights, and do not fill the disk."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.data import pixels
from amr_tf.mixing import mix
from amr_tf.models.build import build_model
from amr_tf.plotting import canvas, charts
from amr_tf.training import pictures

SIZE, GAP, SCALE = 32, canvas.GAP, 2
EXAMPLES = np.random.default_rng(0).integers(0, 256, (20, SIZE, SIZE, 1), np.uint8)
X = pixels.to_float(EXAMPLES)


def build(shape=(SIZE, SIZE, 1), **settings):
    tiny = {"arch": "acai", "depth": 2, "latent": 2, "latent_width": 16, "batch_size": 8}
    model = build_model(Config(**(tiny | settings)), shape, 10)
    # Fresh networks answer every image with the same grey, which would hide a picture in the wrong place.
    for variable in model.encoder.trainable_variables + model.decoder.trainable_variables:
        variable.assign(variable * 1.7)
    return model


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def drawn(model):
    return pictures.draw(model, EXAMPLES)


def cell(picture, row, column, top=0):
    """One image [32, 32, 1] of a picture, in the pixels it had before it was enlarged; `top` of them are above it."""
    small = picture[::SCALE, ::SCALE]
    y, x = top + GAP + row * (SIZE + GAP), GAP + column * (SIZE + GAP)
    return small[y : y + SIZE, x : x + SIZE, :1]


def assert_shows(picture, row, column, image, top=0):
    """A picture has whole grey values, and a batch of another size is rounded in another way."""
    shown = cell(picture, row, column, top).astype(int)
    assert np.abs(shown - pixels.to_uint8(np.asarray(image))).max() <= 1


def test_inputs_are_above_their_reconstructions(model, drawn):
    picture = drawn["reconstructions"]
    reconstructions = model.reconstruct(X[:12])
    assert np.std(reconstructions, axis=0).mean() > 0.1, "else any reconstruction would do"
    assert picture.dtype == np.uint8
    assert picture.shape == (SCALE * (2 * 34 + 2), SCALE * (12 * 34 + 2), 3)
    for column in range(12):
        assert_shows(picture, 0, column, X[column])
        assert_shows(picture, 1, column, reconstructions[column])


@pytest.mark.parametrize("settings", [{}, {"k": 3}, {"mixer": "bernoulli"}, {"model": "acai"}])
def test_mixes_stand_below_their_parents(settings):
    """A row for every parent, parent 1 the example itself, then the decoded mix of the same draw."""
    model = build(**settings)
    picture = pictures.draw(model, EXAMPLES)["mixes"]
    indices, weights = model.mixer.sample(12, model.code_shape, tf.constant([0, 0], tf.int64))
    mixed = model.decode(mix(model.encode(X[:12]), indices, weights))
    k = indices.shape[1]
    assert picture.shape[0] == SCALE * ((k + 1) * 34 + 2)
    for column in range(12):
        assert_shows(picture, 0, column, X[column])
        for row in range(k):
            assert_shows(picture, row, column, X[indices[column, row]])
        assert_shows(picture, k, column, mixed[column])


def test_interpolations_are_above_the_blend_of_the_pixels(model, drawn):
    """Pairs (0, 1), (2, 3), (4, 5), (6, 7); each has two rows of ten images, and a gap to the next."""
    picture = drawn["interpolations"]
    reconstructions = model.reconstruct(X[:8])
    between = model.interpolate(X[0:8:2], X[1:8:2], 10)
    height = 2 * (SIZE + GAP) + GAP
    assert picture.shape == (SCALE * (4 * height + 3 * pictures.PAIR_GAP), SCALE * (10 * 34 + 2), 3)
    for pair in range(4):
        top = pair * (height + pictures.PAIR_GAP)
        assert_shows(picture, 0, 0, reconstructions[2 * pair], top)
        assert_shows(picture, 0, 9, reconstructions[2 * pair + 1], top)
        for column in range(10):
            share = column / 9
            assert_shows(picture, 0, column, between[pair, column], top)
            assert_shows(picture, 1, column, (1 - share) * X[2 * pair] + share * X[2 * pair + 1], top)
        gap = picture[SCALE * (top + height) : SCALE * (top + height + pictures.PAIR_GAP)]
        assert np.all(gap == canvas.BACKGROUND)


def test_the_same_weights_give_the_same_pictures(model, drawn):
    """Pictures of different epochs differ by the weights alone, not by the model's step count."""
    model.step.assign(7)
    again = pictures.draw(model, EXAMPLES)
    model.step.assign(0)
    assert again.keys() == drawn.keys()
    for name, picture in drawn.items():
        np.testing.assert_array_equal(again[name], picture)


@pytest.mark.parametrize("arch", ["acai", "amr"])
def test_drawing_moves_no_variable(arch):
    """Some spectral norms are updated in every pass of the discriminator, which drawing does not use."""
    model = build(arch=arch, latent_width=8)
    before = [variable.numpy() for variable in model.weights]
    pictures.draw(model, EXAMPLES)
    for variable, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value, err_msg=variable.path)


def test_points_are_drawn_as_one_plot():
    points = np.random.default_rng(0).uniform(-1, 1, (1200, 1, 1, 2)).astype("float32")
    model = build((1, 1, 2), dataset="spiral", arch="mlp")
    drawn = pictures.draw(model, points)
    assert list(drawn) == ["mixes"]
    colours = {"#" + bytes(colour).hex() for colour in drawn["mixes"].reshape(-1, 3)}
    assert colours >= {*charts.POINTS[2].values(), "#ffffff"}


@pytest.mark.parametrize(("count", "pairs"), [(1, 0), (3, 1)])
def test_a_few_examples_are_drawn_as_well(model, count, pairs):
    drawn = pictures.draw(model, EXAMPLES[:count])
    assert ("interpolations" in drawn) == (pairs > 0)
    assert drawn["mixes"].shape[1] == SCALE * (count * 34 + 2)


def test_a_bfloat16_or_mirrored_model_is_drawn_alike(drawn):
    cpus = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(cpus) == 2
    with tf.distribute.MirroredStrategy(cpus).scope():
        mirrored = build()
    for model, tolerance in ((mirrored, 0), (build(mixed_precision="bfloat16"), 8)):
        for name, picture in pictures.draw(model, EXAMPLES).items():
            assert np.abs(picture.astype(int) - drawn[name]).max() <= tolerance, name


@pytest.mark.parametrize("epochs", [1, 7, 100, 101, 350, 5000])
def test_a_long_run_draws_a_hundred_epochs_and_the_last(epochs):
    chosen = [epoch for epoch in range(epochs) if pictures.is_drawn(epoch, epochs)]
    assert chosen[-1] == epochs - 1
    assert min(epochs, 50) <= len(chosen) <= 101
    assert len(set(np.diff(chosen[:-1]))) <= 1, "evenly spaced"
