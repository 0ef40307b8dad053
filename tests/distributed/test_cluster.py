"""--strategy=multiworker: the place of a process among the workers, which train as one device does.

The workers are processes on this machine, each with its own address.
Lost workers: tests/reliability/faults/test_lost_workers.py.
"""

import functools
import json
import os
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from amr_tf.config import Config, ConfigError
from amr_tf.distributed import cluster
from amr_tf.distributed.strategy import make_strategy, slurm_task
from tests.reliability.faults.harness import ROOT, tf_configs

CONFIG = Config(strategy="multiworker")
TWO = ["a:1", "b:2"]
WORKERS, FOUR = ("--strategy=multiworker",), ("--strategy=mirrored", "--cpu_devices=4")
SLURM_STEP = {
    "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "5", "SLURM_STEP_NODELIST": "gpu[1-2],x7",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_JOB_ID": "41",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_other_worker(monkeypatch):
    for name in (cluster.VARIABLE, *cluster.SLURM, "SLURMD_NODENAME", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def tf_config(cluster, **task):
    return json.dumps({"cluster": cluster, "task": task})


def test_this_task_of_other_strategies_is_alone(monkeypatch):
    """Many clusters leave a TF_CONFIG in the environment."""
    monkeypatch.setenv("TF_CONFIG", "no JSON")
    for strategy in ("auto", "none", "mirrored"):
        assert cluster.this_task(Config(strategy=strategy)) == cluster.ALONE
    assert cluster.ALONE.is_chief


@pytest.mark.parametrize(
    ("text", "index", "addresses"),
    [
        (tf_config({"worker": TWO}, type="worker", index=0), 0, TWO),
        (tf_config({"worker": TWO}, type="worker", index=1), 1, TWO),
        (tf_config({"chief": ["c:3"], "worker": TWO}, type="chief", index=0), 0, ["c:3", *TWO]),
        (tf_config({"chief": ["c:3"], "worker": TWO}, type="worker", index=1), 2, ["c:3", *TWO]),
        (tf_config({"worker": ["[::1]:65535"]}, type="worker", index=0), 0, ["[::1]:65535"]),
        (tf_config({"worker": ["gpu-1.example.org:1"]}, type="worker", index=0), 0, ["gpu-1.example.org:1"]),
    ],
)
def test_this_task_is_that_of_tf_config(monkeypatch, text, index, addresses):
    monkeypatch.setenv("TF_CONFIG", text)
    monkeypatch.setenv("SLURM_PROCID", "7")  # TF_CONFIG takes precedence
    task = cluster.this_task(CONFIG)
    assert task == cluster.Task(index, len(addresses), tuple(addresses))
    assert task.address == addresses[index]
    assert task.is_chief == (index == 0)


@pytest.mark.parametrize(
    "text",
    [
        "", "{'cluster': {}}", "[" * 100_000, "{}", '["cluster", "task"]', json.dumps({"cluster": {"worker": TWO}}),
        tf_config({"ps": ["a:1"], "worker": TWO}, type="worker", index=0),
        tf_config({"worker": "a:1"}, type="worker", index=0),
        tf_config({}, type="worker", index=0),
        *(
            tf_config({"worker": [address]}, type="worker", index=0)
            for address in ("a", "a:0", "a:65536", "a..b:1", "a b:1", "a:\u0661", 1)
        ),
        tf_config({"chief": TWO}, type="chief", index=0),
        tf_config({"worker": ["a:1", "a:1"]}, type="worker", index=0),
        tf_config({"worker": TWO}, type="worker"),
        *(tf_config({"worker": TWO}, type="worker", index=index) for index in (2, -1, "0", True)),
        *(tf_config({"worker": TWO}, type=kind, index=0) for kind in ("chief", "evaluator", [])),
    ],
)  # fmt: skip
def test_this_task_invalid_tf_config_is_one_line(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError) as error:
        cluster.this_task(CONFIG)
    message = str(error.value)
    assert message.startswith("TF_CONFIG does not describe the workers and this task. Received: " + text[:50])
    assert "\n" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "needs TF_CONFIG or Slurm's variables. Received: neither"),
        ({"SLURM_PROCID": "0"}, "Received: SLURM_PROCID=0 SLURM_STEP_NUM_TASKS= "),
        ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, "SLURM_STEP_NODELIST= "),
        (SLURM_STEP | {"SLURM_PROCID": "5"}, "Received: SLURM_PROCID=5 SLURM_STEP_NUM_TASKS=5 "),
        (SLURM_STEP | {"SLURM_PROCID": "x"}, "Received: SLURM_PROCID=x "),
    ],
)
def test_this_task_invalid_slurm_step_is_refused(monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"{message}.*srun"):
        cluster.this_task(CONFIG)


def test_wait_for_peers_port_in_use_is_refused():
    """gRPC listens with SO_REUSEPORT: two runs of one user would share the port silently."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"\(Address already in use\).*{address}"):
            cluster.wait_for_peers(cluster.Task(0, 1, (address,)))


def test_wait_for_peers_waits_and_names_the_missing(capsys):
    """Two of three workers, started one after the other, continue when the third one starts, and not before."""
    addresses = tuple(json.loads(tf_configs(3)[0])["cluster"]["worker"])
    over = threading.Event()

    def worker(index):
        cluster.wait_for_peers(cluster.Task(index, 3, addresses))
        met.append(index)
        port = int(addresses[index].rpartition(":")[2])
        with socket.create_server(("", port)):  # as TensorFlow does at once
            over.wait(20)

    met: list[int] = []
    threads = [threading.Thread(target=worker, args=(index,), daemon=True) for index in range(3)]
    for thread in threads[:2]:
        thread.start()
        time.sleep(3 * cluster.PAUSE)
    assert met == []
    threads[2].start()
    limit = time.monotonic() + 20
    while len(met) < 3 and time.monotonic() < limit:
        time.sleep(0.05)
    over.set()
    assert sorted(met) == [0, 1, 2]
    out = capsys.readouterr().out.splitlines()
    assert f"worker 0 of 3 waits for worker 1 at {addresses[1]}" in out
    assert f"worker 1 of 3 waits for worker 2 at {addresses[2]}" in out
    assert not any(line.startswith("worker 2") for line in out)


def test_make_strategy_unshared_batch_is_refused_at_once(monkeypatch):
    """Before the workers wait for each other."""
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": TWO}, type="worker", index=0))
    with pytest.raises(ConfigError, match=r"equal share.*--batch_size=7 --k=2 on 2 devices"):
        make_strategy(Config(strategy="multiworker", batch_size=7))


def test_slurm_task_has_the_addresses_of_the_step(monkeypatch):
    """TensorFlow's resolver needs help without GPUs; the ports depend on the job."""
    for name, value in SLURM_STEP.items():
        monkeypatch.setenv(name, value)
    first = 12_000 + 64 * 41
    task = slurm_task(cluster.this_task(CONFIG))
    hosts = [f"gpu1:{first}", f"gpu1:{first + 1}", f"gpu2:{first}", f"gpu2:{first + 1}", f"x7:{first}"]
    assert task == cluster.Task(3, 5, tuple(hosts))
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    monkeypatch.setenv("SLURMD_NODENAME", "gpu2")
    assert slurm_task(task) == task
    monkeypatch.setenv("SLURMD_NODENAME", "gpu1")
    with pytest.raises(ConfigError, match=rf"worker 3 of 5 on gpu1, expected on gpu2:{first + 1}"):
        slurm_task(task)
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", "2(x2)")
    with pytest.raises(ConfigError, match="contradict each other"):
        slurm_task(task)


def replay(folder, name, *flags, environments=({},)):
    """Runs tests/support/worker_replay.py in each environment; returns what the processes computed."""
    command = [sys.executable, "-m", "tests.support.worker_replay", str(folder)]
    started = [
        subprocess.Popen(
            [*command, f"{name}_{index}", *flags],
            cwd=ROOT, env=os.environ | {"TF_NUM_INTRAOP_THREADS": "1"} | environment, stderr=subprocess.PIPE,
        )
        for index, environment in enumerate(environments)
    ]  # fmt: skip
    ends = [(process.communicate(timeout=200)[1], process.returncode) for process in started]
    assert [code for _, code in ends] == [0] * len(started), ends
    return [np.load(folder / f"{name}_{index}.npz") for index in range(len(started))]


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """The result of one device: one_device(update_g_every)."""

    @functools.cache
    def found(update_g_every):
        flags = ("--strategy=none", f"--update_g_every={update_g_every}")
        return replay(tmp_path_factory.mktemp("one"), "one", *flags)[0]

    return found


def tf_config_environments(count):
    return [{"TF_CONFIG": text} for text in tf_configs(count)]


def slurm_of_one():
    host = socket.gethostname()
    values = ("0", "1", host, "1", "1", host)
    return [dict(zip([*cluster.SLURM, "SLURM_JOB_ID", "SLURMD_NODENAME"], values, strict=True))]


@pytest.mark.parametrize(
    ("environments", "flags", "replicas"),
    [
        pytest.param(lambda: tf_config_environments(2), WORKERS, 2, marks=pytest.mark.slow, id="2 workers"),
        pytest.param(slurm_of_one, WORKERS, 1, marks=pytest.mark.slow, id="slurm"),
        pytest.param(lambda: tf_config_environments(3), WORKERS, 3, marks=pytest.mark.soak, id="3 workers"),
        pytest.param(lambda: [{}], FOUR, 4, marks=pytest.mark.soak, id="4 devices"),
    ],
)
def test_training_on_replicas_equals_one_device(one_device, tmp_path, environments, flags, replicas):
    """Losses of each step, the evaluation and all weights; each worker reads its own share of the real batches.

    Two devices, and all ways to run a step: test_strategy.py.
    """
    update_g_every = 3 if replicas == 2 else 1
    flags = (*flags, f"--update_g_every={update_g_every}")
    found, expected = (
        replay(tmp_path, "worker", *flags, environments=environments()),
        one_device(update_g_every),
    )
    assert set(expected.files) <= set(found[0].files)
    for name in found[0].files:
        if name.startswith("drawn/"):
            continue
        if name in expected.files:
            np.testing.assert_allclose(found[0][name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)
        # Between the workers there is no rounding.
        np.testing.assert_array_equal(found[0][name], found[-1][name], err_msg=name)
    drawn = [one[name] for one in found for name in one.files if name.startswith("drawn/")]
    assert len(drawn) == len({tuple(values) for values in drawn}) == replicas
    assert len(list(tmp_path.glob("step_*"))) == 1


@pytest.mark.slow
def test_training_supervised_workers_stay_equal(tmp_path):
    """Each worker draws its own attributes, whatever the shares, so only the workers are compared."""
    flags = (
        "--strategy=multiworker", "--dataset=shapes", "--train_examples=500", "--arch=amr_fixed", "--latent=32",
        "--model=amr_supervised", "--update_g_every=1",
    )  # fmt: skip
    first, second = replay(tmp_path, "worker", *flags, environments=tf_config_environments(2))
    names = [name for name in first.files if not name.startswith("drawn/")]
    assert [name for name in names if "class_mixer" in name]
    for name in names:
        assert np.isfinite(first[name]).all(), name
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
