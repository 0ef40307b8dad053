"""The coordinator of several workers, without the others. Real workers: test_cluster.py."""

import signal

import pytest
import tensorflow as tf

from amr_tf.distributed.cluster import Task
from amr_tf.distributed.coordination import Coordinator
from amr_tf.runtime.errors import Interrupted, LostWorkerError
from amr_tf.runtime.interruption import Interruption

GONE = tf.errors.UnavailableError(None, None, "Connection\nreset by peer")


class OneOfTwo(Coordinator):
    """A worker of two; the other one passes the same values."""

    def __init__(self, index):
        super().__init__(task=Task(index, 2))
        self.calls = []

    def all_gather(self, value):
        self.calls.append("gather")
        return [value, value]

    def call(self):
        self.calls.append("call")
        return 7


def test_coordinator_alone_is_local():
    alone = Coordinator()
    assert alone.all_gather(5) == [5]
    assert alone.broadcast(5) == 5
    assert alone.all_equal("text")
    assert alone.on_chief(lambda: 7) == alone.chief_first(lambda: 7) == 7


@pytest.mark.parametrize(
    ("index", "calls", "result"), [(0, ["call", "gather"], 7), (1, ["gather", "call"], None)]
)
def test_chief_first_calls_the_chief_before_the_others(index, calls, result):
    worker = OneOfTwo(index)
    assert worker.chief_first(worker.call) == 7
    assert worker.calls == calls
    assert worker.on_chief(lambda: 7) == result


@pytest.mark.parametrize(("index", "files"), [(0, ["new", "new/file"]), (1, [])])
def test_new_folder_is_kept_by_the_chief(tmp_path, index, files):
    with OneOfTwo(index).new_folder(tmp_path / "new") as folder:
        (folder / "file").touch()
    assert not folder.exists()
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == files


def lose_a_worker(coordinator, step, number=None):
    with Interruption() as interruption, coordinator.handle_lost_workers(lambda: step, interruption):
        interruption.stepping = True
        if number:
            signal.raise_signal(number)
        raise GONE


@pytest.mark.parametrize(("step", "where"), [(0, "its beginning"), (1200, "step 1,200")])
def test_lost_worker_is_one_line_with_the_step(step, where):
    expected = rf"^Lost a worker of the run\. Received by worker 1 of 2: .*resumes from {where}\.$"
    with pytest.raises(LostWorkerError, match=expected):
        lose_a_worker(OneOfTwo(1), step)


def test_lost_worker_after_a_signal_is_an_interruption():
    with pytest.raises(Interrupted, match="SIGTERM after other workers had left, with step 12 saved"):
        lose_a_worker(OneOfTwo(0), 12, signal.SIGTERM)


def test_error_of_a_single_worker_is_not_a_loss():
    with pytest.raises(tf.errors.UnavailableError):
        lose_a_worker(Coordinator(), 0)
