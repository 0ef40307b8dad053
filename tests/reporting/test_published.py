"""The paper's numbers: their count, a few read off it, and lambda as the presets have it."""

import pytest

from amr_tf.reporting.groups import cell_key
from amr_tf.reporting.published import BEST_VALIDATION, LAST_TESTS, TABLES, Published
from amr_tf.reporting.tables import published_settings


def cells(table):
    return {(cell.column, cell.row): cell for cell in TABLES[table].cells}


def test_every_cell_is_there():
    counts = {name: len(table.cells) for name, table in TABLES.items()}
    assert counts == {"1": 17, "2": 27, "3": 6, "low_data": 20}
    unpublished = {name for name, table in TABLES.items() for cell in table.cells if not cell.published}
    assert unpublished == {"low_data"}


@pytest.mark.parametrize(
    ("table", "column", "row", "number"),
    [
        ("1", "MNIST, d_h = 32", "AMR mixup k=2", (98.01, 0.10, 10)),
        ("1", "SVHN, d_h = 32", "AMR mixup k=3", (47.34, 3.79, 10)),
        ("2", "SVHN, d_h = 256", "AMR mixup k=8", (75.71, 1.29, 5)),
        ("2", "CIFAR-10, d_h = 1024", "ACAI as published", (63.99, 0.47, None)),
        ("3", "dSprites, flat code of 10", "AMR Bernoulli k=3", (56.00, 0.91, 1)),
        ("3", "dSprites, flat code of 10", "VAE", (68.00, 3.89, None)),
    ],
)
def test_numbers_of_the_paper(table, column, row, number):
    assert cells(table)[column, row].published == Published(*number)


def test_each_number_is_compared_with_what_was_measured():
    assert cells("1")["MNIST, d_h = 32", "ACAI as published"].figure == LAST_TESTS
    assert cells("1")["MNIST, d_h = 32", "ACAI rerun"].figure == BEST_VALIDATION
    assert {cell.figure for cell in TABLES["3"].cells} == {"amr_dfv"}


@pytest.mark.parametrize(
    "cell", [cell for table in TABLES.values() for cell in table.cells], ids=lambda c: c.preset
)
def test_each_cell_has_its_preset_with_the_published_lambda(cell):
    settings = published_settings(cell)
    assert settings is not None
    if cell.published and cell.published.lambda_ is not None:
        assert settings.lambda_ == cell.published.lambda_


def test_no_two_cells_of_a_table_take_the_same_runs():
    for table in TABLES.values():
        keys = [cell_key(published_settings(cell)) for cell in table.cells]
        assert len(set(keys)) == len(keys)
