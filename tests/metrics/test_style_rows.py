"""Effects of the rows of a style code, on crossovers whose answer is known."""

import numpy as np
import pytest

from amr_tf.metrics import style_rows

RNG = np.random.default_rng(0)


def test_octaves_of_a_wave_and_their_sum():
    """4 cycles are in the band from 4 to 8; a constant is in the first."""
    x = np.arange(32) / 32
    wave = np.tile(np.sin(2 * np.pi * 4 * x), (32, 1))[None, :, :, None]
    energies = style_rows.octave_energies(wave)
    assert energies.sum() == pytest.approx(np.mean(wave**2))
    assert energies[3] == pytest.approx(0.5)
    constant = style_rows.octave_energies(np.full((2, 32, 32, 1), 3.0))
    assert constant[0] == pytest.approx(9.0)
    noise = RNG.normal(size=(3, 16, 16, 3))
    assert style_rows.octave_energies(noise).sum() == pytest.approx(np.mean(noise**2))


def test_classes_octaves_and_losses_of_known_crossovers():
    """Row 0 decides the class (a bright half), row 1 a checkerboard; row 2 nothing."""
    rows, columns = np.mgrid[:16, :16]
    board = ((rows + columns) % 2 * 2 - 1)[..., None] * 0.2

    def draw(coarse, fine):
        images = np.where(
            coarse[:, None, None, None] > 0, (rows < 8)[None, ..., None], (rows >= 8)[None, ..., None]
        )
        return images * 1.0 + fine[:, None, None, None] * board

    labels = RNG.integers(2, size=400)
    real = draw(labels, RNG.choice([-1, 1], 400))
    first, second = np.zeros(50, int), np.ones(50, int)
    fine_first, fine_second = np.ones(50), -np.ones(50)
    crossovers = np.stack(
        [
            draw(second, fine_second),
            draw(first, fine_second),
            draw(first, fine_first),
            draw(first, fine_first),
        ]
    )
    images = draw(first, fine_first)
    without = np.stack([images + 0.5, images + 0.1, images, images])
    found = style_rows.score(
        (real, labels),
        (real, labels),
        np.stack([first, second], axis=1),
        crossovers,
        1,
        2,
        images,
        without,
        RNG,
    )
    assert found["classifier"] > 0.99
    assert found["first"] == [0, 1, 1, 1]
    assert found["second"] == [1, 0, 0, 0]
    assert found["low_coarse"] > 0.8
    assert found["low_fine"] < 0.01
    assert found["losses"] == pytest.approx([0.25, 0.01, 0.0])
    assert found["loss"] == 0
