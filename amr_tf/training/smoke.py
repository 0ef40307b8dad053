"""--smoke: a command tried in less than a minute, by the code that it would run for a week."""

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


def run(train: Callable[..., None], config: Config, sources: dict[str, str]) -> None:
    """Trains two steps, stops, goes on from the checkpoint to the end, evaluates; leaves nothing behind.

    Args:
        train: called with a Config, the sources and perhaps `stop_at`.
        config: with `smoke` set.
        sources: of its values.

    Raises:
        UserError: whatever is wrong with the command.
    """
    begin = time.monotonic()
    with (
        Interruption(),
        tempfile.TemporaryDirectory(prefix="amr_tf_smoke_", dir=temporary_folder()) as folder,
    ):
        # Networks and batches stay as large as they are; `data.load` takes a few hundred examples of each split.
        short: dict[str, Any] = {
            "epochs": 1,
            "steps_per_epoch": STEPS,
            "run_dir": str(pathlib.Path(folder) / "run"),
        }
        config, sources = dataclasses.replace(config, **short), sources | dict.fromkeys(short, "--smoke")
        try:
            train(config, sources, stop_at=STOP_AT)
        except Interrupted as interrupted:
            if interrupted.number:
                raise
            print(f"smoke: {interrupted}")
        train(config, sources)
    print(
        f"smoke: trained, saved, resumed and evaluated in {time.monotonic() - begin:.0f} s; nothing is kept"
    )
