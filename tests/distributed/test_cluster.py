"""--strategy=multiworker: what says which worker a process is, and that workers train as one device does.

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

from amr_tf import train
from amr_tf.config import Config, ConfigError
from amr_tf.distributed import cluster
from tests.reliability.faults.harness import ROOT, tf_configs

CONFIG = Config(strategy="multiworker")
TWO = ["a:1", "b:2"]


@pytest.fixture(autouse=True)
def _no_other_worker(monkeypatch):
    for name in (cluster.VARIABLE, *cluster.SLURM, "SLURMD_NODENAME", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)


def tf_config(cluster, **task):
    return json.dumps({"cluster": cluster, "task": task})


def test_other_strategies_do_not_look_for_other_workers(monkeypatch):
    """TF_CONFIG is left over in the environment of many a cluster."""
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
    ],
)
def test_tf_config_names_this_worker(monkeypatch, text, index, addresses):
    monkeypatch.setenv("TF_CONFIG", text)
    monkeypatch.setenv("SLURM_PROCID", "7")  # TF_CONFIG goes first
    task = cluster.this_task(CONFIG)
    assert task == cluster.Task(index, len(addresses), tuple(addresses))
    assert task.address == addresses[index]
    assert task.is_chief == (index == 0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is JSON"),
        ("{'cluster': {}}", "is JSON"),
        ("[" * 100_000, "is JSON"),
        ("{}", "names the cluster and this task"),
        ('["cluster", "task"]', "names the cluster and this task"),
        (json.dumps({"cluster": {"worker": TWO}}), "names the cluster and this task"),
        (tf_config({"ps": ["a:1"], "worker": TWO}, type="worker", index=0), "workers and perhaps a chief"),
        (tf_config({"worker": "a:1"}, type="worker", index=0), "workers and perhaps a chief"),
        (tf_config({}, type="worker", index=0), "names every worker"),
        (tf_config({"worker": ["a"]}, type="worker", index=0), "as host:port"),
        (tf_config({"worker": ["a:0"]}, type="worker", index=0), "as host:port"),
        (tf_config({"worker": ["a:65536"]}, type="worker", index=0), "as host:port"),
        (tf_config({"worker": ["a..b:1"]}, type="worker", index=0), "as host:port"),
        (tf_config({"worker": [1]}, type="worker", index=0), "as host:port"),
        (tf_config({"chief": TWO}, type="chief", index=0), "one chief at most"),
        (tf_config({"worker": ["a:1", "a:1"]}, type="worker", index=0), "an address of its own"),
        (tf_config({"worker": TWO}, type="worker", index=2), "which of its workers this is"),
        (tf_config({"worker": TWO}, type="worker", index=-1), "which of its workers this is"),
        (tf_config({"worker": TWO}, type="worker", index="0"), "which of its workers this is"),
        (tf_config({"worker": TWO}, type="worker"), "which of its workers this is"),
        (tf_config({"worker": TWO}, type="evaluator", index=0), "which of its workers this is"),
        (tf_config({"worker": TWO}, type=[], index=0), "which of its workers this is"),
    ],
)
def test_a_bad_tf_config_is_refused_in_one_line(monkeypatch, text, said):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ConfigError) as error:
        cluster.this_task(CONFIG)
    assert str(error.value).startswith("TF_CONFIG ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 450


def test_without_tf_config_or_slurm_both_are_named():
    with pytest.raises(ConfigError, match=r"TF_CONFIG or by srun.*Received: neither"):
        cluster.this_task(CONFIG)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SLURM_PROCID": "0"}, "Missing: SLURM_STEP_NUM_TASKS, SLURM_STEP_NODELIST"),
        ({"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "2"}, "SLURM_PROCID=2 SLURM_STEP_NUM_TASKS=2"),
        ({"SLURM_PROCID": "x", "SLURM_STEP_NUM_TASKS": "2"}, "SLURM_PROCID=x"),
    ],
)
def test_slurm_s_variables_that_name_no_task_are_refused(monkeypatch, variables, said):
    others = {name: "1" for name in cluster.SLURM[2:]} if len(variables) > 1 else {}
    for name, value in (others | variables).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"start with srun.*{said}"):
        cluster.this_task(CONFIG)


def test_a_port_on_which_another_process_listens_is_refused():
    """gRPC listens with SO_REUSEPORT: two runs of one user would share the port without a word."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"cannot be had \(Address already in use\).*{address}"):
            cluster.meet(cluster.Task(0, 1, (address,)))


def test_workers_wait_for_each_other_and_say_for_whom(capsys):
    """Two of three, started one after the other, go on when the third is there, and not before."""
    addresses = tuple(json.loads(tf_configs(3)[0])["cluster"]["worker"])
    over = threading.Event()

    def worker(index):
        cluster.meet(cluster.Task(index, 3, addresses))
        met.append(index)
        with socket.create_server(
            ("", int(addresses[index].rpartition(":")[2]))
        ):  # as TensorFlow does at once
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


def test_a_batch_that_workers_cannot_share_is_refused_before_they_wait_for_each_other(monkeypatch):
    from amr_tf.distributed.strategy import make_strategy

    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": TWO}, type="worker", index=0))
    with pytest.raises(ConfigError, match=r"equal share.*--batch_size=7 --k=2 on 2 devices"):
        make_strategy(Config(strategy="multiworker", batch_size=7))


def test_the_command_refuses_a_bad_tf_config_in_one_line(monkeypatch, capsys):
    monkeypatch.setenv("TF_CONFIG", "{")
    assert train.main(["--strategy=multiworker"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("amr_tf.train: TF_CONFIG is JSON, such as ")
    assert err.count("\n") == 1


SLURM_STEP = {
    "SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "5", "SLURM_STEP_NODELIST": "gpu[1-2],x7",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1", "SLURM_JOB_ID": "41",
}  # fmt: skip


def test_slurm_s_tasks_get_an_address_each(monkeypatch):
    """By TensorFlow's resolver, which needs help where there are no GPUs; the ports depend on the job."""
    from amr_tf.distributed.strategy import slurm_task

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
    with pytest.raises(ConfigError, match="do not fit together"):
        slurm_task(task)


def replay(folder, name, *flags, environments=({},)):
    """What processes of tests/support/worker_replay.py found, one for each environment, by index."""
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
    """What one device finds: one_device(update_g_every)."""

    @functools.cache
    def found(update_g_every):
        flags = ("--strategy=none", f"--update_g_every={update_g_every}")
        return replay(tmp_path_factory.mktemp("one"), "one", *flags)[0]

    return found


@pytest.mark.soak
def test_four_devices_of_one_process_train_as_one_does(one_device, tmp_path):
    """Two of them, and all ways to run a step: test_distribution.py."""
    (found,) = replay(tmp_path, "four", "--strategy=mirrored", "--cpu_devices=4", "--update_g_every=1")
    assert_like(found, one_device(1))
    assert_draws_differ([found], 4)


@pytest.mark.parametrize(
    ("count", "update_g_every"),
    [pytest.param(2, 3, marks=pytest.mark.slow), pytest.param(3, 1, marks=pytest.mark.soak)],
)
def test_workers_train_as_one_device_does(one_device, tmp_path, count, update_g_every):
    """Losses after each step, the evaluation, and all weights; each worker reads its own share of the real batches."""
    flags = ("--strategy=multiworker", f"--update_g_every={update_g_every}")
    environments = [{"TF_CONFIG": text} for text in tf_configs(count)]
    found = replay(tmp_path, "worker", *flags, environments=environments)
    assert_like(found[0], one_device(update_g_every))
    for name in found[0]:  # between the workers there is no rounding
        if not name.startswith("drawn/"):
            np.testing.assert_array_equal(found[0][name], found[-1][name], err_msg=name)
    assert_draws_differ(found, count)
    assert len(list(tmp_path.glob("step_*"))) == 1


@pytest.mark.slow
def test_workers_stay_equal_with_supervised_mixing(tmp_path):
    """Each asks for attributes of its own: no draw of these respects the shares, so only the workers are compared."""
    flags = (
        "--strategy=multiworker", "--dataset=shapes", "--train_examples=500", "--arch=amr_fixed", "--latent=32",
        "--model=amr_supervised", "--update_g_every=1",
    )  # fmt: skip
    environments = [{"TF_CONFIG": text} for text in tf_configs(2)]
    first, second = replay(tmp_path, "worker", *flags, environments=environments)
    names = [name for name in first.files if not name.startswith("drawn/")]
    assert [name for name in names if "class_mixer" in name]
    for name in names:
        assert np.isfinite(first[name]).all(), name
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)


@pytest.mark.slow
def test_one_task_of_slurm_trains_as_one_device_does(one_device, tmp_path):
    host = socket.gethostname()
    step = {
        "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NODELIST": host, "SLURMD_NODENAME": host,
        "SLURM_STEP_TASKS_PER_NODE": "1", "SLURM_JOB_ID": "1",
    }  # fmt: skip
    flags = ("--strategy=multiworker", "--update_g_every=1")
    (found,) = replay(tmp_path, "slurm", *flags, environments=[step])
    assert_like(found, one_device(1))


def assert_like(found, expected):
    assert set(expected.files) <= set(found.files)
    for name in expected.files:
        if not name.startswith("drawn/"):
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4, err_msg=name)


def assert_draws_differ(found, replicas):
    drawn = [one[name] for one in found for name in one.files if name.startswith("drawn/")]
    assert len(drawn) == replicas
    assert len({tuple(values) for values in drawn}) == replicas
