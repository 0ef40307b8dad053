"""Adam of the two reference implementations (L2 in the gradient, PyTorch's epsilon) and learning rates."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from amr_tf.config import Config


@keras.saving.register_keras_serializable("amr_tf")
class FusedAdam(keras.optimizers.Adam):
    """Adam with coupled L2 decay and one operation for each variable; Keras's Adam takes about fifteen.

    Gradients must be summed over all replicas by the caller, because norm and decay are those of the sum.

    Args:
        l2: l2 * weight is added to each gradient: the decay of PyTorch's Adam, not AdamW's.
        torch_epsilon: epsilon is added to the bias-corrected sqrt(v^), as PyTorch does. Keras and TensorFlow 1 add it
            to the uncorrected sqrt(v); multiplied by sqrt(1 - beta_2^t) it makes the two formulas one.
        others: as keras.optimizers.Adam takes them.
    """

    def __init__(self, *args: Any, l2: float = 0.0, torch_epsilon: bool = True, **others: Any):
        super().__init__(*args, **others)
        self.l2, self.torch_epsilon = l2, torch_epsilon

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l2": self.l2, "torch_epsilon": self.torch_epsilon}

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
        """Replaces Keras's update, which would sum gradients over the replicas a second time."""
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
    config: Config,
    torch_epsilon: bool,
    step: tf.Variable,
    total_steps: Callable[[], int],
    share: Callable[[], tf.Tensor] | None = None,
) -> keras.optimizers.Optimizer:
    """Returns an Adam with the config's settings, at the learning rate of `--schedule`.

    Args:
        config: learning rate and schedule, Adam's betas and epsilon, and `weight_decay` are read.
        torch_epsilon: as `FusedAdam` has it.
        step: the model's count of steps. The optimizers' counts differ if the generator is updated on some steps only.
        total_steps: returns the steps of the whole run; called when a schedule first needs it.
        share: returns the factor of the learning rate on the present step; None: always 1.
    """

    def cosine() -> tf.Tensor:
        return keras.optimizers.schedules.CosineDecay(config.learning_rate, total_steps())(step)

    rate = config.learning_rate if config.schedule == "constant" else cosine
    if share:
        whole = rate

        def rate() -> tf.Tensor:
            return (whole() if callable(whole) else whole) * share()

    return FusedAdam(
        rate,
        beta_1=config.adam_beta1,
        beta_2=config.adam_beta2,
        epsilon=config.adam_epsilon,
        l2=config.weight_decay,
        torch_epsilon=torch_epsilon,
    )


def scaled(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns an optimizer for float16 that scales the loss and adapts the scale to overflows."""
    wrapper = keras.optimizers.LossScaleOptimizer
    return optimizer if isinstance(optimizer, wrapper) else wrapper(optimizer)


def per_player(optimizer: Any, players: list[str]) -> dict[str, Any]:
    """Returns the optimizer of each player of `compile(optimizer=)`: a name, an optimizer of Keras, or None.

    Raises:
        ValueError: an unknown player, an unknown name, or another object.
    """
    if not isinstance(optimizer, dict):
        optimizer = dict.fromkeys(players, optimizer)
    if unknown := sorted(set(optimizer) - set(players)):
        raise ValueError(
            f"An optimizer is given for no player. Received: {', '.join(map(repr, unknown))}. The players of "
            f"this model are {', '.join(players)}."
        )
    return {player: _resolved(optimizer.get(player)) for player in players}


def _resolved(given: Any) -> keras.optimizers.Optimizer | None:
    advice = "Pass None, a name such as 'adam', an optimizer, or a dict of these by player."
    if not (given is None or isinstance(given, (str, keras.optimizers.Optimizer))):
        raise ValueError(f"An optimizer of Keras is needed. Received: optimizer={given!r}. {advice}")
    try:
        found = None if given is None else keras.optimizers.get(given)
    except ValueError as error:
        raise ValueError(f"Keras has no such optimizer. Received: optimizer={given!r}. {advice}") from error
    if found is not None and found.use_ema:
        raise ValueError("Averages of the weights are not supported. Received: use_ema=True. Leave it out.")
    return found


def copied(optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Returns a new optimizer with the same settings, for gradients that are summed over the replicas already."""
    copy = type(optimizer).from_config(optimizer.get_config())
    for one in (copy, getattr(copy, "inner_optimizer", None)):
        if one is not None:
            # Keras would sum them again, after it clipped each replica's own.
            one._all_reduce_sum_gradients = lambda pairs: pairs
    return copy


def serialized(optimizer: Any) -> Any:
    """Returns the argument of `compile(optimizer=)` in a form that JSON can store."""
    if isinstance(optimizer, dict):
        return {"by_player": {player: serialized(one) for player, one in optimizer.items()}}
    return keras.saving.serialize_keras_object(optimizer)


def deserialized(config: Any) -> Any:
    """Inverts `serialized`."""
    if isinstance(config, dict) and "by_player" in config:
        return {player: deserialized(one) for player, one in config["by_player"].items()}
    return keras.optimizers.deserialize(config) if isinstance(config, dict) else config
