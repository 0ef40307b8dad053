"""MIG, modularity, SAP and DCI against loops written from their definitions, on the very same codes."""

import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.metrics import mutual_info_score

from amr_tf.metrics import dci, mig, modularity, mutual_information, sap
from tests.metrics import known_codes
from tests.metrics.known_codes import DSPRITES_SIZES, World


def recorded(score, code, **settings):
    """(the score of a code, the factors, the codes that it was worked out from)."""
    recorder = known_codes.Recorder(code)
    return score(World(), recorder, np.random.default_rng(0), **settings), *recorder.all()


def informations(factors, codes, bins=20):
    """[d, K], binned by hand and left to scikit-learn."""
    table = np.zeros((codes.shape[1], factors.shape[1]))
    for d, z in enumerate(codes.T):
        width = (z.max() - z.min()) / bins or 1.0
        binned = np.minimum(np.floor((z - z.min()) / width), bins - 1)
        for k, y in enumerate(factors.T):
            table[d, k] = mutual_info_score(binned, y)
    return table


def top_two(values):
    *_, second, first = sorted(values)
    return first, second


def mig_gaps(factors, codes):
    for k, column in enumerate(informations(factors, codes).T):
        first, second = top_two(column)
        shares = [np.mean(factors[:, k] == value) for value in range(World().factor_sizes[k])]
        yield (first - second) / -sum(p * np.log(p) for p in shares)


def sap_gaps(factors, codes):
    for y in factors.T:
        first, second = top_two(np.corrcoef(z, y)[0, 1] ** 2 if np.var(z) > 1e-12 else 0.0 for z in codes.T)
        yield first - second


def modularities(factors, codes):
    for row in informations(factors, codes):
        *others, best = sorted(row)
        yield 1 - sum(value**2 for value in others) / (4 * best**2) if best > 0 else 0.0


@pytest.mark.parametrize(
    ("metric", "key", "by_hand", "within"),
    [
        (mig, "per_factor", mig_gaps, 2e-3),
        (sap, "per_factor", sap_gaps, 1e-9),
        (modularity, "per_dimension", modularities, 2e-3),  # the last, which is constant, counts too
    ],
)
def test_scores_by_a_loop(metric, key, by_hand, within):
    result, factors, codes = recorded(metric.score, known_codes.tangled())
    expected = list(by_hand(factors, codes))
    assert len(codes) == 10_000
    assert result[key] == pytest.approx(expected, abs=within)
    assert result["score"] == pytest.approx(np.mean(expected), abs=within / 2)
    assert 0.05 < result["score"] < 0.9


def test_mig_maximum_is_reached_by_the_best_code_of_dsprites():
    result = mig.score(World(DSPRITES_SIZES), known_codes.perfect, np.random.default_rng(0))
    # 20 pairs of orientations; 12 pairs of positions and 8 that stand alone.
    by_hand = [1, 1, np.log(20) / np.log(40)] + 2 * [1 - 24 / 32 * np.log(2) / np.log(32)]
    assert result["maximum"] == pytest.approx(np.mean(by_hand))
    assert result["maximum"] == pytest.approx(0.90, abs=0.005)
    assert result["score"] == pytest.approx(result["maximum"], abs=0.01)


def test_modularity_of_noise_on_dsprites_is_that_of_the_docs():
    result = modularity.score(World(DSPRITES_SIZES), known_codes.noise(10), np.random.default_rng(0))
    assert result["chance"] == pytest.approx(0.68, abs=0.005)
    assert result["score"] == pytest.approx(result["chance"], abs=0.05)


def test_bins_have_equal_width_between_the_extremes():
    codes = np.array([[0.0, 5.0], [0.9, 5.0], [1.0, 5.0], [3.9, 5.0], [4.0, 5.0]])
    binned = mutual_information.discretised(codes, 4)
    np.testing.assert_array_equal(binned[:, 0], [0, 0, 1, 3, 3])
    assert len(set(binned[:, 1])) == 1


@pytest.mark.parametrize(("scale", "expected"), [(1e-5, 1.0), (1e-7, 0.0)])
def test_sap_counts_a_dimension_from_a_variance_of_1e_12_on(scale, expected):
    y = np.arange(8)[:, None]
    codes = np.concatenate([y * scale, np.zeros_like(y)], axis=1)
    np.testing.assert_allclose(sap.squared_correlations(codes, y), [[expected], [0]], atol=1e-9)


def loop_concentration(rows):
    weighted = 0.0
    for row in rows:
        total = sum(row)
        shares = [value / total for value in row if value > 0]
        entropy = -sum(p * np.log(p) for p in shares) / np.log(len(row))
        weighted += total * (1 - entropy)
    return weighted / np.sum(rows)


def test_concentration_by_hand():
    assert dci.concentration(np.eye(4)) == pytest.approx(1, abs=1e-8)
    assert dci.concentration(np.ones((4, 3))) == pytest.approx(0, abs=1e-8)
    assert dci.concentration(np.zeros((4, 3))) == pytest.approx(0, abs=1e-8)
    # A row of weight 3 that leans on one column, one of weight 1 that leans on both, one that nobody uses.
    assert dci.concentration(np.array([[3.0, 0], [0.5, 0.5], [0, 0]])) == pytest.approx(3 / 4, abs=1e-8)


def test_dci_by_its_definition():
    result, factors, codes = recorded(dci.score, known_codes.tangled(), preset="quick")
    assert len(codes) == 3_000
    importances, accuracies = [], []
    for k in range(5):
        classifier = GradientBoostingClassifier(n_estimators=10, random_state=8).fit(
            codes[:2_000], factors[:2_000, k]
        )
        importances.append(classifier.feature_importances_ + 1e-12)
        accuracies.append(np.mean(classifier.predict(codes[2_000:]) == factors[2_000:, k]))
    assert result["disentanglement"] == pytest.approx(
        loop_concentration(np.transpose(importances)), abs=0.005
    )
    assert result["completeness"] == pytest.approx(loop_concentration(importances), abs=0.005)
    assert result["per_factor"] == pytest.approx(accuracies, abs=0.005)
    assert result["informativeness_test"] == pytest.approx(np.mean(accuracies), abs=0.005)
    assert result["informativeness_train"] > result["informativeness_test"]
    assert result["score"] == result["disentanglement"]


def test_informativeness_is_that_of_guessing_for_a_constant_code():
    result, *_ = recorded(dci.score, known_codes.constant, preset="quick")
    assert result["informativeness_chance"] == pytest.approx((1 / 3 + 1 / 6 + 1 / 8 + 1 / 4 + 1 / 4) / 5)
    assert result["informativeness_test"] == pytest.approx(result["informativeness_chance"], abs=0.04)
    assert (result["disentanglement"], result["completeness"]) == pytest.approx((0, 0), abs=1e-8)
