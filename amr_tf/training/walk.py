"""--lambdas: one run for each value of lambda, and which of them is best by its validation accuracy."""

import dataclasses
import os
from collections.abc import Callable

from amr_tf.config import Config
from amr_tf.config.rules import walked
from amr_tf.runs.folder import RunError, RunFolder, best_row, read_rows
from amr_tf.runtime.errors import DivergedError
from amr_tf.runtime.interruption import Interruption


def run(
    train: Callable[..., None], config: Config, sources: dict[str, str], stop_at: int | None = None
) -> None:
    """Trains one run after the other, each in a folder of its own, and prints how they compare.

    The folders are RUN_DIR/lambda_2 and so on, or have the usual names where no `--run_dir` is given. Runs that are
    finished are not trained again, so the same command goes on after an interruption. `--smoke` tries the first only.

    Args:
        train: called with a Config without `lambdas`, its sources and `stop_at`.
        config: with `lambdas` set.
        sources: of its values.
        stop_at: a step after which the first run that gets there is saved and the walk ends.

    Raises:
        DivergedError: some runs diverged, which is said when the others are done.
        UserError: whatever else is wrong; it ends the walk.
        Interrupted: by a signal or `stop_at`; what was trained is saved.
    """
    if config.run_dir and RunFolder(config).flags.exists():
        raise RunError(f"{config.run_dir} holds a run: choose another --run_dir for those of --lambdas")
    walk = [RunFolder(_at(config, value)) for value in walked(config.lambdas) or ()]
    if config.smoke:
        del walk[1:]  # one lambda tries the command as well as five
    changed = ["lambda_", "lambdas", *(["run_dir"] if config.run_dir else [])]
    sources = sources | dict.fromkeys(changed, "--lambdas")
    diverged = []
    with Interruption() as interruption:
        interruption.stepping = True  # between two runs nothing takes long, so a signal can wait
        for folder in walk:  # better refused now than after days
            folder.check()
        for folder in walk:
            if interruption.signal:
                raise interruption.interrupted("between two runs")
            try:
                train(folder.config, sources, stop_at)
            except DivergedError as error:
                print(f"lambda {folder.config.lambda_:g}: {error}")
                diverged.append(folder)
    _print_table(walk, diverged)
    if diverged:
        values = ", ".join(f"{folder.config.lambda_:g}" for folder in diverged)
        raise DivergedError(f"{len(diverged)} of {len(walk)} runs diverged, those with lambda {values}")


def _at(config: Config, value: float) -> Config:
    run_dir = os.path.join(config.run_dir, f"lambda_{value:g}") if config.run_dir else ""
    return dataclasses.replace(config, lambda_=value, lambdas="", run_dir=run_dir)


def _print_table(walk: list[RunFolder], diverged: list[RunFolder]) -> None:
    """The best epoch of each run by the validation accuracy of the probe, and the best of these."""
    rows = {folder: best_row(read_rows(folder.metrics)) for folder in walk if folder not in diverged}
    best = max(rows, key=lambda folder: rows[folder]["val_probe_accuracy"], default=None)
    print(f"\n{'lambda':<10}{'validation':<12}{'test':<9}run folder")
    for folder in walk:
        accuracies = f"{'diverged':<21}"
        if folder in rows:
            row = rows[folder]
            accuracies = f"{row['val_probe_accuracy']:<12.2%}{row['test_probe_accuracy']:<9.2%}"
        mark = "  <- best by validation" if folder is best else ""
        print(f"{folder.config.lambda_:<10g}{accuracies}{folder.path}{mark}")
