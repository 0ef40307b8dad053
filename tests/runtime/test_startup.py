"""How many threads an operation has on the CPU, and what TensorFlow cannot start with or goes without."""

import numpy as np
import pytest

from amr_tf.runtime import errors, startup
from amr_tf.runtime.errors import UserError


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "1"), (3, "1"), (8, "4")])
def test_an_operation_has_half_of_the_cores(monkeypatch, cores, threads):
    monkeypatch.setattr(startup, "cores", lambda: cores)
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3"})
    startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == threads


def test_who_sets_the_threads_has_as_many(monkeypatch):
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3", startup.THREADS: "7"})
    startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == "7"


@pytest.mark.parametrize("threads", ["-1", "", "two", "1.5", "99999"])
def test_what_is_no_number_of_threads_is_refused(monkeypatch, threads):
    """TensorFlow would abort the process at the first."""
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3", startup.THREADS: threads})
    with pytest.raises(
        UserError, match=f"^TF_NUM_INTRAOP_THREADS is a number of threads. Received: '{threads}'$"
    ):
        startup.import_tensorflow()


def test_memory_that_there_is_not_is_said_on_one_line():
    """NumPy's here, at once. TensorFlow's, after ten seconds of waiting for some: tests/runtime/test_process.py."""
    said = r"^Out of memory: .*--batch_size.*\(Unable to allocate .*\)$"
    with pytest.raises(UserError, match=said), errors.out_of_memory_as_user_error():
        np.empty(2**60, np.uint8)
