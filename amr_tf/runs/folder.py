"""The run folder: its name, what lies where in it, and who holds it.

flags.txt      starts the same run again            checkpoints/   weights, optimizers, step (checkpoints.py)
data.json      what its data are (data_record.py)   tensorboard/   scalars, pictures, settings, graph
metrics.csv    a row per epoch                      images/        pictures of some epochs
results.json   the outcome and how it came about    .process.json  which process holds
.lock          held by the process that trains
"""

import contextlib
import csv
import dataclasses
import datetime
import io
import json
import math
import os
import pathlib
import shutil
import socket
from collections.abc import Iterator
from typing import Any

import filelock

from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.config.rules import FOLDER
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError

LEFTOVERS = ".*.tmp"  # what a killed process was writing
NEEDED = ("epoch", "step", "val_probe_accuracy", "test_probe_accuracy")  # of every row of metrics.csv


class RunError(UserError):
    """A run folder that cannot be used."""


class InUseError(RunError):
    """A run folder in which another process trains."""


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
        self.config_before: Config | None = None  # what `flags.txt` says, once it has been compared

    def newest_step(self) -> int:
        """Returns the step of the newest checkpoint, 0 where there is none."""
        return max(map(step_of, checkpoints_in(self.checkpoints)), default=0)

    def check(self) -> None:
        """Refuses a folder that is in use or holds a run with other hyper-parameters. More epochs are a continuation
        where no schedule ends with them.

        A folder in which nothing was saved holds nothing to lose and is taken over.

        Raises:
            InUseError: names the process.
            RunError: names each difference, or says why the folder cannot be read.
        """
        with _refusing_os_errors("read"):
            self._check_permissions()
            if (self.path / ".lock").exists():
                self._acquire(timeout=0).release()
            self._compare()

    def _check_permissions(self) -> None:
        """Refuses now what would only fail at the first checkpoint."""
        made_in = next((folder for folder in (self.path, *self.path.parents) if folder.is_dir()), self.path)
        for folder in (made_in, self.checkpoints, self.tensorboard, self.images):
            if folder.is_dir() and not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise RunError(
                    f"No permission to read and write {folder}: set it right, or choose another --run_dir"
                )
        for file in (self.flags, self.metrics):
            if file.is_file() and not os.access(file, os.R_OK):
                raise RunError(f"No permission to read {file}: set it right, or choose another --run_dir")

    def _compare(self) -> None:
        if not checkpoints_in(self.checkpoints):
            kept = [path.name for path in (self.metrics, self.results) if path.exists()]
            if kept or any(self.checkpoints.glob("damaged_*")):
                raise RunError(
                    f"{self.path} holds the results of a run but no checkpoint to go on from: bring it back, or choose "
                    f"another --run_dir. Received: {', '.join(kept) or 'damaged checkpoints only'}"
                )
            self._refuse_foreign_files()
            return
        if not self.flags.exists():
            raise RunError(
                f"{self.path} holds checkpoints but no flags.txt that says of what: bring it back, or choose another "
                "--run_dir"
            )
        try:
            before, _ = command_line.parse_file(self.flags)
        except ConfigError as error:
            raise RunError(f"{self.flags} cannot be used: {error}") from error
        old, new = before.hyperparameters(), self.config.hyperparameters()
        self.config_before = before
        changed = [name for name in new if new[name] != old[name]]
        # A schedule that ends with the run has no way on from there.
        if new["epochs"] > old["epochs"] and new["schedule"] == "constant":
            changed.remove("epochs")
        if changed:
            differences = ", ".join(f"--{name}={new[name]} (there: {old[name]})" for name in changed)
            raise RunError(
                f"{self.path} holds a run with other settings: choose another --run_dir. Received: {differences}"
            )

    def _refuse_foreign_files(self) -> None:
        """A folder without a `flags.txt` of ours that is not empty is no run's: nothing in it may be swept away."""
        if not self.path.is_dir() or self._wrote_flags():
            return
        parts = (self.checkpoints, self.tensorboard, self.images)
        own = {
            ".lock",
            ".process.json",
            *(part.name for part in parts if part.is_dir() and not any(part.iterdir())),
        }
        foreign = sorted(p.name for p in self.path.iterdir() if p.name not in own and not p.match(LEFTOVERS))
        if foreign:
            raise RunError(
                f"{self.path} holds other files and no run: choose another --run_dir. There: {', '.join(foreign[:3])}"
            )

    def _wrote_flags(self) -> bool:
        """Whether `flags.txt` is there and none that the user wrote."""
        if not self.flags.exists():
            return False
        with open(files.regular(self.flags), "rb") as file:
            return file.readline(1000).rstrip() == command_line.OWN_FIRST_LINE.encode()

    @contextlib.contextmanager
    def started(self, sources: dict[str, str]) -> Iterator[None]:
        """Makes the folder, holds it against other processes and writes `flags.txt`, before the first step.

        What a killed process was in the middle of writing is swept away.

        Raises:
            RunError: the folder cannot be written to, another process holds it, or it holds another run.
        """
        with _refusing_os_errors("written"):
            self.path.mkdir(parents=True, exist_ok=True)
            lock = self._acquire(timeout=1)  # another process may be in `check`
        try:
            with _refusing_os_errors("written"):
                self._compare()  # once more: another process may have been here since `check`
                self._prepare(sources)
            yield
        finally:
            with contextlib.suppress(OSError):
                self._process.unlink(missing_ok=True)
            lock.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from writing to the folder for a moment.

        Raises:
            RunError: one is training the run.
        """
        with _refusing_os_errors("written"):
            lock = self._acquire(timeout=1)
            try:
                yield
            finally:
                lock.release()

    def read_results(self) -> dict[str, Any]:
        """What results.json says; nothing where it is absent.

        Raises:
            RunError: the file is damaged.
        """
        if not self.results.exists():
            return {}
        try:
            results = files.read_json(self.results)
            _check_results(results)
            return results
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise RunError(
                f"The results cannot be read, and are left as they are: {self.results}: {error}. Bring back a copy"
            ) from error

    def _acquire(self, timeout: float) -> filelock.FileLock:
        lock = filelock.FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=timeout)
        except filelock.Timeout:
            raise InUseError(
                f"{self.path} is in use by {self._holder()}: wait for it, or choose another --run_dir"
            ) from None
        return lock

    @property
    def _process(self) -> pathlib.Path:
        return self.path / ".process.json"

    def _holder(self) -> str:
        try:
            holder = json.loads(self._process.read_bytes())
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            return "another process"

    def _prepare(self, sources: dict[str, str]) -> None:
        since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        files.write_json(self._process, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
        parts = (self.checkpoints, self.tensorboard, self.images)
        for folder in parts:
            folder.mkdir(exist_ok=True)
        for left in [*self.path.glob(LEFTOVERS), *(left for part in parts for left in part.rglob(LEFTOVERS))]:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        if self.config != self.config_before:
            files.write(self.flags, command_line.flagfile_text(self.config, sources))


@contextlib.contextmanager
def _refusing_os_errors(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(f"The run folder cannot be {doing}: {error}. Choose another --run_dir") from error


def checkpoints_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints in a folder by step."""
    return sorted((p for p in folder.glob("step_*") if p.name[5:].isdecimal()), key=step_of)


def step_of(checkpoint: pathlib.Path) -> int:
    """The step after which a checkpoint was saved, from its name."""
    return int(checkpoint.name.removeprefix("step_"))


def default_path(config: Config) -> pathlib.Path:
    """runs/<dataset>/<model>_<mixer>_k<k>_lambda<lambda>[_<flag>-<value> that is not published ...]_s<seed>.

    Mixer and k are among the latter for models that mix in one way or not at all. A folder of pictures goes by its last
    part.
    """
    named = {"dataset", "model", "lambda_", "epochs", "seed"}
    parts = [config.model]
    if config.model == "amr":
        parts += [config.mixer, f"k{config.k}"]
        named |= {"mixer", "k"}
    parts.append(f"lambda{config.lambda_:g}")
    if config.schedule != "constant":
        named.remove("epochs")  # they decide its numbers from the first step on
    published = Config(model=config.model, dataset=config.dataset)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.name in named or field.metadata["runtime"] or value == getattr(published, field.name)):
            parts.append(f"{flag_name(field.name)}-{value}")
    pictures = config.dataset.removeprefix(FOLDER)
    named_folder = f"folder_{os.path.basename(os.path.abspath(os.path.expanduser(pictures)))}"
    dataset = config.dataset if pictures == config.dataset else named_folder
    return pathlib.Path("runs") / dataset / "_".join([*parts, f"s{config.seed}"])


def read_rows(path: pathlib.Path) -> list[dict[str, float]]:
    """The rows of a metrics.csv by epoch, or none where it is absent.

    Raises:
        RunError: the file is damaged.
    """
    if not path.exists():
        return []
    try:
        with open(files.regular(path), newline="", encoding="utf-8") as file:
            rows = [
                {name: _number(value) for name, value in row.items() if value != ""}
                for row in csv.DictReader(file)
            ]
        for row in rows:  # what a run is taken up by
            if not all(math.isfinite(row[name]) for name in NEEDED):
                raise ValueError("a number that is not finite")
        return sorted(rows, key=lambda row: row["epoch"])
    except KeyError as error:
        raise RunError(
            f"The metrics cannot be read: {path}: a row has no {error}. Bring back a copy"
        ) from error
    except (OSError, ArithmeticError, ValueError, AttributeError, TypeError, csv.Error) as error:
        raise RunError(f"The metrics cannot be read: {path}: {error}. Bring back a copy") from error


def best_row(rows: list[dict[str, float]]) -> dict[str, float]:
    """The row of the epoch with the highest validation accuracy, the first of them where several have it."""
    return max(rows, key=lambda row: row["val_probe_accuracy"])


def _check_results(results: Any) -> None:
    """Raises ValueError, or AttributeError, where what others build on is of another form."""
    metrics, examples = results.get("metrics", {}), results.get("examples", {})
    if not all(isinstance(one, dict) for one in (metrics, *metrics.values(), results.get("versions", {}))):
        raise ValueError("no object of metrics")
    if not isinstance(examples, dict) or not all(isinstance(count, int) for count in examples.values()):
        raise ValueError("examples are no counts")
    shape, classes = results.get("image_shape", [1, 1, 1]), results.get("classes", 1)
    if not isinstance(shape, list) or len(shape) != 3:
        raise ValueError("image_shape is no height, width and channels")
    if not all(type(number) is int and number > 0 for number in (*shape, classes)):
        raise ValueError("image_shape or classes are no counts")


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() else float(text)


def write_rows(path: pathlib.Path, rows: list[dict[str, float]]) -> None:
    """Writes rows as CSV, whole. What a row does not have stays empty."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, text.getvalue())
