"""ACAI's clustering accuracy on codes whose clusters are known."""

import json

import numpy as np
import pytest

from amr_tf.metrics import clustering


def blobs(rng, labels, distance=20.0):
    """Codes [N, 2, 2, 1]: a normal cloud for each class, centred at `distance` along its axis."""
    return (distance * np.eye(4)[labels] + rng.normal(size=(len(labels), 4))).reshape(-1, 2, 2, 1)


def labels_of(rng, *sizes):
    return [rng.integers(0, 4, size) for size in sizes]


@pytest.mark.parametrize("constant", [0, 3])
def test_separated_blobs_are_found_under_any_class_names(constant):
    """Also beside dimensions without variance."""
    rng = np.random.default_rng(1)
    train, test = labels_of(rng, 400, 200)
    names = np.array([7, 3, 40, 5])
    codes = [np.pad(blobs(rng, part), ((0, 0), (0, 0), (0, 0), (0, constant))) for part in (train, test)]
    result = clustering.score(codes[0], names[train], codes[1], names[test], rng, n_init=5)
    assert result["score"] == result["matched_on_train"] == 1.0
    assert (result["classes"], result["clusters"], result["n_init"]) == (4, 4, 5)
    assert result["chance"] == np.bincount(test).max() / 200
    json.dumps(result, allow_nan=False)


def test_codes_without_classes_score_at_chance():
    """Four clusters of one cloud, labels drawn apart: a quarter, and the little more that matching gains."""
    rng = np.random.default_rng(2)
    train, test = labels_of(rng, 2000, 2000)
    noise = rng.normal(size=(4000, 3))
    result = clustering.score(noise[:2000], train, noise[2000:], test, rng, n_init=2)
    assert 0.25 - 0.03 < result["matched_on_train"] < 0.25 + 0.03
    assert 0.25 <= result["score"] < 0.25 + 0.05


def test_a_constant_code_scores_the_chance_that_is_stated():
    rng = np.random.default_rng(3)
    train, test = labels_of(rng, 40, 40)
    result = clustering.score(np.full((40, 5), 0.1), train, np.full((40, 5), 0.1), test, rng, n_init=2)
    assert result["clusters"] == 1
    assert result["score"] == result["chance"]


def test_score_matches_on_test_and_the_other_figure_on_train():
    """Test labels with the names of the classes turned round: all right for one, all wrong for the other."""
    rng = np.random.default_rng(4)
    train, test = labels_of(rng, 400, 200)
    result = clustering.score(blobs(rng, train), train, blobs(rng, test), (test + 1) % 4, rng, n_init=5)
    assert result["score"] == 1.0
    assert result["matched_on_train"] == 0.0


def test_matching_is_one_to_one():
    """Two blobs share a name and another is split by two names: a cluster each, so one of the pairs goes wrong."""
    rng = np.random.default_rng(5)
    blob = np.repeat(np.arange(4), 100)
    labels = np.where(blob == 3, 2, blob)
    labels[:50] = 3
    result = clustering.score(blobs(rng, blob), labels, blobs(rng, blob), labels, rng, n_init=5)
    assert result["score"] == (50 + 100 + 100 + 0) / 400


def test_codes_are_whitened_with_the_train_split():
    """Classes along a dimension a thousandth as wide as the noise beside it, and the whole turned in the plane."""
    rng = np.random.default_rng(6)
    labels = np.repeat([0, 1], 300)
    codes = np.stack([1e3 * rng.uniform(-1, 1, 600), 2.0 * labels + 0.05 * rng.normal(size=600)], axis=1)
    turned = codes @ np.array([[0.8, 0.6], [-0.6, 0.8]]) + 50
    result = clustering.score(turned, labels, turned, labels, rng, n_init=5)
    assert result["score"] == 1.0
    upper = labels == 1  # whitened by itself, a single class would be cut in two
    result = clustering.score(turned, labels, turned[upper], labels[upper], rng, n_init=5)
    assert result["matched_on_train"] == 1.0


def test_same_generator_same_score():
    def run(seed):
        draws = np.random.default_rng(8)
        train, test = labels_of(draws, 300, 300)
        codes = [blobs(draws, part, distance=1.5) for part in (train, test)]
        return clustering.score(codes[0], train, codes[1], test, np.random.default_rng(seed), n_init=1)

    assert run(0) == run(0)
    assert len({run(seed)["score"] for seed in range(5)}) > 1


def test_a_class_that_train_lacks_and_missing_labels_are_refused():
    rng = np.random.default_rng(9)
    train, test = labels_of(rng, 40, 40)
    with pytest.raises(ValueError, match=r"Received: \[9\]"):
        clustering.score(blobs(rng, train), train, blobs(rng, test), np.append(test[:-1], 9), rng)
    with pytest.raises(ValueError, match=r"40, 39"):
        clustering.score(blobs(rng, train), train, blobs(rng, test), test[:-1], rng, n_init=1)
