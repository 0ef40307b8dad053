"""The files written after an epoch, their order, and the speed."""

import json
import types

import keras
import pytest
import rich.console
from hypothesis import given, settings
from hypothesis import strategies as st

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs import best
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunFolder, checkpoints_in, read_rows, write_rows
from amr_tf.runs.trained import step_named
from amr_tf.runtime import files
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


@pytest.fixture(scope="module")
def saving(tmp_path_factory):
    """A model on points, and a maker of empty folders."""
    settings = {"dataset": "spiral", "depth": 1, "batch_size": 8}
    return build_model(Config(**settings), (1, 1, 2), 10), lambda: tmp_path_factory.mktemp("run")


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
    results.on_epoch_end(1, accuracies(0.4))
    assert results.checkpoints.best_step == 4
    found = json.loads(results.run.results.read_text())
    assert (found["best"]["epoch"], found["last"]["epoch"]) == (1, 2)
    assert found["best_by"] == "validation probe accuracy"
    assert read_rows(results.run.metrics) == [row(1, 0.5), row(2, 0.4)]
    results.on_epoch_end(1, accuracies(0.5))
    assert results.checkpoints.best_step == 8, "the last of equals"


@given(
    by=st.sampled_from([*best.CRITERIA.values()]),
    numbers=st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 1.0]), st.sampled_from([0.5, 0.1, 0.3])), min_size=1, max_size=7
    ),
)
@settings(max_examples=4, deadline=None)
def test_results_best_checkpoint_is_there_at_every_moment(saving, by, numbers):
    """After each save and each epoch of real checkpoints, the epoch that the rule names can be opened."""
    model, make_folder = saving
    run = RunFolder(Config(run_dir=str(make_folder())))
    run.checkpoints.mkdir(parents=True)
    saved = Checkpoints(run.checkpoints, model, pytest.fail)
    written = callbacks.Results(run, {"best_by": by.name}, [], saved)
    written.set_model(model)

    def opened():
        row = best.best_row(written.rows, written.by)
        assert step_named(run, "best") == (row["step"], f"best by {written.by.name}, epoch {row['epoch']}")

    for epoch, (accuracy, recon) in enumerate(numbers):
        for step in (2 * epoch + 1, 2 * epoch + 2):  # in the middle of the epoch, and at its end
            model.step.assign(step)
            saved.save()
            if written.rows:
                opened()
        written.on_epoch_end(epoch, accuracies(accuracy) | {"val_recon": recon})
        opened()
        assert len(checkpoints_in(run.checkpoints)) <= 4


def test_results_resumed_run_keeps_the_best_that_is_left(saving):
    """An earlier version kept epoch 1 of 4 for its accuracy; epoch 2, the best by reconstruction, is gone."""
    model, make_folder = saving
    run = RunFolder(Config(run_dir=str(make_folder())))
    recons = enumerate((0.9, 0.1, 0.8, 0.2), 1)
    rows = [{"epoch": n, "step": n, "val_recon": recon} | accuracies(1.0) for n, recon in recons]
    for step in (1, 3, 4):
        (run.checkpoints / f"step_{step:010d}").mkdir(parents=True)
    saved = Checkpoints(run.checkpoints, model, pytest.fail)
    written = callbacks.Results(run, {"best_by": best.RECONSTRUCTION.name}, rows, saved)
    assert (saved.best_step, written.best()["epoch"]) == (4, 2)
    write_rows(run.metrics, rows)
    files.write_json(run.results, {"classes": 1})
    step, words = step_named(run, "best")
    assert step == 4
    assert words.endswith("epoch 4, of those kept; the checkpoint of epoch 2, the best, is not")
    # Of no finished epoch
    for step in (1, 3, 4):
        (run.checkpoints / f"step_{step:010d}").rename(run.checkpoints / f"step_{step + 10:010d}")
    assert step_named(run, "best") == (14, "last, since no checkpoint of a finished epoch is kept")


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
