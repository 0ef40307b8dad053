"""Evaluation of trained runs: metrics and figures. A `Request` can be created without importing TensorFlow."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Request:
    """Request for an evaluation: metrics of each run, and figures that show all runs together.

    `places` contains new values of `data_dir` and `raw_dir` if the data have moved since training. If `out` is None,
    figures are written to the sub-folder `figures` of the first run. If `results_file` is given, the results are also
    written to this JSON file, by run folder and name of the metric.
    """

    folders: list[pathlib.Path]
    metrics: list[str]
    figures: list[str]
    checkpoint: str
    seed: int
    places: dict[str, str]
    out: pathlib.Path | None
    results_file: pathlib.Path | None
    animate: bool
