"""Measuring and drawing trained runs, as a request says that is made before TensorFlow is imported."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Request:
    """Metrics of each of some runs, and figures of all of them together.

    `places` are `data_dir` and `raw_dir` where the data have moved since training. `out` is the folder of
    the figures, by default in the first run. The metrics are written there too, or to a file of that name where no
    figure is requested.
    """

    folders: list[pathlib.Path]
    metrics: list[str]
    figures: list[str]
    checkpoint: str
    seed: int
    places: dict[str, str]
    out: str
    animate: bool
