"""Lines of charts are where their values are."""

import itertools

import pytest

from amr_tf.reporting import curves
from amr_tf.runs.folder import read_rows, write_rows
from tests.reporting.run_folders import grouped, write_run


@pytest.fixture
def figures(monkeypatch):
    """Returns the Matplotlib figures of the charts that a test draws."""
    drawn, draw = [], curves.draw
    monkeypatch.setattr(curves, "draw", lambda *given: drawn.append(draw(*given)) or drawn[-1])
    return drawn


def charts_of(*folders):
    return curves.charts_of(grouped(*folders))


@pytest.mark.parametrize(
    ("runs", "mean"),
    [
        ([[(10, 1.0), (20, 2.0), (30, 3.0)], [(10, 3.0), (20, 6.0)]], [(10, 2.0), (20, 4.0)]),
        ([[(10, 1.0)], [(5, 3.0), (7, 6.0)]], [(5, 3.0), (7, 6.0)]),
    ],
    ids=["shared steps", "no shared step"],
)
def test_mean_is_over_the_steps_of_all_runs(runs, mean):
    assert curves.Line(1, "", "", (), runs).mean == mean


def test_numbers_at_the_ends_do_not_cover_each_other():
    assert curves.spread([0.5, 0.51, 0.2, 0.99, 1.0]) == pytest.approx([0.5, 0.56, 0.2, 0.94, 1.0])
    many = sorted(curves.spread([0.3] * 40))
    assert 0 <= many[0] < many[-1] <= 1
    assert min(b - a for a, b in itertools.pairwise(many)) == pytest.approx(1 / 40)


def test_lines_are_where_their_values_are(tmp_path, figures):
    """Reconstruction by unlike losses has separate charts."""
    found = charts_of(*(write_run(tmp_path / loss, [0.5, 0.6], recon_loss=loss) for loss in ("l1", "l2")))
    titles = [f"lines: reconstruction of validation images ({loss})" for loss in ("l1", "l2")]
    assert [chart.title for chart in found] == ["lines: validation accuracy of the probe", *titles]
    for figure, values in zip(figures, ([50, 60], [1, 0.5], [1, 0.5]), strict=True):
        line = figure.axes[0].lines[0]  # a single seed is its own mean
        assert line.get_xydata().ravel().tolist() == pytest.approx([10, values[0], 20, values[1]])
        assert figure.axes[0].get_xlim() == (0, 20)


def test_svg_has_text_and_is_the_same_each_time(tmp_path):
    folder = write_run(tmp_path / "run", [0.5, 0.6])
    (first, *_), (again, *_) = charts_of(folder), charts_of(folder)
    assert first.svg == again.svg
    assert "training steps</text>" in first.svg
    assert "<dc:date>" not in first.svg


def test_groups_are_told_apart_without_colour(tmp_path, figures):
    folders = [
        write_run(tmp_path / f"{k}_{seed}", [0.5, 0.6 + seed / 10], k=k, seed=seed)
        for k in range(2, 22)
        for seed in (0, 1)
    ]
    lines = charts_of(*folders)[0].lines
    assert [line.number for line in lines] == list(range(1, 21))
    assert len({(line.colour, line.dash) for line in lines}) == 20
    assert len({line.dash for line in lines[:4]}) == 4
    axes = figures[0].axes[0]
    assert [text.get_text() for text in axes.texts] == [str(number) for number in range(1, 21)]
    widths = [line.get_linewidth() for line in axes.lines]
    assert widths == [0.9, 0.9, 2.4] * 20, "two seeds and their mean"


def test_a_long_run_is_thinned_and_keeps_its_end(tmp_path, figures):
    charts_of(write_run(tmp_path / "run", [0.5] * 2000))
    steps = figures[0].axes[0].lines[0].get_xdata()
    assert len(steps) <= curves.POINTS
    assert steps[-1] == 20_000


def test_values_that_are_not_numbers_are_left_out():
    rows = [{"step": 1, "val_recon": float("nan")}, {"step": 2, "val_recon": 0.5}, {"step": 3}]
    assert curves._points(rows, "val_recon", 1) == [(2, 0.5)]


@pytest.mark.parametrize(
    ("steps", "values"),
    [
        ((0, 0), (0.5, 0.6)),
        ((-3, -2), (0.5, 0.6)),
        ((1, 2), (0.5, 0.5 + 1e-12)),
        ((1, 2), (1e-13, 2e-13)),
        ((1, 2), (-1e308, 1e308)),
        ((1, 2), (-1e100, 1e100)),
        ((1, 1e308), (5e-324, 9.0)),
    ],
)
def test_extreme_numbers_can_be_drawn(tmp_path, steps, values):
    folder = write_run(tmp_path / "run", [0.5, 0.6])
    rows = read_rows(folder / "metrics.csv")
    rows = [row | {"step": step, "val_recon": y} for row, step, y in zip(rows, steps, values, strict=True)]
    write_rows(folder / "metrics.csv", rows)
    for chart in charts_of(folder):
        assert "nan" not in chart.svg
        assert "inf" not in chart.svg


def test_accuracy_of_runs_with_one_label_is_not_drawn(tmp_path):
    folder = write_run(tmp_path / "run", [1.0, 1.0], about={"classes": 1}, dataset="folder:faces")
    assert [chart.title for chart in charts_of(folder)] == [
        "folder:faces: reconstruction of validation images (l1)"
    ]
