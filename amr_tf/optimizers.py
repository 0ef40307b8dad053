"""Adam as the two papers' code had it: L2 in the gradient, and PyTorch's place for epsilon; learning rates."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from amr_tf.config import Config


class FusedAdam(keras.optimizers.Adam):
    """Adam with coupled L2 decay, a variable's update in one operation; Keras's own takes about fifteen.

    Gradients must be the sum over all replicas already: norm and decay are those of the sum, so the caller has it.

    Args:
        l2: l2 * weight is added to each gradient: the decay of PyTorch's Adam, not AdamW's.
        torch_epsilon: epsilon is added to the bias-corrected sqrt(v^), as PyTorch does. Keras and TensorFlow 1 add it
            to the uncorrected sqrt(v); multiplied by sqrt(1 - beta_2^t) it makes the two formulas one.
        others: as keras.optimizers.Adam takes them.
    """

    def __init__(self, *args: Any, l2: float = 0.0, torch_epsilon: bool = True, **others: Any):
        super().__init__(*args, **others)
        self.l2, self.torch_epsilon = l2, torch_epsilon

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
        """In place of Keras's own, which would sum over the replicas what each of them has as a sum already."""
        step = ops.cast(self.iterations + 1, "float32")
        power1, power2 = ops.power(self.beta_1, step), ops.power(self.beta_2, step)
        epsilon = self.epsilon * (ops.sqrt(1 - power2) if self.torch_epsilon else tf.ones([]))
        variables = [variable.value for variable in trainable_variables]

        def update(strategy: tf.distribute.Strategy, gradients: list, **shared: tf.Tensor) -> None:
            for variable, gradient in zip(variables, gradients, strict=True):
                strategy.extended.update(variable, self._update_one, (gradient,), shared, group=False)

        shared = {"lr": learning_rate, "beta1_power": power1, "beta2_power": power2, "epsilon": epsilon}
        tf.distribute.get_replica_context().merge_call(update, (grads,), shared)

    def _update_one(self, variable: tf.Variable, gradient: tf.Tensor, **shared: tf.Tensor) -> None:
        index = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1=self.beta_1,
            beta2=self.beta_2,
            grad=gradient + self.l2 * variable if self.l2 else gradient,
            **shared,
        )


def make_adam(
    config: Config, torch_epsilon: bool, step: tf.Variable, total_steps: Callable[[], int]
) -> keras.optimizers.Optimizer:
    """Returns an Adam with the config's settings, at the learning rate of `--schedule`.

    With float16 it scales the loss, and doubles and halves the scale as the gradients allow.

    Args:
        config: learning rate and schedule, Adam's betas and epsilon, `weight_decay` and `mixed_precision` are read.
        torch_epsilon: as `FusedAdam` has it.
        step: the steps done so far. Not an optimizer's own count, which differs between the players where the generator
            learns on some steps only.
        total_steps: steps of the whole run, called when a schedule first needs it.
    """

    def cosine() -> tf.Tensor:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps())(step)

    adam = FusedAdam(
        config.learning_rate if config.schedule == "constant" else cosine,
        beta_1=config.adam_beta1,
        beta_2=config.adam_beta2,
        epsilon=config.adam_epsilon,
        l2=config.weight_decay,
        torch_epsilon=torch_epsilon,
    )
    return keras.optimizers.LossScaleOptimizer(adam) if config.mixed_precision == "float16" else adam
