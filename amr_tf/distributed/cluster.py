"""--strategy=multiworker: which of a run's processes this one is, as TF_CONFIG or Slurm says."""

import json
import os
import re
import socket
import time
from typing import Any, NamedTuple

from amr_tf.config import Config, ConfigError

VARIABLE = "TF_CONFIG"
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")
PAUSE, PATIENCE = 0.2, 5.0  # seconds between two attempts to reach a worker, and for one of them
JOBS = ("chief", "worker")  # in the order in which TensorFlow counts them
EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'


class Task(NamedTuple):
    """One of the workers of a run."""

    index: int  # type: ignore[assignment]  # tuple.index is not missed
    workers: int
    addresses: tuple[str, ...] = ()  # of all workers, host:port each; under Slurm `distribution` finds them

    @property
    def address(self) -> str:
        """This worker's own."""
        return self.addresses[self.index]

    @property
    def is_chief(self) -> bool:
        """The first one alone writes to the run folder and speaks to the user."""
        return self.index == 0

    def __str__(self) -> str:
        return f"worker {self.index} of {self.workers}"


ALONE = Task(0, 1)


def this_task(config: Config) -> Task:
    """This process among the workers of the run: the only one, unless `--strategy=multiworker`.

    Raises:
        ConfigError: neither TF_CONFIG nor Slurm's variables say which one it is, or they say what cannot be.
    """
    if config.strategy != "multiworker":
        return ALONE
    if is_slurm():
        return _of_slurm()
    if VARIABLE in os.environ:
        return _of_tf_config(os.environ[VARIABLE])
    raise ConfigError(
        f"--strategy=multiworker is started once on every machine, with {VARIABLE} or by srun. Received: neither "
        f"{VARIABLE} nor Slurm's variables; on the first of two machines {VARIABLE}='{EXAMPLE}'"
    )


def is_slurm() -> bool:
    """Whether Slurm's variables say which worker this is: TF_CONFIG, where there is one, goes first."""
    return VARIABLE not in os.environ and SLURM[0] in os.environ


def meet(task: Task) -> None:
    """Waits until every worker listens at its address, and says for whom; then all can connect without a wait.

    TensorFlow would wait as well, but let no signal through meanwhile and name nobody. It would also share a port with
    another process that listens there.

    Raises:
        ConfigError: the port of this worker cannot be had.
    """
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        own = socket.create_server(
            ("", _port(task.address)), family=family, backlog=task.workers, dualstack_ipv6=dual
        )
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ConfigError(
            f"The port of this worker cannot be had ({reason}): choose another one and tell every "
            f"worker. Received: {task.address}"
        ) from error
    with own:
        for index, address in enumerate(task.addresses):
            if index == task.index or _listens(address):
                continue
            print(f"{task} waits for worker {index} at {address}", flush=True)
            while not _listens(address):
                time.sleep(PAUSE)


def _listens(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    try:
        socket.create_connection((host, _port(address)), timeout=PATIENCE).close()
    except OSError:  # not there yet, which may be true of its name, too
        return False
    return True


def _of_slurm() -> Task:
    missing = [name for name in SLURM if name not in os.environ]
    if missing:
        raise ConfigError(
            f"Slurm's variables are those of a step: start with srun. Missing: {', '.join(missing)}"
        )
    try:
        index, size = (int(os.environ[name]) for name in SLURM[:2])
        task = Task(index, size)
    except ValueError:
        task = Task(1, 0)
    if not 0 <= task.index < task.workers:
        received = " ".join(f"{name}={os.environ[name]}" for name in SLURM[:2])
        raise ConfigError(f"Slurm's variables name no task of a step: start with srun. Received: {received}")
    return task


def _of_tf_config(text: str) -> Task:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _refused("is JSON", text) from None
    cluster, task = (_part(value, name) for name in ("cluster", "task"))
    if cluster is None or task is None:
        raise _refused("names the cluster and this task", text)
    jobs = {job: cluster.get(job, []) for job in JOBS}
    if set(cluster) - set(JOBS) or not all(isinstance(hosts, list) for hosts in jobs.values()):
        raise _refused("names workers and perhaps a chief, a list each", text)
    addresses = [address for hosts in jobs.values() for address in hosts]
    if len(jobs["chief"]) > 1 or not addresses or not all(map(_is_address, addresses)):
        raise _refused("names every worker, and one chief at most, as host:port", text)
    if len(set(addresses)) < len(addresses):
        raise _refused("gives every worker an address of its own", text)
    kind, index = task.get("type"), task.get("index")
    if kind not in JOBS or type(index) is not int or not 0 <= index < len(jobs[kind]):
        raise _refused("says which of its workers this is: task type, and index from 0", text)
    if kind == "worker":
        index += len(jobs["chief"])
    return Task(index, len(addresses), tuple(addresses))


def _part(value: Any, name: str) -> dict | None:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else None


def _is_address(address: Any) -> bool:
    if not isinstance(address, str) or not re.fullmatch(r"[^\s/,]+:\d{1,5}", address, re.ASCII):
        return False
    try:
        address.rpartition(":")[0].encode("idna")  # as a connection to it will
    except UnicodeError:
        return False
    return 0 < _port(address) < 2**16


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _refused(expected: str, text: str) -> ConfigError:
    shown = " ".join(text.split())
    return ConfigError(
        f"{VARIABLE} {expected}, such as {EXAMPLE}. Received: {shown[:200]}{'...' if len(shown) > 200 else ''}"
    )
