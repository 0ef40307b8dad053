"""Run folders on disk: finds the folders that a command names, and reads their contents."""

import dataclasses
import math
import pathlib
from typing import Any

import numpy as np

from amr_tf.config import Config, ConfigError, aliases, flag_name
from amr_tf.runs.best import Criterion, best_by, best_row
from amr_tf.runs.folder import RunError, read_results, read_rows
from amr_tf.runtime import files
from amr_tf.runtime.errors import printable

# Numbers of a metric that are compared in addition to the metric's score, if it has one.
PARTS = {"lines": ("distance", "smoothness"), "reconstruction": ("mse",)}
_FIELDS = {flag_name(field.name): field.name for field in dataclasses.fields(Config)}


@dataclasses.dataclass(frozen=True)
class Run:
    """The contents of a run folder. All texts are printable.

    Attributes:
        config: resolved settings; settings that do not affect results, such as folders, have their defaults.
        best: the row of the best epoch.
        by: the criterion of the best epoch.
        rows: all rows of metrics.csv by epoch, at least one.
        scores: score of each evaluated metric that has one, and the numbers of PARTS, as `<metric>_<part>`.
        checkpoints: the checkpoint from which each metric was computed.
        right: bool [N], true for test examples that the probe on frozen codes classified correctly; None if this probe
            was not evaluated.
        data: name of the data from results.json, or the name of the data set if results.json has none.
        changed: time of the last change of metrics.csv, in seconds since 1970.
    """

    folder: str
    path: pathlib.Path
    config: Config
    best: dict[str, float]
    by: Criterion
    rows: list[dict[str, float]]
    scores: dict[str, float]
    checkpoints: dict[str, str]
    right: np.ndarray | None
    data: str
    commit: str
    device: str
    versions: str
    changed: float

    @property
    def epoch(self) -> int:
        """The last finished epoch."""
        return int(self.rows[-1]["epoch"])

    @property
    def finished(self) -> bool:
        return self.epoch >= self.config.epochs

    @property
    def hours(self) -> float | None:
        """Training time in hours, computed from the images/s of each epoch; None if an epoch has no such value."""
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
        """Path of the newest image of interpolations, or None."""
        return max(self.path.glob(f"images/epoch_{'[0-9]' * 5}_interpolations.png"), default=None)


def find(words: list[str]) -> list[pathlib.Path]:
    """Lists the run folders that `words` name, without duplicates.

    Args:
        words: folders that contain run folders at any depth, or patterns of such folders.

    Raises:
        RunError: a word matches no folder, or the folder contains no run.
    """
    found: dict[pathlib.Path, pathlib.Path] = {}
    for word in words:
        places = files.matching(word)
        if not places:
            raise RunError(f"No such folder, and none that matches the pattern. Received: {printable(word)}")
        folders = [
            results.parent
            for place in places
            for results in sorted(pathlib.Path(place).rglob("results.json"))
            if (results.parent / "flags.txt").exists()
        ]
        if not folders:
            raise RunError(f"No results.json beside a flags.txt. Received: {printable(word)}")
        found |= {folder.resolve(): folder for folder in folders}
    return list(found.values())


def read(folder: pathlib.Path) -> Run:
    """Reads a run folder.

    Raises:
        RunError: results.json or metrics.csv is damaged, or no epoch is finished. The message names the file or folder.
    """
    content, rows = read_results(folder / "results.json"), read_rows(folder / "metrics.csv")
    if not rows or "best" not in content:
        raise RunError(f"The run has no finished epoch. Received: {printable(str(folder))}. Train it further")
    config, by = _config(folder, content), best_by(content, rows)
    best = best_row(rows, by)
    metrics = {aliases.METRICS.get(name, name): found for name, found in content.get("metrics", {}).items()}
    numbers = {
        name if part == "score" else f"{name}_{part}": (found, part)
        for name, found in metrics.items()
        for part in ("score", *PARTS.get(name, ()))
    }
    scores = {
        printable(name): score
        for name, (found, part) in numbers.items()
        if (score := _number(found.get(part))) is not None
    }
    device, versions = content.get("device") or "not recorded", content.get("versions", {})
    return Run(
        folder=printable(str(folder)),
        path=folder,
        config=config,
        best=best,
        by=by,
        rows=rows,
        scores=scores,
        checkpoints={
            printable(name): _checkpoint(found, best["step"]) for name, (found, _) in numbers.items()
        },
        right=_right(metrics.get("probe", {}).get("right")),
        data=printable(str(content.get("data") or config.dataset)),
        commit=printable(str(content.get("commit") or "not recorded")),
        device=printable("; ".join(map(str, device)) if isinstance(device, list) else str(device)),
        versions=printable(", ".join(f"{name} {version}" for name, version in versions.items())),
        changed=(folder / "metrics.csv").stat().st_mtime,
    )


def _config(folder: pathlib.Path, content: dict[str, Any]) -> Config:
    """Returns the settings in results.json, which are stored by flag name. Missing settings have their defaults."""
    values = content.get("config", {})
    unknown = sorted(set(values) - set(_FIELDS) - set(aliases.REMOVED))
    try:
        if unknown or not values:
            raise ConfigError(f"unknown settings {', '.join(unknown)}" if unknown else "no settings")
        return Config(**{_FIELDS[name]: value for name, value in values.items() if name in _FIELDS})
    except ConfigError as error:
        path = printable(str(folder / "results.json"))
        raise RunError(f"The results cannot be read: {path}: {printable(str(error))}") from error


def _right(recorded: Any) -> np.ndarray | None:
    """Unpacks the bits that `metrics.probe` recorded; returns None if the record is missing or invalid."""
    try:
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(recorded["bits"]), np.uint8))
        return bits[: recorded["examples"]].astype(bool)
    except (TypeError, KeyError, ValueError, IndexError):
        return None


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _checkpoint(metric: dict[str, Any], best_step: float) -> str:
    """Names the checkpoint from which a metric was computed. In a resumed run, a later epoch may be the best by now."""
    checkpoint, step = metric.get("checkpoint"), metric.get("step")
    older = checkpoint == "best" and step not in (None, best_step)
    return printable(f"step {step}, the best then" if older else str(checkpoint))
