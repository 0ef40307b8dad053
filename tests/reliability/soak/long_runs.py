"""Bars about the course of a run: taken up again, no longer finite, under a clock that jumps, and long."""

import dataclasses
import datetime
import gc
import pathlib
import re
import shutil
import sys

import keras
import numpy as np
import psutil
import pytest
import rich.console
import tensorflow as tf

from amr_tf import data
from amr_tf.config import Config
from amr_tf.data import pipeline
from amr_tf.distributed.coordination import Coordinator
from amr_tf.models.build import build_model
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunFolder, checkpoints_in, step_of
from amr_tf.runtime.errors import DivergedError, Interrupted
from amr_tf.runtime.interruption import Interruption
from amr_tf.training import callbacks, experiment, loop
from amr_tf.training.pictures import Pictures
from amr_tf.training.tensorboard import TensorBoard
from tests.reliability.faults.harness import (
    COMMON,
    EPOCH_LENGTH,
    POINTS,
    TWO_REPLICAS,
    assert_ends_like,
    assert_same,
    newest,
    outcome,
)
from tests.reliability.soak.processes import Runs
from tests.reliability.soak.tally import Outcome, Skipped

MIB = 1 << 20


class Resume:
    """Stopped after a step and taken up again, in one process: ends as the run that was not stopped."""

    # The first steps, the last ones, and those around the end of an epoch of 12.
    stops = (1, 2, 6, 11, 12, 13, 20, 24, 30, 35)
    asked = 2 * len(stops)

    def __init__(self, folder: pathlib.Path):
        self.folder, self.unbroken = folder, {}
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

    def trial(self, number: int) -> Outcome:
        several, at = divmod(number, len(self.stops))
        settings = POINTS | (TWO_REPLICAS if several else {})
        if several not in self.unbroken:
            self._run("unbroken", settings)
            self.unbroken[several] = outcome(self.folder / "unbroken")
        with pytest.raises(Interrupted):
            self._run("run", settings, self.stops[at])
        assert newest(self.folder / "run") == self.stops[at]
        experiment.run(Config(**settings, run_dir=str(self.folder / "run")))
        assert_same(self.folder / "run", self.unbroken[several], 1 + several)
        return Outcome({f"with {1 + several} replica{'s' * several}": 1})

    def _run(self, name: str, settings: dict, stop_at: int | None = None) -> None:
        shutil.rmtree(self.folder / name, ignore_errors=True)
        experiment.run(Config(**settings, run_dir=str(self.folder / name)), stop_at=stop_at)

    def close(self) -> None:
        """Nothing runs on."""


class _Poison(keras.callbacks.Callback):
    """Makes one number of one weight NaN before a step."""

    def __init__(self, step: int, rng: np.random.Generator):
        super().__init__()
        self.at, self.rng, self.done = step, rng, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.done += 1
        if self.done == self.at:
            # The probe's are no part of the game and have no say in the losses of the others.
            weights = self.model.encoder.trainable_variables + self.model.decoder.trainable_variables
            weight = weights[self.rng.integers(len(weights))]
            value = weight.numpy()
            value.flat[self.rng.integers(value.size)] = np.nan
            weight.assign(value)


class NotFinite:
    """NaN in a weight before step n, or in an example that is first drawn in step n of a call of several."""

    asked = 20

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "checkpoints"

    def trial(self, number: int) -> Outcome:
        rng = np.random.default_rng((7, number))
        in_example = number % 2
        config = Config(**(POINTS | {"steps_per_execution": 5 if in_example else 1, "seed": number}))
        splits, watching = data.load(config), []
        if in_example:
            splits, expected = _with_a_broken_example(config, splits, rng)
        else:
            expected = int(rng.integers(1, 30))
            watching = [_Poison(expected, rng)]
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        model = build_model(config, splits.train.spec.image_shape, splits.train.spec.classes)
        model.epoch_length = EPOCH_LENGTH
        saved = Checkpoints(self.folder, model, print)
        with pytest.raises(DivergedError) as stopped, Interruption() as interruption:
            loop.Loop(model, splits, saved, watching, interruption, Coordinator()).run(loop.Position(0, 0))
        said = str(stopped.value)
        assert f"diverged at step {expected}: " in said, (said, expected)
        assert re.search(r": \w+.* no longer finite", said), said
        kept = checkpoints_in(self.folder)
        assert all(step_of(path) < expected for path in kept), (kept, expected)
        for path in kept:
            reader = tf.train.load_checkpoint(str(path / "state"))
            values = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]
            floats = [value for value in values if getattr(value, "dtype", None) == np.float32]
            assert all(np.isfinite(value).all() for value in floats)
        return Outcome({"in an example" if in_example else "in a weight": 1})

    def close(self) -> None:
        """Nothing runs on."""


def _with_a_broken_example(config: Config, splits: data.Splits, rng) -> tuple[data.Splits, int]:
    """Splits of which one training example, drawn in the first 25 steps, is NaN; and the step that draws it first."""
    step = int(rng.integers(1, 25))
    batches = pipeline.batches(splits.train, config.batch_size, config.seed, 0)
    drawn = [np.asarray(batch[0]).reshape(config.batch_size, -1) for batch in batches.take(step)]
    wanted = drawn[-1][0]
    first = next(n for n, batch in enumerate(drawn, 1) if (batch == wanted).all(axis=1).any())
    images = np.array(splits.train.images)
    images[(images.reshape(len(images), -1) == wanted).all(axis=1)] = np.nan
    return splits._replace(train=dataclasses.replace(splits.train, images=images)), first


class Clock(Runs):
    """The time of day jumps between two starts of a run, or while it trains: it saves, counts down, ends the same."""

    jumps = tuple(datetime.timedelta(days=sign * days) for days in (1, 3653) for sign in (1, -1))
    asked = 2 * len(jumps)
    library = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
    # A terminal, on which the time left is shown.
    terminal = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"

    def trial(self, number: int) -> Outcome:
        if not self.library.exists():
            raise Skipped("no libfaketime here (Debian: apt install libfaketime)")
        while_it_trains, which = divmod(number, len(self.jumps))
        offset = self.folder / "offset"
        offset.write_text("+0")
        moved = f"{int(self.jumps[which].total_seconds()):+d}"
        prefix = (
            "env", f"LD_PRELOAD={self.library}", f"FAKETIME_TIMESTAMP_FILE={offset}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", "COLUMNS=200", "TERM=xterm", sys.executable, "-c", self.terminal,
        )  # fmt: skip
        shutil.rmtree(self.run_folder, ignore_errors=True)
        run = self.launch(self.run_folder, self.settings, prefix)
        run.wait_for_steps(20)
        if while_it_trains:
            offset.write_text(moved)
            before = newest(run.folder)
            assert run.wait_for(lambda: newest(run.folder) > before + 20), "no save after the jump"
        else:
            for child in psutil.Process(run.process.pid).children(recursive=True):
                child.kill()
            run.process.wait()
            offset.write_text(moved)
            run = self.launch(self.run_folder, self.settings, prefix)
        assert_ends_like(run, self.unbroken)
        shown = re.findall(r"(\S+) .{0,9}left", run.out.read_text())
        assert shown
        assert not [text for text in shown if "-" in text.replace("-:--:--", "")], shown
        return Outcome({"while it trains" if while_it_trains else "between two starts": 1})


class _Sampler(keras.callbacks.Callback):
    """Memory, descriptors, threads and traces after each epoch."""

    def __init__(self):
        super().__init__()
        self.process, self.samples = psutil.Process(), []

    def on_epoch_end(self, epoch, logs=None):
        gc.collect()
        held = [cell.cell_contents for cell in self.model.make_train_function().__closure__]
        traces = sum(f.experimental_get_tracing_count() for f in held if hasattr(f, "get_concrete_function"))
        used = self.process.memory_info().rss / MIB
        self.samples.append((used, self.process.num_fds(), self.process.num_threads(), traces))


class Endurance:
    """20 epochs of 1,000 steps, with all that watches a run."""

    asked = 20_000
    warm_up = 4  # epochs in which TensorFlow's allocator, threads and caches still grow

    def __init__(self, folder: pathlib.Path):
        self.folder = folder / "run"

    def trial(self, number: int) -> Outcome:
        shutil.rmtree(self.folder, ignore_errors=True)
        settings = COMMON | {
            "dataset": "spiral",
            "depth": 2,
            "steps_per_execution": 0,
            "checkpoint_minutes": 0.05,
        }
        config = Config(**settings, steps_per_epoch=1_000, epochs=20, run_dir=str(self.folder))
        sampler = _Sampler()
        _train(config, sampler)
        samples = np.array(sampler.samples[self.warm_up :])
        slope = np.polyfit(np.arange(len(samples)), samples[:, 0], 1)[0]
        spread = np.ptp(samples, axis=0)
        assert slope <= 1, samples[:, 0]
        assert spread[1:].max() == 0, samples
        traces = np.array(sampler.samples)[:, 3]
        assert np.ptp(traces) == 0, traces
        most = {"MiB per 1,000 steps": slope, "MiB used": samples[:, 0].max(), "descriptors": samples[-1, 1],
                "threads": samples[-1, 2], "traces": traces.max()}  # fmt: skip
        return Outcome(most={name: float(value) for name, value in most.items()}, size=self.asked)

    def close(self) -> None:
        """Nothing runs on."""


def _train(config: Config, sampler: _Sampler) -> None:
    """As `experiment.run` does it, with one more that watches."""
    folder, splits = RunFolder(config), data.load(config)
    console = rich.console.Console(quiet=True)
    with Interruption() as interruption, folder.started(dict.fromkeys(vars(config), "soak")):
        model = build_model(config, splits.train.spec.image_shape, splits.train.spec.classes)
        model.epoch_length = config.steps_per_epoch
        saved = Checkpoints(folder.checkpoints, model, print)
        watching = [
            callbacks.Progress(config.batch_size, model.epoch_length, config.epochs, 0, console),
            Pictures(folder, splits.validation, config.epochs),
            TensorBoard(folder.tensorboard, config, splits.validation, new_run=True),
            callbacks.Results(folder, {}, [], saved, print),
            sampler,
        ]
        loop.Loop(model, splits, saved, watching, interruption, Coordinator()).run(loop.Position(0, 0))
