"""How many threads an operation has on the CPU."""

import pytest

from amr_tf import startup


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
