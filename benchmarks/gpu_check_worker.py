"""BINARY. One training run of `gpu_check`: python -m benchmarks.gpu_check_worker FACTS.json [flags of amr_tf.train]"""

import json
import pathlib
import resource
import sys

from amr_tf.config import command_line
from amr_tf.runtime import startup


def main(arguments: list[str]) -> None:
    """Trains with the flags; writes devices, peak memory in MB and the row of the last epoch."""
    path, *flags = arguments
    config, sources = command_line.parse(flags)
    startup.import_tensorflow()
    import tensorflow as tf

    from amr_tf.runs.folder import read_rows
    from amr_tf.training import experiment
    from benchmarks.steps import gpu_names

    folder = experiment.run(config, sources)
    gpus = tf.config.list_logical_devices("GPU")
    peaks = [
        tf.config.experimental.get_memory_info(gpu.name.removeprefix("/device:"))["peak"] for gpu in gpus
    ]
    facts = {
        "gpus": gpu_names(),
        "gpu_peak_mb": [peak / 1e6 for peak in peaks],
        "host_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "build": {name: str(value) for name, value in tf.sysconfig.get_build_info().items()},
        "last_epoch": read_rows(folder / "metrics.csv")[-1],
    }
    pathlib.Path(path).write_text(json.dumps(facts), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
