"""Distances of mixes to real images and codes, against loops and by hand."""

import json

import numpy as np
import pytest

from amr_tf.metrics import interpolation


def arguments(rng, mixes=7, real=20):
    """Random arguments of `score`, images [N, 3, 4, 2] and codes [N, 2, 2, 1]."""
    return {
        "mixes": rng.uniform(-1, 1, (mixes, 3, 4, 2)).astype(np.float32),
        "mix_codes": rng.normal(size=(mixes, 2, 2, 1)).astype(np.float32),
        "recoded": rng.normal(size=(mixes, 2, 2, 1)).astype(np.float32),
        "real_images": rng.uniform(-1, 1, (real, 3, 4, 2)).astype(np.float32),
        "real_codes": rng.normal(size=(real, 2, 2, 1)).astype(np.float32),
    }


def test_figures_are_what_plain_loops_give():
    given = arguments(np.random.default_rng(1))
    blends = np.random.default_rng(2).uniform(-1, 1, (5, 3, 4, 2))
    result = interpolation.score(**given, blends=blends)

    def distance(points, others):
        """Mean distance to the nearest of the others, except a point itself."""
        return np.mean([min(np.linalg.norm(p - q) for q in others if q is not p) for p in points])

    real, blends, mixes, codes = map(
        list, (given["real_images"], blends, given["mixes"], given["real_codes"])
    )
    pixels = np.sqrt(3 * 4 * 2)
    expected = {
        "pixel_distance": distance(mixes, real) / pixels,
        "blend_pixel_distance": distance(blends, real) / pixels,
        "real_pixel_distance": distance(real, real) / pixels,
        "code_distance": distance(given["recoded"], codes),
        "real_code_distance": distance(codes, codes),
        "cycle": np.mean(np.abs(given["recoded"] - given["mix_codes"])),
    }
    for name in ("pixel_distance", "code_distance", "blend_pixel_distance"):
        expected[f"relative_{name}"] = expected[name] / expected[f"real_{name.removeprefix('blend_')}"]
    assert result == pytest.approx(expected, rel=1e-5)
    json.dumps(result, allow_nan=False)


def test_real_images_and_their_own_codes_are_at_no_distance():
    given = arguments(np.random.default_rng(3))
    given |= {"mixes": given["real_images"][:7], "recoded": given["mix_codes"]}
    given["real_codes"][:7] = given["mix_codes"]
    result = interpolation.score(**given)
    near = ("pixel_distance", "code_distance", "cycle", "relative_pixel_distance", "relative_code_distance")
    assert [result[name] for name in near] == pytest.approx([0] * 5, abs=1e-6)
    assert "blend_pixel_distance" not in result


def test_equal_real_images_leave_the_ratio_undefined():
    given = arguments(np.random.default_rng(7))
    result = interpolation.score(**given | {"real_images": np.zeros((20, 3, 4, 2))})
    assert result["real_pixel_distance"] == 0
    assert result["relative_pixel_distance"] is None


@pytest.mark.parametrize("name", ["mixes", "mix_codes", "recoded"])
def test_arguments_of_different_lengths_are_refused(name):
    given = arguments(np.random.default_rng(8))
    with pytest.raises(ValueError, match="must match"):
        interpolation.score(**given | {name: given[name][:1]})
