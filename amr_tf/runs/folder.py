"""Run folder: its name, its files and its lock. This module reads and validates the text files of a run.

flags.txt      all settings, as a flag file          checkpoints/   weights, optimizers, step (checkpoints.py)
data.json      identity of the data (data_record.py) tensorboard/   scalars, images, settings, graph
metrics.csv    a row per epoch                       images/        sample images of some epochs
results.json   results, versions and hardware        .process.json  the process that trains
log.txt        the output in the terminal            .lock          locked while a process trains
"""

import contextlib
import csv
import dataclasses
import datetime
import io
import math
import os
import pathlib
import shutil
import socket
from collections.abc import Callable, Iterator
from typing import Any

import filelock

from amr_tf.config import Config, ConfigError, aliases, command_line, flag_name
from amr_tf.registry import own_data
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError

OTHER, RESTORE = "Choose another --run_dir", "Restore a copy"
DAMAGE = (OSError, ValueError, csv.Error)
LEFTOVERS = ".*.tmp"  # names of temporary files, which a killed process leaves behind
NEEDED = ("epoch", "step", "val_probe_accuracy", "test_probe_accuracy")  # columns of every row of metrics.csv


class RunError(UserError):
    """A run folder that cannot be used."""


class InUseError(RunError):
    """A run folder in which another process trains."""


class RunFolder:
    """Folder of one run. The folder is created by `started`, not by the constructor."""

    def __init__(self, config: Config):
        self.config = config
        self.path = config.place("run_dir") or _default_folder(config)
        self.flags = self.path / command_line.OWN_NAME
        self.metrics = self.path / "metrics.csv"
        self.results = self.path / "results.json"
        self.log = self.path / "log.txt"
        self.checkpoints = self.path / command_line.CHECKPOINTS
        self.tensorboard = self.path / "tensorboard"
        self.images = self.path / "images"
        self.config_before: Config | None = None  # settings in flags.txt of a run that resumes
        self._parts = (self.checkpoints, self.tensorboard, self.images)
        self._process = self.path / ".process.json"

    def newest_step(self) -> int:
        """Returns the step of the newest checkpoint; 0 if there are no checkpoints."""
        return max(map(step_of, checkpoints_in(self.checkpoints)), default=0)

    def check(self) -> None:
        """Checks that the run can start or resume in its folder.

        A run can be resumed with more epochs if its `schedule` is constant. A folder of a run without checkpoints and
        results is reused.

        Raises:
            InUseError: another process trains in the folder. The message names the process.
            RunError: the folder contains a run with other hyper-parameters or foreign files, or cannot be used. The
                message names the differences or the reason.
        """
        with _refused("The run folder cannot be read", OTHER):
            for path in (self.path, *self._parts):
                if os.path.lexists(path) and not path.is_dir():
                    raise RunError(f"Not a folder. Received: {path}. {OTHER}")
            # Permissions are checked now, because otherwise the first save would fail.
            made_in = next((path for path in (self.path, *self.path.parents) if path.is_dir()), self.path)
            for path in (made_in, *self._parts, self.flags, self.metrics):
                needed = os.R_OK | (os.W_OK | os.X_OK if path.is_dir() else 0)
                if path.exists() and not os.access(path, needed):
                    raise RunError(
                        f"No permission to use {path.absolute()}. Set it, or choose another --run_dir"
                    )
            if (self.path / ".lock").exists():
                with self._acquire(timeout=0):
                    pass
            self._compare()

    def _compare(self) -> None:
        """Raises RunError if this run can neither start nor resume in the folder."""
        saved = bool(checkpoints_in(self.checkpoints))
        outcome = [path.name for path in (self.metrics, self.results) if path.exists()]
        outcome += sorted(path.name for path in self.checkpoints.glob("damaged_*"))
        foreign = [] if saved or outcome else self._foreign_files()
        refusals = (
            (not saved and outcome, "the results of a run but no checkpoint to resume from", outcome),
            (foreign, "other files and no run", foreign[:3]),
            (saved and not self.flags.exists(), "checkpoints without a flags.txt", ["checkpoints"]),
        )
        for refused, content, received in refusals:
            if refused:
                raise RunError(
                    f"{self.path} contains {content}. Received: {', '.join(received)}. Choose another --run_dir"
                )
        if not saved:
            return
        self.config_before = read_flags(self.flags)
        old, new = self.config_before.hyperparameters(), self.config.hyperparameters()
        changed = [name for name in new if new[name] != old[name]]
        # The user's own data may have moved. If data.json exists, `data_record.check` compares their contents.
        then, now = (config.place("dataset") for config in (self.config_before, self.config))
        recorded = (self.path / "data.json").exists()
        if (
            "dataset" in changed
            and then
            and now
            and (recorded or os.path.realpath(then) == os.path.realpath(now))
        ):
            changed.remove("dataset")
        # Other schedules depend on the number of epochs from the first step.
        if new["epochs"] > old["epochs"] and new["schedule"] == "constant":
            changed.remove("epochs")
        if changed:
            differences = ", ".join(f"--{name}={new[name]} (there: {old[name]})" for name in changed)
            raise RunError(
                f"{self.path} contains a run with other settings. Received: {differences}. Choose another --run_dir"
            )

    def _foreign_files(self) -> list[str]:
        """Lists the files that were not written by a run. Returns [] if the folder has the `flags.txt` of a run."""
        if not self.path.is_dir():
            return []
        if self.flags.exists():
            with open(files.regular(self.flags), "rb") as file:
                if file.readline(1000).rstrip() == command_line.OWN_FIRST_LINE.encode():
                    return []
        own = {self.path / ".lock", self._process}
        own |= {part for part in self._parts if part.is_dir() and not any(part.iterdir())}
        return sorted(path.name for path in {*self.path.iterdir()} - own if not path.match(LEFTOVERS))

    @contextlib.contextmanager
    def started(self, sources: dict[str, str], data_record: dict[str, Any] | None = None) -> Iterator[None]:
        """Creates the folder, locks it for the duration of the block, and writes the run's first files.

        `flags.txt` is written if it is missing or its settings differ, `data.json` if the run is new. Temporary files
        of a killed process are deleted.

        Raises:
            RunError: the folder cannot be written, is in use, or contains another run.
        """
        with contextlib.ExitStack() as stack:
            with _refused("The run folder cannot be written", OTHER):
                self.path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(self._acquire(timeout=1))  # `check` in another process locks for a moment
                stack.callback(self._forget_process)
                self._compare()  # again: another process may have used the folder since `check`
                since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
                holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
                files.write_json(self._process, holder)
                leftovers = [*self.path.glob(LEFTOVERS)]
                for part in self._parts:
                    part.mkdir(exist_ok=True)
                    leftovers += part.rglob(LEFTOVERS)
                for left in leftovers:
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                if self.config.anchored() != self.config_before:
                    files.write(self.flags, command_line.flagfile_text(self.config, sources))
                if data_record and not self.config_before:
                    files.write_json(self.path / "data.json", data_record)
            yield

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Locks the folder during the block. Raises RunError if another process trains the run."""
        with _refused("The run folder cannot be written", OTHER), self._acquire(timeout=1):
            yield

    def read_results(self) -> dict[str, Any]:
        """Reads the run's results.json with the function `read_results`."""
        return read_results(self.results)

    def _acquire(self, timeout: float) -> contextlib.AbstractContextManager:
        """Acquires the lock. The returned context manager releases the lock."""
        try:
            return filelock.FileLock(self.path / ".lock").acquire(timeout=timeout)
        except filelock.Timeout:
            holder = "another process"
            with contextlib.suppress(OSError, ValueError, LookupError):
                holder = "process {pid} on {host} since {since}".format(**files.read_json(self._process))
            raise InUseError(
                f"{self.path} is in use by {holder}. Wait for it, or choose another --run_dir"
            ) from None

    def _forget_process(self) -> None:
        with contextlib.suppress(OSError):
            self._process.unlink(missing_ok=True)


@contextlib.contextmanager
def _refused(what: str, advice: str, kinds: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        raise RunError(f"{what}: {error}. {advice}") from error


def read_flags(path: pathlib.Path) -> Config:
    """Reads a flags.txt; raises RunError if it cannot be used."""
    with _refused(f"{path} cannot be used", RESTORE, (ConfigError,)):
        return command_line.parse_file(path)[0]


def checkpoints_in(folder: pathlib.Path) -> list[pathlib.Path]:
    """Lists the checkpoints in a folder, sorted by step."""
    return sorted((p for p in folder.glob("step_*") if p.name[5:].isdecimal()), key=step_of)


def step_of(checkpoint: pathlib.Path) -> int:
    """Returns the step after which a checkpoint was saved, from its name."""
    return int(checkpoint.name.removeprefix("step_"))


def default_path(config: Config) -> pathlib.Path:
    """Returns runs/<dataset>/<model>[_<mixer>][_k<k>]_lambda<lambda>[_<flag>-<value> ...]_s<seed>.

    The flags are those that affect results and differ from the published values; the number of epochs is included only
    if the schedule depends on it. Mixer and k are included for all models that use them. For the user's own data,
    <dataset> ends with the last part of their path.
    """
    named = {"dataset", "model", "lambda_", "epochs", "seed"}
    parts = [config.model]
    for name, part in (("mixer", config.mixer), ("k", f"k{config.k}")):
        if config.uses(name):
            parts.append(part)
            named.add(name)
    parts.append(f"lambda{config.lambda_:g}")
    if config.schedule != "constant":
        named.remove("epochs")  # such a schedule depends on the number of epochs from the first step
    published = Config(model=config.model, dataset=config.dataset)
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not (field.name in named or field.metadata["runtime"] or value == getattr(published, field.name)):
            parts.append(f"{flag_name(field.name)}-{value}")
    dataset = config.dataset
    if place := config.place("dataset"):
        name = os.path.basename(os.path.abspath(place)).removesuffix(".npz")
        dataset = f"{own_data(dataset)[0][:-1]}_{name}"
    return pathlib.Path("runs") / dataset / "_".join([*parts, f"s{config.seed}"])


def _default_folder(config: Config) -> pathlib.Path:
    """Returns `default_path`, or the default path of earlier versions if only that folder exists."""
    path = default_path(config)
    former = aliases.FOLDERS.get(config.model, config.model)
    old = path.with_name(path.name.replace(config.model, former, 1))
    return old if old.exists() and not path.exists() else path


def read_json(path: pathlib.Path, what: str, checks: dict[str, Callable[[Any], bool]]) -> dict[str, Any]:
    """Reads a JSON file of a run folder; returns an empty object if the file is absent.

    Args:
        path: the file.
        what: description of the file for the error message.
        checks: functions by key, which return true if the value of the key is valid. Keys may be absent.

    Raises:
        RunError: the file cannot be read or is damaged.
    """
    if not path.exists():
        return {}
    with _refused(f"The {what} cannot be read: {path}", RESTORE, DAMAGE):
        content = files.read_json(path)
        for key, valid in checks.items():
            if key in content and not valid(content[key]):
                raise ValueError(f"invalid {key}")
        return content


def read_results(path: pathlib.Path) -> dict[str, Any]:
    """Reads and validates a results.json with `read_json`."""
    return read_json(path, "results", RESULTS)


def _is_object(value: Any, of: type = object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, of) for one in value.values())


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_row(value: Any) -> bool:
    return isinstance(value, dict) and all(type(value.get(name)) in (int, float) for name in NEEDED)


RESULTS: dict[str, Callable[[Any], bool]] = {
    "best": _is_row,
    "best_by": lambda value: isinstance(value, str),
    "last": _is_row,
    "config": _is_object,
    "metrics": lambda value: _is_object(value, dict),
    "versions": _is_object,
    "examples": lambda value: _is_object(value, int),
    "image_shape": lambda value: isinstance(value, list) and len(value) == 3 and all(map(_is_count, value)),
    "classes": _is_count,
}


def read_rows(path: pathlib.Path) -> list[dict[str, float]]:
    """Reads the rows of a metrics.csv, sorted by epoch; [] if the file is absent. Raises RunError if it is damaged."""
    if not path.exists():
        return []
    with (
        _refused(f"The metrics cannot be read: {path}", RESTORE, DAMAGE),
        open(files.regular(path), newline="", encoding="utf-8") as file,
    ):
        return sorted(map(_numbers, csv.DictReader(file)), key=lambda row: row["epoch"])


def _numbers(row: dict[str, str]) -> dict[str, float]:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than the header")
    numbers = {name: float(text) for name, text in row.items() if text != ""}
    for name in NEEDED:
        if not math.isfinite(numbers.get(name, math.nan)):
            raise ValueError(f"a row has no {name}")
    whole = (name for name, value in numbers.items() if row[name].isdecimal() and math.isfinite(value))
    return numbers | {name: int(row[name]) for name in whole}


def write_rows(path: pathlib.Path, rows: list[dict[str, float]]) -> None:
    """Writes rows to a CSV file atomically. Missing values are empty cells."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, fieldnames=list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    files.write(path, text.getvalue())
