"""Workers of `--strategy=multiworker`, read from TF_CONFIG or from the variables of Slurm."""

import contextlib
import json
import os
import re
import socket
import time
from typing import NamedTuple

from amr_tf.config import Config, ConfigError

VARIABLE = "TF_CONFIG"
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST", "SLURM_STEP_TASKS_PER_NODE")
PAUSE, PATIENCE = 0.2, 5.0  # seconds between two attempts to reach a worker, and the timeout of an attempt
JOBS = ("chief", "worker")  # names of jobs, in TensorFlow's order
EXAMPLE = '{"cluster": {"worker": ["host0:12345", "host1:12345"]}, "task": {"type": "worker", "index": 0}}'
ADDRESS = re.compile(r"(\[[\da-f:.]+\]|[\w-]{1,63}(\.[\w-]{1,63})*):\d{1,5}", re.ASCII | re.IGNORECASE)


class Task(NamedTuple):
    """One worker of a run. `index` is the number of this worker, and `workers` is the number of all workers."""

    index: int  # type: ignore[assignment]  # hides tuple.index
    workers: int
    addresses: tuple[str, ...] = ()  # host:port of all workers; with Slurm, `strategy.slurm_task` sets them

    @property
    def address(self) -> str:
        """The address of this worker."""
        return self.addresses[self.index]

    @property
    def is_chief(self) -> bool:
        """True for the first worker. Only this worker writes to the run folder and prints progress."""
        return self.index == 0

    def __str__(self) -> str:
        return f"worker {self.index} of {self.workers}"


ALONE = Task(0, 1)


def this_task(config: Config) -> Task:
    """Returns the `Task` of this process. Without `--strategy=multiworker`, returns `ALONE`.

    Raises:
        ConfigError: TF_CONFIG or Slurm's variables are missing or invalid.
    """
    if config.strategy != "multiworker":
        return ALONE
    if is_slurm():
        return _from_slurm()
    if VARIABLE in os.environ:
        return _from_tf_config(os.environ[VARIABLE])
    raise ConfigError(
        f"--strategy=multiworker needs {VARIABLE} or Slurm's variables. Received: neither of them. Start the run with "
        f"srun, or once on every machine, on the first of two with {VARIABLE}='{EXAMPLE}'"
    )


def is_slurm() -> bool:
    """Returns true if Slurm's variables describe this worker. TF_CONFIG takes precedence."""
    return VARIABLE not in os.environ and SLURM[0] in os.environ


def wait_for_peers(task: Task) -> None:
    """Waits until every worker listens at its address, and prints which worker is missing.

    TensorFlow also waits for workers. However, TensorFlow does not handle signals while waiting, does not name the
    missing worker, and may share a port with another process.

    Raises:
        ConfigError: this worker cannot listen at its port.
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
            f"This worker cannot listen at its port ({reason}). Received: {task.address}. Name another port to all "
            "workers."
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
    with contextlib.suppress(OSError):  # for example, the name of the host cannot be resolved yet
        socket.create_connection((host, _port(address)), timeout=PATIENCE).close()
        return True
    return False


def _from_slurm() -> Task:
    step = {name: os.environ.get(name, "") for name in SLURM}
    index, size, *_ = (int(value) if value.isdecimal() else -1 for value in step.values())
    if not (0 <= index < size and all(step.values())):
        received = " ".join(f"{name}={value}" for name, value in step.items())
        raise ConfigError(
            f"Slurm's variables do not describe a task of a step. Received: {received}. Start the run with srun"
        )
    return Task(index, size)


def _from_tf_config(text: str) -> Task:
    try:
        value = json.loads(text)
        cluster, kind, index = value["cluster"], value["task"]["type"], value["task"]["index"]
        chief, workers = (list(cluster.get(job, ())) for job in JOBS)
        addresses = (*chief, *workers)
        is_valid = (
            set(cluster) <= set(JOBS)
            and len(chief) <= 1
            and all(ADDRESS.fullmatch(address) and 0 < _port(address) < 2**16 for address in addresses)
            and len(set(addresses)) == len(addresses)
            and kind in JOBS
            and type(index) is int
            and 0 <= index < len(chief if kind == "chief" else workers)
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        is_valid = False
    if not is_valid:
        shown = " ".join(text.split())
        raise ConfigError(
            f"{VARIABLE} does not describe the workers and this task. Received: {shown[:200]}"
            f"{'...' if len(shown) > 200 else ''}. Name one chief at most, each worker once as host:port, and this "
            f"task, as in {EXAMPLE}"
        )
    return Task(index + (len(chief) if kind == "worker" else 0), len(addresses), addresses)


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])
