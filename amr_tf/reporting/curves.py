"""Training curves as points of an SVG: axes, ticks, a line for each group and thin ones for its seeds."""

import math
import statistics
from typing import NamedTuple

from amr_tf.reporting.groups import Group

WIDTH, HEIGHT = 480, 320
LEFT, RIGHT, TOP, BOTTOM = 62, 34, 12, 52  # margins around the plot, in which ticks and numbers stand
POINTS = 300  # of a line at most, so that a page of long runs stays small
# Distinct for the colour-blind and at least 4.5 : 1 on white. There is one dash less than colours, so that the two
# together tell twenty lines apart; and every line ends in its number.
COLOURS = ("#0072B2", "#C04F00", "#007F5F", "#AA4499", "#000000")
DASHES = ("", "8 4", "2 3", "10 3 2 3")

LARGEST = 1e100  # that is drawn; the largest of all leave no room for sums and margins
FLAT = 1e-9  # of the size of values that differ by less, or of 1, the axis shows no difference

Points = list[tuple[float, float]]


class Line(NamedTuple):
    """A group's line: mean over its runs, each run, and where its number stands."""

    number: int
    label: str
    colour: str
    dash: str
    path: str
    runs: list[str]
    number_y: float


class Chart(NamedTuple):
    """What the template draws; all positions are in units of the SVG."""

    title: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]
    groups: list[Group]


def charts(groups: list[Group]) -> list[Chart]:
    """Validation accuracy for each data set, and reconstruction for each data set and reconstruction loss."""
    found = []
    for dataset in dict.fromkeys(group.config.dataset for group in groups):
        members = [group for group in groups if group.config.dataset == dataset]
        title = f"{dataset}: validation accuracy of the probe"
        found.append(_chart(title, "accuracy, %", members, "val_probe_accuracy", 100))
        for loss in dict.fromkeys(group.config.recon_loss for group in members):
            alike = [group for group in members if group.config.recon_loss == loss]
            title = f"{dataset}: reconstruction of validation images ({loss})"
            found.append(_chart(title, f"reconstruction, {loss}", alike, "val_recon", 1))
    return [chart for chart in found if chart]


def _chart(title: str, y_label: str, groups: list[Group], column: str, scale: float) -> Chart | None:
    """None where no run has that column."""
    curves = [
        (group, [points for run in group.counted if (points := _points(run.rows, column, scale))])
        for group in groups
    ]
    curves = [(group, runs) for group, runs in curves if runs]
    if not curves:
        return None
    everything = [point for _, runs in curves for points in runs for point in points]
    xs, ys = ticks(0, max(1, *(x for x, _ in everything))), ticks(*_extent([y for _, y in everything]))
    means = [mean_curve(runs) for _, runs in curves]

    def place(point: tuple[float, float]) -> tuple[float, float]:
        (x, y), (right, low, high) = point, (xs[-1], ys[0], ys[-1])
        across, up = x / right, (y - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    ends = spread([place(points[-1])[1] for points in means])
    lines = [
        Line(
            number + 1,
            group.label,
            COLOURS[number % len(COLOURS)],
            DASHES[number % len(DASHES)],
            _path([place(point) for point in means[number]]),
            [_path([place(point) for point in points]) for points in runs] if len(runs) > 1 else [],
            ends[number],
        )
        for number, (group, runs) in enumerate(curves)
    ]
    return Chart(
        title,
        y_label,
        [(place((x, ys[0]))[0], f"{x:,g}" if x < 1e6 else f"{x / 1e6:g}M") for x in xs],
        [(place((0, y))[1], f"{y:g}") for y in ys],
        lines,
        [group for group, _ in curves],
    )


def _points(rows: list[dict[str, float]], column: str, scale: float) -> Points:
    """(step, value) of the epochs that have a value which can be drawn."""
    values = [(row["step"], scale * row[column]) for row in rows if column in row]
    return [(step, value) for step, value in values if abs(step) <= LARGEST and abs(value) <= LARGEST]


def mean_curve(runs: list[Points]) -> Points:
    """The mean over runs at each step that all of them have, or the longest run where they share none."""
    by_step = [dict(points) for points in runs]
    shared = sorted(set.intersection(*(set(values) for values in by_step)))
    if not shared:
        return max(runs, key=len)
    return [(step, statistics.fmean(values[step] for values in by_step)) for step in shared]


def _extent(values: list[float]) -> tuple[float, float]:
    """The limits of an axis; values that are all but one get room on both sides."""
    low, high = min(values), max(values)
    size = max(abs(low), abs(high), 1)
    return (low, high) if high - low > FLAT * size else (low - size / 10, high + size / 10)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers at equal distances, the first at most `low` and the last at least `high`."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def spread(heights: list[float]) -> list[float]:
    """The heights of numbers beside the ends of lines, moved apart so that none covers another."""
    room = HEIGHT - BOTTOM - TOP
    gap = min(15.0, room / len(heights))
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    placed = list(heights)
    for before, index in zip([None, *order], order, strict=False):
        if before is not None:
            placed[index] = max(placed[index], placed[before] + gap)
    lowest: float = HEIGHT - BOTTOM
    for index in reversed(order):
        placed[index] = min(placed[index], lowest)
        lowest = placed[index] - gap
    return placed


def _path(points: Points) -> str:
    """The line through at most POINTS of the points, evenly spaced among them, the last always."""
    stride = math.ceil(len(points) / POINTS)
    kept = points[::-1][::stride][::-1]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in kept)
