"""The residual networks: their shape, their size, and every power-iteration vector where it belongs."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.networks import layers
from amr_tf.networks.base import Sizes
from amr_tf.networks.resnet import RESNET, SpectralBlock
from amr_tf.serving import archives, signatures

RNG = np.random.default_rng(0)


def conv(inputs, outputs, size=3):
    return (size * size * inputs + 1) * outputs


def block(maps):
    """Two convolutions and two norms."""
    return 2 * (conv(maps, maps) + 2 * maps)


def test_parameter_counts_at_the_published_size():
    """64 px, 64 to 512 feature maps, by hand from the list of layers: 17.2 million, as many again, 9.0 million."""
    sizes = Sizes((64, 64, 3), (8, 8, 512), 64)
    encoder = RESNET.encoder(sizes, layers.Seeds(0))
    ways = ((64, 128), (128, 256), (256, 512))
    hidden = sum(conv(few, many) + block(many) for few, many in ways) + 2 * block(512)
    assert encoder.count_params() == conv(3, 64, 7) + 2 * 64 + hidden + 2 * (128 + 256 + 512)
    assert encoder.count_params() == 17_202_432
    assert encoder.output_shape == (None, 8, 8, 512)
    decoder = RESNET.decoder(sizes, layers.Seeds(0))
    back = sum(conv(many, few) + block(many) for few, many in ways) + 2 * block(512)
    assert decoder.count_params() == back + 2 * (256 + 128 + 64) + conv(64, 3, 7)
    assert decoder.output_shape == (None, 64, 64, 3)
    discriminator = RESNET.discriminator(sizes, layers.Seeds(0))
    halved = ((3, 64), (64, 128), (128, 256), (256, 512))
    expected = sum(conv(few, many) + conv(many, many) + conv(few, many, 1) for few, many in halved)
    count = sum(int(np.prod(v.shape)) for v in discriminator.trainable_variables)
    assert count == expected + 2 * conv(512, 512) + 513


@pytest.mark.parametrize("width", [64, 128])
def test_both_sizes_give_one_shape_of_code_and_images_in_range(width):
    shape, sizes = (width, width, 3), Sizes((width, width, 3), (8, 8, 16), 2)
    x = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    h = RESNET.encoder(sizes, layers.Seeds(0))(x)
    assert h.shape == (2, 8, 8, 16)
    image = RESNET.decoder(sizes, layers.Seeds(0))(20 * h)
    assert image.shape == x.shape
    assert np.abs(image).max() <= 1
    assert RESNET.discriminator(sizes, layers.Seeds(0))(x).shape == (2,)


def test_encoder_and_decoder_export_to_keras_alone(tmp_path):
    """Neither names a class of this package, and what is loaded computes the same."""
    config, shape = Config(arch="resnet", depth=2, latent=4, latent_width=32), (64, 64, 3)
    model = build_model(config, shape, 10)
    archives.write(tmp_path, model)
    x = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    loaded = [
        keras.saving.load_model(tmp_path / "keras" / f"{name}.keras") for name in ("encoder", "decoder")
    ]
    assert "amr_tf" not in "".join(json.dumps(network.get_config()) for network in loaded)
    np.testing.assert_allclose(loaded[0](x), model.encode(x), atol=1e-6)
    np.testing.assert_allclose(loaded[1](loaded[0](x)), model.reconstruct(x), atol=1e-6)


def test_borders_are_mirrored():
    """The first convolution of an encoder with an averaging kernel, against NumPy's reflection."""
    shape, sizes = (64, 64, 1), Sizes((64, 64, 1), (32, 32, 2), 2)
    encoder = RESNET.encoder(sizes, layers.Seeds(0))
    first = next(layer for layer in encoder.layers if isinstance(layer, keras.layers.Conv2D))
    first.kernel.assign(np.full((7, 7, 1, 2), 1 / 49))
    x = RNG.uniform(-1, 1, (1, *shape)).astype("float32")
    found = keras.Model(encoder.input, first.output)(x)[0, :, :, 0]
    mirrored = np.pad(x[0, :, :, 0], 3, "reflect")
    expected = np.lib.stride_tricks.sliding_window_view(mirrored, (7, 7)).mean(axis=(2, 3))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_discriminator_told_to_hold_still_gives_one_score():
    """As a served one is: evaluation takes power steps until then."""
    config, shape = Config(model="amr", arch="resnet", depth=2, latent=2, latent_width=32), (64, 64, 3)
    model = build_model(config, shape, 2)
    x = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    assert np.any(model.discriminator(x) != model.discriminator(x))
    signatures.signatures(model)
    np.testing.assert_array_equal(model.discriminator(x), model.discriminator(x))


def normalised(layer, x, u):
    """A convolution by the layer's kernel over its sigma after one power step from u; the u after it."""
    matrix = layer.kernel.numpy().reshape(-1, layer.kernel.shape[-1])
    v = matrix @ u / np.linalg.norm(matrix @ u)
    u = matrix.T @ v / np.linalg.norm(matrix.T @ v)
    sigma = v @ matrix @ u
    return tf.nn.conv2d(x, layer.kernel / sigma, 1, "SAME").numpy(), u


@pytest.mark.parametrize(("halved", "first"), [(True, True), (True, False), (False, False)])
def test_a_block_is_relu_conv_relu_conv_plus_the_short_way(halved, first):
    """From the definition; the second pass of a call sees the second power step of each convolution."""
    layer = SpectralBlock(5, halved, first, layers.Seeds(3))
    layer.build((None, 6, 6, 5))
    x = RNG.normal(size=(2, 6, 6, 5)).astype("float32")
    u_inner, u_outer = layer.inner.u.numpy(), layer.outer.u.numpy()
    u_short = layer.short.u.numpy() if halved else None
    for output in layer([x, x]):
        inner, u_inner = normalised(layer.inner, x if first else np.maximum(x, 0), u_inner)
        expected, u_outer = normalised(layer.outer, np.maximum(inner, 0), u_outer)
        if halved:
            short, u_short = normalised(layer.short, x, u_short)
            expected = (expected + short).reshape(2, 3, 2, 3, 2, 5).mean(axis=(2, 4))
        else:
            expected = expected + x
        np.testing.assert_allclose(output, expected, atol=1e-4)
        assert output.shape == layer.compute_output_shape((2, 6, 6, 5))


def test_power_steps_reach_every_layer_of_the_discriminator():
    """Steps without images move all u as passes over images do: 4 blocks of 3, 1 of 2, and the last layer."""
    shape, sizes = (64, 64, 3), Sizes((64, 64, 3), (8, 8, 512), 2)
    with_images, without = (RESNET.discriminator(sizes, layers.Seeds(1)) for _ in range(2))
    before = [v.numpy() for v in without.non_trainable_variables]
    x = tf.zeros((1, *shape))
    with_images([x, x], training=True)
    without.power_steps(2)
    assert len(before) == 4 * 3 + 2 + 1
    for one, other, start in zip(
        with_images.non_trainable_variables, without.non_trainable_variables, before, strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)
        assert len(start) == 1 or np.any(other.numpy() != start)
