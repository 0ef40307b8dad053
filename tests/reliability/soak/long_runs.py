"""The bar of a long run within this process."""

import gc
import shutil
from unittest import mock

import numpy as np
import psutil

from amr_tf.config import Config
from amr_tf.training import callbacks, experiment
from tests.reliability.faults.harness import POINTS, WHOLE
from tests.reliability.soak.tally import Bar, Outcome

MIB = 1 << 20


class _Sampled(callbacks.Results):
    """The last callback of a run, which notes memory, descriptors, threads and traces after each epoch."""

    process, samples = psutil.Process(), []

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
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
        size = {"steps_per_epoch": 1_000, "epochs": 20, "checkpoint_minutes": 0.05}
        _Sampled.samples.clear()
        with mock.patch.object(callbacks, "Results", _Sampled):
            experiment.run(Config(**POINTS | WHOLE | size, run_dir=str(self.folder / "run")))
        samples = np.array(_Sampled.samples[self.warm_up :])
        slope = np.polyfit(np.arange(len(samples)), samples[:, 0], 1)[0]
        spread = np.ptp(samples, axis=0)
        assert slope <= 1, samples[:, 0]
        assert spread[1:].max() == 0, samples
        traces = np.array(_Sampled.samples)[:, 3]
        assert np.ptp(traces) == 0, traces
        most = {"MiB per 1,000 steps": slope, "MiB used": samples[:, 0].max(), "descriptors": samples[-1, 1],
                "threads": samples[-1, 2], "traces": traces.max()}  # fmt: skip
        return Outcome(most={name: float(value) for name, value in most.items()}, size=self.asked)
