"""Training run: connects configuration, data, model, devices and callbacks."""

import contextlib
import os
import pathlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable

import keras
import tensorflow as tf

import amr_tf
from amr_tf import data
from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.data import pipeline
from amr_tf.distributed import cluster
from amr_tf.distributed.coordination import Coordinator
from amr_tf.distributed.strategy import make_strategy
from amr_tf.metrics import accuracy
from amr_tf.models.build import build_model
from amr_tf.runs import best, checkpoints, data_record
from amr_tf.runs.folder import RunFolder, read_rows
from amr_tf.runtime import files, startup
from amr_tf.runtime.console import LoggedConsole
from amr_tf.runtime.interruption import Interruption
from amr_tf.training import callbacks, loop
from amr_tf.training.tensorboard import TensorBoard


def run(
    config: Config,
    sources: dict[str, str] | None = None,
    stop_at: int | None = None,
    splits: data.Splits | None = None,
    watchers: Iterable[keras.callbacks.Callback] = (),
) -> pathlib.Path:
    """Trains to the end and returns the run folder. If the folder contains checkpoints, resumes from the newest.

    Args:
        config: the settings of the run.
        sources: the origin of each setting by field name, from `command_line.parse`, such as "default" or "flag".
        stop_at: step after which the run saves a checkpoint and stops, as after a signal.
        splits: data that are used instead of the data of `config.dataset`.
        watchers: additional callbacks, which are called after the callbacks of the run. If a callback sets
            `model.stop_training`, the run ends after the current epoch.

    Raises:
        UserError: invalid settings, missing or damaged data, an unusable folder, or diverged training.
        Interrupted: SIGTERM, Ctrl-C, a closed terminal or `stop_at` stopped the run. Finished steps are saved.
    """
    folder = RunFolder(config)
    with Interruption(stop_at) as interruption, contextlib.ExitStack() as stack:
        strategy = make_strategy(config)
        coordinator = Coordinator(strategy, cluster.this_task(config))
        interruption.listen()
        stack.enter_context(coordinator.handle_lost_workers(folder.newest_step, interruption))
        console = LoggedConsole(quiet=not coordinator.task.is_chief)
        config.check_networks(config.image_width)
        sources = sources or dict.fromkeys(vars(config), command_line.DEFAULT)
        coordinator.on_chief(folder.check)
        _print_settings(console, config, sources)
        splits = _load(config, splits, coordinator)
        per_pass = pipeline.batches_per_pass(splits.train, config.batch_size)
        if coordinator.task.is_chief:
            if folder.config_before:
                data_record.check(folder.path, splits)
            stack.enter_context(folder.started(sources, data_record.describe(splits)))
            stack.enter_context(console.log_to(folder.log))
        with strategy.scope():
            spec = splits.train.spec
            model = build_model(config, spec.image_shape, spec.classes, len(spec.attributes) or None)
        model.epoch_length = config.steps_per_epoch or per_pass
        about = _about(config, sources, splits, strategy)
        results = _train(model, splits, folder, console, interruption, coordinator, about, watchers)
        _print_end(console, folder, results)
    return folder.path


def _load(config: Config, given: data.Splits | None, coordinator: Coordinator) -> data.Splits:
    """Loads the data on the chief worker first. The other workers reuse prepared files in a shared `--data_dir`."""
    splits = coordinator.chief_first(lambda: given or data.load(config))
    examples = {name: len(part) for name, part in splits._asdict().items()}
    if not coordinator.all_equal(f"{config.hyperparameters()} {examples}"):
        raise ConfigError(
            f"The workers have different settings or data. Received by {coordinator.task}: {splits.train.name}, "
            f"{examples}. Start all of them with the same command."
        )
    return splits


def _train(
    model, splits: data.Splits, folder, console, interruption, coordinator: Coordinator, about: dict, watchers
) -> callbacks.Results:
    """Trains from the run folder's newest checkpoint to the end of the last epoch."""
    config = model.config
    saved = checkpoints.Checkpoints(folder.checkpoints, model, console.print, coordinator)
    resumed = saved.restore()
    rows = coordinator.on_chief(lambda: read_rows(folder.metrics)) or []
    step = int(model.step.numpy())
    recorded = coordinator.broadcast(int(rows[-1]["epoch"]) if rows else 0)
    position = loop.Position.of(step, model.epoch_length, recorded)
    # An epoch that was recorded but whose checkpoint is missing is trained again.
    rows = [row for row in rows if row["epoch"] <= position.epoch]
    results = callbacks.Results(folder, about, rows, saved)
    _print_start(console, config, splits, folder, position, step)
    if position.epoch >= config.epochs:
        return results
    by = best.CRITERIA[about["best_by"]]
    progress = callbacks.Progress(config, model.epoch_length, step, console, by)
    summaries = TensorBoard(folder, splits.validation, new_run=not resumed)
    watching = [*([progress, summaries, results] if coordinator.task.is_chief else []), *watchers]
    try:
        loop.Loop(model, splits, saved, watching, interruption).run(position)
    finally:
        progress.stop()
        summaries.close()
    return results


def _print_settings(console, config: Config, sources: dict[str, str]) -> None:
    rows = command_line.describe(config, sources)
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for flag, value, source in rows:
        console.print(f"{flag:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    if config.update_g_every > 1:
        console.print(
            f"\nThe generator is updated on one step in {config.update_g_every} only (--update_g_every; the paper does "
            "not mention it, its scripts use 5).\n"
        )


def _print_start(
    console, config: Config, splits: data.Splits, folder, position: loop.Position, step: int
) -> None:
    sizes = "{:,} training, {:,} validation, {:,} test examples".format(*map(len, splits))
    console.print(f"{splits.train.name}: {sizes}")
    console.print(f"run folder: {folder.path}")
    if position.epoch >= config.epochs:
        more = "; a larger --epochs continues it" if config.schedule == "constant" else ""
        console.print(f"this run is finished ({position.epoch} epochs){more}")
    elif step:
        console.print(f"resuming after step {step:,}, in epoch {position.epoch + 1}")


def _print_end(console, folder: RunFolder, results: callbacks.Results) -> None:
    if not results.rows:
        return
    row, by = results.best(), results.by
    epoch = f"epoch_{int(results.rows[-1]['epoch']):05d}"
    paths, mixes = (folder.images / f"{epoch}_{name}.png" for name in ("interpolations", "mixes"))
    picture = paths if paths.exists() else mixes  # 2-D points have no image of interpolations
    console.print(
        f"\n{by.measure}: {by.shown(row, 'val')} validation (best, epoch {int(row['epoch'])}), "
        f"{by.shown(row, 'test')} test at that epoch{_interval(row, results) if by is best.ACCURACY else ''}"
    )
    if by is not best.ACCURACY:
        console.print(f"best goes by the {by.name}: all validation examples have the same label")
    # The Python interpreter as the user typed it.
    words = [sys.orig_argv[0], "-m", "tensorboard.main", "--logdir", files.as_word(folder.tensorboard)]
    console.print(f"results:     {folder.results}\npicture:     {picture}\nTensorBoard: {shlex.join(words)}")


def _interval(best: dict[str, float], results: callbacks.Results) -> str:
    """Returns a text with the 95 % interval of the test accuracy, or "" if the examples have no labels."""
    if results.about["classes"] < 2:
        return ""
    total = results.about["examples"]["test"]
    low, high = accuracy.interval(round(best["test_probe_accuracy"] * total), total)
    return f" (95 % interval of {total:,} images: {low:.1%} to {high:.1%})"


def _about(config: Config, sources: dict[str, str], splits: data.Splits, strategy) -> dict:
    """Returns the provenance of a result, for results.json."""
    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    return {
        "config": config.hyperparameters(),
        "sources": {flag_name(n): source for n, source in sources.items() if source != command_line.DEFAULT},
        "data": splits.train.name,
        "image_shape": list(splits.train.spec.image_shape),
        "classes": splits.train.spec.classes,
        "white": splits.train.spec.white,
        "best_by": best.criterion_of(splits.validation.labels).name,
        "examples": {name: len(part) for name, part in splits._asdict().items()},
        "replicas": strategy.num_replicas_in_sync,
        "device": names or [f"{platform.machine()} CPU, {startup.cores()} cores"],
        # Recorded because results depend bitwise on the number of intra-op threads.
        "threads": os.environ.get(startup.THREADS),
        "versions": {
            "amr_tf": amr_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Returns the commit of the git checkout that contains this package, or None for an installed package."""
    here = pathlib.Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        found = subprocess.check_output(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 (the git of the user's PATH)
            cwd=here, text=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return found.strip()
    return None
