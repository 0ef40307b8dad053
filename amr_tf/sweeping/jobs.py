"""From presets and seeds to jobs, and what a job's folders say of it.

OUT/<preset>/s<seed>/         the run folder            OUT/.sweep/<preset>_s<seed>/log.txt   what it printed
OUT/.sweep/<preset>_s<seed>/  the job: .lock (held while it runs), process.json (by whom), end.json (how it ended),
                              queued.json (its number with Slurm)
"""

import collections
import contextlib
import dataclasses
import enum
import functools
import json
import os
import pathlib
import signal
import socket
import sys
from typing import Any

import filelock

from amr_tf.config import Config, ConfigError, command_line
from amr_tf.runs.folder import InUseError, RunError, RunFolder, read_rows
from amr_tf.runtime.errors import one_line
from amr_tf.sweeping import worker

OWN_FOLDER = ".sweep"
QUEUED_AS = "queued.json"
# What a sweep decides for each job, and what makes of one job several or none.
NOT_PASSED_ON = {
    "seed": "use --seeds",
    "run_dir": "use --out",
    "lambdas": "a sweep takes a preset for each lambda",
    "smoke": "a sweep cannot take up such a run: try one preset with amr_tf.train",
}


class State(enum.StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    ELSEWHERE = "in use"
    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


ENDS = (State.DONE, State.INTERRUPTED, State.FAILED)


@dataclasses.dataclass(frozen=True)
class Job:
    """One run of a sweep.

    Attributes:
        name: <preset>/s<seed>.
        flags: of its training command.
        config: what they come to.
        place: its folder within OUT/.sweep.
    """

    name: str
    flags: tuple[str, ...]
    config: Config
    place: pathlib.Path

    @functools.cached_property
    def folder(self) -> RunFolder:
        return RunFolder(self.config)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "amr_tf.train", *self.flags]

    @property
    def log(self) -> pathlib.Path:
        return self.place / worker.LOG

    def look(self) -> tuple[State, str]:
        """DONE, ELSEWHERE or WAITING, by what lies in its folders, and what there is to say of it.

        Locks are tried: not for a job whose training may be about to take one.
        """
        if self.held():
            return State.ELSEWHERE, "by a job of an earlier start of this sweep: waiting for it"
        try:
            self.folder.check()
            rows = read_rows(self.folder.metrics)
        except InUseError as error:
            return State.ELSEWHERE, str(error)
        except RunError:
            return State.WAITING, ""  # what is wrong, its training says
        finished = rows and rows[-1]["epoch"] >= self.config.epochs and self.folder.results.exists()
        return (State.DONE, "") if finished else (State.WAITING, "")

    def held(self) -> bool:
        """Whether a process runs this job. Its lock tells, also of a process that another sweep started.

        Raises:
            RunError: the lock is there and cannot be opened.
        """
        lock = filelock.FileLock(self.place / worker.LOCK)
        if not os.path.exists(lock.lock_file):  # pathlib's raises where the folder may not be entered
            return False
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            return True
        except OSError as error:
            raise RunError(f"The lock of a job cannot be opened: {one_line(error)}. Set it right") from error
        lock.release()
        return False

    def prepare(self) -> None:
        """Makes its folder and forgets how it ended before."""
        self.place.mkdir(parents=True, exist_ok=True)
        for name in (worker.END, worker.PROCESS, QUEUED_AS):
            (self.place / name).unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """SIGTERM for the process that runs it, where that is on this machine."""
        process = read_json(self.place / worker.PROCESS)
        pid = process.get("pid")
        # Of a damaged file 0 would be this process's group, and -1 every process there is.
        if type(pid) is int and pid > 1 and process.get("host") == socket.gethostname() and self.held():
            with contextlib.suppress(OSError, OverflowError):
                os.kill(pid, signal.SIGTERM)

    def end(self) -> tuple[State, str] | None:
        """How it ended, and the last line it said; None where it has not said so, or what it said is damaged."""
        said = read_json(self.place / worker.END)
        code, line = said.get("code"), str(said.get("said"))
        if not isinstance(code, int):
            return None
        if code == 0:
            return State.DONE, ""
        if code in worker.INTERRUPTED:
            return State.INTERRUPTED, line
        if code < 0:
            known = {number.value: number.name for number in signal.Signals}
            return State.FAILED, f"killed by {known.get(-code, f'signal {-code}')}"
        return State.FAILED, line or f"exit code {code}, and no word"

    def progress(self) -> str:
        """How far its run is, by its last finished epoch."""
        try:
            rows = read_rows(self.folder.metrics)
        except RunError:
            rows = []
        if not rows:
            return f"epoch 1 of {self.config.epochs:,}"
        epoch, accuracy = int(rows[-1]["epoch"]), rows[-1]["val_probe_accuracy"]
        return f"{epoch:,} of {self.config.epochs:,} epochs, probe {accuracy:.1%} validation"


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """What one of a sweep's small files says; nothing where it is absent or damaged."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def find_presets(words: list[str]) -> list[str]:
    """The presets that `words` name, as `--flagfile` takes them: files, or all `*.flags` of a folder.

    Raises:
        ConfigError: a word names none, two presets would share a name, or a name is no printable text.
    """
    _refuse_unprintable(words)
    names = [name for word in words for name in _presets(word)]
    _refuse_unprintable(names)
    twice = [stem for stem, count in collections.Counter(map(_stem, names)).items() if count > 1]
    if twice:
        raise ConfigError(f"Runs are named after their presets, of which two cannot share a name: {twice[0]}")
    return names


def _refuse_unprintable(names: list[str]) -> None:
    for name in names:
        if not name.isprintable():
            raise ConfigError(f"The name of a preset is printable text on one line. Received: {name!r}")


def _presets(word: str) -> list[str]:
    for place in ("", *command_line.PRESET_ROOTS):
        folder = pathlib.Path(os.path.join(place, os.path.expanduser(word)))
        if os.path.isdir(folder):
            names = [os.path.join(word, path.name) for path in sorted(folder.glob("*.flags"))]
            if not names:
                raise ConfigError(f"No preset (*.flags) in this folder. Received: {word}")
            return names
    command_line.find_preset(word)
    return [word]


def _stem(preset: str) -> str:
    return pathlib.Path(preset).stem


def plan(presets: list[str], seeds: list[int], out: pathlib.Path, passed_on: list[str]) -> list[Job]:
    """A job for each preset and seed, seed after seed, so that a table fills evenly.

    Raises:
        ConfigError: what is wrong with the flags of one of them.
    """
    jobs = []
    for seed in seeds:
        for preset in presets:
            name = f"{_stem(preset)}/s{seed}"
            flags = [f"--flagfile={preset}", *passed_on]
            try:
                _refuse_own(command_line.parse(flags)[1])
                flags += [f"--seed={seed}", f"--run_dir={out / name}"]
                config, _ = command_line.parse(flags)
            except ConfigError as error:
                raise ConfigError(f"{_stem(preset)}: {error}") from None
            place = out / OWN_FOLDER / name.replace("/", "_")
            jobs.append(Job(name, tuple(flags), config, place))
    return jobs


def _refuse_own(sources: dict[str, str]) -> None:
    for name, instead in NOT_PASSED_ON.items():
        if sources[name] != command_line.DEFAULT:
            raise ConfigError(f"--{name} is not for a sweep: {instead}. Received from: {sources[name]}")
