"""Terms of a training objective, the tensors from which the terms are computed, and means over an epoch."""

import dataclasses
from typing import Any, NamedTuple

import keras
import tensorflow as tf


class Loss(NamedTuple):
    """A term of the objective of the generator or the discriminator.

    In equations, f is the encoder, g is the decoder, h = f(x) is a code and x^ = g(h) is a reconstruction. The mixed
    code h_m = Mix(h_1, ..., h_k) is decoded to x_m = g(h_m). l(p, t) is the loss of the score p for the target t.

    Attributes:
        images: function from a `ForwardPass` to the images that the discriminator scores. None for terms that the
            methods `generator_losses` and `discriminator_losses` compute.
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
    indices: Any = None  # batch indices of the parents of each mix [B, k]
    weights: Any = None  # weights of the parents in each mix [B, k, ...]
    extras: dict[str, Any] = dataclasses.field(default_factory=dict)  # tensors of one method only

    @property
    def probed(self) -> tf.Tensor:
        """Codes [B, ...] that the probe classifies.

        These codes are `h`, unless the method stores other codes as `extras["probed"]`.
        """
        return self.extras.get("probed", self.h)


class MeanOrNaN(keras.metrics.Mean):
    """A mean that is NaN, instead of Keras's 0, if no value was added.

    For example, steps that do not update the generator add no values to the means of the generator's losses.
    """

    def result(self) -> tf.Tensor:
        return self.total / self.count
