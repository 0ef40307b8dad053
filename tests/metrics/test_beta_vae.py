"""Higgins's metric: its points, and what it can and cannot see."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from amr_tf.metrics import beta_vae
from tests.metrics import known_codes
from tests.metrics.known_codes import World


def test_the_score_is_that_of_points_made_one_by_one():
    recorder = known_codes.Recorder(known_codes.tangled())
    result = beta_vae.score(World(), recorder, np.random.default_rng(0), 64, 1_000, 500)
    factors, codes = recorder.all()
    x, y = [], []
    for start in range(0, len(codes), 128):
        first, second = slice(start, start + 64), slice(start + 64, start + 128)
        (shared,) = [k for k in range(5) if np.array_equal(factors[first, k], factors[second, k])]
        assert len(set(factors[first, shared])) > 1  # the value differs between pairs
        x.append(np.mean(np.abs(codes[first] - codes[second]), axis=0))
        y.append(shared)
    assert len(y) == 1_500
    classifier = LogisticRegression(max_iter=10_000).fit(x[:1_000], y[:1_000])
    assert result["score"] == pytest.approx(classifier.score(x[1_000:], y[1_000:]), abs=0.005)
    assert result["train_accuracy"] == pytest.approx(classifier.score(x[:1_000], y[:1_000]), abs=0.005)
    assert 0.4 < result["score"] < 0.95
