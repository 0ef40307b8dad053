"""One process of a run of 20 steps and its evaluation, on points unless flags say otherwise.

The draws of its mixer respect any shares. python -m tests.support.worker_replay FOLDER NAME FLAGS... writes
FOLDER/NAME.npz:
the means after each step and of the evaluation, all weights, and what each replica of this process draws by itself.
"""

import os
import pathlib
import sys

import numpy as np

from amr_tf import data
from amr_tf.config import command_line
from amr_tf.distributed import cluster
from amr_tf.runtime import startup

STEPS, BATCH, WIDEST = 20, 24, 12
FLAGS = (
    "--dataset=spiral", "--depth=2", "--beta=0.5", "--weight_decay=0.01", "--epochs=1",
    f"--batch_size={BATCH}", f"--steps_per_epoch={STEPS}", "--steps_per_execution=1", "--checkpoint_minutes=1000",
)  # fmt: skip


def main(folder: pathlib.Path, name: str, flags: list[str]) -> None:
    """Trains, and records the results."""
    config, _ = command_line.parse([*FLAGS, *flags])
    startup.import_tensorflow()
    import keras

    from amr_tf.distributed.coordination import Coordinator
    from amr_tf.distributed.strategy import make_strategy
    from amr_tf.models.build import build_model
    from amr_tf.runs.checkpoints import Checkpoints
    from amr_tf.runtime.interruption import Interruption
    from amr_tf.training import loop
    from tests.support.shares import Shares

    strategy = make_strategy(config)
    coordinator = Coordinator(strategy, cluster.this_task(config))
    splits = data.load(config)
    spec = splits.train.spec
    with strategy.scope():
        model = build_model(config, spec.image_shape, spec.classes, len(spec.attributes) or None)
    model.epoch_length, rows, found = STEPS, [], {}

    class Notes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rows.append(list(logs.values()))

        def on_epoch_end(self, epoch, logs=None):
            found["logs"] = np.array(list(logs.values()))

    for number, drawn in enumerate(own_draws(model)):
        found[f"drawn/{number}"] = drawn
    model.mixer = Shares(BATCH, WIDEST, np.random.default_rng(0))
    saved = Checkpoints(folder, model, print, coordinator)
    loop.Loop(model, splits, saved, [Notes()], Interruption()).run(loop.Position(0, 0))
    found |= {"rows": np.array(rows)} | {f"weights/{v.path}": v.numpy() for v in model.weights}
    np.savez(folder / f"{name}.npz", **found)


def own_draws(model) -> list[np.ndarray]:
    """The coefficients that each replica of this process would mix with at its first step."""
    strategy, share = model.distribute_strategy, BATCH // model.distribute_strategy.num_replicas_in_sync
    drawn = strategy.run(lambda: model.mixer.sample(share, model.code_shape, model.seeds())[1])
    return [value.numpy().ravel() for value in strategy.experimental_local_results(drawn)]


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
    sys.stdout.flush()
    os._exit(0)
