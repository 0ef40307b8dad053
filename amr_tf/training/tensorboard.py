"""What TensorBoard shows of a run besides its pictures: curves, settings, the graph, codes, a profile.

TensorBoard reads one file of events in a folder at a time, hence a folder for each writer:

train/                  curves of the training steps, the graph; profiles of steps
evaluation/             the run's settings for the HPARAMS tab
evaluation/validation/  curves under the same names, so that they share an axis; codes for the projector
evaluation/test/        the same curves
images/                 is for `pictures`

The HPARAMS tab makes columns of all the curves in folders below the settings' own, and ticks the first five of them:
in `evaluation` these are reconstruction and probe on both splits. (A list of columns written with the settings would
be shown in alphabetical order, adam_beta1 first; as it is, what differs between the runs comes first.)
"""

import pathlib
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hp

from amr_tf.config import Config
from amr_tf.config.rules import profiled
from amr_tf.data import Arrays, pixels
from amr_tf.models.autoencoder import Autoencoder
from amr_tf.plotting import canvas
from amr_tf.runtime import files
from amr_tf.training.pictures import is_drawn

CODES = 1000  # validation examples in the projector
ENCODED = 250  # of them at a time
EVENTS = "events.out.tfevents.*"


class Tag(NamedTuple):
    """Where a number of the logs goes, and what it is in the paper's notation."""

    name: str
    description: str


# Tags of what every run logs besides the losses that its method declares.
TAGS = {
    "gen_loss": Tag(
        "generator/gen_loss", "What encoder f and decoder g minimise: their terms, weighted (Eq. 2, 3)."
    ),
    "disc_loss": Tag(
        "discriminator/disc_loss", "What the discriminator D minimises: the sum of its terms (Eq. 2, 3)."
    ),
    "probe_accuracy": Tag(
        "probe/accuracy", "Share of examples whose label a linear classifier reads from `h = f(x)`."
    ),
    "probe_loss": Tag("probe/loss", "Cross-entropy of that classifier; its gradient does not reach f."),
    "gen_gradient_norm": Tag(
        "gradient_norm/generator", "Norm of gen_loss's gradient by the weights of f and g."
    ),
    "disc_gradient_norm": Tag(
        "gradient_norm/discriminator", "Norm of disc_loss's gradient by the weights of D."
    ),
    "probe_gradient_norm": Tag(
        "gradient_norm/probe", "Norm of the probe loss's gradient by the probe's weights."
    ),
    "learning_rate": Tag("optimizer/learning_rate", "Adam's, of all three players, at the end of the epoch."),
    "images_per_second": Tag("speed/images_per_second", "Training steps alone, without an epoch's first."),
}
SPLITS = {"val_": "evaluation/validation", "test_": "evaluation/test"}


def tags(model: Autoencoder) -> dict[str, Tag]:
    """Returns the tag of every number that a run of this model logs."""
    players = {
        "generator": model.active_generator_terms,
        "discriminator": getattr(model, "discriminator_terms", ()),
    }
    return TAGS | {
        term.name: Tag(f"{player}/{term.name}", f"{term.description} `{term.equation}`")
        for player, terms in players.items()
        for term in terms
    }


def place(name: str, tags: dict[str, Tag]) -> tuple[str, Tag]:
    """Returns sub-folder and tag of a number by its name in the logs; unknown names are tags themselves."""
    for prefix, split in SPLITS.items():
        if name.startswith(prefix):
            return split, tags.get(name.removeprefix(prefix), Tag(name.removeprefix(prefix), ""))
    return "train", tags.get(name, Tag(name, ""))


class TensorBoard(keras.callbacks.Callback):
    """Writes a run's numbers for TensorBoard, at the ends of its epochs, over the steps trained so far.

    `close` ends it, also after an error, when Keras calls no `on_train_end`. Writing raises OSError or
    `tf.errors.OpError`.

    Args:
        folder: the run's `tensorboard` folder.
        config: read are the hyper-parameters, `epochs`, `projector` and `profile_steps`.
        validation: the validation split, of which codes go to the projector.
        new_run: nothing was restored. Hyper-parameters and graph are written, and what an earlier run left here before
            its first checkpoint is deleted: TensorBoard would go on showing that run's hyper-parameters.
    """

    def __init__(self, folder: pathlib.Path, config: Config, validation: Arrays, new_run: bool):
        super().__init__()
        self.folder, self.config, self.new_run = folder, config, new_run
        self.validation = validation
        self.writers: dict[str, tf.summary.SummaryWriter] = {}
        self.profile = Profile(
            folder / "train", profiled(config.profile_steps), config.steps_per_execution or 1
        )

    def on_train_begin(self, logs=None):
        if not self.new_run:
            return
        for path in list(self.folder.rglob(EVENTS)):
            path.unlink()
        with self._writer("evaluation").as_default():
            # A run that goes on may have more epochs, and TensorBoard keeps the first values that it reads.
            settings = {n: value for n, value in self.config.hyperparameters().items() if n != "epochs"}
            # Without an id a run goes by its folder, else by a hash of its settings.
            hp.hparams(settings, trial_id="")
        with self._writer("train").as_default(step=0):
            tf.summary.graph(forward_graph(self.model))

    def on_train_batch_begin(self, batch, logs=None):
        self.profile.before(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.profile.after(self.model)

    def on_epoch_end(self, epoch, logs=None):
        step, known = int(self.model.step.numpy()), tags(self.model)
        for name, value in (logs or {}).items():
            split, tag = place(name, known)
            # Leaving the context flushes the writer.
            with self._writer(split).as_default():
                tf.summary.scalar(tag.name, value, step=step, description=tag.description)
        if self.config.projector and is_drawn(epoch, self.config.epochs):
            write_codes(self.folder / SPLITS["val_"], self.model, self.validation)

    def close(self) -> None:
        """Ends a profile that is under way and closes the files of events."""
        self.profile.stop()
        for writer in self.writers.values():
            writer.close()

    def _writer(self, split: str) -> tf.summary.SummaryWriter:
        if split not in self.writers:
            self.writers[split] = tf.summary.create_file_writer(str(self.folder / split))
        return self.writers[split]


def forward_graph(model: Autoencoder) -> tf.Graph:
    """The graph of what a model computes: encode, decode, the discriminator's score where there is one, the probe."""

    @tf.function
    def forward(images):
        with tf.name_scope("encode"):
            h = model.encode(images)
        with tf.name_scope("decode"):
            reconstruction = model.decode(h)
        with tf.name_scope("probe"):
            model.probe(h)
        # Nothing is returned: TensorBoard would draw each output as a node tied to every other one.
        if model.has_discriminator:
            with tf.name_scope("discriminate"):
                model.discriminator(reconstruction)

    spec = tf.TensorSpec((None, *model.image_shape), tf.float32, name="images")
    return forward.get_concrete_function(spec).graph


def write_codes(folder: pathlib.Path, model: Autoencoder, validation: Arrays) -> None:
    """The codes of validation examples, their labels and, for images, thumbnails, for TensorBoard's projector."""
    examples, labels = validation.images[:CODES], validation.labels[:CODES]
    is_points = examples.dtype != np.uint8
    x = pixels.to_float(examples)
    parts = [model.encode(x[i : i + ENCODED]) for i in range(0, len(x), ENCODED)]
    codes = tf.cast(tf.concat(parts, axis=0), tf.float32).numpy().reshape(len(x), -1)
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "codes.tsv", "".join("\t".join(f"{v:.6g}" for v in code) + "\n" for code in codes))
    files.write(folder / "labels.tsv", "".join(f"{label}\n" for label in labels))
    settings = projector.ProjectorConfig()
    embedding = settings.embeddings.add(
        tensor_name="codes", tensor_path="codes.tsv", metadata_path="labels.tsv"
    )
    if not is_points:
        files.write(folder / "thumbnails.png", canvas.png(canvas.sprite(x)))
        embedding.sprite.image_path = "thumbnails.png"
        embedding.sprite.single_image_dim.extend([x.shape[2], x.shape[1]])
    projector.visualize_embeddings(str(folder), settings)


class Profile:
    """TensorFlow's profile of some steps. Those that a resumed run has passed already are left out.

    Args:
        folder: where `plugins/profile` goes.
        steps: the numbers of the steps, counted from 1 over the whole run; None for no profile.
        at_once: steps between `before` and `after`. All of them are profiled where one is to be.
    """

    def __init__(self, folder: pathlib.Path, steps: range | None, at_once: int):
        self.folder, self.at_once, self.running, self.done = folder, at_once, False, not steps
        if steps:
            self.first, self.last = steps[0], steps[-1]

    def before(self, model) -> None:
        """Starts it where a coming step is one of those to profile."""
        # No look at the model's step without need: it makes the host wait for the device.
        if self.done or self.running:
            return
        step = int(model.step.numpy())
        self.done = step >= self.last
        if not self.done and step + self.at_once >= self.first:
            tf.profiler.experimental.start(str(self.folder))
            self.running = True

    def after(self, model) -> None:
        """Ends it after the last step."""
        if self.running and int(model.step.numpy()) >= self.last:
            self.stop()

    def stop(self) -> None:
        """Ends it if it is under way, and writes it."""
        if self.running:
            self.running, self.done = False, True
            tf.profiler.experimental.stop()
