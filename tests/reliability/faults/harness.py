"""Runs of the real command that tests interrupt, and the comparison of their results."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.runs.checkpoints import damage
from amr_tf.runs.folder import read_rows

ROOT = pathlib.Path(__file__).resolve().parents[3]
EPOCH_LENGTH = 12
# Single steps and a save after each, so that most saves are inside an epoch.
COMMON = {"batch_size": 8, "update_g_every": 1, "checkpoint_minutes": 0.00001, "steps_per_execution": 1}
# The run that starts fastest.
POINTS = COMMON | {"dataset": "spiral", "depth": 2, "steps_per_epoch": EPOCH_LENGTH, "epochs": 3}
WHOLE = {"steps_per_execution": 0}  # several steps per call: of the run that no test interrupts
LONGER = POINTS | {"steps_per_epoch": 40, "epochs": 6}  # for many interruptions of one run
# The paper's convolutional networks; one epoch, because most of the time is its evaluation.
IMAGES = COMMON | {
    "dataset": "lines",
    "depth": 2,
    "latent": 2,
    "latent_width": 8,
    "steps_per_epoch": 40,
    "epochs": 1,
}
TWO_REPLICAS = {"strategy": "mirrored", "cpu_devices": 2}
TIMEOUT = 600.0


class End(NamedTuple):
    """Exit code and output of a run."""

    code: int
    out: str
    err: str


class Run:
    """A process of `python -m amr_tf.train` on a run folder.

    Args:
        folder: the run folder.
        settings: flags by name.
        logs: an existing folder for its output.
        prefix: a command that starts the process, such as one that changes the user.
    """

    def __init__(
        self, folder: pathlib.Path, settings: dict, logs: pathlib.Path, prefix: tuple[str, ...] = ()
    ):
        self.folder, self.before, self.replicas = folder, newest(folder), settings.get("cpu_devices", 1)
        flags = [f"--{name}={value}" for name, value in (settings | {"run_dir": folder}).items()]
        environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
        self.out, self.err = logs / f"{time.monotonic_ns()}.out", logs / f"{time.monotonic_ns()}.err"
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = self.start(
                [*prefix, sys.executable, "-m", "amr_tf.train", *flags],
                stdout=out, stderr=err, cwd=ROOT, env=environment | {"PYTHONUNBUFFERED": "1"},
            )  # fmt: skip

    start = staticmethod(subprocess.Popen)

    def wait_for(self, condition: Callable[[], bool], pause: float = 0.005) -> bool:
        """Waits until `condition` is true; False if the run ended before that."""
        limit = time.monotonic() + TIMEOUT
        while time.monotonic() < limit:
            if condition():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(pause)
        raise TimeoutError(
            f"waited {TIMEOUT} s; printed so far: {self.out.read_text()}{self.err.read_text()}"
        )

    def wait_for_steps(self, count: int) -> None:
        """Waits until this start has saved `count` steps."""
        assert self.wait_for(lambda: newest(self.folder) >= self.before + count), (
            "ended before it was interrupted"
        )

    def printed(self, text: str) -> bool:
        return text in self.out.read_text()

    def imports_tensorflow(self) -> bool:
        """True once TensorFlow is being imported: by then signals are handled."""
        return b"tensorflow" in pathlib.Path(f"/proc/{self.process.pid}/maps").read_bytes()

    def stop(self) -> None:
        """Suspends the process."""
        self.process.send_signal(signal.SIGSTOP)
        # Left waitable: the end of the process is for `Popen` to see.
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def end(self) -> End:
        """Waits for the end. A run that trained must have resumed from the last checkpoint."""
        try:
            code = self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        out, err = self.out.read_text(), self.err.read_text()
        if self.before and newest(self.folder) > self.before:
            assert f"resuming after step {self.before}, " in out
        return End(code, out, err)

    def outcome(self) -> "Outcome":
        """Waits for the end of a run without errors; returns its results."""
        end = self.end()
        assert (end.code, end.err) == (0, ""), end
        return outcome(self.folder)

    def refused(self, code: int = 2) -> End:
        """Waits for the end, which must have that exit code and one line of this program on stderr."""
        end = self.end()
        assert end.code == code, end.err
        assert end.err.startswith("amr_tf.train: "), end.err
        assert end.err.count("\n") == 1, end.err
        assert end.err.endswith("\n"), end.err
        return end

    def kill(self) -> End:
        """kill -9, as the kernel does when memory runs out."""
        self.process.kill()
        return self.end()


class Outcome(NamedTuple):
    """Results of a run that do not depend on interruptions."""

    state: dict[str, np.ndarray]
    rows: list[dict[str, float]]


def tf_configs(count: int) -> list[str]:
    """TF_CONFIG of each of `count` workers on this machine, at free ports."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
    return [json.dumps({"cluster": cluster, "task": {"type": "worker", "index": i}}) for i in range(count)]


def outcome(folder: pathlib.Path) -> Outcome:
    """All variables of the newest checkpoint by name, and the rows of metrics.csv."""
    path = folder / "checkpoints" / f"step_{newest(folder):010d}"
    reader = tf.train.load_checkpoint(str(path / "state"))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith(("model/", "means/"))]
    rows = read_rows(folder / "metrics.csv")
    timeless = [{name: value for name, value in row.items() if name != "images_per_second"} for row in rows]
    return Outcome({name: reader.get_tensor(name) for name in names}, timeless)


def assert_ends_like(run: Run, unbroken: Outcome) -> None:
    """Asserts that a run ends well, with exactly the numbers of an uninterrupted one."""
    found = run.outcome()
    assert not list(run.folder.rglob("*.tmp"))
    assert not (run.folder / ".process.json").exists()
    # An epoch's means are sums over the replicas and are saved as one sum: interrupted, they add up in another order.
    tolerance = 1e-6 if run.replicas > 1 else 0
    assert found.rows == [pytest.approx(row, rel=tolerance, abs=0) for row in unbroken.rows]
    assert found.state.keys() == unbroken.state.keys()
    for name, value in unbroken.state.items():
        allowed = tolerance if name.startswith("means/") else 0
        np.testing.assert_allclose(found.state[name], value, rtol=allowed, atol=0, err_msg=name)


def assert_intact(checkpoints: pathlib.Path) -> None:
    """Asserts that no checkpoint in a folder is damaged."""
    found = {path.name: damage(path) for path in checkpoints.glob("step_*")}
    assert not any(found.values()), found


def newest(folder: pathlib.Path) -> int:
    """The last saved step, 0 before the first."""
    steps = (int(path.name.removeprefix("step_")) for path in (folder / "checkpoints").glob("step_*"))
    return max(steps, default=0)


def being_saved(folder: pathlib.Path) -> int:
    """The step that is being saved, or 0; a checkpoint that is being deleted has such a name, too."""
    unfinished = [path.name for path in (folder / "checkpoints").glob(".step_*.tmp")]
    steps = [int(name.removeprefix(".step_").removesuffix(".tmp")) for name in unfinished]
    return max((step for step in steps if step > newest(folder)), default=0)
