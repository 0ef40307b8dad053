"""Training steps that are ready to be timed."""

import time
from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.build import build_model

CLASSES = 10


def gpu_names() -> list[str]:
    """Names of the GPUs; empty where the steps run on the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]


class Step:
    """A model's training step as a run takes it, compiled and warm.

    Args:
        config: its batch size, networks and method.
        colours: of the images, which are 32 pixels wide.
        eager: run the step as Python.
    """

    def __init__(self, config: Config, colours: int, eager: bool = False):
        rng = np.random.default_rng(0)
        shape = (32, 32, colours)
        self.x = tf.constant(rng.uniform(-1, 1, (config.batch_size, *shape)), tf.float32)
        self.y = tf.constant(rng.integers(CLASSES, size=config.batch_size), tf.int64)
        self.in_memory = iter(tf.data.Dataset.from_tensors((self.x, self.y)).repeat())
        self.model = build_model(config, shape, CLASSES)
        self.model.run_eagerly = eager
        self.train = self.model.make_train_function()
        # The first step updates the generator; the second one does not, where there are such steps.
        self.seconds(2)

    def seconds(self, steps: int, batches: Iterator | None = None) -> float:
        """Mean time of a step over one call of so many; without `batches` the input costs nothing."""
        batches = batches or self.in_memory
        begin = time.perf_counter()
        logs = self.train(batches, steps)
        # The training loop looks at all means after each call, in one copy from the device.
        tf.stack(list(logs.values())).numpy()
        return (time.perf_counter() - begin) / steps
