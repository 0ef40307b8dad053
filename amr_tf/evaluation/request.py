"""Request of an evaluation. It is made before TensorFlow is imported."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class Request:
    """Metrics and figures of some runs.

    Attributes:
        folders: run folders.
        metrics: names of metrics, computed for each run.
        figures: names of figures, drawn of all runs together.
        checkpoint: `best`, `last` or a number of steps.
        seed: of what metrics and figures draw.
        places: `data_dir` and `raw_dir`, where the data have moved since training.
        out: folder of the figures; empty for that of the first run.
        animate: draw figures as GIFs too.
    """

    folders: list[pathlib.Path]
    metrics: list[str]
    figures: list[str]
    checkpoint: str
    seed: int
    places: dict[str, str]
    out: str
    animate: bool
