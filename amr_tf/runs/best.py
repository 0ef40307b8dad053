"""The best epoch of a run, which decides the kept checkpoint, `--checkpoint=best` and the reported numbers.

The best epoch has the highest validation accuracy of the probe. If all validation labels are equal, accuracy has no
meaning, and the best epoch has the lowest validation reconstruction loss. Ties in accuracy are decided by
reconstruction loss, and further ties by the later epoch.
"""

import math
from collections.abc import Collection
from typing import Any, NamedTuple

Row = dict[str, float]


class Criterion(NamedTuple):
    """Criterion of the best epoch of a run.

    Attributes:
        name: in results.json, on model cards and in messages.
        measure: the name of its number.
        column: the number's column in metrics.csv, after `val_` or `test_`.
        format: of the number as text.
    """

    name: str
    measure: str
    column: str
    format: str

    def shown(self, row: Row, part: str) -> str:
        """Returns the number of the split `val` or `test` in a row as text."""
        value = row.get(f"{part}_{self.column}")
        return "unknown" if value is None else self.format.format(value)


ACCURACY = Criterion("validation probe accuracy", "probe accuracy", "probe_accuracy", "{:.2%}")
RECONSTRUCTION = Criterion("validation reconstruction", "reconstruction", "recon", "{:.4f}")
LAST = RECONSTRUCTION._replace(name="last epoch")  # one label, and no validation reconstruction was recorded
CRITERIA = {criterion.name: criterion for criterion in (ACCURACY, RECONSTRUCTION, LAST)}


def criterion_of(labels: Any) -> Criterion:
    """Returns the criterion for a validation split with these labels, an array [N]."""
    return ACCURACY if len(set(labels.tolist())) > 1 else RECONSTRUCTION


def best_by(results: dict[str, Any], rows: list[Row]) -> Criterion:
    """Returns the criterion of a run with this results.json and these rows of metrics.csv.

    Runs of earlier versions did not record it. They count as having one label if they have
    one class or, in still earlier versions, if the probe was always right.
    """
    found = CRITERIA.get(results.get("best_by", ""))
    if found is None:
        accuracies = {row[f"{part}_probe_accuracy"] for row in rows for part in ("val", "test")}
        found = RECONSTRUCTION if results.get("classes", 1 if accuracies == {1} else 2) == 1 else ACCURACY
    if found is ACCURACY:
        return found
    return LAST if all(math.isinf(_reconstruction(row)) for row in rows) else RECONSTRUCTION


def best_row(rows: list[Row], by: Criterion) -> Row:
    """Returns the row of the best epoch; `rows` has at least one."""

    def rank(row: Row) -> tuple[float, float, float]:
        accuracy = row["val_probe_accuracy"] if by is ACCURACY else 0.0
        return accuracy, -_reconstruction(row), row["epoch"]

    return max(rows, key=rank)


def best_kept(rows: list[Row], by: Criterion, steps: Collection[int]) -> Row | None:
    """Returns the row of the best epoch among those that ended at one of the `steps`, or None."""
    kept = [row for row in rows if row["step"] in steps]
    return best_row(kept, by) if kept else None


def _reconstruction(row: Row) -> float:
    """Returns the validation reconstruction loss; infinity if it is missing or not finite."""
    value = row.get("val_recon", math.inf)
    return value if math.isfinite(value) else math.inf
