"""BINARY. Images/s on one device, on replicas and in several processes: python -m benchmarks.devices"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
from typing import Any

from amr_tf.runs.folder import read_rows
from benchmarks import measure
from benchmarks.measure import Spread

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Of two epochs the second is measured: the first compiles.
DEFAULT_FLAGS = ["--dataset=lines", "--arch=amr", "--epochs=2", "--checkpoint_minutes=1000"]


def train(flags: list[str], clusters: list[str] | None = None) -> float:
    """Images/s of a run's last epoch; with `clusters`, TF_CONFIG for each of as many processes that share the run.

    Raises:
        subprocess.CalledProcessError: a process failed; what it wrote to standard error was shown.
    """
    with tempfile.TemporaryDirectory(prefix="amr_tf_devices_") as folder:
        command = [sys.executable, "-m", "amr_tf.train", *flags, f"--run_dir={folder}/run"]
        environments = [os.environ | {"TF_CONFIG": one} for one in clusters] if clusters else [os.environ]
        processes = [
            subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            for environment in environments
        ]
        for code in [process.wait() for process in processes]:
            if code:
                raise subprocess.CalledProcessError(code, command)
        return read_rows(pathlib.Path(folder, "run", "metrics.csv"))[-1]["images_per_second"]


def workers(flags: list[str], count: int) -> float:
    """As `train`, in so many processes on this machine."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]}
    for one in sockets:
        one.close()
    tasks = [{"type": "worker", "index": index} for index in range(count)]
    configs = [json.dumps({"cluster": cluster, "task": task}) for task in tasks]
    return train([*flags, "--strategy=multiworker"], configs)


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    options.add_argument(
        "--counts", type=measure.whole_numbers, default=[2], help="of replicas and processes (2)"
    )
    options.add_argument("--steps", type=measure.positive, default=100, help="of an epoch (100)")
    args, others = options.parse_known_args(arguments)
    flags = [*DEFAULT_FLAGS, f"--steps_per_epoch={args.steps}", *others]
    report: dict[str, Any] = {"machine": measure.machine(), "flags": flags}
    contenders = {"one device": lambda: train([*flags, "--strategy=none"])}
    for count in args.counts:
        replicas = [*flags, "--strategy=mirrored", f"--cpu_devices={count}"]
        contenders[f"{count} replicas"] = lambda flags=replicas: train(flags)
        contenders[f"{count} processes"] = lambda count=count: workers(flags, count)
    try:
        report["images_per_second"] = rates = measure.in_turn(contenders, args.repeats)
    except subprocess.CalledProcessError:
        print("benchmarks.devices: a training failed", file=sys.stderr)
        return 2
    alone = rates["one device"]
    measure.table(
        "Images/s of a run's second epoch: median (least-most) of the repeats",
        ["devices", "images/s", "times one device"],
        (
            [name, Spread.of(v).text(0), Spread.of(measure.ratio(v, alone)).text(2)]
            for name, v in rates.items()
        ),
    )
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
