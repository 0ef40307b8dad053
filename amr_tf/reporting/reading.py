"""Run folders as they are on disk: which of them are meant, and what each one says of itself."""

import dataclasses
import glob
import math
import os
import pathlib
from typing import Any

from amr_tf.config import Config, ConfigError, flag_name
from amr_tf.runs.folder import NEEDED, RunError, read_rows
from amr_tf.runtime import files
from amr_tf.runtime.errors import printable

_FIELDS = {flag_name(field.name): field.name for field in dataclasses.fields(Config)}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        folder: as it is shown.
        path: as it is found.
        config: resolved settings; what does not decide numbers, such as folders, has its default.
        best: the row of the epoch with the best validation accuracy.
        rows: all rows of metrics.csv by epoch, at least one.
        scores: the headline of each evaluated metric that has one.
        checkpoints: from which checkpoint each of them was computed.
        commit: of the code, or "not recorded".
        data: what it was trained on, where results.json says more of it than the data set's name.
        device: what it ran on.
        versions: of the libraries.
        changed: when the last epoch was written, in seconds.
    """

    folder: str
    path: pathlib.Path
    config: Config
    best: dict[str, float]
    rows: list[dict[str, float]]
    scores: dict[str, float]
    checkpoints: dict[str, str]
    data: str
    commit: str
    device: str
    versions: str
    changed: float

    @property
    def epoch(self) -> int:
        """The last epoch that was finished."""
        return int(self.rows[-1]["epoch"])

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs

    @property
    def hours(self) -> float | None:
        """Time of the training steps, from the images/s of each epoch; None where a row has none."""
        seconds, before = 0.0, 0.0
        for row in self.rows:
            rate = row.get("images_per_second", 0)
            if not rate > 0:
                return None
            seconds += (float(row["step"]) - before) * self.config.batch_size / rate
            before = row["step"]
        return seconds / 3600

    @property
    def interpolations(self) -> pathlib.Path | None:
        """The newest picture of interpolations."""
        return max(self.path.glob(f"images/epoch_{'[0-9]' * 5}_interpolations.png"), default=None)


def find(words: list[str]) -> list[pathlib.Path]:
    """The run folders that `words` name, each once: folders searched in depth, or patterns of such folders.

    Raises:
        RunError: a word names nothing, or nothing with a run in it.
    """
    found: dict[pathlib.Path, pathlib.Path] = {}
    for word in words:
        named = [pathlib.Path(word)] if os.path.exists(word) else _matches(word)
        folders = [
            results.parent
            for place in named
            for results in sorted(place.rglob("results.json"))
            if (results.parent / "flags.txt").is_file()
        ]
        if not folders:
            raise RunError(
                f"No run there, which is a folder with results.json and flags.txt. Received: {printable(word)}"
            )
        found |= {folder.resolve(): folder for folder in folders}
    return list(found.values())


def _matches(pattern: str) -> list[pathlib.Path]:
    names = sorted(glob.glob(pattern, recursive=True))
    if not names:
        raise RunError(f"No such folder, and no folder that fits the pattern. Received: {printable(pattern)}")
    return [pathlib.Path(name) for name in names]


def read(folder: pathlib.Path) -> Run:
    """What the run in `folder` says.

    Raises:
        RunError: results.json or metrics.csv is damaged; the message names the file.
    """
    path = folder / "results.json"
    try:
        content = files.read_json(path)
        config = _config(content["config"])
        best = {name: float(content["best"][name]) for name in NEEDED}
        metrics = dict(content.get("metrics") or {})
        run = Run(
            folder=printable(str(folder)),
            path=folder,
            config=config,
            best=best,
            rows=read_rows(folder / "metrics.csv"),
            scores={
                printable(name): score
                for name, found in metrics.items()
                if (score := _score(found)) is not None
            },
            checkpoints={
                printable(name): printable(_checkpoint(found, best["step"]))
                for name, found in metrics.items()
            },
            data=printable(str(content.get("data") or config.dataset)),
            commit=printable(str(content.get("commit") or "not recorded")),
            device=printable("; ".join(content.get("device") or ["not recorded"])),
            versions=printable(", ".join(f"{k} {v}" for k, v in dict(content.get("versions") or {}).items())),
            changed=(folder / "metrics.csv").stat().st_mtime,
        )
    except (OSError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RecursionError,
            ConfigError) as error:  # fmt: skip
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise RunError(f"The results cannot be read: {printable(str(path))}: {printable(reason)}") from error
    if not run.rows or not all(math.isfinite(value) for value in best.values()):
        raise RunError(f"The run has results.json but no finished epoch: {printable(str(folder))}")
    return run


def _config(values: dict[str, Any]) -> Config:
    """Settings by flag name; one that a later version added has its default."""
    unknown = sorted(set(values) - set(_FIELDS))
    if unknown:
        raise ValueError(f"unknown settings {', '.join(unknown)}")
    return Config(**{_FIELDS[name]: value for name, value in values.items()})


def _score(metric: dict[str, Any]) -> float | None:
    score = metric.get("score")
    if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
        return None
    return float(score)


def _checkpoint(metric: dict[str, Any], best_step: float) -> str:
    """Of what a metric was measured. A run that went on may have found a better epoch since."""
    checkpoint, step = metric.get("checkpoint"), metric.get("step")
    return (
        f"step {step}, the best then"
        if checkpoint == "best" and step not in (None, best_step)
        else str(checkpoint)
    )
