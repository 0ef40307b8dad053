"""The terms of an objective, the tensors they are computed from, and their means."""

import dataclasses
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Loss(NamedTuple):
    """A term of a player's objective.

    In equations h = f(x) is a code, x^ = g(h) a reconstruction, x_m = g(h_m) the decoded mix h_m = Mix(h_1, ..., h_k),
    and l(p, t) the loss of the discriminator's score p against the target t.

    Attributes:
        images: function from a `ForwardPass` to the scored images; None for terms that are not losses of scores.
        target: target of the score: a number, or a function from a `ForwardPass` to [B].
    """

    name: str
    equation: str
    description: str
    images: Any = None
    target: Any = None


@dataclasses.dataclass(frozen=True)
class ForwardPass:
    """Tensors of one forward pass of encoder and decoder."""

    x: tf.Tensor  # images [B, H, W, C]
    h: tf.Tensor  # their codes [B, ...]
    recon: tf.Tensor  # reconstructions [B, H, W, C]
    # Tensors of methods that mix, None for the others.
    h_mix: Any = None  # mixed codes [B, ...]
    mix: Any = None  # decoded mixes [B, H, W, C]
    indices: Any = None  # of the parents of each mix [B, k]
    weights: Any = None  # of the parents in each mix [B, k, ...]
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)  # tensors of one method only

    @property
    def probed(self) -> tf.Tensor:
        """Codes that the probe reads [B, ...]: h, unless the method changes codes before it decodes them."""
        return self.extras.get("probed", self.h)


class MeanOrNaN(keras.metrics.Mean):
    """A mean that is NaN, not 0, without any value, as for the generator's losses on steps without its update."""

    def result(self) -> tf.Tensor:
        return self.total / self.count
