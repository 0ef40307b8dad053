"""Short test run for `--smoke`, which takes less than a minute and executes the same code as a full run."""

import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

from amr_tf.config import Config
from amr_tf.runtime.errors import Interrupted
from amr_tf.runtime.interruption import Interruption
from amr_tf.runtime.startup import temporary_folder

STEPS = 4
STOP_AT = 2


def run(train: Callable[..., object], config: Config, sources: dict[str, str]) -> None:
    """Trains two steps, stops, resumes, trains to the end, evaluates, and deletes the run folder.

    Networks and batches have the same size as in a full run, but `data.load` loads only a few hundred examples of each
    split. `train` is called with a Config and the sources of its values. The first call also passes `stop_at`.
    """
    begin = time.monotonic()
    with (
        Interruption(),
        tempfile.TemporaryDirectory(prefix="amr_tf_smoke_", dir=temporary_folder()) as folder,
    ):
        run_dir = str(pathlib.Path(folder) / "run")
        short: dict[str, Any] = {"epochs": 1, "steps_per_epoch": STEPS, "run_dir": run_dir}
        config, sources = dataclasses.replace(config, **short), sources | dict.fromkeys(short, "--smoke")
        try:
            train(config, sources, stop_at=STOP_AT)
        except Interrupted as interrupted:
            if interrupted.number:
                raise
            print(f"smoke: {interrupted}")
        train(config, sources)
    print(f"smoke: trained, resumed and evaluated in {time.monotonic() - begin:.0f} s; nothing is kept")
