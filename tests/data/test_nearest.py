"""The nearest possible image: 0 for drawn ones, and for others as near as any image of a dense search."""

import numpy as np
import pytest

from amr_tf.data import nearest
from amr_tf.data.pixels import ROUNDING
from amr_tf.data.sources import dsprites, generated, shapes


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def floats(images):
    return images / np.float32(127.5) - 1


def test_drawn_lines_are_found_with_their_angle(rng):
    angles = rng.uniform(0, 2 * np.pi, 300)
    found = nearest.lines(floats(generated.render_lines(angles)))
    assert found.distances.max() <= ROUNDING
    turns = found.factors[:, 0] - angles / (2 * np.pi)
    assert np.abs((turns + 0.5) % 1 - 0.5).max() < 1e-3
    assert found.circular == (0,)


def test_other_images_are_as_near_as_a_dense_search_finds(rng):
    """Blends of two lines against 20,000 angles; a line moved by one pixel has the distance by hand."""
    x = floats(generated.render_lines(rng.uniform(0, 2 * np.pi, 40)))
    blends = (x[:20] + x[20:]) / 2
    dense = (2 * generated.covered(2 * np.pi * np.arange(20_000) / 20_000) - 1).reshape(20_000, -1)
    best = [np.sqrt(((dense - blend.ravel()) ** 2).mean(axis=1)).min() for blend in blends]
    found = nearest.lines(blends)
    assert np.all(found.distances <= np.array(best) + 1e-6)
    np.testing.assert_allclose(found.distances, best, atol=1e-4)


@pytest.fixture(scope="module")
def bits():
    return dsprites.render()


def sprites(bits, numbers):
    return (2.0 * np.unpackbits(bits[numbers], axis=1) - 1).reshape(-1, 64, 64, 1).astype(np.float32)


@pytest.mark.slow
def test_sprites_are_as_near_as_all_images_tried(bits, rng):
    """Drawn images at distance 0; blends, noise and a shifted image against every image of dSprites."""
    numbers = rng.integers(len(bits), size=12)
    x = sprites(bits, numbers)
    found = nearest.sprites(x, bits)
    np.testing.assert_array_equal(found.distances, 0)
    factors = dsprites.factors_of(numbers)[:, [0, 1, 3, 4]] / [2, 5, 31, 31]
    np.testing.assert_allclose(found.factors, factors)
    others = np.concatenate(
        [(x[:2] + x[2:4]) / 2, rng.normal(size=(1, 64, 64, 1)), np.roll(x[:1], 1, axis=2)]
    )
    best = np.full(len(others), np.inf)
    for first in range(0, len(bits), 20_000):
        block = sprites(bits, slice(first, first + 20_000)).reshape(-1, 4096)
        flat = others.reshape(len(others), -1).astype(np.float32)
        squares = (flat**2).sum(axis=1)[:, None] - 2 * flat @ block.T + 4096
        best = np.minimum(best, squares.min(axis=1))
    np.testing.assert_allclose(nearest.sprites(others, bits).distances, np.sqrt(best / 4096), rtol=1e-4)


def test_coloured_shapes_are_found_with_their_factors(rng):
    attributes = rng.integers(2, size=(60, 4)).astype(np.uint8)
    found = nearest.coloured_shapes(floats(shapes.render(attributes, rng)))
    assert found.distances.max() <= ROUNDING
    np.testing.assert_array_equal(found.factors[:, :3], attributes[:, [0, 2, 3]])
    np.testing.assert_array_equal(found.factors[:, 3] > 0.5, attributes[:, 1] == 1)


def test_a_blend_of_two_shapes_is_no_shape(rng):
    """And a uniform change of all pixels has the distance by hand: brighter than any grey by 20 of 255 levels."""
    images = shapes.render(rng.integers(2, size=(8, 4)).astype(np.uint8), rng)
    x = floats(images)
    found = nearest.coloured_shapes((x[:4] + x[4:]) / 2)
    assert found.distances.min() > 10 * ROUNDING
    plain = np.full((1, 32, 32, 3), floats(np.float32(shapes.GREYS[1] + 20)))
    assert nearest.coloured_shapes(plain).distances[0] >= 2 * 20 / 255 * 0.6
