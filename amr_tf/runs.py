"""The run folder: its name, what lies where in it, and how files get there whole.

flags.txt      starts the same run again            checkpoints/   weights, optimizers, step
metrics.csv    a row per epoch                      tensorboard/   scalars and images
results.json   the outcome and how it came about    images/        a picture per epoch
"""

import csv
import dataclasses
import io
import json
import os
import pathlib
from typing import Any

from amr_tf import command_line
from amr_tf.config import Config, flag_name
from amr_tf.errors import UserError


class RunError(UserError):
    """A run folder that cannot be used."""


class RunFolder:
    """One run's folder. Nothing is created before `start`."""

    def __init__(self, config: Config):
        self.config = config
        # Unlike pathlib's, this expanduser takes the name of an unknown user for a folder's.
        self.path = pathlib.Path(os.path.expanduser(config.run_dir or default_path(config)))
        self.flags = self.path / "flags.txt"
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.images = self.path / "images"
        self.epochs_before: int | None = None  # how many `flags.txt` asks for, once `check` has looked

    def check(self) -> None:
        """Refuses a folder that holds a run with other hyper-parameters. More epochs are a continuation.

        A folder in which no epoch was finished holds nothing to lose and is taken over.

        Raises:
            RunError: names each difference, or says why the folder cannot be read.
        """
        try:
            if not self.flags.exists() or not any(self.checkpoints.glob("ckpt-*")):
                return
        except OSError as error:
            raise RunError(f"The run folder cannot be read: {error}. Choose another --run_dir") from error
        before, _ = command_line.parse([f"--flagfile={self.flags.resolve()}"])
        old, new = before.hyperparameters(), self.config.hyperparameters()
        self.epochs_before = before.epochs
        changed = [name for name in new if new[name] != old[name] and name != "epochs"]
        if new["epochs"] < old["epochs"]:
            changed.append("epochs")
        if changed:
            differences = ", ".join(f"--{name}={new[name]} (there: {old[name]})" for name in changed)
            raise RunError(
                f"{self.path} holds a run with other settings: choose another --run_dir. Received: {differences}"
            )

    def start(self, sources: dict[str, str]) -> None:
        """Makes the folder and writes `flags.txt`, before the first step; one that already says so is left alone.

        Raises:
            RunError: the folder cannot be written to.
        """
        try:
            for folder in (self.path, self.checkpoints, self.tensorboard, self.images):
                folder.mkdir(parents=True, exist_ok=True)
            if self.config.epochs != self.epochs_before:
                write(self.flags, command_line.flagfile_text(self.config, sources))
        except OSError as error:
            raise RunError(f"The run folder cannot be written: {error}. Choose another --run_dir") from error


def default_path(config: Config) -> pathlib.Path:
    """runs/<dataset>/<model>_<mixer>_k<k>_lambda<lambda>[_<flag>-<value> that is not published ...]_s<seed>.

    Mixer and k are among the latter for models that mix in one way or not at all.
    """
    named = {"dataset", "model", "lambda_", "epochs", "seed"}
    parts = [config.model]
    if config.model == "amr":
        parts += [config.mixer, f"k{config.k}"]
        named |= {"mixer", "k"}
    parts.append(f"lambda{config.lambda_:g}")
    published = Config(model=config.model, dataset=config.dataset)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.name in named or field.metadata["place"] or value == getattr(published, field.name)):
            parts.append(f"{flag_name(field.name)}-{value}")
    return pathlib.Path("runs") / config.dataset / "_".join([*parts, f"s{config.seed}"])


def write(path: pathlib.Path, content: str | bytes) -> None:
    """Writes a file whole: under a temporary name beside it, synced, then renamed.

    Raises:
        OSError: nothing has changed at `path` then.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: pathlib.Path, content: dict[str, Any]) -> None:
    """Writes `content` as JSON, whole."""
    write(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_rows(path: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv by epoch, or none where it is absent.

    Raises:
        RunError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]
        return sorted(rows, key=lambda row: row["epoch"])
    except (OSError, ValueError, AttributeError, KeyError) as error:
        raise RunError(f"The metrics cannot be read: {path}: {error}") from error


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def write_rows(path: pathlib.Path, rows: list[dict[str, float]]) -> None:
    """Writes rows of equal keys as CSV, whole."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write(path, text.getvalue())
