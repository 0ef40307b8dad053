"""The linear probe on codes whose answer is known."""

import json

import numpy as np
import pytest

from amr_tf.metrics import probe

RNG = np.random.default_rng(0)


def splits(rng, draw, sizes=(300, 150, 200), classes=4):
    """Train, validation and test of codes `draw(labels)`."""
    labels = [rng.integers(0, classes, size) for size in sizes]
    return [(draw(part), part) for part in labels]


def test_codes_that_spell_out_the_label_are_read_without_error():
    rng = np.random.default_rng(1)
    result = probe.score(*splits(rng, lambda y: np.eye(4, dtype=np.float32)[y].reshape(-1, 2, 2, 1)), RNG)
    assert result["score"] == result["validation_score"] == 1.0
    assert result["interval"][1] == 1.0
    assert result["test_examples"] == 200
    assert result["converged"] is True
    json.dumps(result, allow_nan=False)


def test_interval_is_wilsons():
    """Worked out by the formula for 150 of 200 that are right: a quarter of the test labels are wrong."""
    train, validation, (codes, labels) = splits(np.random.default_rng(1), lambda y: np.eye(4)[y])
    wrong = np.where(np.arange(200) < 50, (labels + 1) % 4, labels)
    result = probe.score(train, validation, (codes, wrong), RNG)
    z, p, n = 1.959964, 0.75, 200
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert result["score"] == p
    assert result["interval"] == pytest.approx(
        [(p + z**2 / (2 * n) + sign * half) / (1 + z**2 / n) for sign in (-1, 1)], abs=1e-6
    )


def test_codes_without_the_label_score_at_chance():
    rng = np.random.default_rng(2)
    noise = probe.score(*splits(rng, lambda y: rng.normal(size=(len(y), 8)), (2000, 1000, 2000)), RNG)
    assert noise["interval"][0] < 0.25 < noise["interval"][1]
    parts = splits(rng, lambda y: np.full((len(y), 3), 0.1), classes=3)
    constant = probe.score(*parts, RNG)
    assert constant["chance"] == np.bincount(parts[2][1]).max() / 200
    assert constant["score"] == np.mean(parts[2][1] == np.bincount(parts[0][1]).argmax())


def test_only_what_is_linear_in_the_codes_is_read():
    """Exclusive or: the codes determine every label, but not linearly."""
    rng = np.random.default_rng(3)

    def draw(labels):
        first = rng.integers(0, 2, len(labels))
        return np.stack([first, first ^ labels], axis=1) * 2.0 - 1.0

    result = probe.score(*splits(rng, draw, (1000, 500, 1000), classes=2), RNG)
    assert result["score"] < 0.6


def test_scale_and_offset_of_a_dimension_do_not_matter():
    """Standardised with the train split's figures: the same for a dimension in millions as for one in millionths."""
    rng = np.random.default_rng(4)
    parts = splits(rng, lambda y: np.eye(4)[y] + 0.5 * rng.normal(size=(len(y), 4)))
    stretched = [(codes * [1e6, 1e-6, 1, -3] + [5, 0, 1e3, 0], labels) for codes, labels in parts]
    assert probe.score(*stretched, RNG) == probe.score(*parts, RNG)


def test_codes_are_standardised_with_the_train_split():
    """A test split of a single class, standardised by itself, would look like the middle of all classes."""
    rng = np.random.default_rng(5)
    parts = splits(rng, lambda y: 10.0 * np.eye(4)[y] + rng.normal(size=(len(y), 4)))
    codes, labels = parts[2]
    only = (codes[labels == 3], labels[labels == 3])
    assert probe.score(parts[0], parts[1], only, RNG)["score"] == 1.0


def test_the_validation_split_chooses_the_strength():
    """A strong penalty gives up a class of one per cent: right for a validation split without it, and so chosen."""
    rng = np.random.default_rng(6)
    labels = np.where(np.arange(400) < 4, 1, 0)
    codes = labels[:, None] + 0.01 * rng.normal(size=(400, 1))
    rare, usual = (codes[labels == 1], labels[labels == 1]), (codes[labels == 0], labels[labels == 0])
    weak = probe.score((codes, labels), rare, (codes, labels), RNG)
    assert weak["C"] > probe.STRENGTHS[0]
    assert weak["score"] == weak["validation_score"] == 1.0
    strong = probe.score((codes, labels), usual, (codes, labels), RNG)
    assert strong["C"] == probe.STRENGTHS[0]
    assert strong["score"] == strong["chance"] == 0.99


def test_the_test_split_chooses_nothing():
    rng = np.random.default_rng(7)
    train, validation, test = splits(rng, lambda y: np.eye(4)[y] + rng.normal(size=(len(y), 4)))
    shuffled = (test[0], np.roll(test[1], 1))
    one, other = probe.score(train, validation, test, RNG), probe.score(train, validation, shuffled, RNG)
    assert (one["C"], one["validation_score"]) == (other["C"], other["validation_score"])
    assert one["score"] > other["score"] + 0.2


def test_a_split_with_too_few_labels_is_refused():
    parts = splits(np.random.default_rng(8), lambda y: np.eye(4)[y])
    with pytest.raises(ValueError, match=r"\[200, 1\]"):
        probe.score(parts[0], parts[1], (parts[2][0], parts[2][1][:1]), RNG)
