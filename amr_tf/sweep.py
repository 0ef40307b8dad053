"""BINARY. Trains many runs at a time: python -m amr_tf.sweep flags/table1 --seeds=1,2,3 --executor=slurm

With --grid it trains a run for each value of a training flag, and names the best by validation accuracy. At the end
it reports on the runs and draws the figure whose presets they are, such as flags/figures/figure12. The same command
resumes the sweep: finished runs are skipped and interrupted ones resumed.
Exit codes: 0 all runs are finished, 2 a failure that the message explains, 130 interrupted by Ctrl-C, 143 by SIGTERM,
129 by a closed terminal.
"""

import pathlib
import subprocess
import sys
from typing import Any, NamedTuple

from absl import flags
from rich.console import Console

from amr_tf.config import ConfigError, command_line
from amr_tf.evaluation.figure_names import FIGURES
from amr_tf.metrics import METRICS
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import errors, files, process
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import ignore_signals
from amr_tf.sweeping import executors, jobs, scheduler, status

HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}
USAGE = "python -m amr_tf.sweep PRESETS... [--seeds=1,2,3] [--grid lambda=2,5,10] [flags of amr_tf.train]"
PURPOSE = """PRESETS are preset files, or folders of them such as flags/table1: a run for each preset, setting of the
grid and seed, in OUT/<preset>[/<flag>-<value>...]/s<seed>. Other flags are passed on to every run: --epochs=10"""
EXECUTORS = ("local", "slurm")
TABLE_FOLDERS = {"table1": "1", "table2": "2", "table3": "3", "low_data": "low_data"}
# By the folder of the presets: figures drawn of the runs, and metrics computed of each.
SUPERVISED = (("masks", "attribute_mixes"), ("attributes",))
INTERPOLATION = (("interpolation",), ())
FIGURE_FOLDERS = {
    "figure6": SUPERVISED,
    "figure6_celeba": SUPERVISED,
    **{f"figure{number}": INTERPOLATION for number in (7, 8, 9, 10, 11, 13)},
    "figure12": (("spiral",), ("spiral",)),
    "latent": (("latent",), ()),
}
DAY = 24 * 60


class Options(NamedTuple):
    """The parsed command."""

    jobs: list[jobs.Job]
    out: pathlib.Path
    table: str | None
    figures: list[str]
    metrics: list[str]
    executor: str
    parallel: int
    slurm: dict[str, Any]


def define_flags() -> flags.FlagValues:
    """The flags of this binary, apart from absl's global ones."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_list("seeds", ["0"], "a run of each preset for each of them", **own)
    flags.DEFINE_multi_string(
        "grid",
        [],
        "values of a training flag, such as lambda=2,5,10; of several --grid all combinations",
        **own,
    )
    flags.DEFINE_string("out", None, "folder of the runs (runs/sweeps/<name of the folder or preset>)", **own)
    flags.DEFINE_enum("executor", "local", EXECUTORS, "this machine, or a Slurm cluster", **own)
    flags.DEFINE_integer("parallel", None, "runs at a time (1 here, 256 with Slurm)", lower_bound=1, **own)
    flags.DEFINE_enum(
        "table",
        None,
        list(TABLES),
        "table of the final report (known by the name of the presets' folder)",
        **own,
    )
    for flag, known in (("figures", FIGURES), ("metrics", METRICS)):
        what = f"{flag} of the finished runs, as amr_tf.evaluate has them"
        flags.DEFINE_list(
            flag, None, f"{what}: {', '.join(known)} (known by the name of the presets' folder)", **own
        )
    flags.DEFINE_string("slurm_partition", None, "partition (the cluster's default)", **own)
    flags.DEFINE_integer("slurm_gpus", None, "GPUs of a run (none requested)", lower_bound=1, **own)
    flags.DEFINE_integer("slurm_cpus", 2, "cores of a run", lower_bound=1, **own)
    flags.DEFINE_integer(
        "slurm_time", DAY, "minutes after which a run saves and queues again", lower_bound=1, **own
    )
    flags.DEFINE_list("slurm_extra", [], "further options of sbatch, such as account=ours,mem=16G", **own)
    return values


def parse(arguments: list[str]) -> Options:
    """Reads `arguments` (without the program's name) and checks the flags of each run.

    Raises:
        ConfigError: an unknown flag or preset, or settings that a run would refuse.
    """
    values = define_flags()
    own, passed_on, words = _sort(arguments, set(values))
    command_line.read_own(values, "amr_tf.sweep", own)
    if not words:
        raise ConfigError(f"No preset to train: {USAGE}")
    presets = jobs.find_presets(words)
    out = files.user_path(values.out or _default_out(words))
    parents = {command_line.find_preset(name).parent.name for name in presets}
    parent = parents.pop() if len(parents) == 1 else ""
    figures, metrics = FIGURE_FOLDERS.get(parent, ((), ()))
    slurm = {
        "job_name": f"amr_tf_{out.name}",
        "partition": values.slurm_partition,
        "gpus_per_node": values.slurm_gpus,
        "cpus_per_task": values.slurm_cpus,
        "time": values.slurm_time,
        # Slurm no longer passes it from the job on to its step.
        "srun_args": [f"--cpus-per-task={values.slurm_cpus}"],
        "additional_parameters": _extra(values.slurm_extra),
    }
    return Options(
        jobs.plan(presets, _seeds(values.seeds), out, passed_on, jobs.grid_settings(values.grid)),
        out,
        values.table or TABLE_FOLDERS.get(parent),
        _known("figures", values.figures, FIGURES, figures),
        _known("metrics", values.metrics, METRICS, metrics),
        values.executor,
        values.parallel or (1 if values.executor == "local" else 256),
        {name: value for name, value in slurm.items() if value is not None},
    )


def _sort(arguments: list[str], known: set[str]) -> tuple[list[str], list[str], list[str]]:
    """Returns the sweep's own flags, those of every run, and the other words."""
    own: list[str] = []
    passed_on: list[str] = []
    words: list[str] = []
    remaining = iter(arguments)
    for word in remaining:
        name, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            words.append(word)
        elif name not in known:
            passed_on.append(word)
        else:
            own.append(word if equals else f"{word}={next(remaining, '')}")
    return own, passed_on, words


def _seeds(words: list[str]) -> list[int]:
    if not words or not all(word.isascii() and word.isdecimal() for word in words):
        raise ConfigError(f"--seeds takes whole numbers, such as 1,2,3. Received: {','.join(words)!r}")
    seeds = [int(word) for word in words]
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"--seeds names a seed twice. Received: {','.join(words)}")
    return seeds


def _known(flag: str, words: list[str] | None, known: dict[str, str], default: tuple[str, ...]) -> list[str]:
    for word in words or ():
        if word not in known:
            raise ConfigError(f"--{flag} takes {', '.join(known)}. Received: {word!r}")
    return list(default if words is None else words)


def _extra(words: list[str]) -> dict[str, str]:
    if not all(word.find("=") > 0 for word in words):
        raise ConfigError(f"--slurm_extra takes name=value,... Received: {','.join(words)!r}")
    return dict(word.split("=", 1) for word in words)


def _default_out(words: list[str]) -> str:
    if len(words) > 1:
        raise ConfigError("Several presets or folders need a name for what they are: --out=runs/sweeps/NAME")
    return f"runs/sweeps/{pathlib.Path(words[0]).resolve().stem}"


def run(options: Options) -> int:
    """Trains the unfinished runs, reports on all of them and returns the exit code.

    Raises:
        UserError: jobs cannot be started.
        Interrupted: by a signal; the same command resumes the sweep.
    """
    console = Console(
        width=None if sys.stdout.isatty() else status.PIPE_WIDTH,
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    executor: executors.Executor
    if options.executor == "slurm":
        executor = executors.Slurm(options.out, options.parallel, options.slurm)
    else:
        executor = executors.Local(options.parallel)
    console.print(
        f"{len(options.jobs)} jobs in {options.out}, {options.executor}, {options.parallel} at a time at most"
    )
    display = status.Display(console, options.jobs)
    states = scheduler.Scheduler(options.jobs, executor, display).run()
    reported = _report(options)
    done = [str(job.folder.path) for job in options.jobs if states[job][0] is status.State.DONE]
    evaluated = _evaluate(options, done)
    if any(job.setting for job in options.jobs):
        console.print("", *status.comparison(states), sep="\n")
    console.print(f"\n{status.summary(states)}")
    complaints = status.complaints(states)
    for line in complaints:
        print(line, file=sys.stderr)
    return 0 if reported and evaluated and not complaints else 2


def _report(options: Options) -> bool:
    """Compares the runs with the paper; returns false if that failed."""
    if not any(job.folder.results.exists() for job in options.jobs):
        print("no report: no run has finished an epoch")
        return True
    table = [f"--table={options.table}"] if options.table else []
    return _command("report", str(options.out), f"--out={options.out}", *table)


def _evaluate(options: Options, folders: list[str]) -> bool:
    """Computes metrics and figures of finished runs at their last step; returns false if that failed."""
    asked = {"figures": options.figures, "metrics": options.metrics}
    words = [f"--{flag}={','.join(names)}" for flag, names in asked.items() if names]
    if not words or not folders:
        return True
    runs = [f"--run_dir={folder}" for folder in folders]
    return _command("evaluate", *runs, *words, f"--out={options.out}", "--checkpoint=last")


def _command(name: str, *words: str) -> bool:
    """Runs another binary of this package; returns false if it failed."""
    sys.stdout.flush()
    command = [sys.executable, "-m", f"amr_tf.{name}", *words]
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 (this package's own command)


def main(arguments: list[str]) -> int:
    """Runs the sweep that `arguments` ask for; returns the exit code."""
    arguments, debug = errors.take_debug(arguments)
    if HELP_FLAGS.intersection(arguments):
        print(f"{USAGE}\n\n{PURPOSE}\n{define_flags().get_help()}\n{errors.DEBUG_HELP}")
        return 0
    try:
        return run(parse(arguments))
    except UserError as error:
        return errors.report("amr_tf.sweep", error, debug)
    except Interrupted as interrupted:
        ignore_signals()
        print(f"amr_tf.sweep: {interrupted}", file=sys.stderr)
        return interrupted.exit_code
    except KeyboardInterrupt:
        print("amr_tf.sweep: interrupted before it began", file=sys.stderr)
        return 130


if __name__ == "__main__":
    process.run("amr_tf.sweep", main)
