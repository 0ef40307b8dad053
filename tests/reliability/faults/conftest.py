"""Fixtures that start runs and end them with their test."""

import functools

import pytest

from tests.reliability.faults.harness import WHOLE, Run


@pytest.fixture
def launch(tmp_path_factory):
    """launch(folder, settings, prefix=()): starts the command."""
    started = []

    def start(folder, settings, prefix=()):
        started.append(Run(folder, settings, tmp_path_factory.mktemp("logs"), prefix))
        return started[-1]

    yield start
    for run in started:
        if run.process.poll() is None:
            run.kill()


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory):
    """unbroken(settings): the outcome of an uninterrupted run, with several steps per call instead of single ones."""

    @functools.cache
    def end(settings):
        folder = tmp_path_factory.mktemp("unbroken") / "run"
        return Run(folder, dict(settings) | WHOLE, tmp_path_factory.mktemp("logs")).outcome()

    return lambda settings: end(tuple(settings.items()))
