"""FactorVAE and its AMR variant against plain loops over the very codes that they were given."""

import numpy as np
import pytest

from amr_tf.metrics import amr_dfv, factor_vae
from tests.metrics import known_codes
from tests.metrics.known_codes import World


def shared_factor(group):
    """The one factor that has a single value in a group of images."""
    (factor,) = [k for k in range(group.shape[1]) if len(set(group[:, k])) == 1]
    return factor


def recorded_votes(factors, codes, images, scale, dimensions):
    """[(fixed factor, dimension of the smallest scaled variance)] of one group after the other."""
    found = []
    for start in range(0, len(factors), images):
        spread = [np.std(codes[start : start + images, d]) / scale[d] for d in dimensions]
        found.append((shared_factor(factors[start : start + images]), dimensions[int(np.argmin(spread))]))
    return found


@pytest.mark.parametrize(
    ("preset", "images", "train", "evaluation", "code", "active"),
    [
        ("paper", 100, 800, 800, known_codes.tangled(), [0, 1, 2, 3]),
        ("dlib", 64, 10_000, 5_000, known_codes.tangled(), [0, 1, 2, 3]),
        # Here the two sets of votes differ in what they say, and so in what a dimension stands for.
        ("paper", 100, 800, 800, known_codes.noise(12), list(range(12))),
    ],
)
def test_factor_vae_is_what_a_loop_over_its_votes_gives(preset, images, train, evaluation, code, active):
    recorder = known_codes.Recorder(code)
    result = factor_vae.score(World(), recorder, np.random.default_rng(1), preset)
    factors, codes = recorder.all()
    scale = [np.std(z, ddof=1) for z in codes[:10_000].T]
    assert [d for d, deviation in enumerate(scale) if deviation >= 0.05] == active
    assert result["active_dimensions"] == len(active)
    assert result["pruned_dimensions"] == len(scale) - len(active)
    found = recorded_votes(factors[10_000:], codes[10_000:], images, scale, active)
    assert len(found) == train + evaluation
    stands_for = {}
    for d in active:
        counts = [sum(vote == (k, d) for vote in found[:train]) for k in range(5)]
        stands_for[d] = counts.index(max(counts))
    for name, part in (("train_accuracy", found[:train]), ("score", found[train:])):
        assert result[name] == pytest.approx(np.mean([stands_for[d] == k for k, d in part]), abs=1e-12)
    for factor in range(5):
        right = [stands_for[d] == k for k, d in found[train:] if k == factor]
        assert result["per_factor"][factor] == pytest.approx(np.mean(right), abs=1e-12)


def test_the_votes_fix_every_factor_and_every_value_alike():
    recorder = known_codes.Recorder(known_codes.perfect)
    factor_vae.score(World(), recorder, np.random.default_rng(2), "dlib")
    groups = recorder.all()[0][10_000:].reshape(-1, 64, 5)
    fixed = [shared_factor(group) for group in groups]
    np.testing.assert_allclose(np.bincount(fixed) / len(fixed), 0.2, atol=0.02)
    values = [group[0, k] for group, k in zip(groups, fixed, strict=True) if k == 2]
    np.testing.assert_allclose(np.bincount(values) / len(values), 1 / 8, atol=0.03)


@pytest.mark.parametrize(("scale", "active"), [(0.051, 5), (0.049, 4), (0.0, 4)])
def test_dimensions_of_a_deviation_below_005_are_pruned(scale, active):
    def encode(images):
        codes = known_codes.perfect(images)
        codes[:, 4] *= scale / np.sqrt(15 / 12)
        return codes

    result = factor_vae.score(World(), encode, np.random.default_rng(3), "paper")
    assert (result["active_dimensions"], result["pruned_dimensions"]) == (active, 5 - active)
    assert result["score"] == pytest.approx(active / 5, abs=0.05)


def test_a_collapsed_code_votes_for_nothing():
    result = factor_vae.score(World(), known_codes.constant, np.random.default_rng(4), "dlib")
    assert result == {
        "score": 0.0,
        "train_accuracy": 0.0,
        "per_factor": [0.0] * 5,
        "active_dimensions": 0,
        "pruned_dimensions": 5,
        "chance": 0.2,
    }


@pytest.mark.parametrize(
    "code", [known_codes.rotated, known_codes.tangled((0, 1, 2, 3, 4)), known_codes.noise()]
)
def test_amr_dfv_is_what_a_loop_over_its_votes_gives(code):
    recorder = known_codes.Recorder(code)
    result = amr_dfv.score(World(), recorder, np.random.default_rng(5))
    factors, codes = recorder.all()
    found = recorded_votes(factors, codes, 800, codes.std(axis=0), range(5))
    assert [k for k, _ in found] == [k for k in range(5) for _ in range(160)]
    best = [max(sum(vote == (k, d) for vote in found) for d in range(5)) for k in range(5)]
    assert result["score"] == sum(best[:4]) / 800
    assert result["per_factor"] == [votes / 160 for votes in best]


def test_amr_dfv_says_what_is_wrong_with_it():
    """The last factor costs nothing, a collapsed code and a single dead dimension have the highest score."""
    rng = np.random.default_rng(6)
    perfect = amr_dfv.score(World(), known_codes.perfect, rng)
    assert perfect["maximum"] == 0.8
    assert perfect["note"] == (
        "The ceiling is 0.80, because posY is left out of the sum; a collapsed code also scores 0.80."
    )
    assert amr_dfv.score(World(), known_codes.without(4), rng)["score"] == pytest.approx(0.8)
    assert amr_dfv.score(World(), known_codes.without(0), rng)["score"] < 0.7

    def one_dead(images):
        codes = known_codes.noise()(images)
        codes[:, 2] = 0.1
        return codes

    assert amr_dfv.score(World(), known_codes.constant, rng)["score"] == pytest.approx(0.8)
    assert amr_dfv.score(World(), one_dead, rng)["score"] == pytest.approx(0.8)


def test_amr_dfv_of_noise_is_that_of_the_docs():
    result = amr_dfv.score(World(), known_codes.noise(10), np.random.default_rng(7))
    assert result["chance"] == pytest.approx(0.08)
    assert result["score"] == pytest.approx(0.11, abs=0.01)
