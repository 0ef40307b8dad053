"""Draws with which any number of replicas mixes as one device does: parents lie in the same small part of a batch."""

import numpy as np
import tensorflow as tf


class Shares:
    """A mixer with draws for a whole batch, of which a replica takes its own rows.

    Args:
        batch_size: of the whole batch.
        parts: into how many equal parts the batch is split, each of which mixes within itself.
        rng: where the draws come from.
    """

    def __init__(self, batch_size: int, parts: int, rng: np.random.Generator):
        part = batch_size // parts
        partners = np.concatenate([number * part + rng.permutation(part) for number in range(parts)])
        self.batch_size = batch_size
        self.indices = np.stack([np.arange(batch_size), partners], axis=1).astype("int32")
        alpha = rng.uniform(size=(batch_size, 1)).astype("float32")
        self.weights = np.stack([alpha, 1 - alpha], axis=1)

    def sample(self, batch_size, code_shape, seed):
        context = tf.distribute.get_replica_context()
        share = self.batch_size // context.num_replicas_in_sync
        first = context.replica_id_in_sync_group * share
        indices = tf.constant(self.indices)[first : first + share]
        weights = tf.reshape(
            tf.constant(self.weights)[first : first + share], [-1, 2, *(1,) * len(code_shape)]
        )
        return indices - first, weights
