"""The paper's tables: the published number and the preset of each cell, read from published.csv, and the protocols."""

import csv
import json
import pathlib
from typing import NamedTuple

# Names of the numbers of a run that `groups.figure` computes.
VALIDATION_LOSS = "validation_reconstruction"  # of runs without labels
BEST_VALIDATION, TEST_AT_BEST, LAST_TESTS = "best_validation", "test_at_best", "last_tests"
RECON_VALIDATION, RECON_TEST = "validation_reconstruction", "test_reconstruction"
LAST = 20  # ACAI reports the median of this number of last evaluations

PROTOCOL = (
    "Measured as in the paper: the highest validation accuracy of the linear probe over training, in %, mean +- sd "
    "over seeds (ddof 1; the paper has three). Beside it the test accuracy at that epoch, by which nothing is chosen."
)
RECON_PROTOCOL = (
    "Where all validation examples have one label, accuracies say nothing: the best epoch has the lowest validation "
    "reconstruction loss. That loss is shown, mean +- sd over seeds (ddof 1), with the test loss at that epoch beside "
    "it. Losses of different --recon_loss do not compare."
)
ACAI_PROTOCOL = (
    "'ACAI as published' follows the ACAI paper: test accuracy, the median of each run's last "
    f"{LAST} evaluations."
)
WHOSE = (
    "The paper's settings are those of the text or, where it gives none, those of the scripts of the reference "
    "implementation."
)
DFV_CEILING = (
    "amr_dfv, the score of the paper's Table 3, leaves posY out of its numerator: its ceiling is 80 %, and a "
    "collapsed code scores 80 %. factor_vae is the correct metric."
)


class Published(NamedTuple):
    """A published number in %. `lambda_` is the loss weight lambda, which the paper prints in brackets."""

    mean: float
    sd: float
    lambda_: float | None = None


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        column, row: titles of the cell's column and row.
        preset: path of the preset that trains the runs of this cell.
        published: the published number, or None if the sources of this project do not contain it.
        figure: the name of the number of a run that is compared with the published number.
        note: footnote of the published number.
        whose: "the paper's" if all settings of the preset are from the paper or, if the paper does not state them, from
            the scripts of the reference implementation. "the preset's" if this is not so.
    """

    column: str
    row: str
    preset: str
    published: Published | None
    figure: str
    note: str
    whose: str


class Table(NamedTuple):
    """A table of the paper; `beside` names a second number of a run, shown next to the one that is compared."""

    title: str
    protocol: str
    beside: str
    beside_title: str
    cells: tuple[Cell, ...]


def _cells(table: str) -> tuple[Cell, ...]:
    cells = []
    with open(pathlib.Path(__file__).with_suffix(".csv"), newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            numbers = [json.loads(row[name]) for name in ("mean", "sd", "lambda") if row[name]]
            published = Published(*numbers) if numbers else None
            if row["table"] == table:
                texts = (row["column"], row["row"], row["preset"])
                cells.append(Cell(*texts, published, row["figure"], row["note"], row["whose"]))
    return tuple(cells)


_PROBE = (TEST_AT_BEST, "test at that epoch")
_PROTOCOL = f"{PROTOCOL} {ACAI_PROTOCOL} {WHOSE}"
TABLES = {
    "1": Table("Table 1: accuracy of the probe, d_h = 32", _PROTOCOL, *_PROBE, _cells("1")),
    "2": Table("Table 2: accuracy of the probe, larger codes", _PROTOCOL, *_PROBE, _cells("2")),
    "3": Table(
        "Table 3: disentanglement on dSprites",
        f"Measured: the evaluated amr_dfv in %, mean +- sd over seeds (ddof 1). {DFV_CEILING} {WHOSE}",
        "factor_vae",
        "factor_vae",
        _cells("3"),
    ),
    "low_data": Table(
        "Low data: accuracy of the probe on few examples of SVHN",
        PROTOCOL,
        *_PROBE,
        _cells("low_data"),
    ),
}
