"""Scores of every metric on codes with known answers: perfect, disguised, rotated, constant, noise."""

import json

import numpy as np
import pytest

from amr_tf.metrics import amr_dfv, beta_vae, dci, factor_vae, mig, modularity, sap
from tests.metrics import known_codes
from tests.metrics.known_codes import World

METRICS = {
    "factor_vae_dlib": lambda *given: factor_vae.score(*given, preset="dlib"),
    "factor_vae_paper": lambda *given: factor_vae.score(*given, preset="paper"),
    "amr_dfv": amr_dfv.score,
    "beta_vae": lambda *given: beta_vae.score(*given, train_points=2_000, evaluation_points=2_000),
    "mig": mig.score,
    "sap": sap.score,
    "dci": lambda *given: dci.score(*given, preset="quick"),
    "modularity": modularity.score,
}


def measure(name, encode, seed=0):
    return METRICS[name](World(), encode, np.random.default_rng(seed))


@pytest.mark.parametrize("code", [known_codes.perfect, known_codes.disguised])
@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_code_has_the_highest_score_also_in_disguise(name, code):
    result = measure(name, code)
    assert result["score"] == pytest.approx(result.get("maximum", 1.0), abs=0.01)


@pytest.mark.parametrize(
    ("name", "rotated", "within", "constant", "noise_within"),
    [
        # Factors that share two dimensions are recognised half of the time.
        ("factor_vae_dlib", (4 * 0.5 + 1) / 5, 0.03, 0.0, 0.02),
        ("factor_vae_paper", (4 * 0.5 + 1) / 5, 0.06, 0.0, 0.05),
        # Two factors may share a dimension, so that it sees nothing here.
        ("amr_dfv", 0.8, 0.01, pytest.approx(0.8), 0.06),
        ("mig", 1 / 5, 0.08, 0.0, 0.01),
        ("sap", 1 / 5, 0.02, 0.0, 0.01),
        # Rows (1/2, 1/2, 0, 0, 0) have the entropy log 2 of at most log 5.
        ("dci", (4 * (1 - np.log(2) / np.log(5)) + 1) / 5, 0.06, 0.0, 0.12),
        ("modularity", 1 - 4 / 5 / 4, 0.2, 0.0, 0.12),
        # A constant code leaves it to guess the commonest factor.
        ("beta_vae", None, None, pytest.approx(0.2, abs=0.03), 0.04),
    ],
)
def test_rotated_constant_and_noisy_codes(name, rotated, within, constant, noise_within):
    """Rotating pairs of factors costs what it should; noise scores about the chance that is reported."""
    if rotated is not None:
        assert measure(name, known_codes.rotated)["score"] == pytest.approx(rotated, abs=within)
    assert measure(name, known_codes.constant)["score"] == constant
    noise = measure(name, known_codes.noise())
    assert noise["score"] == pytest.approx(noise["chance"], abs=noise_within)


@pytest.mark.parametrize("name", METRICS)
def test_the_order_of_dimensions_does_not_matter(name):
    straight, permuted = (
        measure(name, known_codes.tangled(order))["score"]
        for order in [(0, 1, 2, 3, 4, 5), (4, 2, 5, 0, 3, 1)]
    )
    tolerance = {"beta_vae": 0.002, "dci": 0.005}.get(name, 1e-9)  # these two fit a classifier
    assert straight == pytest.approx(permuted, abs=tolerance)
    assert straight < 0.95


@pytest.mark.parametrize(
    ("name", "expected", "tolerance"),
    [
        ("factor_vae_dlib", 4 / 5, 0.02),
        ("factor_vae_paper", 4 / 5, 0.06),
        ("mig", 4 / 5, 0.01),
        ("sap", 4 / 5, 0.01),
    ],
)
@pytest.mark.parametrize("missing", range(5))
def test_every_factor_counts(name, missing, expected, tolerance):
    result = measure(name, known_codes.without(missing))
    assert result["score"] == pytest.approx(expected, abs=tolerance)
    assert np.argmin(result["per_factor"]) == missing
    assert result["per_factor"][missing] <= 0.01


@pytest.mark.parametrize("name", METRICS)
def test_the_result_is_plain_and_depends_on_the_generator_alone(name):
    first, again = (measure(name, known_codes.tangled(), seed=3) for _ in range(2))
    assert first == again
    assert json.loads(json.dumps(first, allow_nan=False)) == first


@pytest.mark.parametrize("name", METRICS)
def test_images_are_encoded_in_batches_of_bounded_size(name):
    recorder = known_codes.Recorder(known_codes.tangled())
    measure(name, recorder)
    sizes = [len(images) for images, _ in recorder.calls]
    assert max(sizes) <= 10_000
    assert len(sizes) <= 4 + sum(sizes) / 9_000


@pytest.mark.parametrize(
    ("encode", "said"),
    [
        (lambda images: np.zeros((len(images), 4, 4, 2)), r"flatten them. Received: shape \(10000, 4, 4, 2\)"),
        (lambda images: np.zeros((len(images) - 1, 4)), r"shape \(9999, 4\) for 10000 images"),
        (lambda images: np.zeros((len(images), 1)), "d >= 2"),
        (lambda images: np.full((len(images), 2), np.nan), "finite codes. Received: 20000 values"),
    ],
)  # fmt: skip
def test_what_is_no_code_is_refused(encode, said):
    with pytest.raises(ValueError, match=said):
        measure("mig", encode)
