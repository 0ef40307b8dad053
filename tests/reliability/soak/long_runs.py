"""Bars of whole runs within this process: resumed, diverged, and long."""

import dataclasses
import gc
import pathlib
import re
import shutil

import keras
import numpy as np
import psutil
import pytest
import rich.console
import tensorflow as tf

from amr_tf import data
from amr_tf.config import Config
from amr_tf.data import pipeline
from amr_tf.distributed.coordination import Agreement
from amr_tf.models.build import build_model
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunFolder, checkpoints_in, step_of
from amr_tf.runtime.errors import DivergedError, Interrupted
from amr_tf.runtime.interruption import Interruption
from amr_tf.training import callbacks, experiment, loop
from amr_tf.training.pictures import Pictures
from amr_tf.training.tensorboard import TensorBoard
from tests.reliability.faults import harness
from tests.reliability.faults.harness import (
    COMMON,
    EPOCH_LENGTH,
    POINTS,
    TWO_REPLICAS,
    assert_same,
    newest,
    outcome,
)
from tests.reliability.soak.tally import Bar, Outcome

MIB = 1 << 20


class Resume(Bar):
    """A run that is stopped after a step and resumed ends like an uninterrupted one."""

    # The first steps, the last ones, and those around the end of an epoch of 12.
    stops = (1, 2, 6, 11, 12, 13, 20, 24, 30, 35)
    asked = 2 * len(stops)

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        self.unbroken: dict[int, harness.Outcome] = {}
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


class NotFinite(Bar):
    """NaN in a weight before step n, or in an example that is first drawn in step n of a call of several."""

    asked = 20

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
        checkpoints = self.folder / "checkpoints"
        shutil.rmtree(checkpoints, ignore_errors=True)
        checkpoints.mkdir()
        model = build_model(config, splits.train.spec.image_shape, splits.train.spec.classes)
        model.epoch_length = EPOCH_LENGTH
        saved = Checkpoints(checkpoints, model, print)
        with pytest.raises(DivergedError) as stopped, Interruption() as interruption:
            loop.Loop(model, splits, saved, watching, interruption, Agreement()).run(loop.Position(0, 0))
        said = str(stopped.value)
        assert f"diverged at step {expected}: " in said, (said, expected)
        assert re.search(r": \w+.* no longer finite", said), said
        kept = checkpoints_in(checkpoints)
        assert all(step_of(path) < expected for path in kept), (kept, expected)
        for path in kept:
            reader = tf.train.load_checkpoint(str(path / "state"))
            values = [reader.get_tensor(name) for name in reader.get_variable_to_shape_map()]
            floats = [value for value in values if getattr(value, "dtype", None) == np.float32]
            assert all(np.isfinite(value).all() for value in floats)
        return Outcome({"in an example" if in_example else "in a weight": 1})


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


class Endurance(Bar):
    """20 epochs of 1,000 steps, with all that watches a run."""

    asked = 20_000
    warm_up = 4  # epochs in which TensorFlow's allocator, threads and caches still grow

    def trial(self, number: int) -> Outcome:
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        settings = COMMON | {
            "dataset": "spiral",
            "depth": 2,
            "steps_per_execution": 0,
            "checkpoint_minutes": 0.05,
        }
        config = Config(**settings, steps_per_epoch=1_000, epochs=20, run_dir=str(self.folder / "run"))
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
        loop.Loop(model, splits, saved, watching, interruption, Agreement()).run(loop.Position(0, 0))
