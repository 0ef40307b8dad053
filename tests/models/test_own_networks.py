"""Keras models of a user as encoder, decoder and discriminator."""

import keras
import numpy as np
import pytest

from amr_tf import registry
from amr_tf.config import ConfigError
from amr_tf.models.aae import AAE
from amr_tf.models.amr import AMR
from amr_tf.models.autoencoder import Autoencoder
from amr_tf.models.gaia import GAIA
from amr_tf.models.vae import VAE
from amr_tf.networks.own import Networks

SHAPE, CODE = (8, 6, 1), (5,)  # not square, which the networks of --arch do not take
RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(256, size=(16, *SHAPE)).astype("uint8"), RNG.integers(3, size=16)
L = keras.layers


def encoder(outputs=5, shape=SHAPE):
    """A functional model with a layer that behaves otherwise in training."""
    image = keras.Input(shape)
    maps = L.BatchNormalization()(L.Conv2D(3, 3, 2, padding="same", activation="relu")(image))
    return keras.Model(image, L.Dense(outputs)(L.Flatten()(maps)))


def decoder(code=CODE, shape=SHAPE):
    return keras.Sequential([keras.Input(code), L.Dense(int(np.prod(shape))), L.Reshape(shape)])


def discriminator(shape=SHAPE):
    """Dropout draws from its state."""
    return keras.Sequential([keras.Input(shape), L.Conv2D(3, 3, 2), L.Dropout(0.3), L.Flatten(), L.Dense(1)])


def autoencoder():
    """GAIA's discriminator reconstructs images."""
    return keras.Sequential([keras.Input(SHAPE), L.Flatten(), L.Dense(5), L.Dropout(0.3), *decoder().layers])


class Maps(keras.Model):
    """A subclassed model, unbuilt, whose scores are feature maps."""

    def __init__(self):
        super().__init__()
        self.conv = L.Conv2D(2, 3)

    def call(self, images):
        return self.conv(images)


def make(method="amr", critic=discriminator):
    cls = registry.load(registry.MODELS, method)
    critic = autoencoder if method == "gaia" else critic
    critic = critic() if cls.own_discriminator else None
    networks = Networks(encoder(cls.encoded_parts * 5), decoder(), critic)
    model = cls(SHAPE, 3, update_g_every=1, networks=networks)
    model.compile(run_eagerly=True)
    return model


def state(model):
    slots = [v for player in model.players for v in getattr(model, f"{player}_optimizer").variables]
    return [np.asarray(v) for v in (*model.weights, *slots)]


QUICK = ("amr", "vae")


@pytest.mark.parametrize(
    "method",
    [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in registry.MODELS],
)
def test_own_networks_train_and_continue_after_loading(method, tmp_path):
    """A third epoch of the model and of a copy from its file: the same numbers, with the same draws of Dropout."""
    model = make(method)
    before = [v.numpy() for network in model.networks.values() for v in network.trainable_variables]
    logs = model.fit(IMAGES, LABELS, batch_size=8, epochs=2, verbose=0).history
    after = [v.numpy() for network in model.networks.values() for v in network.trainable_variables]
    assert len(logs["loss"]) == 2
    assert np.mean([np.any(a != b) for a, b in zip(before, after, strict=True)]) > 0.9

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for one in (model, loaded):
        one.fit(IMAGES, LABELS, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(state(model), state(loaded), strict=True):
        np.testing.assert_array_equal(a, b)


def test_own_networks_are_those_of_the_user():
    """Trained in place; the score of an image is the mean of what the discriminator returns for it."""
    own_encoder, own_decoder, critic = encoder(), decoder(), Maps()
    model = AMR(SHAPE, 3, networks=Networks(own_encoder, own_decoder, critic))
    assert (model.encoder, model.decoder, model.code_shape) == (own_encoder, own_decoder, CODE)
    x = IMAGES.astype("float32") / 127.5 - 1
    expected = np.mean(critic(x), axis=(1, 2, 3))
    np.testing.assert_allclose(model.discriminator(x), expected, rtol=1e-5, atol=1e-7)
    model.compile(run_eagerly=True)
    model.fit(IMAGES, LABELS, verbose=0)
    assert np.any(np.mean(critic(x), axis=(1, 2, 3)) != expected)


def test_weights_of_own_networks_load_into_new_ones(tmp_path):
    model, other = make(), make()
    model.fit(IMAGES, LABELS, verbose=0)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    for a, b in zip(state(model), state(other), strict=True):
        np.testing.assert_array_equal(a, b)


def two_outputs():
    image = keras.Input(SHAPE)
    return keras.Model(image, [L.Flatten()(image), L.Flatten()(image)])


REFUSED = {
    "encoder": (AMR, lambda: (encoder(shape=(8, 8, 1)), decoder(), discriminator()),
                r"encoder does not take.*input \(8, 8, 1\), image_shape \(8, 6, 1\)"),
    "decoder_input": (AMR, lambda: (encoder(4), decoder(), discriminator()),
                      r"decoder does not take.*input \(5,\), the code's shape \(4,\)"),
    "decoder_output": (AMR, lambda: (encoder(), decoder(shape=(8, 8, 1)), discriminator()),
                       r"output \(8, 8, 1\), image_shape \(8, 6, 1\)"),
    "discriminator": (AMR, lambda: (encoder(), decoder(), discriminator((8, 8, 1))),
                      r"discriminator does not take.*input \(8, 8, 1\), image_shape \(8, 6, 1\)"),
    "no_discriminator": (AMR, lambda: (encoder(), decoder()), "needs a discriminator. Received: discriminator=None"),
    "no_reconstruction": (GAIA, lambda: (encoder(), decoder(), discriminator()),
                          r"reconstructs images.*output \(1,\), image_shape \(8, 6, 1\)"),
    "aae": (AAE, lambda: (encoder(), decoder(), discriminator()), "trains no discriminator of images"),
    "a_discriminator": (Autoencoder, lambda: (encoder(), decoder(), discriminator()),
                        "trains no discriminator of images"),
    "odd": (VAE, lambda: (encoder(5), decoder()), r"needs 2 numbers.*output \(5,\)"),
    "outputs": (AMR, lambda: (two_outputs(), decoder(), discriminator()), "returns several tensors"),
    "kind": (AMR, lambda: (encoder(), decoder(), np.mean), "discriminator is not a Keras model"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_own_networks_that_do_not_fit_are_refused(case):
    """At construction, in a line that names both shapes."""
    method, networks, message = REFUSED[case]
    with pytest.raises(ConfigError, match=message) as caught:
        method(SHAPE, 3, networks=Networks(*networks()))
    assert "\n" not in str(caught.value)


def test_attributes_need_a_layer_before_the_scores():
    """The head for attributes reads what the last layer reads: of a model of one piece, only the image."""
    with pytest.raises(ConfigError, match="Pass a keras"):
        make("amr_supervised", critic=Maps)
