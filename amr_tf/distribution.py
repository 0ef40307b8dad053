"""--strategy: on which devices a step runs, and whether a batch can be shared among them."""

import functools

import tensorflow as tf

from amr_tf.config import Config, ConfigError


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """The strategy that `--strategy` asks for on this machine.

    The first call of a process comes before anything else asks for TensorFlow's devices, since their number is then
    fixed.

    Raises:
        ConfigError: settings that these devices cannot run, or CPU devices asked for too late.
    """
    _split_cpu(config.cpu_devices)
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "none" or (config.strategy == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if config.jit_compile:
        raise ConfigError(
            f"XLA cannot compile a step that reaches over several devices, and this machine has {len(gpus)} GPUs: use "
            f"--strategy=none or --nojit_compile. Received: {config.flag('strategy')} {config.flag('jit_compile')}"
        )
    devices = gpus or tf.config.list_logical_devices("CPU")[: config.cpu_devices]
    check_share(config, len(devices))
    return _mirrored(tuple(device.name for device in devices))


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One strategy a process: a second one over the same devices counts its reductions from the start again, and
    TensorFlow takes them for the first one's ("Shape mismatch in the collective instance")."""
    # What it logs about its devices is said by the run itself, in the user's words.
    tf.get_logger().setLevel("ERROR")
    return tf.distribute.MirroredStrategy(devices)


def check_share(config: Config, replicas: int) -> None:
    """Refuses a batch that cannot be split evenly, or into shares of fewer than k examples.

    Raises:
        ConfigError: one line that names both numbers.
    """
    received = f"Received: {config.flag('batch_size')} {config.flag('k')} on {replicas} devices"
    if config.batch_size % replicas:
        raise ConfigError(
            f"Every device takes an equal share of a batch: change --batch_size, or use --strategy=none. {received}"
        )
    if config.k > config.batch_size // replicas:
        raise ConfigError(
            f"Every device mixes k codes of its own share: raise --batch_size, or use --strategy=none. {received}"
        )


def _split_cpu(wanted: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if wanted == 1 or len(tf.config.get_logical_device_configuration(cpu) or []) >= wanted:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
    except RuntimeError as error:
        raise ConfigError(
            f"CPU devices are split before TensorFlow is first used in a process. Received: --cpu_devices={wanted}"
        ) from error
