"""Training of a run: experiment, training loop and callbacks."""

import pathlib
from typing import Any

from amr_tf import data
from amr_tf.config import Config
from amr_tf.distributed import cluster
from amr_tf.runs.folder import RunFolder
from amr_tf.runtime import startup
from amr_tf.runtime.interruption import Interruption


def start(config: Config, sources: dict[str, str], **settings: Any) -> pathlib.Path:
    """Trains a run with `experiment.run`, and returns the run folder.

    Folder and data are checked before TensorFlow is imported, because the import takes seconds.
    """
    if cluster.this_task(config).is_chief:
        RunFolder(config).check()
    data.check(config)
    with Interruption():
        startup.import_tensorflow()
        from amr_tf.training import experiment
    return experiment.run(config, sources, **settings)
