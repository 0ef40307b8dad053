"""Choice of a run's best epoch.

The checkpoint of the best epoch is kept, and `--checkpoint=best` loads this checkpoint. Reports show the numbers of the
best epoch.

The best epoch has the highest validation accuracy of the probe. If all validation labels are equal, accuracy has no
meaning, and the best epoch has the lowest validation reconstruction loss. Between epochs of equal accuracy, the lowest
reconstruction loss decides. If this loss is equal too, the latest epoch is the best.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

Row = dict[str, float]


class Criterion(NamedTuple):
    """Criterion of the best epoch of a run.

    Attributes:
        name: name of the criterion in results.json, on model cards and in messages.
        measure: name of the number that is compared, such as "probe accuracy".
        column: name of this number's column in metrics.csv without the prefix `val_` or `test_`.
        format: format string of this number.
    """

    name: str
    measure: str
    column: str
    format: str

    def shown(self, row: Row, part: str) -> str:
        """Returns the number of the criterion for the split `val` or `test` in a row of metrics.csv, as text."""
        value = row.get(f"{part}_{self.column}")
        return "unknown" if value is None else self.format.format(value)


ACCURACY = Criterion("validation probe accuracy", "probe accuracy", "probe_accuracy", "{:.2%}")
RECONSTRUCTION = Criterion("validation reconstruction", "reconstruction", "recon", "{:.4f}")
LAST = RECONSTRUCTION._replace(name="last epoch")  # for one label without recorded validation losses
CRITERIA = {criterion.name: criterion for criterion in (ACCURACY, RECONSTRUCTION, LAST)}


def criterion_of(labels: Any) -> Criterion:
    """Returns the criterion for a validation split with these labels, an array [N]."""
    return ACCURACY if len(set(labels.tolist())) > 1 else RECONSTRUCTION


def best_by(results: dict[str, Any], rows: list[Row]) -> Criterion:
    """Returns the criterion of a run from the contents of its results.json and its metrics.csv.

    Runs of earlier versions did not record the criterion. For such a run, the criterion is the reconstruction loss if
    results.json has one class. If results.json has no number of classes, the criterion is the reconstruction loss if
    all accuracies of the probe are 100 %.
    """
    found = CRITERIA.get(results.get("best_by", ""))
    if found is None:
        accuracies = {row[f"{part}_probe_accuracy"] for row in rows for part in ("val", "test")}
        found = RECONSTRUCTION if results.get("classes", 1 if accuracies == {1} else 2) == 1 else ACCURACY
    if found is ACCURACY:
        return found
    return LAST if all(math.isinf(_reconstruction(row)) for row in rows) else RECONSTRUCTION


def best_row(rows: list[Row], by: Criterion) -> Row:
    """Returns the row of the best epoch. `rows` must not be empty."""

    def rank(row: Row) -> tuple[float, float, float]:
        accuracy = row["val_probe_accuracy"] if by is ACCURACY else 0.0
        return accuracy, -_reconstruction(row), row["epoch"]

    return max(rows, key=rank)


def best_kept(rows: list[Row], by: Criterion, steps: Collection[int]) -> Row | None:
    """Returns the row of the best among the epochs that ended at one of the `steps`; None if no epoch did."""
    kept = [row for row in rows if row["step"] in steps]
    return best_row(kept, by) if kept else None


def _reconstruction(row: Row) -> float:
    """Returns the validation reconstruction loss; infinity if it is missing or not finite."""
    value = row.get("val_recon", math.inf)
    return value if math.isfinite(value) else math.inf
