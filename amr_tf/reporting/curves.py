"""Training curves as SVG. Each group of runs has a thick line for the mean and a thin line for each run."""

import io
import math
import statistics
from typing import Any, NamedTuple

from amr_tf.plotting import charts
from amr_tf.reporting.groups import Group

WIDTH, HEIGHT, LETTERS = 480, 320, 14  # units of the SVG
POINTS = 200  # largest number of points of a line, which keeps pages of long runs small
# The colours are distinct for colour-blind readers, with a contrast of at least 4.5 : 1 on white. 5 colours and 4 dash
# patterns distinguish 20 lines. In addition, the number of a line is written at the line's end.
COLOURS = ("#0072B2", "#C04F00", "#007F5F", "#AA4499", "#000000")
DASHES: tuple[tuple[int, ...], ...] = ((), (8, 4), (2, 3), (10, 3, 2, 3))
LARGEST = 1e100  # Larger values are not drawn, because the limits of an axis would overflow.
NUMBER_HEIGHT = 0.06  # height of the number at a line's end, as a fraction of the axis

Points = list[tuple[float, float]]


class Line(NamedTuple):
    """The line of a group of runs in a chart; `number` is written at its end, `label` is its entry in the legend."""

    number: int
    label: str
    colour: str
    dash: tuple[int, ...]
    runs: list[Points]

    @property
    def mean(self) -> Points:
        """Mean over runs at the steps that all runs have in common; the longest run if there are no common steps."""
        by_step = [dict(points) for points in self.runs]
        shared = sorted(set.intersection(*(set(values) for values in by_step)))
        if not shared:
            return max(self.runs, key=len)
        return [(step, statistics.fmean(values[step] for values in by_step)) for step in shared]


class Chart(NamedTuple):
    """A chart and its legend."""

    title: str
    svg: str
    lines: list[Line]
    groups: list[Group]


def charts_of(groups: list[Group]) -> list[Chart]:
    """Draws charts of validation accuracy and of validation reconstruction loss.

    There is a chart of accuracy for each data set, and a chart of reconstruction for each data set and `recon_loss`.
    Groups whose labels are all equal are omitted from charts of accuracy.
    """
    found = []
    for dataset in dict.fromkeys(group.config.dataset for group in groups):
        members = [group for group in groups if group.config.dataset == dataset]
        title = f"{dataset}: validation accuracy of the probe"
        labelled = [group for group in members if group.by_accuracy]
        found.append(_chart(title, "accuracy, %", labelled, "val_probe_accuracy", 100))
        for loss in dict.fromkeys(group.config.recon_loss for group in members):
            alike = [group for group in members if group.config.recon_loss == loss]
            title = f"{dataset}: reconstruction of validation images ({loss})"
            found.append(_chart(title, f"reconstruction, {loss}", alike, "val_recon", 1))
    return [chart for chart in found if chart]


def _chart(title: str, y_label: str, groups: list[Group], column: str, scale: float) -> Chart | None:
    """Draws the chart of one column of metrics.csv; returns None if no run has values in this column."""
    curves = [
        (group, [points for run in group.counted if (points := _points(run.rows, column, scale))])
        for group in groups
    ]
    curves = [(group, runs) for group, runs in curves if runs]
    if not curves:
        return None
    lines = [
        Line(number + 1, group.label, COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)], runs)
        for number, (group, runs) in enumerate(curves)
    ]
    return Chart(title, _svg(draw(lines, y_label)), lines, [group for group, _ in curves])


@charts.default_style()
def draw(lines: list[Line], y_label: str) -> Any:
    """Draws lines over training steps as a Matplotlib figure."""
    from matplotlib.ticker import EngFormatter

    scale = charts.DPI / 72  # a unit of the SVG is a point
    figure = charts.figure(scale * WIDTH, scale * HEIGHT, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#ddd")
    axes.set_xlabel("training steps", fontsize=LETTERS)
    axes.set_ylabel(y_label, fontsize=LETTERS)
    axes.tick_params(labelsize=LETTERS)
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    for line in lines:
        thin = line.runs if len(line.runs) > 1 else []
        for points, width, opacity in [*((points, 0.9, 0.6) for points in thin), (line.mean, 2.4, 1)]:
            # Matplotlib scales dashes by the width of their line.
            dash = (0, tuple(length / width for length in line.dash)) if line.dash else "-"
            xs, ys = zip(*_thinned(points), strict=True)
            axes.plot(xs, ys, color=line.colour, linewidth=width, alpha=opacity, linestyle=dash)
    axes.set_xlim(0, max(1, *(step for line in lines for points in line.runs for step, _ in points)))
    axes.locator_params(nbins=6)
    low, high = axes.get_ylim()
    heights = spread([(line.mean[-1][1] - low) / (high - low) for line in lines])
    for line, height in zip(lines, heights, strict=True):
        text = {"color": line.colour, "fontsize": LETTERS, "va": "center"}
        axes.text(1.02, height, str(line.number), transform=axes.transAxes, **text)
    return figure


def _svg(figure: Any) -> str:
    """Renders a figure as SVG. Text is stored as text, and equal figures give equal files."""
    import matplotlib

    content = io.StringIO()
    with charts.default_style(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "amr_tf"}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _points(rows: list[dict[str, float]], column: str, scale: float) -> Points:
    """Returns (step, value) of each epoch with a value; step and value must not exceed LARGEST."""
    values = [(row["step"], scale * row[column]) for row in rows if column in row]
    return [(step, value) for step, value in values if abs(step) <= LARGEST and abs(value) <= LARGEST]


def _thinned(points: Points) -> Points:
    """Selects at most POINTS evenly spaced points, including the last point."""
    return points[::-1][:: math.ceil(len(points) / POINTS)][::-1]


def spread(heights: list[float]) -> list[float]:
    """Moves the heights, in [0, 1], of the numbers at the ends of lines, so that the numbers do not overlap."""
    gap = min(NUMBER_HEIGHT, 1 / len(heights))
    order = sorted(range(len(heights)), key=heights.__getitem__)
    placed, lowest, highest = list(heights), -math.inf, 1.0
    for index in order:
        placed[index] = lowest = max(placed[index], lowest + gap)
    for index in reversed(order):
        placed[index] = min(placed[index], highest)
        highest = placed[index] - gap
    return placed
