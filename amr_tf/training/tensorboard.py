"""Files of a run for TensorBoard: curves, images, settings, graph, codes and a profile.

TensorBoard reads only one event file in a folder at a time. Therefore each writer has a separate folder:

train/                  curves of training, the graph, and profiles of steps
evaluation/             settings of the run for the HPARAMS tab, which shows the curves in the folders below as columns
evaluation/validation/  curves with the same names as in train/, for a common chart; codes for the projector
evaluation/test/        curves with the same names as in train/
images/                 example images
"""

import pathlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hp

from amr_tf.config.rules import profiled
from amr_tf.data import Arrays, pixels
from amr_tf.models.autoencoder import Autoencoder
from amr_tf.plotting import canvas
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime import files
from amr_tf.training.pictures import DESCRIPTIONS, POINTS, draw, is_drawn

CODES = 1000  # validation examples in the projector
ENCODED = 250  # examples that are encoded in one batch
EVENTS = "events.out.tfevents.*"


class Tag(NamedTuple):
    """Name of a curve, and description of the curve in the notation of the paper."""

    name: str
    description: str


# Tags of logged values, except the losses that a method declares.
TAGS = {
    "gen_loss": Tag("generator/gen_loss", "Weighted sum of the terms of encoder f and decoder g (Eq. 2, 3)."),
    "disc_loss": Tag("discriminator/disc_loss", "Sum of the terms of the discriminator D (Eq. 2, 3)."),
    "probe_accuracy": Tag("probe/accuracy", "Accuracy of a linear classifier of the codes `h = f(x)`."),
    "probe_loss": Tag("probe/loss", "Cross-entropy of that classifier; its gradient does not reach f."),
    "gen_gradient_norm": Tag("gradient_norm/generator", "Gradient norm of gen_loss for f and g."),
    "disc_gradient_norm": Tag("gradient_norm/discriminator", "Gradient norm of disc_loss for D."),
    "probe_gradient_norm": Tag("gradient_norm/probe", "Gradient norm of probe_loss for the probe."),
    "learning_rate": Tag("optimizer/learning_rate", "Adam's, of all three players, at the end of the epoch."),
    "images_per_second": Tag("speed/images_per_second", "Training steps alone, without an epoch's first."),
}
SPLITS = {"val_": "evaluation/validation", "test_": "evaluation/test"}


def tags(model: Autoencoder) -> dict[str, Tag]:
    """Returns the tags of all values that a run of this model logs, by the names of the values."""
    terms = [("generator", term) for term in model.active_generator_terms]
    terms += [("discriminator", term) for term in getattr(model, "discriminator_terms", ())]
    return TAGS | {
        term.name: Tag(f"{player}/{term.name}", f"{term.description} `{term.equation}`")
        for player, term in terms
    }


class TensorBoard(keras.callbacks.Callback):
    """Writes logged values and example images after an epoch, and profiles the steps of `--profile_steps`.

    Call `close` after training, also if training fails. If a file cannot be written, OSError or `tf.errors.OpError` is
    raised.

    Args:
        run: run folder, which contains `tensorboard` and `images/epoch_00001_<name>.png`.
        validation: the validation split, which is used for example images and for the codes in the projector.
        new_run: true if no checkpoint was restored. Then hyper-parameters and graph are written. Event files of an
            earlier run in this folder, which stopped before the first checkpoint, are deleted: TensorBoard would show
            the hyper-parameters of the earlier run.
    """

    def __init__(self, run: RunFolder, validation: Arrays, new_run: bool):
        super().__init__()
        self.run, self.folder, self.config, self.new_run = run, run.tensorboard, run.config, new_run
        self.validation, self.drawn = validation, validation.images[:POINTS]
        self.writers: dict[str, tf.summary.SummaryWriter] = {}
        self.profiled, self.profiling = profiled(self.config.profile_steps) or range(0), False

    def on_train_begin(self, logs=None):
        if not self.new_run:
            return
        for path in list(self.folder.rglob(EVENTS)):
            path.unlink()
        with self._writer("evaluation").as_default():
            # `epochs` is omitted: a resumed run may have more epochs, but TensorBoard shows only the first value.
            settings = {n: value for n, value in self.config.hyperparameters().items() if n != "epochs"}
            # With the id "", TensorBoard names the run by the folder and not by a hash of the settings.
            hp.hparams(settings, trial_id="")
        with self._writer("train").as_default(step=0):
            tf.summary.graph(forward_graph(self.model))

    def on_epoch_begin(self, epoch, logs=None):
        self.first_step = epoch * (self.model.epoch_length or 0)

    def on_train_batch_begin(self, batch, logs=None):
        if not self.profiled or self.profiling:
            return
        # If one step of a call is requested, all steps of the call are profiled.
        steps = self.config.steps_per_execution or 1
        done, first, last = self.first_step + batch, self.profiled[0], self.profiled[-1]
        if first - steps <= done < last:
            tf.profiler.experimental.start(str(self.folder / "train"))
            self.profiling = True

    def on_train_batch_end(self, batch, logs=None):
        if self.profiling and self.first_step + batch + 1 >= self.profiled[-1]:
            self._stop_profile()

    def _stop_profile(self) -> None:
        if self.profiling:
            self.profiling = False
            tf.profiler.experimental.stop()

    def on_epoch_end(self, epoch, logs=None):
        step, known = int(self.model.step.numpy()), tags(self.model)
        for name, value in (logs or {}).items():
            prefix = next(filter(name.startswith, SPLITS), "")
            tag = known.get(name.removeprefix(prefix), Tag(name.removeprefix(prefix), ""))
            # Leaving the context flushes the writer.
            with self._writer(SPLITS.get(prefix, "train")).as_default():
                tf.summary.scalar(tag.name, value, step=step, description=tag.description)
        if not is_drawn(epoch, self.config.epochs):
            return
        if self.config.projector:
            write_codes(self.folder / SPLITS["val_"], self.model, self.validation)
        for name, picture in draw(self.model, self.drawn).items():
            files.write(self.run.images / f"epoch_{epoch + 1:05d}_{name}.png", canvas.png(picture))
            with self._writer("images").as_default():
                tf.summary.image(f"pictures/{name}", picture[None], step=step, description=DESCRIPTIONS[name])

    def _writer(self, part: str) -> tf.summary.SummaryWriter:
        if part not in self.writers:
            self.writers[part] = tf.summary.create_file_writer(str(self.folder / part))
        return self.writers[part]

    def close(self) -> None:
        """Stops a running profile and closes the event files."""
        self._stop_profile()
        for writer in self.writers.values():
            writer.close()


def forward_graph(model: Autoencoder) -> tf.Graph:
    """Returns the graph of a forward pass: encode, decode, probe, and the discriminator's score if there is one."""

    @tf.function
    def forward(images):
        with tf.name_scope("encode"):
            h = model.encode(images)
        with tf.name_scope("decode"):
            reconstruction = model.decode(h)
        with tf.name_scope("probe"):
            model.classify(h)
        # `forward` returns nothing: TensorBoard would show each output as a node connected to all other outputs.
        if model.has_discriminator:
            with tf.name_scope("discriminate"):
                model.score(reconstruction)

    spec = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    return forward.get_concrete_function(spec).graph


def write_codes(folder: pathlib.Path, model: Autoencoder, validation: Arrays) -> None:
    """Writes codes, labels and, if the examples are images, thumbnails of examples for TensorBoard's projector."""
    examples, labels = validation.images[:CODES], validation.labels[:CODES]
    x = pixels.to_float(examples)
    parts = [model.encode(x[i : i + ENCODED]) for i in range(0, len(x), ENCODED)]
    codes = tf.cast(tf.concat(parts, axis=0), tf.float32).numpy().reshape(len(x), -1)
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "codes.tsv", "".join("\t".join(f"{v:.6g}" for v in code) + "\n" for code in codes))
    files.write(folder / "labels.tsv", "".join(f"{label}\n" for label in labels))
    settings = projector.ProjectorConfig()
    names = {"tensor_name": "codes", "tensor_path": "codes.tsv", "metadata_path": "labels.tsv"}
    embedding = settings.embeddings.add(**names)
    if examples.dtype == np.uint8:
        files.write(folder / "thumbnails.png", canvas.png(canvas.sprite(x)))
        embedding.sprite.image_path = "thumbnails.png"
        embedding.sprite.single_image_dim.extend([x.shape[2], x.shape[1]])
    projector.visualize_embeddings(str(folder), settings)
