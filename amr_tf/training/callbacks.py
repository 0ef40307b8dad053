"""Callbacks of a run: progress on the console, and files with the results of each epoch."""

import datetime
import math
import time

import keras
import rich.console
import rich.progress

from amr_tf.config import Config
from amr_tf.runs.best import ACCURACY, Criterion, best_by, best_kept, best_row
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunError, RunFolder, checkpoints_in, step_of, write_rows
from amr_tf.runtime import files

LINE_EVERY = 60.0  # seconds between lines if the output is not a terminal


class Progress(keras.callbacks.Callback):
    """Progress bar with images/s and time left. Without a terminal, a line is printed about once per minute.

    The callback adds `images_per_second` to the logs. This rate excludes evaluation. It also excludes the first call
    of an epoch, which may compile, unless the epoch has no other call.

    `epoch_length` is the number of steps in an epoch, and `first_step` is the step from which training starts. `by` is
    the criterion that selects the run's best epoch. The validation value of this criterion is printed after an epoch.
    """

    def __init__(
        self,
        config: Config,
        epoch_length: int,
        first_step: int,
        console: rich.console.Console,
        by: Criterion = ACCURACY,
    ):
        super().__init__()
        self.by = by
        self.config, self.epoch_length, self.first_step = config, epoch_length, first_step
        self.console, self.total, self.rate = console, config.epochs * epoch_length, math.nan
        self.bar = rich.progress.Progress(
            "{task.description}", rich.progress.BarColumn(), "{task.percentage:3.0f}%", "{task.fields[rate]}",
            rich.progress.TimeRemainingColumn(), "left", console=console, disable=not console.is_terminal,
        )  # fmt: skip

    def on_train_begin(self, logs=None):
        self.task = self.bar.add_task("compiling", total=self.total, completed=self.first_step, rate="")
        self.bar.start()
        self.begin = self.last_line = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.calls, self.images, self.seconds = epoch, 0, 0, 0.0
        self.description = f"epoch {epoch + 1}/{self.config.epochs}"

    def on_train_batch_begin(self, batch, logs=None):
        self.first_of_call, self.call_begin = batch, time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        self.calls += 1
        if self.calls == 2:
            self.images, self.seconds = 0, 0.0
        self.images += (batch - self.first_of_call + 1) * self.config.batch_size
        self.seconds += now - self.call_begin
        self.rate = self.images / self.seconds
        done = self.epoch * self.epoch_length + batch + 1
        evaluating = ", evaluating" if batch + 1 == self.epoch_length else ""
        rate = f"{self.rate:,.0f} images/s"
        self.bar.update(self.task, completed=done, description=self.description + evaluating, rate=rate)
        if not self.console.is_terminal and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            left = (now - self.begin) / (done - self.first_step) * (self.total - done)
            clock = datetime.timedelta(seconds=round(left))
            self.console.print(f"{self.description}  step {done:,}/{self.total:,}  {rate}  {clock} left")

    def on_epoch_end(self, epoch, logs=None):
        if math.isfinite(self.rate):
            logs["images_per_second"] = self.rate
        is_due = self.console.is_terminal or time.monotonic() - self.last_line >= LINE_EVERY
        if is_due or epoch + 1 == self.config.epochs:
            self.last_line = time.monotonic()
            if self.by is ACCURACY:
                means = (
                    f"{logs['recon']:.4f}  probe {logs['probe_accuracy']:.1%} (train) "
                    f"{logs['val_probe_accuracy']:.1%} (validation)"
                )
            else:
                means = f"{logs['recon']:.4f} (train) {self.by.shown(logs, 'val')} (validation)"
            self.console.print(f"{self.description}  recon {means}  {self.rate:,.0f} images/s")

    def stop(self) -> None:
        """Releases the terminal. Call this method also after an error, because then `on_train_end` is not called."""
        self.bar.stop()


class Results(keras.callbacks.Callback):
    """Writes metrics.csv, with one row per epoch, and results.json.

    The best epoch is chosen on the VALIDATION split (`runs.best`), never on the test split.

    Args:
        run: the run folder.
        about: the provenance of the results. `best_by` is the name of the criterion that selects the best epoch.
        rows: the rows of earlier epochs.
        checkpoints: the checkpoints of the run. The callback marks the checkpoint of the best epoch, and prints a
            warning about a damaged results.json with `checkpoints.warn`.
    """

    def __init__(self, run: RunFolder, about: dict, rows: list[dict], checkpoints: Checkpoints):
        super().__init__()
        self.run, self.about, self.rows, self.checkpoints = run, about, rows, checkpoints
        if rows:
            self._keep_best()

    def on_train_begin(self, logs=None):
        """Reads the metrics that an earlier evaluation added to results.json, so that they are written again."""
        try:
            found = self.run.read_results()
        except RunError as error:
            kept = files.set_aside(self.run.results)
            self.checkpoints.warn(
                f"warning: {error.__cause__}: {self.run.results} is kept as {kept.name} and replaced"
            )
            return
        self.about = self.about | {name: value for name, value in found.items() if name == "metrics"}

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch + 1, "step": int(self.model.step.numpy())} | logs)
        self._keep_best()
        results = {"best": self.best(), "last": self.rows[-1]} | self.about | {"best_by": self.by.name}
        files.write_json(self.run.results, results)
        # metrics.csv is written last: an epoch with a row is finished and is not evaluated again.
        write_rows(self.run.metrics, self.rows)

    @property
    def by(self) -> Criterion:
        """The criterion that selects the best epoch."""
        return best_by(self.about, self.rows)

    def best(self) -> dict[str, float]:
        """Returns the row of the best epoch so far."""
        return best_row(self.rows, self.by)

    def _keep_best(self) -> None:
        """Protects the checkpoint of the best epoch from deletion.

        Runs of earlier versions may lack this checkpoint. Then the best existing checkpoint is protected.
        """
        steps = {*map(step_of, checkpoints_in(self.run.checkpoints))}
        self.checkpoints.best_step = int((best_kept(self.rows, self.by, steps) or self.best())["step"])
