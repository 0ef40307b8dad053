"""Where the lines of a chart go."""

import itertools
import math

import pytest

from amr_tf.reporting import curves, groups, reading
from amr_tf.runs.folder import read_rows, write_rows
from tests.reporting.run_folders import write_run


def test_a_mean_is_taken_where_all_runs_have_a_point():
    assert curves.mean_curve([[(10, 1.0), (20, 2.0), (30, 3.0)], [(10, 3.0), (20, 6.0)]]) == [
        (10, 2.0),
        (20, 4.0),
    ]
    assert curves.mean_curve([[(10, 1.0)], [(5, 3.0), (7, 6.0)]]) == [(5, 3.0), (7, 6.0)]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 2500, [0, 500, 1000, 1500, 2000, 2500]),
        (87.9, 92.9, [87, 88, 89, 90, 91, 92, 93]),
        (0.06, 0.14, [0.06, 0.08, 0.1, 0.12, 0.14]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 4, [-4, -2, 0, 2, 4]),
    ],
)
def test_ticks_are_round_and_reach_both_ends(low, high, expected):
    assert curves.ticks(low, high) == pytest.approx(expected)


def test_numbers_at_the_ends_do_not_cover_each_other():
    placed = curves.spread([100.0, 101.0, 50.0, 267.0, 268.0])
    assert placed[:3] == [100.0, 115.0, 50.0]
    assert placed[3:] == [253.0, 268.0], "pushed up from the axis"
    many = sorted(curves.spread([200.0] * 40))
    assert many[0] >= curves.TOP
    assert many[-1] <= curves.HEIGHT - curves.BOTTOM
    assert min(b - a for a, b in itertools.pairwise(many)) > 5


def test_lines_lie_where_their_values_are(tmp_path):
    """Accuracy 50, 60 % at steps 10, 20: from the middle of the axis to its right end, from bottom to top."""
    (group,) = groups.group([reading.read(write_run(tmp_path / "run", [0.5, 0.6]))])
    accuracy, reconstruction = curves.charts([group])
    assert accuracy.title == "lines: validation accuracy of the probe"
    assert [text for _, text in accuracy.x_ticks] == ["0", "5", "10", "15", "20"]
    assert [text for _, text in accuracy.y_ticks] == ["50", "52", "54", "56", "58", "60"]
    right, bottom = curves.WIDTH - curves.RIGHT, curves.HEIGHT - curves.BOTTOM
    middle = (curves.LEFT + right) / 2
    (line,) = accuracy.lines
    assert line.path == f"M{middle:.1f} {bottom:.1f} L{right:.1f} {curves.TOP:.1f}"
    assert line.runs == [], "one seed is its own mean"
    assert reconstruction.title == "lines: reconstruction of validation images (l1)"


def test_seeds_are_drawn_each_and_groups_are_told_apart_without_colour(tmp_path):
    folders = [
        write_run(tmp_path / f"{k}_{seed}", [0.5, 0.6 + seed / 10], k=k, seed=seed)
        for k in range(2, 22)
        for seed in (0, 1)
    ]
    chart = curves.charts(groups.group([reading.read(folder) for folder in folders]))[0]
    assert {len(line.runs) for line in chart.lines} == {2}
    assert [line.number for line in chart.lines] == list(range(1, 21))
    assert len({(line.colour, line.dash) for line in chart.lines}) == 20
    assert len({line.dash for line in chart.lines[:4]}) == 4


def test_losses_that_do_not_compare_have_charts_of_their_own(tmp_path):
    folders = [write_run(tmp_path / loss, [0.5, 0.6], recon_loss=loss) for loss in ("l1", "l2")]
    titles = [chart.title for chart in curves.charts(groups.group([reading.read(f) for f in folders]))]
    assert titles[1:] == [f"lines: reconstruction of validation images ({loss})" for loss in ("l1", "l2")]


def test_a_long_run_is_thinned_and_a_flat_one_drawn(tmp_path):
    long = write_run(tmp_path / "run", [0.5] * 2000)
    path = curves.charts(groups.group([reading.read(long)]))[0].lines[0].path
    assert path.count("L") < curves.POINTS
    assert path.split("L")[-1].startswith(f"{curves.WIDTH - curves.RIGHT:.1f} ")


def test_points_that_are_no_numbers_are_left_out():
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
def test_no_numbers_of_a_run_are_beyond_drawing(tmp_path, steps, values):
    folder = write_run(tmp_path / "run", [0.5, 0.6])
    rows = read_rows(folder / "metrics.csv")
    rows = [row | {"step": step, "val_recon": y} for row, step, y in zip(rows, steps, values, strict=True)]
    write_rows(folder / "metrics.csv", rows)
    for chart in curves.charts(groups.group([reading.read(folder)])):
        numbers = [x for x, _ in chart.x_ticks] + [y for y, _ in chart.y_ticks]
        assert all(map(math.isfinite, numbers))
        assert len({y for y, _ in chart.y_ticks}) >= 3
        assert "nan" not in chart.lines[0].path
