"""Nearest neighbours and few labels, on codes whose answer is known."""

import numpy as np
import pytest

from amr_tf.metrics import knn, probe_few


def rng(seed=0):
    return np.random.default_rng(seed)


def split(count, seed, noise=0.1, classes=4):
    draw = rng(seed)
    labels = draw.integers(classes, size=count)
    return np.eye(classes)[labels] + noise * draw.normal(size=(count, classes)), labels


def test_knn_equals_a_loop_over_all_neighbours():
    """The vote of every test code in plain NumPy, with the selected k."""
    train, validation, test = split(150, 1, 0.6), split(80, 2, 0.6), split(60, 3, 0.6)
    found = knn.score(train, validation, test, rng())
    unit = train[0] / np.linalg.norm(train[0], axis=1, keepdims=True)
    right = 0
    for code, label in zip(*test, strict=True):
        similarity = unit @ (code / np.linalg.norm(code))
        nearest = np.argsort(-similarity)[: found["k"]]
        votes = np.bincount(train[1][nearest], weights=np.exp(similarity[nearest] / 0.07), minlength=4)
        right += votes.argmax() == label
    assert found["score"] == pytest.approx(right / 60)
    assert found["test_examples"] == 60


def test_knn_chooses_k_and_ignores_the_length_of_codes():
    train, validation, test = split(200, 1), split(50, 2), split(50, 3)
    found = knn.score(train, validation, test, rng())
    assert (found["score"], found["k"]) == (1.0, 1)
    scaled = (test[0] * rng(4).uniform(0.1, 10, (50, 1)), test[1])
    assert knn.score(train, validation, scaled, rng())["score"] == 1.0


def test_knn_of_uninformative_codes_is_chance():
    parts = [(np.ones((60, 3)), np.arange(60) % 3) for _ in range(3)]
    assert knn.score(*parts, rng())["score"] == pytest.approx(1 / 3)


def test_knn_refuses_codes_that_are_not_finite():
    train = split(20, 1)
    broken = (np.full((20, 4), np.nan), train[1])
    with pytest.raises(ValueError, match="NaN"):
        knn.score(train, train, broken, rng())


def test_few_labels_know_less_than_many(monkeypatch):
    """Noisy codes of 20 numbers: 100 labels of each class beat 10, and the interval contains the mean."""
    monkeypatch.setattr(probe_few, "DRAWS", 4)
    draw = rng(5)

    def noisy(count):
        labels = draw.integers(4, size=count)
        codes = np.concatenate([1.5 * np.eye(4)[labels], np.zeros((count, 16))], axis=1)
        return codes + draw.normal(size=(count, 20)), labels

    train, test = noisy(2_000), noisy(500)
    found = probe_few.score(train, test, rng())
    assert found["chance"] < found["score"] < found["score_100"] - 0.02
    low, high = found["interval"]
    assert low < found["score"] < high
    assert probe_few.score(train, test, rng()) == found


def test_few_labels_of_a_small_class_are_all_it_has(monkeypatch):
    monkeypatch.setattr(probe_few, "DRAWS", 3)
    train, test = split(60, 1), split(40, 2)
    assert probe_few.score(train, test, rng())["score_100"] > 0.9
    alone = (train[0][:5], np.array([0, 0, 0, 0, 1]))
    with pytest.raises(ValueError, match="two training examples"):
        probe_few.score(alone, test, rng())
