"""Distribution strategies for `--strategy`: the devices that run a training step."""

import functools
import os

import tensorflow as tf

from amr_tf.config import Config, ConfigError
from amr_tf.distributed import cluster
from amr_tf.runtime.errors import one_line

# Slurm's workers listen at ports that depend on the job. The ports start at FIRST_PORT, below the ephemeral ports.
FIRST_PORT, PORTS, TASKS_PER_NODE = 12_000, 312 * 64, 64

SINGLE = {
    "jit_compile": "XLA cannot compile a step over several devices",
    "device_data": "Only a single device can keep the examples",
}


def make_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns the distribution strategy of a run on this machine.

    The first use of TensorFlow's devices in a process fixes their number. Therefore, call this function first.

    Raises:
        ConfigError: the devices do not support the settings, or TensorFlow's devices were already used.
    """
    if config.strategy == "multiworker":
        return _multiworker(config, cluster.this_task(config))
    os.environ.pop(cluster.VARIABLE, None)  # MirroredStrategy would wait for the workers of another job
    _split_cpu(config.cpu_devices)
    gpus = tf.config.list_logical_devices("GPU")
    if config.strategy == "none" or (config.strategy == "auto" and len(gpus) < 2):
        return tf.distribute.get_strategy()
    for name, reason in SINGLE.items():
        if getattr(config, name):
            raise ConfigError(
                f"{reason}. Received: {config.flag(name)} {config.flag('strategy')} on {len(gpus)} GPUs. Use "
                f"--strategy=none or --no{name}."
            )
    devices = gpus or tf.config.list_logical_devices("CPU")[: config.cpu_devices]
    check_share(config, len(devices))
    return _mirrored(tuple(device.name for device in devices))


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """Returns a strategy over these devices. Repeated calls return the same strategy.

    A second strategy would use the same numbers for its reductions as the first strategy, and TensorFlow 2.21 would
    confuse the reductions of both ("Shape mismatch in the collective instance").
    """
    tf.get_logger().setLevel("ERROR")
    return tf.distribute.MirroredStrategy(devices)


def _multiworker(config: Config, task: cluster.Task) -> tf.distribute.Strategy:
    """Waits until all workers of the run have started, connects the workers, and returns the strategy."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    check_share(config, task.workers * max(1, gpus))
    if cluster.is_slurm():
        task = slurm_task(task)
    if task.workers > 1:
        cluster.wait_for_peers(task)
    members = tf.train.ClusterSpec({"worker": list(task.addresses)} if task.workers > 1 else {})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        members, task_type="worker", task_id=task.index, num_accelerators={"GPU": gpus}, rpc_layer="grpc"
    )
    tf.get_logger().setLevel("ERROR")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(resolver)
    except (tf.errors.OpError, RuntimeError) as error:
        raise ConfigError(
            f"The workers cannot connect to each other. Received by {task} at {task.address}: {one_line(error)}. Start "
            "all of them with the same addresses."
        ) from error


def slurm_task(task: cluster.Task) -> cluster.Task:
    """Returns `task` with the addresses of all workers of the Slurm step. Slurm selects the GPUs of each worker.

    Raises:
        ConfigError: Slurm's variables contradict each other, or the tasks are not in alphabetical order of host names.
    """
    job = os.environ.get("SLURM_JOB_ID", "")
    port = FIRST_PORT + TASKS_PER_NODE * (int(job) if job.isdecimal() else 0) % PORTS
    try:
        # The resolver computes the number of tasks from the GPUs, so the arguments declare one GPU for each task.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=port, gpus_per_node=TASKS_PER_NODE, gpus_per_task=1, auto_set_gpu=False
        )
        task = task._replace(addresses=tuple(resolver.cluster_spec().job_tasks("worker")))
    except (RuntimeError, ValueError, KeyError, AssertionError) as error:
        raise ConfigError(
            f"Slurm's variables contradict each other. Received: {one_line(error)}. Start the run with srun."
        ) from error
    here = os.environ.get("SLURMD_NODENAME")
    if here and task.address.rpartition(":")[0] != here:
        raise ConfigError(
            "Slurm's tasks are not in the alphabetical order of their hosts, as TensorFlow numbers them. Received: "
            f"{task} on {here}, expected on {task.address}. Use srun --distribution=block, or TF_CONFIG."
        )
    return task


def check_share(config: Config, replicas: int) -> None:
    """Raises ConfigError if replicas would get parts of a batch with different sizes, or fewer than k examples."""
    share, rest = divmod(config.batch_size, replicas)
    if rest or config.k > share:
        raise ConfigError(
            "Every device takes an equal share of a batch, of at least k examples. Received: "
            f"{config.flag('batch_size')} {config.flag('k')} on {replicas} devices. Change --batch_size, or use "
            "--strategy=none."
        )


def _split_cpu(devices: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if devices == 1 or len(tf.config.get_logical_device_configuration(cpu) or []) >= devices:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    except RuntimeError as error:
        raise ConfigError(
            f"The CPU can only be split before TensorFlow is first used. Received: --cpu_devices={devices}. Start a "
            "new process."
        ) from error
