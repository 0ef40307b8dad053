"""Linear classifier on frozen codes, trained with few labels."""

import math
import warnings

import numpy as np
from scipy import special
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.preprocessing import StandardScaler

LABELS = (10, 100)  # training labels per class
DRAWS = 10
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5

Split = tuple[np.ndarray, np.ndarray]


def score(train: Split, test: Split, rng: np.random.Generator) -> dict:
    """Computes the test accuracy of a logistic regression trained on 10 and on 100 labelled examples per class.

    For each number of labels, 10 random subsets of the training examples are used. If a class has fewer examples, all
    of them are used. Codes are standardised with the statistics of all training codes, because this needs no labels.
    Cross-validation within the subset selects the penalty.

    Args:
        train, test: codes float [N, ...], flattened here, and labels int [N].
        rng: generator that samples the subsets.

    Returns:
        score: mean test accuracy over the subsets with 10 labels per class, in [0, 1]. interval: 95 % t interval of the
        score over the subsets, [low, high]. score_100, interval_100: the same with 100 labels per class. draws: number
        of subsets. chance: fraction of test examples in the most frequent class.

    Raises:
        ValueError: a class has fewer than two training examples, codes are not finite, or the numbers of codes and
            labels differ.
    """
    scaler = StandardScaler().fit(_rows(train[0]))
    codes, judged = scaler.transform(_rows(train[0])), scaler.transform(_rows(test[0]))
    found: dict = {}
    for labels in LABELS:
        scores = [_one_draw(codes, train[1], judged, test[1], labels, rng) for _ in range(DRAWS)]
        half = float(special.stdtrit(DRAWS - 1, 0.975)) * float(np.std(scores, ddof=1)) / math.sqrt(DRAWS)
        mean, suffix = float(np.mean(scores)), "" if labels == LABELS[0] else f"_{labels}"
        found |= {f"score{suffix}": mean, f"interval{suffix}": [mean - half, mean + half]}
    chance = np.unique(test[1], return_counts=True)[1].max() / len(test[1])
    return found | {"draws": DRAWS, "chance": float(chance)}


def _one_draw(
    codes: np.ndarray,
    known: np.ndarray,
    judged: np.ndarray,
    truth: np.ndarray,
    labels: int,
    rng: np.random.Generator,
) -> float:
    members = [np.flatnonzero(known == label) for label in np.unique(known)]
    least = min(map(len, members))
    if least < 2:
        raise ValueError(f"Every class needs two training examples. Received: {least} of a class")
    rows = np.concatenate([rng.permutation(one)[:labels] for one in members])
    folds = StratifiedKFold(min(FOLDS, least), shuffle=True, random_state=int(rng.integers(2**31)))
    search = GridSearchCV(LogisticRegression(max_iter=500), {"C": STRENGTHS}, cv=folds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(codes[rows], known[rows])
    return float(search.score(judged, truth))


def _rows(codes: np.ndarray) -> np.ndarray:
    return codes.reshape(len(codes), -1)
