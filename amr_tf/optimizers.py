"""Adam as in the reference implementations of AMR and ACAI, learning rates, and optimizers given by the user.

A player is a part of a model that has a separate optimizer: the generator, the discriminator or the probe.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from amr_tf.config import Config


@keras.saving.register_keras_serializable("amr_tf")
class FusedAdam(keras.optimizers.Adam):
    """Adam with L2 regularisation, which updates each variable with one operation. Keras's Adam needs about fifteen.

    The caller must sum the gradients over all replicas first. The gradient norm and the L2 term refer to this sum.

    Args:
        l2: l2 * weight is added to each gradient. This is the weight decay of PyTorch's Adam, not of AdamW.
        torch_epsilon: if true, epsilon is added to the bias-corrected sqrt(v^), as in PyTorch. Otherwise epsilon is
            added to the uncorrected sqrt(v), as in Keras and TensorFlow 1. The two formulas differ by the factor
            sqrt(1 - beta_2^t) of epsilon.
        others: further arguments of keras.optimizers.Adam.
    """

    def __init__(self, *args: Any, l2: float = 0.0, torch_epsilon: bool = True, **others: Any):
        super().__init__(*args, **others)
        self.l2, self.torch_epsilon = l2, torch_epsilon

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"l2": self.l2, "torch_epsilon": self.torch_epsilon}

    def _backend_update_step(self, grads: list, trainable_variables: list, learning_rate: tf.Tensor) -> None:
        """Updates the variables. Keras's method would sum the gradients over the replicas a second time."""
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
    """Returns a `FusedAdam` with the settings of a Config.

    Args:
        config: the source of learning rate, schedule, Adam's betas and epsilon, and `weight_decay`.
        torch_epsilon: see `FusedAdam`.
        step: the model's step counter. The optimizer's counter does not count steps without an update of its player.
        total_steps: returns the number of steps of the run. It is called only if the schedule needs the number.
        share: returns a factor for the learning rate of the current step. None means the factor 1.
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
    """Wraps an optimizer for float16. The wrapper scales the loss and lowers the scale after an overflow."""
    wrapper = keras.optimizers.LossScaleOptimizer
    return optimizer if isinstance(optimizer, wrapper) else wrapper(optimizer)


def per_player(optimizer: Any, players: list[str]) -> dict[str, Any]:
    """Converts the argument of `compile(optimizer=)` to a Keras optimizer, or None, for each player.

    Args:
        optimizer: a Keras optimizer, its name, None, or a dict from names of players to such values.
        players: names of the model's players.

    Raises:
        ValueError: an unknown player, an unknown name of an optimizer, or an object of another type.
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
    """Returns a new optimizer with the same settings. It expects gradients that are summed over the replicas."""
    copy = type(optimizer).from_config(optimizer.get_config())
    for one in (copy, getattr(copy, "inner_optimizer", None)):
        if one is not None:
            # Keras would sum the gradients over the replicas a second time.
            one._all_reduce_sum_gradients = lambda pairs: pairs
    return copy


def serialized(optimizer: Any) -> Any:
    """Converts the argument of `compile(optimizer=)` to a value that JSON can store."""
    if isinstance(optimizer, dict):
        return {"by_player": {player: serialized(one) for player, one in optimizer.items()}}
    return keras.saving.serialize_keras_object(optimizer)


def deserialized(config: Any) -> Any:
    """Restores the argument of `compile(optimizer=)` from a value of `serialized`."""
    if isinstance(config, dict) and "by_player" in config:
        return {player: deserialized(one) for player, one in config["by_player"].items()}
    return keras.optimizers.deserialize(config) if isinstance(config, dict) else config
