"""The one place where config, data, model and callbacks meet."""

import contextlib
import os
import pathlib
import platform
import shlex
import subprocess
import sys

import keras
import tensorflow as tf

import amr_tf
from amr_tf import data
from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.data import pipeline
from amr_tf.distributed import cluster
from amr_tf.distributed.coordination import Agreement
from amr_tf.distributed.strategy import make_strategy
from amr_tf.models.build import build_model
from amr_tf.runs import checkpoints, data_record
from amr_tf.runs.folder import RunFolder, read_rows
from amr_tf.runtime import startup
from amr_tf.runtime.console import LoggedConsole
from amr_tf.runtime.interruption import Interruption
from amr_tf.training import callbacks, loop
from amr_tf.training.pictures import Pictures
from amr_tf.training.tensorboard import TensorBoard


def run(config: Config, sources: dict[str, str] | None = None, stop_at: int | None = None) -> pathlib.Path:
    """Trains to the end, or goes on where the run folder's newest checkpoint stands, and returns the folder.

    Args:
        config: a resolved `Config`.
        sources: where each value came from, by field name, as `command_line.parse` gives it.
        stop_at: a step after which to save and stop, as a signal would.

    Raises:
        UserError: impossible settings, missing or damaged data, a folder that cannot be used, diverged training.
        Interrupted: by SIGTERM, Ctrl-C, a closed terminal or `stop_at`; the run is saved.
    """
    task = cluster.this_task(config)
    console = LoggedConsole(quiet=not task.is_chief)
    folder = RunFolder(config)
    with Interruption(stop_at) as interruption, contextlib.ExitStack() as stack:
        strategy = make_strategy(config)
        agreement = Agreement(strategy, task)
        interruption.listen()
        stack.enter_context(agreement.missing(folder.newest_step, interruption))
        config.check_networks(config.image_width)
        sources = sources or dict.fromkeys(vars(config), command_line.DEFAULT)
        if task.is_chief:
            folder.check()
        _print_settings(console, config, sources)
        splits = _load(config, agreement)
        per_pass = pipeline.batches_per_pass(splits.train, config.batch_size)
        if task.is_chief:
            _start(folder, splits, sources, stack)
            stack.enter_context(console.log_to(folder.log))
        with strategy.scope():
            spec = splits.train.spec
            model = build_model(config, spec.image_shape, spec.classes, len(spec.attributes) or None)
        model.epoch_length = config.steps_per_epoch or per_pass
        about = _about(config, sources, splits, strategy)
        results = _train(model, splits, folder, console, interruption, agreement, about)
        _print_end(console, folder, results)
    return folder.path


def _start(folder: RunFolder, splits: data.Splits, sources: dict[str, str], stack) -> None:
    """Holds the run folder; in it stands what the data of a new run are, and a run that goes on has those."""
    if folder.config_before:
        data_record.check(folder.path, splits)
    stack.enter_context(folder.started(sources))
    if not folder.config_before:
        data_record.write(folder.path, splits)


def _load(config: Config, agreement: Agreement) -> data.Splits:
    """The data; the chief goes first: what it prepares, others find where they share `--data_dir`.

    Raises:
        ConfigError: workers with other settings or other data than the chief's.
    """
    splits = data.load(config) if agreement.is_chief else None
    agreement.wait()
    splits = splits or data.load(config)
    examples = {name: len(part) for name, part in splits._asdict().items()}
    if not agreement.is_same(f"{config.hyperparameters()} {examples}"):
        raise ConfigError(
            "Workers were started with different settings or data: give all of them the same command. Received by "
            f"{agreement.task}: {splits.train.name}, {examples}"
        )
    return splits


def _train(
    model, splits: data.Splits, folder, console, interruption, agreement: Agreement, about: dict
) -> callbacks.Results:
    """From the run folder's newest checkpoint to the end of the last epoch."""
    config = model.config
    saved = checkpoints.Checkpoints(folder.checkpoints, model, console.print, agreement)
    resumed = saved.restore()
    rows = read_rows(folder.metrics) if agreement.is_chief else []
    step = int(model.step.numpy())
    written_down = agreement.chiefs(int(rows[-1]["epoch"]) if rows else 0)
    position = loop.Position.of(step, model.epoch_length, written_down)
    # An epoch that was written down although its checkpoint is gone is made again.
    rows = [row for row in rows if row["epoch"] <= position.epoch]
    results = callbacks.Results(folder, about, rows, saved, console.print)
    _print_start(console, config, splits, folder, position, step)
    if position.epoch >= config.epochs:
        return results
    progress = callbacks.Progress(config.batch_size, model.epoch_length, config.epochs, step, console)
    summaries = TensorBoard(folder.tensorboard, config, splits.validation, new_run=not resumed)
    pictures = Pictures(folder, splits.validation, config.epochs)
    watching = [progress, pictures, summaries, results] if agreement.is_chief else []
    try:
        loop.Loop(model, splits, saved, watching, interruption, agreement).run(position)
    finally:
        progress.stop()
        summaries.close()
        pictures.close()
    return results


def _print_settings(console, config: Config, sources: dict[str, str]) -> None:
    rows = command_line.describe(config, sources)
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    for flag, value, source in rows:
        console.print(f"{flag:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    if config.update_g_every > 1:
        console.print(
            f"\nThe generator is updated on one step in {config.update_g_every} only: --update_g_every, of which the "
            "paper does not speak and which its scripts left at 5.\n"
        )


def _print_start(
    console, config: Config, splits: data.Splits, folder, position: loop.Position, step: int
) -> None:
    train, validation, test = (f"{len(part):,}" for part in splits)
    console.print(f"{splits.train.name}: {train} training, {validation} validation, {test} test examples")
    console.print(f"run folder: {folder.path}")
    if position.epoch >= config.epochs:
        more = "; more of them continue it: --epochs" if config.schedule == "constant" else ""
        console.print(f"this run is finished ({position.epoch} epochs){more}")
    elif step:
        console.print(f"resuming after step {step:,}, in epoch {position.epoch + 1}")


def _print_end(console, folder: RunFolder, results: callbacks.Results) -> None:
    if not results.rows:
        return
    best = results.best()
    picture = folder.images / f"epoch_{int(results.rows[-1]['epoch']):05d}_mixes.png"
    console.print(
        f"\nprobe accuracy: {best['val_probe_accuracy']:.2%} validation (best, epoch {int(best['epoch'])}), "
        f"{best['test_probe_accuracy']:.2%} test at that epoch"
    )
    console.print(f"results:     {folder.results}")
    console.print(f"picture:     {picture}")
    # The interpreter that has TensorBoard, as short as it can be typed here.
    try:
        here = f"{os.getcwd()}{os.sep}"
    except FileNotFoundError:  # the folder was removed meanwhile
        here = ""
    python = sys.executable.removeprefix(here)
    words = [python, "-m", "tensorboard.main", "--logdir", str(folder.tensorboard)]
    console.print(f"TensorBoard: {shlex.join(words)}")


def _about(config: Config, sources: dict[str, str], splits: data.Splits, strategy) -> dict:
    """How a result came about, for results.json."""
    gpus = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in _gpus()]
    return {
        "config": config.hyperparameters(),
        "sources": {flag_name(n): source for n, source in sources.items() if source != command_line.DEFAULT},
        "data": splits.train.name,
        "image_shape": list(splits.train.spec.image_shape),
        "classes": splits.train.spec.classes,
        "examples": {name: len(part) for name, part in splits._asdict().items()},
        "replicas": strategy.num_replicas_in_sync,
        "device": gpus or [f"{platform.machine()} CPU, {startup.cores()} cores"],
        # Of one operation on the CPU: another number of them rounds otherwise.
        "threads": os.environ.get(startup.THREADS),
        "versions": {
            "amr_tf": amr_tf.__version__,
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
    }


def _gpus() -> list:
    return tf.config.list_physical_devices("GPU")


def _commit() -> str | None:
    """The commit of the checkout this runs from; None where it is an installed package."""
    here = pathlib.Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():
        return None
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],  # noqa: S607 (git, wherever the user's shell would find it)
            cwd=here, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except OSError:
        return None
    return found.stdout.strip() or None
