"""The bar of a long run within this process."""

import gc
import shutil

import keras
import numpy as np
import psutil
import rich.console

from amr_tf import data
from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime.interruption import Interruption
from amr_tf.training import callbacks, loop
from amr_tf.training.tensorboard import TensorBoard
from tests.reliability.faults.harness import (
    COMMON,
)
from tests.reliability.soak.tally import Bar, Outcome

MIB = 1 << 20


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
    """20 epochs of 1,000 steps with all callbacks."""

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
    """Trains as `experiment.run` does, with one callback more."""
    folder, splits = RunFolder(config), data.load(config)
    console = rich.console.Console(quiet=True)
    with Interruption() as interruption, folder.started(dict.fromkeys(vars(config), "soak")):
        model = build_model(config, splits.train.spec.image_shape, splits.train.spec.classes)
        model.epoch_length = config.steps_per_epoch
        saved = Checkpoints(folder.checkpoints, model, print)
        watching = [
            callbacks.Progress(config, model.epoch_length, 0, console),
            TensorBoard(folder, splits.validation, new_run=True),
            callbacks.Results(folder, {}, [], saved),
            sampler,
        ]
        loop.Loop(model, splits, saved, watching, interruption).run(loop.Position(0, 0))
