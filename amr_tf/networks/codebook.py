"""Codebook of a VQ-VAE. A codeword is a moving average of the vectors for which it is the nearest codeword."""

from typing import Any

import keras
import tensorflow as tf

from amr_tf.networks.layers import serializable, uniform_within

EPSILON = 1e-5  # added to the counts to avoid a division by 0


@serializable
class Codebook(keras.layers.Layer):
    """Codewords, float32 [K, size], with moving averages of the count and the sum of the vectors of each codeword.

    Each count starts at 1, and each sum starts at the initial codeword. Therefore unused codewords do not move. In the
    reference implementation, counts start at 0. The first step then multiplies unused codewords by about 1e5.

    Args:
        codewords: number of codewords, K.
        size: number of elements of a codeword.
        decay: decay factor of the moving averages.
        seed: seed of the initial codewords, which are uniform in [-sqrt(3 / K), sqrt(3 / K)].
    """

    def __init__(self, codewords: int, size: int, decay: float, seed: int, **kwargs: Any):
        super().__init__(dtype="float32", **kwargs)
        self.count, self.size, self.decay, self.seed = codewords, size, decay, seed
        initial = uniform_within((3 / codewords) ** 0.5, seed)(shape=(codewords, size))

        def variable(name: str, value: tf.Tensor) -> keras.Variable:
            start = lambda shape, dtype=None: value  # noqa: E731
            return self.add_weight(name=name, shape=value.shape, initializer=start, trainable=False)

        self.codewords = variable("codewords", initial)
        self.counts, self.sums = variable("counts", tf.ones([codewords])), variable("sums", initial)
        self.built = True

    def get_config(self) -> dict[str, Any]:
        own = {"codewords": self.count, "size": self.size, "decay": self.decay, "seed": self.seed}
        return super().get_config() | own

    def nearest(self, vectors: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the nearest codewords: vectors float32 [B, V, size] -> codewords [B, V, size], indices int64 [B, V]."""
        words = self.codewords.value
        # |v - e|^2 = |v|^2 - 2 v e + |e|^2, and |v|^2 does not change which e is the nearest.
        products = tf.linalg.matmul(tf.reshape(vectors, [-1, self.size]), words, transpose_b=True)
        chosen = tf.argmax(2 * products - tf.reduce_sum(words**2, axis=1), axis=1)
        chosen = tf.reshape(chosen, tf.shape(vectors)[:2])
        return tf.gather(words, chosen), chosen

    def update(self, vectors: tf.Tensor, chosen: tf.Tensor) -> None:
        """Moves codewords towards the vectors of this step on all replicas.

        `chosen` contains the index of the nearest codeword of each vector.
        """
        chosen = tf.reshape(chosen, [-1])
        sums = tf.math.unsorted_segment_sum(tf.reshape(vectors, [-1, self.size]), chosen, self.count)
        counts = tf.math.unsorted_segment_sum(tf.ones_like(chosen, tf.float32), chosen, self.count)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            sums, counts = context.all_reduce(tf.distribute.ReduceOp.SUM, [sums, counts])
        counts = self.decay * self.counts + (1 - self.decay) * counts
        sums = self.decay * self.sums + (1 - self.decay) * sums
        total = tf.reduce_sum(counts)
        smoothed = (counts + EPSILON) / (total + self.count * EPSILON) * total
        self.counts.assign(counts)
        self.sums.assign(sums)
        self.codewords.assign(sums / smoothed[:, None])

    def lookup(self, vectors: keras.KerasTensor) -> keras.KerasTensor:
        """Replaces symbolic vectors by the nearest codewords with built-in Keras layers, which store the codewords."""
        words = self.codewords.numpy()
        near = keras.layers.Dense(self.count, dtype="float32")
        found = keras.layers.Embedding(self.count, self.size, dtype="float32")
        # Not argmax, whose bitwise operations LiteRT lacks (Keras 3.15, ai-edge-litert 2.3).
        numbers = keras.ops.top_k(near(vectors), k=1)[1]
        output = keras.ops.squeeze(found(numbers), axis=-2)
        near.set_weights([2 * words.T, -(words**2).sum(axis=1)])
        found.set_weights([words])
        return output
