"""The networks of Burgess et al.: what images of 64 px and of 32 px go through."""

import numpy as np
import pytest

from amr_tf.networks.base import Sizes
from amr_tf.networks.burgess import BURGESS
from amr_tf.networks.layers import Seeds

# Kernel and bias of a convolution between 32 feature maps, and of the dense layers: 512, 256, 256, z.
BETWEEN, ENDS = 4 * 4 * 32 * 32 + 32, 512 * 256 + 256 + 256 * 256 + 256


@pytest.mark.parametrize(("width", "convolutions"), [(64, 4), (32, 3)])
def test_images_are_halved_until_they_are_4_px_wide(width, convolutions):
    shape, arch = (width, width, 3), BURGESS
    sizes = Sizes(shape, (10,), 16)
    encoder = arch.encoder(sizes, Seeds(0))
    decoder = arch.decoder(sizes, Seeds(0))
    first = 4 * 4 * 3 * 32 + 32
    assert encoder.count_params() == first + (convolutions - 1) * BETWEEN + ENDS + 256 * 10 + 10
    images = np.random.default_rng(0).uniform(-1, 1, (2, *shape)).astype("float32")
    decoded = decoder(encoder(images)).numpy()
    assert decoded.shape == images.shape
    assert np.abs(decoded).max() <= 1
    discriminator = arch.discriminator(sizes, Seeds(0))
    assert discriminator(images).shape == (2,)
    assert len([layer for layer in discriminator.trunk if "conv" in layer.name]) == convolutions
