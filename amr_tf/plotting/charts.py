"""Matplotlib charts: labelled image grids, mixing masks and scatter plots.

Matplotlib is imported when the first chart is rendered. The module does not use pyplot and ignores matplotlibrc files.
"""

import contextlib
import itertools
import logging
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

DPI = 128  # a power of two, so that sizes in pixels are exact in inches
PANELS_A_ROW, PANEL = 4, 400  # number of panels per row; size of a panel in pixels
REACH = 1.2  # limit of both axes of 2-D plots; the points are in [-1, 1]
# Legend names and colours of real points and mixes, by the number of dimensions. 2-D data have the colours of Figure 12
# of the AMR paper. 3-D codes have the colours of the poster of the paper.
POINTS = {
    2: {"real points": "#1f77b4", "decoded mixes": "#ff7f0e"},
    3: {"codes of real examples": "#d62728", "mixed codes": "#1f77b4"},
}
LABEL_POINTS, LABEL_MARGIN = 7.5, 8  # font size of labels; pixels on both sides of a label
MASK_WIDTH, MASK_ROW, MASK_MARGIN = 1_200, 20, 80  # pixels


class Cloud(NamedTuple):
    """Data of a panel of `clouds`.

    `real` [N, 2] and `mixed` [M, 2] are points in [-1, 1]. With 3 instead of 2 columns, they are codes.
    """

    title: str
    real: np.ndarray
    mixed: np.ndarray


class Mask(NamedTuple):
    """Data of a panel of `masks`.

    `values` [K, n] in [0, 1] has K rows and n feature maps. `first` is the index of the first feature map on the axis.
    """

    title: str
    first: int
    values: np.ndarray


@contextlib.contextmanager
def default_style() -> Iterator[None]:
    """Applies Matplotlib's default settings while a figure is drawn or rendered."""
    # Matplotlib's log messages about caches, fonts and matplotlibrc files would mix with the output of a command.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        yield


def figure(width: float, height: float, **options) -> Any:
    """Returns an empty Matplotlib figure with the given size in pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure((width / DPI, height / DPI), dpi=DPI, **options)
    FigureCanvasAgg(made)
    return made


@default_style()
def picture(drawn) -> np.ndarray:
    """Renders a Matplotlib figure as an image, uint8 [H, W, 3]."""
    drawn.canvas.draw()
    return np.array(drawn.canvas.buffer_rgba())[..., :3]


@default_style()
def labelled(image: np.ndarray, labels: list[str]) -> np.ndarray:
    """Adds a label to the left of each row of an image grid. All rows have equal height.

    Args:
        image: image grid, uint8 [H, W, 3]. The right part of the result contains the unchanged pixels.
        labels: one label for each row, from top to bottom.

    Returns:
        uint8 [H, W', 3]. The width W' depends on the longest label.
    """
    height, width = image.shape[:2]
    drawn = figure(width, height)
    middles = 1 - (np.arange(len(labels)) + 0.5) / len(labels)
    texts = [
        drawn.text(0, middle, label, va="center", fontsize=LABEL_POINTS, linespacing=1.1)
        for middle, label in zip(middles, labels, strict=True)
    ]
    column = 2 * LABEL_MARGIN + math.ceil(max(text.get_window_extent().width for text in texts))
    drawn.set_size_inches((column + width) / DPI, height / DPI)
    for text in texts:
        text.set_x(LABEL_MARGIN / (column + width))
    drawn.figimage(image, column, 0, origin="upper")
    return picture(drawn)


@default_style()
def masks(panels: list[Mask], labels: list[str]) -> Any:
    """Draws one panel per mask, from top to bottom.

    Each panel has a labelled row for each combination of attributes, and a column for each feature map.
    """
    height = len(panels) * (MASK_ROW * len(labels) + MASK_MARGIN)
    drawn = figure(MASK_WIDTH, height, layout="constrained")
    grid = drawn.subplots(len(panels), squeeze=False)[:, 0]
    for axes, (title, first, values) in zip(grid, panels, strict=True):
        rows, columns = values.shape
        extent = (first - 0.5, first + columns - 0.5, rows - 0.5, -0.5)
        shown = axes.imshow(
            values, "viridis", aspect="auto", interpolation="nearest", vmin=0, vmax=1, extent=extent
        )
        axes.set_yticks(range(rows), labels, fontsize=LABEL_POINTS)
        axes.tick_params(axis="x", labelsize=LABEL_POINTS)
        axes.set_title(title, loc="left", fontsize="medium")
    grid[-1].set_xlabel("feature map")
    drawn.colorbar(shown, ax=grid, fraction=0.02, pad=0.01, label="share of the first parent")
    return drawn


@default_style()
def clouds(panels: list[Cloud]) -> Any:
    """Draws scatter plots of real points and mixes, PANELS_A_ROW panels per row. All panels must be 2-D, or all 3-D."""
    from matplotlib.lines import Line2D

    columns = min(PANELS_A_ROW, len(panels))
    rows = math.ceil(len(panels) / columns)
    spatial = panels[0].real.shape[1] == 3
    colours = POINTS[3 if spatial else 2]
    drawn = figure(PANEL * columns, (PANEL + 40) * rows + 40, layout="compressed")
    kind = {"projection": "3d"} if spatial else {}
    grid = drawn.subplots(rows, columns, squeeze=False, subplot_kw=kind)
    for axes, panel in itertools.zip_longest(grid.flat, panels):
        if panel is None:
            axes.remove()
            continue
        # Real points and mixes are one collection: Matplotlib sorts 3-D points by depth only within a collection.
        shown = np.repeat([*colours.values()], [len(panel.real), len(panel.mixed)])
        axes.scatter(*np.concatenate([panel.real, panel.mixed]).T, c=shown, s=4, linewidths=0)
        axes.set_title(panel.title, fontsize="medium")
        axes.tick_params(labelsize=LABEL_POINTS)
        if spatial:
            axes.set(xticklabels=[], yticklabels=[], zticks=[])
            axes.set_box_aspect(np.ptp(np.reshape(axes.get_w_lims(), (3, 2)), axis=1), zoom=0.9)
        else:
            axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    handles = [
        Line2D([], [], color=colour, marker="o", linestyle="", label=name) for name, colour in colours.items()
    ]
    drawn.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=LABEL_POINTS)
    return drawn
