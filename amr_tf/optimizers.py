"""Adam as the two papers' code had it: L2 in the gradient, and PyTorch's place for epsilon; learning rates."""

from collections.abc import Callable

import keras
from keras import ops


class TorchAdam(keras.optimizers.Adam):
    """Adam whose update is m^ / (sqrt(v^) + epsilon) with bias-corrected m^, v^.

    Keras adds epsilon to the uncorrected sqrt(v); multiplying it by sqrt(1 - beta_2^t) makes the two formulas one.
    """

    def update_step(self, gradient, variable, learning_rate):
        lr = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        correction = ops.sqrt(1 - ops.power(ops.cast(self.beta_2, variable.dtype), step))
        scale = lr * correction / (1 - ops.power(ops.cast(self.beta_1, variable.dtype), step))
        self.assign_sub(variable, scale * m / (ops.sqrt(v) + self.epsilon * correction))


def with_l2(gradients, variables, weight_decay: float) -> list:
    """Adds weight_decay * weight to each gradient: the coupled decay of PyTorch's Adam, not AdamW's."""
    if not weight_decay:
        return list(gradients)
    return [g + weight_decay * ops.cast(w, g.dtype) for g, w in zip(gradients, variables, strict=True)]


def scheduled(config, step, total_steps: Callable[[], int]) -> float | Callable:
    """The learning rate of `--schedule`: a number, or a function that computes it anew for each step.

    Args:
        config: `learning_rate` and `schedule` are read.
        step: scalar tensor or variable, the steps done so far. Not an optimizer's own count, which differs between the
            players where the generator learns on some steps only.
        total_steps: steps of the whole run, asked for when it is first used.
    """
    if config.schedule == "constant":
        return config.learning_rate
    return lambda: keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps())(step)


def make_adam(config, learning_rate: float | Callable) -> keras.optimizers.Adam:
    """An Adam with the config's settings: Keras's formula for ACAI, which came from TensorFlow 1, else PyTorch's."""
    kind = keras.optimizers.Adam if config.model == "acai" else TorchAdam
    return kind(
        learning_rate, beta_1=config.adam_beta1, beta_2=config.adam_beta2, epsilon=config.adam_epsilon
    )
