"""Layers and initialisers of the papers that Keras does not provide, such as spectral norm by reparametrisation."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Smallest divisor in `_normalise`. Vectors of a larger norm are normalised as by PyTorch's F.normalize and by the
# reference implementation, except for rounding.
_NORM_EPSILON = 1e-12
PACKAGE = "amr_tf"  # prefix of the names of classes in a `.keras` file

serializable = keras.saving.register_keras_serializable(PACKAGE)


def revived(config: Any) -> Any:
    """Creates an object from a config of `keras.saving.serialize_keras_object`. Returns None for None.

    Call this function only in `from_config`. There, Keras's `load_model` has checked the file and `safe_mode` applies.
    """
    return keras.saving.deserialize_keras_object(config)  # noqa: TID251


class SpectralNorm(keras.Layer):
    """Layer that divides its kernel by an estimate of the kernel's largest singular value (Miyato et al. 2018).

    The trainable variable is the raw kernel W. The layer computes with W / sigma, and the gradient of W includes the
    gradient of sigma. `keras.layers.SpectralNormalization` uses another algorithm, which overwrites W.

    The layer is called with a list of inputs, one input for each pass of the network in a training step. Pass i takes
    one power step, v = normalise(W^T u), u = normalise(W v), and divides W by sigma_i = u^T W v. W is constant during
    the call, so all power steps are computed before the passes.

    Args:
        u_seed: seed of the initial u.
        last_gradient: if true, d sigma_i / dW of every pass i is u_n v_n^T of the last pass n, instead of u_i v_i^T.
            The `amr` networks of the reference implementation do so, because they update u and v in place.
        steps_in_eval: if true, calls outside training also take power steps.
    """

    def __init__(
        self, *args: Any, u_seed: int, last_gradient: bool = False, steps_in_eval: bool = True, **kwargs: Any
    ):
        # With autocast, Keras would convert the kernel to the compute dtype. sigma needs the dtype of the variable.
        super().__init__(*args, autocast=False, **kwargs)
        self.u_seed, self.last_gradient, self.steps_in_eval = u_seed, last_gradient, steps_in_eval

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)
        self.input_spec = None  # the input_spec of the base class accepts a single tensor only
        initial = np.random.default_rng(self.u_seed).normal(size=self.kernel.shape[-1])
        self.u = self.add_weight(
            name="u",
            shape=initial.shape,
            initializer=lambda shape, dtype=None: tf.constant(initial / np.linalg.norm(initial), tf.float32),
            dtype="float32",
            trainable=False,
        )

    # Keras's convolutions and dense layers save kernel and bias only; any other layer saves all its variables.
    def save_own_variables(self, store: Any) -> None:
        keras.Layer.save_own_variables(self, store)

    def load_own_variables(self, store: Any) -> None:
        keras.Layer.load_own_variables(self, store)

    def get_config(self) -> dict[str, Any]:
        own = {
            "u_seed": self.u_seed,
            "last_gradient": self.last_gradient,
            "steps_in_eval": self.steps_in_eval,
        }
        return super().get_config() | own

    @property
    def spectral_layers(self) -> Iterator["SpectralNorm"]:
        return iter((self,))  # in a list, Keras would search for objects to save, without end

    def power_steps(self, passes: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Updates u with one power step for each pass.

        Returns:
            u [outputs, passes] and v [inputs * pixels, passes] of every pass.
        """
        matrix = tf.stop_gradient(self._matrix())
        u, us, vs = self.u.value, [], []
        for _ in range(passes):
            v = _normalise(tf.linalg.matvec(matrix, u))
            u = _normalise(tf.linalg.matvec(matrix, v, transpose_a=True))
            us.append(u)
            vs.append(v)
        self.u.assign(u)
        return tf.stack(us, axis=1), tf.stack(vs, axis=1)

    def kernels(self, passes: int, training: bool) -> list[tf.Tensor]:
        """Returns W / sigma_i for each pass i."""
        matrix = self._matrix()
        if training or self.steps_in_eval:
            u, v = self.power_steps(passes)
        else:
            v = _normalise(tf.linalg.matvec(tf.stop_gradient(matrix), self.u.value))
            u, v = (tf.repeat(vector[:, None], passes, axis=1) for vector in (self.u.value, v))
        sigma = tf.reduce_sum(v * tf.linalg.matmul(matrix, u), axis=0)
        if self.last_gradient:
            sigma = tf.stop_gradient(sigma - sigma[-1]) + sigma[-1]
        return [self.kernel / sigma[i] for i in range(passes)]

    def _matrix(self) -> tf.Tensor:
        return tf.reshape(self.kernel, [-1, self.kernel.shape[-1]])

    def call(self, passes: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        kernels = self.kernels(len(passes), training)
        return [
            self.activation(tf.nn.bias_add(self.linear(x, tf.cast(w, x.dtype)), tf.cast(self.bias, x.dtype)))
            for x, w in zip(passes, kernels, strict=True)
        ]


@serializable
class SpectralConv2D(SpectralNorm, keras.layers.Conv2D):
    """Conv2D with a spectrally normalised kernel: list of [B, H, W, in] -> list of [B, H', W', filters]."""

    def linear(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return self.convolution_op(x, kernel)


@serializable
class SpectralDense(SpectralNorm, keras.layers.Dense):
    """Dense with a spectrally normalised kernel: list of [B, in] -> list of [B, units]."""

    def linear(self, x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matmul(x, kernel)


def _normalise(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), _NORM_EPSILON)


def instance_norm(gamma: keras.initializers.Initializer) -> keras.layers.Layer:
    """Normalises each feature map of each example over its pixels (epsilon 1e-5, learnt gamma and beta)."""
    return keras.layers.GroupNormalization(groups=-1, epsilon=1e-5, gamma_initializer=gamma)


@serializable
class KernelRowNormal(keras.initializers.Initializer):
    """Initialiser N(0, 1 / ((1 + slope^2) * out * in * height)).

    AMR's reference implementation uses the product out * in * height instead of the fan-in.
    """

    def __init__(self, slope: float, seed: int):
        self.slope, self.seed = slope, seed

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
        height, _, inputs, outputs = shape
        stddev = ((1 + self.slope**2) * outputs * inputs * height) ** -0.5
        return keras.random.normal(shape, stddev=stddev, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"slope": self.slope, "seed": self.seed}


def fan_in_normal(slope: float, seed: int) -> keras.initializers.Initializer:
    """Returns ACAI's initialiser, N(0, 1 / ((1 + slope^2) * fan_in))."""
    return keras.initializers.VarianceScaling(1 / (1 + slope**2), "fan_in", "untruncated_normal", seed=seed)


def he_normal(seed: int) -> keras.initializers.Initializer:
    """Returns the initialiser N(0, 2 / fan_in)."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=seed)


def fan_in_uniform(seed: int) -> keras.initializers.Initializer:
    """Returns PyTorch's default initialiser of kernels, uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)]."""
    return keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform", seed=seed)


def uniform_within(limit: float, seed: int) -> keras.initializers.Initializer:
    """Returns an initialiser, uniform in [-limit, limit]. PyTorch's default for biases has limit 1/sqrt(fan_in)."""
    return keras.initializers.RandomUniform(-limit, limit, seed=seed)


class Seeds:
    """Sequence of integer seeds for initialisers, derived from one seed."""

    def __init__(self, seed: int):
        self._rng = np.random.default_rng(seed)

    def next(self) -> int:
        return int(self._rng.integers(2**31))


class DrawnSeeds(Seeds):
    """Sequence that returns the seeds of a list in order."""

    def __init__(self, drawn: list[int]):
        self._drawn = iter(drawn)

    def next(self) -> int:
        return next(self._drawn)
