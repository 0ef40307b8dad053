"""BINARY. `amr_tf.train` up to its first step, with the time of each phase: what `benchmarks.start` starts.

python -m benchmarks.first_step TIMES.json [flags of amr_tf.train]
"""

import functools
import json
import pathlib
import sys
import time
from typing import Any

from amr_tf import data, training
from amr_tf.config import command_line
from amr_tf.runtime import startup
from amr_tf.runtime.errors import Interrupted, UserError


def main(path: str, arguments: list[str]) -> None:
    """Writes [what was finished, clock] pairs, in their order, and leaves after the first step."""
    done: list[tuple[str, float]] = []

    def finished(what: str) -> None:
        done.append((what, time.time()))

    def watch(owner: Any, name: str, what: str) -> None:
        """Notes when the function that `owner` has under this name is done."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def watched(*args, **kwargs):
            result = function(*args, **kwargs)
            finished(what)
            return result

        setattr(owner, name, watched)

    try:
        config, sources = command_line.parse(arguments)
    except UserError as error:
        sys.exit(f"amr_tf.train: {error}")
    finished("Python and the package")
    # Imports of `training.start`, made earlier here, so that they can be measured.
    startup.import_tensorflow()
    import tensorflow as tf

    tf.config.list_physical_devices()
    finished("import TensorFlow")
    from amr_tf.training import callbacks, experiment

    finished("import the rest")
    watch(data, "load", "data")
    watch(experiment, "build_model", "build the model")
    watch(callbacks.Progress, "on_train_batch_begin", "checkpoints, callbacks")
    watch(callbacks.Progress, "on_train_batch_end", "trace and take the first step")
    try:
        training.start(config, sources, stop_at=1)
    except UserError as error:
        sys.exit(f"amr_tf.train: {error}")
    except Interrupted:  # as asked, after the first step
        pass
    pathlib.Path(path).write_text(json.dumps(done), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
