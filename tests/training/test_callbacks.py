"""The files written after an epoch, their order, and the speed."""

import json
import types

import keras
import pytest
import rich.console

from amr_tf.config import Config
from amr_tf.runs.folder import RunFolder, read_rows
from amr_tf.runtime.errors import one_line
from amr_tf.training import callbacks


@pytest.mark.parametrize(
    ("calls", "steps_a_call", "between", "expected"),
    [
        ([9, 1, 1], 1, 0, 10),  # the first call compiles
        ([1, 2, 2], 1, 60, 5),  # saves between the steps are not steps
        ([9, 1, 1], 4, 0, 40),
        ([2], 4, 0, 20),  # the only call
    ],
)
def test_progress_speed_is_that_of_the_steps_alone(monkeypatch, calls, steps_a_call, between, expected):
    """The calls of an epoch took these seconds, with other work in between."""
    clock = types.SimpleNamespace(now=0.0)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: clock.now)
    console, length = rich.console.Console(quiet=True), len(calls) * steps_a_call
    progress = callbacks.Progress(Config(batch_size=10, epochs=1), length, first_step=0, console=console)
    progress.on_train_begin()
    progress.on_epoch_begin(0)
    for number, seconds in enumerate(calls):
        progress.on_train_batch_begin(number * steps_a_call)
        clock.now += seconds
        progress.on_train_batch_end((number + 1) * steps_a_call - 1)
        clock.now += between
    logs = {"recon": 0.0, "probe_accuracy": 0.0, "val_probe_accuracy": 0.0}
    progress.on_epoch_end(0, logs)
    assert logs["images_per_second"] == pytest.approx(expected)


def row(epoch, accuracy):
    return {"epoch": epoch, "step": 4 * epoch} | accuracies(accuracy)


def accuracies(validation):
    return {"val_probe_accuracy": validation, "test_probe_accuracy": 0.25}


@pytest.fixture
def warnings():
    """The lines for the user."""
    return []


@pytest.fixture
def results(tmp_path, warnings):
    """Results of a run after one epoch."""
    folder = RunFolder(Config(run_dir=str(tmp_path)))
    saved = types.SimpleNamespace(best_step=0, warn=warnings.append)
    written = callbacks.Results(folder, {}, [row(1, 0.5)], saved)
    written.set_model(type("Model", (), {"step": keras.Variable(8, dtype="int64")}))
    return written


def test_results_are_those_of_the_best_validation(results):
    assert results.checkpoints.best_step == 4
    results.on_epoch_end(1, accuracies(0.5))
    assert results.checkpoints.best_step == 4, "the first of equals"
    found = json.loads(results.run.results.read_text())
    assert (found["best"]["epoch"], found["last"]["epoch"]) == (1, 2)
    assert read_rows(results.run.metrics) == [row(1, 0.5), row(2, 0.5)]
    results.on_epoch_end(1, accuracies(0.6))
    assert results.checkpoints.best_step == 8


def test_results_row_is_written_after_the_results(results, monkeypatch):
    """The row ends the epoch: a kill after it would leave old results forever."""

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(callbacks.files, "write_json", full)
    with pytest.raises(OSError, match="no space left"):
        results.on_epoch_end(1, accuracies(0.6))
    assert not results.run.metrics.exists()


def test_results_keep_metrics_of_an_evaluation(results, warnings):
    results.run.results.write_text('{"metrics": {"probe": {"score": 0.9}}, "commit": "old"}')
    results.on_train_begin()
    results.on_epoch_end(1, accuracies(0.4))
    found = json.loads(results.run.results.read_text())
    assert (found["metrics"], warnings) == ({"probe": {"score": 0.9}}, [])
    assert "commit" not in found


def test_results_damaged_file_is_kept_with_a_warning(results, warnings):
    for number, name in enumerate(("damaged_results.json", "damaged_results.json.2"), 1):
        results.run.results.write_text(f'{{"metrics": {number}')
        results.on_train_begin()
        results.on_epoch_end(1, accuracies(0.4))
        assert (results.run.path / name).read_text() == f'{{"metrics": {number}'
        assert f"is kept as {name} " in warnings[-1]
        assert "\n" not in warnings[-1]
    assert json.loads(results.run.results.read_text())["last"]["epoch"] == 2


def test_one_line_long_message_keeps_beginning_and_cause():
    path = "/a/" + "long/" * 100
    text = one_line(
        OSError(f"{{{{function_node __wrapped__SaveV2_device_/job:localhost}}}} {path}:\n File too large")
    )
    assert text.startswith("/a/long")
    assert text.endswith("File too large")
    assert len(text) < 310
    assert one_line(ValueError("")) == "ValueError"
    assert one_line(ValueError("x" * 200)) == "x" * 200
