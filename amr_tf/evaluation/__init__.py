"""Measuring and drawing trained runs, as a request says that is made before TensorFlow is imported."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Request:
    """Metrics of each of some runs, and figures of all of them together.

    `places` are `data_dir` and `raw_dir` of data that have moved since training. If `out` is not given, figures are
    written to the folder of the first run. `results_file` receives the results of the metrics by run folder and name.
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
