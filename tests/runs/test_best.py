"""The rule of the best epoch: what it goes by, ties, and runs of earlier versions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amr_tf.runs.best import (
    ACCURACY,
    CRITERIA,
    LAST,
    RECONSTRUCTION,
    best_by,
    best_kept,
    best_row,
    criterion_of,
)

# Few values, so that many rows are equal in one or both of them.
RECONSTRUCTIONS = st.sampled_from([0.1, 0.25, 3.0, -1.0, math.nan, math.inf, None])
NUMBERS = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), RECONSTRUCTIONS), min_size=1, max_size=12)


def rows_of(numbers):
    """Returns rows with these validation accuracies and reconstructions; None is a missing cell."""
    rows = []
    for epoch, (accuracy, recon) in enumerate(numbers, 1):
        row = {
            "epoch": epoch,
            "step": 4 * epoch,
            "val_probe_accuracy": accuracy,
            "test_probe_accuracy": accuracy,
        }
        rows.append(row if recon is None else row | {"val_recon": recon})
    return rows


def loss_of(row):
    """Returns a loss that a number is better than, whatever the number, if there is no loss."""
    recon = row.get("val_recon")
    return (0, recon) if recon is not None and math.isfinite(recon) else (1, 0)


@given(NUMBERS, st.sampled_from([*CRITERIA.values()]), st.randoms())
def test_best_row_no_other_row_is_better(numbers, by, random):
    """Accuracy where it counts, then reconstruction, then the later epoch, in whatever order the rows come."""
    rows = rows_of(numbers)
    best = best_row(random.sample(rows, len(rows)), by)
    rivals = [
        row for row in rows if by is not ACCURACY or row["val_probe_accuracy"] >= best["val_probe_accuracy"]
    ]
    if by is ACCURACY:
        assert {row["val_probe_accuracy"] for row in rivals} == {best["val_probe_accuracy"]}
    assert loss_of(best) == min(map(loss_of, rivals))
    assert best["epoch"] == max(row["epoch"] for row in rivals if loss_of(row) == loss_of(best))


@given(NUMBERS, st.sampled_from([*CRITERIA.values()]))
def test_best_row_a_new_epoch_becomes_it_or_changes_nothing(numbers, by):
    """The best so far need not be an epoch whose checkpoint was deleted while another one was the best."""
    rows = rows_of(numbers)
    for length in range(2, len(rows) + 1):
        before, now = best_row(rows[: length - 1], by), best_row(rows[:length], by)
        assert now in (before, rows[length - 1])


@given(NUMBERS, st.sets(st.integers(1, 12)), st.sampled_from([*CRITERIA.values()]))
def test_best_kept_is_the_best_of_the_kept(numbers, epochs, by):
    rows = rows_of(numbers)
    kept = [row for row in rows if row["epoch"] in epochs]
    assert best_kept(rows, by, {4 * epoch for epoch in epochs}) == (best_row(kept, by) if kept else None)


@pytest.mark.parametrize(
    ("labels", "expected"), [([0, 0, 0], RECONSTRUCTION), ([3], RECONSTRUCTION), ([0, 1, 0], ACCURACY)]
)
def test_criterion_of_labels_that_do_not_differ(labels, expected):
    """Also of labelled data whose validation split has one label."""
    assert criterion_of(np.array(labels)) is expected


@pytest.mark.parametrize(
    ("results", "numbers", "expected"),
    [
        ({"best_by": ACCURACY.name, "classes": 1}, [(1.0, 0.1)], ACCURACY),
        ({"best_by": RECONSTRUCTION.name, "classes": 5}, [(0.3, 0.1)], RECONSTRUCTION),
        ({"best_by": "stars", "classes": 2}, [(0.3, 0.1)], ACCURACY),
        # Runs of earlier versions
        ({"classes": 1}, [(1.0, 0.1)], RECONSTRUCTION),
        ({"classes": 2}, [(1.0, 0.1), (1.0, 0.2)], ACCURACY),
        ({}, [(1.0, 0.1), (1.0, 0.2)], RECONSTRUCTION),
        ({}, [(1.0, 0.1), (0.5, 0.2)], ACCURACY),
        # No reconstruction was recorded
        ({"classes": 1}, [(1.0, None), (1.0, math.nan)], LAST),
        ({"best_by": LAST.name}, [(1.0, None), (1.0, 0.3)], RECONSTRUCTION),
    ],
)
def test_best_by_recorded_or_what_an_old_run_shows(results, numbers, expected):
    assert best_by(results, rows_of(numbers)) is expected
