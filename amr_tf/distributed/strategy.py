"""--strategy: on which devices a step runs, and how a batch is shared among them."""

import functools
import os

import tensorflow as tf

from amr_tf.config import Config, ConfigError
from amr_tf.distributed import cluster
from amr_tf.runtime.errors import one_line

# From here on Slurm's workers listen, each job elsewhere, below the ports that systems hand out by themselves.
FIRST_PORT, PORTS, TASKS_PER_NODE = 12_000, 312 * 64, 64


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """The strategy that `--strategy` asks for on this machine.

    The first call of a process comes before anything else asks for TensorFlow's devices, since their number is then
    fixed.

    Raises:
        ConfigError: settings that these devices cannot run, or CPU devices asked for too late.
    """
    if config.strategy == "multiworker":
        return _multiworker(config, cluster.this_task(config))
    _split_cpu(config.cpu_devices)
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "none" or (config.strategy == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    if config.jit_compile:
        raise ConfigError(
            f"XLA cannot compile a step that reaches over several devices, and this machine has {len(gpus)} GPUs: use "
            f"--strategy=none or --nojit_compile. Received: {config.flag('strategy')} {config.flag('jit_compile')}"
        )
    if config.device_data:
        raise ConfigError(
            f"One device can hold the examples, and this machine has {len(gpus)} GPUs: use --strategy=none or "
            f"--nodevice_data. Received: {config.flag('strategy')} {config.flag('device_data')}"
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


def _multiworker(config: Config, task: cluster.Task) -> tf.distribute.Strategy:
    """Waits until all workers of the run are there.

    Raises:
        ConfigError: a batch they cannot share, an address that this one cannot have, or no way to each other.
    """
    gpus = len(tf.config.list_physical_devices("GPU"))
    check_share(config, task.workers * max(1, gpus))
    if cluster.is_slurm():
        task = slurm_task(task)
    if task.workers > 1:
        cluster.meet(task)
    # One alone has nobody to connect to.
    members = tf.train.ClusterSpec({"worker": list(task.addresses)} if task.workers > 1 else {})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        members, task_type="worker", task_id=task.index, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )
    tf.get_logger().setLevel("ERROR")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        raise ConfigError(
            "The workers do not reach each other: start all of them, with the addresses that all know. Received by "
            f"{task} at {task.address}: {one_line(error)}"
        ) from error


def slurm_task(task: cluster.Task) -> cluster.Task:
    """The task with the addresses of all workers of its step; which GPUs each of them sees is Slurm's business.

    Raises:
        ConfigError: variables that do not fit together, or tasks in another order than the names of their hosts.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    port = FIRST_PORT + TASKS_PER_NODE * (int(job) if job.isdecimal() else 0) % PORTS
    try:
        # It counts tasks by the GPUs of their node, and fails where there are none: it is told of one for each.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=TASKS_PER_NODE, gpus_per_task=1, auto_set_gpu=False
        )
        task = task._replace(addresses=tuple(resolver.cluster_spec().job_tasks("worker")))
    except (RuntimeError, ValueError, KeyError, AssertionError) as error:
        raise ConfigError(
            f"Slurm's variables do not fit together: {one_line(error)}. Start with srun"
        ) from error
    here = os.environ.get("SLURMD_NODENAME")
    if here and task.address.rpartition(":")[0] != here:
        raise ConfigError(
            "TensorFlow counts Slurm's tasks by the names of their hosts in alphabetical order, unlike Slurm here: use "
            f"--distribution=block, or TF_CONFIG. Received: {task} on {here}, expected on {task.address}"
        )
    return task


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
