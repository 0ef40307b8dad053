"""What happens around the steps of a run: progress, pictures, metrics.csv, results.json, checkpoints."""

import math
import time

import keras
import numpy as np
import rich.console
import rich.progress
import tensorflow as tf

from amr_tf import images, runs
from amr_tf.data import pixels
from amr_tf.errors import UserError
from amr_tf.mixing import mix

COLUMNS = 12  # examples in a picture
LINE_EVERY = 60.0  # seconds between lines where no terminal shows a bar
POINTS = 1000  # points in a scatter plot


class DivergedError(UserError):
    """Training whose losses or weights are no longer finite."""


class Progress(keras.callbacks.Callback):
    """A bar with images/s and time left; where the output is no terminal, at most one line a minute.

    Adds `images_per_second` to the epoch's logs: training steps alone, without an epoch's
    first, which may compile.
    """

    def __init__(self, batch_size: int, steps_per_epoch: int, console: rich.console.Console):
        super().__init__()
        self.batch_size, self.steps_per_epoch, self.console = batch_size, steps_per_epoch, console
        self.rate = math.nan
        self.bar = rich.progress.Progress(
            "{task.description}", rich.progress.BarColumn(), "{task.percentage:3.0f}%", "{task.fields[rate]}",
            rich.progress.TimeRemainingColumn(), "left", console=self.console, disable=not self.console.is_terminal,
        )  # fmt: skip

    def on_train_begin(self, logs=None):
        self.total = self.params["epochs"] * self.steps_per_epoch
        self.task = self.bar.add_task("", total=self.total, rate="")
        self.bar.start()
        self.begin = self.last_line = time.monotonic()
        self.first_step: int | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_begin, self.counted_from = epoch, time.monotonic(), None
        if self.first_step is None:
            self.first_step = epoch * self.steps_per_epoch
            self.bar.reset(self.task, completed=self.first_step)

    def on_train_batch_end(self, batch, logs=None):
        now = time.monotonic()
        if self.counted_from is None:
            self.rate = self.batch_size / (now - self.epoch_begin)
            self.epoch_begin, self.counted_from = now, batch
        elif now > self.epoch_begin:
            self.rate = (batch - self.counted_from) * self.batch_size / (now - self.epoch_begin)
        done = self.epoch * self.steps_per_epoch + batch + 1
        description = f"epoch {self.epoch + 1}/{self.params['epochs']}"
        self.bar.update(self.task, completed=done, description=description, rate=f"{self.rate:,.0f} images/s")
        if not self.console.is_terminal and now - self.last_line >= LINE_EVERY:
            self.last_line = now
            left = (now - self.begin) / (done - self.first_step) * (self.total - done)
            self.console.print(
                f"{description}  step {done:,}/{self.total:,}  {self.rate:,.0f} images/s  {_clock(left)} left"
            )

    def on_epoch_end(self, epoch, logs=None):
        logs["images_per_second"] = self.rate
        summary = (
            f"epoch {epoch + 1}/{self.params['epochs']}  recon {logs['recon']:.4f}  "
            f"probe {logs['probe_accuracy']:.1%} (train) {logs['val_probe_accuracy']:.1%} (validation)  "
            f"{self.rate:,.0f} images/s"
        )
        if (
            self.console.is_terminal
            or time.monotonic() - self.last_line >= LINE_EVERY
            or epoch + 1 == self.params["epochs"]
        ):
            self.last_line = time.monotonic()
            self.console.print(summary)

    def stop(self) -> None:
        """Gives the terminal back, also after an error, when Keras calls no `on_train_end`."""
        self.bar.stop()


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"


class EvaluateTest(keras.callbacks.Callback):
    """Adds reconstruction and probe on the test split to the epoch's logs, for the record: nothing looks at them."""

    def __init__(self, test_batches: tf.data.Dataset):
        super().__init__()
        self.test_batches = test_batches

    def on_epoch_end(self, epoch, logs=None):
        test = self.model.evaluate(self.test_batches, verbose=0, return_dict=True)
        logs.update({f"test_{name}": value for name, value in test.items()})


class StopOnNaN(keras.callbacks.Callback):
    """Ends a run whose losses or weights are not finite, before anything of that epoch is kept."""

    def on_epoch_end(self, epoch, logs=None):
        broken = [name for name, value in logs.items() if not math.isfinite(value)]
        broken += [w.path for w in self.model.weights if not np.all(np.isfinite(w.numpy()))]
        if broken:
            raise DivergedError(
                f"Training diverged in epoch {epoch + 1}: {', '.join(broken[:5])} no longer finite. Nothing of that "
                "epoch is kept; try a lower --learning_rate in another --run_dir"
            )


class Checkpoint(keras.callbacks.Callback):
    """Saves weights, optimizers and the step count after each epoch; `restore` picks the newest up."""

    def __init__(self, model, folder):
        super().__init__()
        self.folder = folder
        try:
            checkpoint = tf.train.Checkpoint(model=model)
            self.manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=3)
        except ValueError as error:
            raise runs.RunError(
                f"The index of the checkpoints is damaged: {folder / 'checkpoint'}"
            ) from error

    def restore(self) -> bool:
        """Loads the newest checkpoint into the model; False where there is none.

        Raises:
            RunError: it is damaged or of another model, or the index that names it is gone.
        """
        if self.manager.latest_checkpoint is None:
            if list(self.folder.glob("ckpt-*")):
                raise runs.RunError(
                    f"Checkpoints without their index: {self.folder / 'checkpoint'} is missing"
                )
            return False
        try:
            self.manager.checkpoint.restore(self.manager.latest_checkpoint).assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
            cause = " ".join(str(error).split())[:200]
            raise runs.RunError(
                f"The checkpoint cannot be restored: {self.manager.latest_checkpoint}: {cause}"
            ) from error
        return True

    def on_epoch_end(self, epoch, logs=None):
        self.manager.save(checkpoint_number=epoch + 1)


class Pictures(keras.callbacks.Callback):
    """After each epoch a picture of the same validation examples, as PNG and in TensorBoard.

    Rows, from the top: inputs, their reconstructions, the partners of each mix, the decoded mix. Points are shown as
    a plot instead, real ones blue and decoded mixes orange.
    """

    def __init__(self, run: runs.RunFolder, validation):
        super().__init__()
        self.run, self.is_points = run, validation.images.dtype != np.uint8
        examples = validation.images[: POINTS if self.is_points else COLUMNS]
        self.examples = tf.constant(examples if self.is_points else pixels.to_float(examples))
        self.writer = tf.summary.create_file_writer(str(run.tensorboard / "images"))

    def on_epoch_end(self, epoch, logs=None):
        picture = self.draw()
        runs.write(self.run.images / f"epoch_{epoch + 1:05d}.png", images.png(picture))
        with self.writer.as_default():
            name = "points and mixes" if self.is_points else "inputs, reconstructions, partners, mixes"
            tf.summary.image(name, picture[None], step=epoch)
        self.writer.flush()

    def draw(self) -> np.ndarray:
        """The picture for the model as it is: uint8 [H, W, 3]."""
        model, x = self.model, self.examples
        h = model.encode(x)
        # Always the same draw, so that pictures of different epochs can be compared.
        indices, weights = model.mixer.sample(len(x), model.code_shape, tf.constant([0, 0], tf.int64))
        mixed = model.decode(mix(h, indices, weights)).numpy()
        if self.is_points:
            return images.scatter(x.numpy(), mixed)
        partners = [tf.gather(x, indices[:, i]).numpy() for i in range(1, indices.shape[1])]
        return images.enlarge(images.grid([x.numpy(), model.decode(h).numpy(), *partners, mixed]), 2)


class Results(keras.callbacks.Callback):
    """Keeps metrics.csv and results.json up to date, a row and a rewrite per epoch.

    The epoch with the best VALIDATION accuracy of the probe is the one reported; the test split
    decides nothing.
    """

    def __init__(self, run: runs.RunFolder, about: dict, first_epoch: int):
        super().__init__()
        self.run, self.about = run, about
        # Rows of an epoch that was written down but whose checkpoint was not are made again.
        self.rows = [row for row in runs.read_rows(run.metrics) if row["epoch"] <= first_epoch]

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch + 1, "step": int(self.model.step.numpy())} | logs)
        runs.write_rows(self.run.metrics, self.rows)
        runs.write_json(self.run.results, {"best": self.best(), "last": self.rows[-1]} | self.about)

    def best(self) -> dict[str, float]:
        """The row of the epoch with the highest validation accuracy, the first of them where several have it."""
        return max(self.rows, key=lambda row: row["val_probe_accuracy"])
