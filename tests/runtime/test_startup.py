"""Number of threads of an operation on the CPU."""

import contextlib

import pytest

from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "1"), (3, "1"), (8, "4")])
def test_threads_default_is_half_of_the_cores(monkeypatch, cores, threads):
    monkeypatch.setattr(startup, "cores", lambda: cores)
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3"})
    startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == threads


@pytest.mark.parametrize("threads", ["7", "-1", "", "two", "1.5", "99999"])
def test_threads_are_those_set_or_refused(monkeypatch, threads):
    """TensorFlow would abort the process at a negative number."""
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3", startup.THREADS: threads})
    refused = pytest.raises(UserError, match=f"^{startup.THREADS} must be .* Received: '{threads}'$")
    with contextlib.nullcontext() if threads == "7" else refused:
        startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == threads
