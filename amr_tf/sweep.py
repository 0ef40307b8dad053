"""BINARY. Trains many runs at a time: python -m amr_tf.sweep flags/table1 --seeds=1,2,3 --executor=slurm

With --grid, one run is trained for each value of a training flag, and the best value on the validation split is
printed. At the end, a report of the runs is written. If the presets belong to a figure, such as flags/figures/figure12,
the figure is drawn. The same command resumes the sweep: finished runs are not trained again, and interrupted runs are
resumed. The exit code is 0 if all runs are finished, 2 after an error that the message explains, 130 after Ctrl-C, 143
after SIGTERM, and 129 after the terminal was closed.
"""

import dataclasses
import pathlib
import re
from typing import Any

from absl import flags

from amr_tf.config import Config, ConfigError, command_line, flag_name
from amr_tf.config.command_line import own_help
from amr_tf.registry import FIGURES, METRICS
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import extras, files
from amr_tf.runtime.main import Command
from amr_tf.sweeping import jobs, runner

USAGE = """python -m amr_tf.sweep PRESETS... [--seeds=1,2,3] [--grid lambda=2,5,10] [flags of amr_tf.train]

PRESETS are preset files, or folders of them such as flags/table1: a run for each preset, setting of the
grid and seed, in OUT/<preset>[/<flag>-<value>...]/s<seed>. Flags that are not listed here are passed to every run:
--epochs=10 --raw_dir=archives"""
PURPOSE = "trains a run for each preset and seed, and reports on them"
TABLE_FOLDERS = {"table1": "1", "table2": "2", "table3": "3", "low_data": "low_data"}
# For each folder of presets: (figures of the runs, metrics of each run).
SUPERVISED = (("masks", "attribute_mixes"), ("attributes",))
INTERPOLATION = (("interpolation",), ())
FIGURE_FOLDERS = {
    "figure6": SUPERVISED,
    "figure6_celeba": SUPERVISED,
    **{f"figure{number}": INTERPOLATION for number in (7, 8, 9, 10, 11, 13)},
    "figure12": (("spiral",), ("spiral",)),
    "latent": (("latent",), ()),
    "lines": (("interpolation",), ("lines", "reconstruction", "probe")),
}


def define_flags() -> flags.FlagValues:
    """Declares and returns the flags of this command."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_list("seeds", ["0"], "seeds: a run of each preset for each of them", **own)
    flags.DEFINE_multi_string(
        "grid",
        [],
        "values of a training flag, such as lambda=2,5,10; of several --grid all combinations",
        **own,
    )
    command_line.define_path("out", "folder of the runs (runs/sweeps/<name of the folder or preset>)", values)
    flags.DEFINE_enum("executor", "local", ["local", "slurm"], "this machine, or a Slurm cluster", **own)
    flags.DEFINE_integer("parallel", None, "runs at a time (1 here, 256 with Slurm)", lower_bound=1, **own)
    flags.DEFINE_enum("table", None, list(TABLES), "table of the report (that of the presets' folder)", **own)
    for flag, known in (("figures", FIGURES), ("metrics", METRICS)):
        what = f"{flag} of the finished runs, by amr_tf.evaluate: {', '.join(known)}"
        flags.DEFINE_list(flag, None, f"{what} (those of the presets' folder)", **own)
    flags.DEFINE_string("slurm_partition", None, "partition (the cluster's default)", **own)
    flags.DEFINE_integer("slurm_gpus", None, "GPUs of a run (none requested)", lower_bound=1, **own)
    flags.DEFINE_integer("slurm_cpus", 2, "cores of a run", lower_bound=1, **own)
    day = 24 * 60
    flags.DEFINE_integer("slurm_time", day, "minutes after which a run is queued again", lower_bound=1, **own)
    flags.DEFINE_list("slurm_extra", [], "further options of sbatch, such as account=NAME,mem=16G", **own)
    return values


def parse(arguments: list[str]) -> runner.Options:
    """Parses `arguments` (without the program's name) and validates the settings of each run.

    Raises:
        ConfigError: an unknown flag or preset, or invalid settings.
    """
    values = define_flags()
    own, passed_on, words = _sort(arguments, set(values))
    command_line.read_own(values, "amr_tf.sweep", own)
    if values.executor == "slurm":
        extras.require("--executor=slurm", "submitit")
    if not words:
        raise ConfigError("No preset to train. Received: nothing (--help explains them)")
    presets = jobs.find_presets(words)
    if not values.out and len(words) > 1:
        raise ConfigError("Several presets or folders need a name for what they are: --out=runs/sweeps/NAME")
    out = values.out or pathlib.Path("runs/sweeps", files.user_path(words[0]).resolve().stem)
    if values.executor == "slurm" and re.search(r"[%\\]", str(out.absolute())):
        raise ConfigError(
            f"Slurm reads % and \\ in a path as a pattern. Received: {out}. Choose another --out"
        )
    seeds, extra = values.seeds, values.slurm_extra
    if not seeds or not all(seed.isascii() and seed.isdecimal() for seed in seeds):
        raise ConfigError(f"--seeds takes whole numbers, such as 1,2,3. Received: {','.join(seeds)!r}")
    if len(set(map(int, seeds))) < len(seeds):
        raise ConfigError(f"--seeds names a seed twice. Received: {','.join(seeds)}")
    if not all(word.find("=") > 0 for word in extra):
        raise ConfigError(f"--slurm_extra takes name=value,... Received: {','.join(extra)!r}")
    parents = {command_line.find_preset(name).parent.name for name in presets}
    parent = parents.pop() if len(parents) == 1 else ""
    figures, metrics = FIGURE_FOLDERS.get(parent, ((), ()))
    slurm = {
        "job_name": f"amr_tf_{out.name}",
        "partition": values.slurm_partition,
        "gpus_per_node": values.slurm_gpus,
        "cpus_per_task": values.slurm_cpus,
        "time": values.slurm_time,
        # Recent versions of Slurm do not pass cpus_per_task from a job to the srun command in the job.
        "srun_args": [f"--cpus-per-task={values.slurm_cpus}"],
        "additional_parameters": dict(word.split("=", 1) for word in extra),
    }
    return runner.Options(
        jobs=jobs.plan(presets, list(map(int, seeds)), out, passed_on, jobs.grid_settings(values.grid)),
        out=out,
        table=values.table or TABLE_FOLDERS.get(parent),
        figures=command_line.known("figures", figures if values.figures is None else values.figures, FIGURES),
        metrics=command_line.known("metrics", metrics if values.metrics is None else values.metrics, METRICS),
        executor=values.executor,
        parallel=values.parallel or (1 if values.executor == "local" else 256),
        slurm=slurm,
    )


def _sort(arguments: list[str], known: set[str]) -> tuple[list[str], list[str], list[str]]:
    """Divides the words into flags of this command, flags that are passed to every run, and words that are not flags.

    As in absl, the value of a flag without "=" is the next word, unless the flag is a boolean flag.

    Raises:
        ConfigError: an unknown flag without "=". The next word may or may not be the value of such a flag.
    """
    of_runs = {flag_name(field.name): field.type is bool for field in dataclasses.fields(Config)}
    switches = {prefix + name for name, is_switch in of_runs.items() if is_switch for prefix in ("", "no")}
    own: list[str] = []
    passed_on: list[str] = []
    words: list[str] = []
    remaining = iter(arguments)
    for word in remaining:
        name, equals, _ = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            words.append(word)
            continue
        if not equals and name not in switches:
            if name not in known and name not in of_runs:
                raise ConfigError(f"Unknown flag. Received: {word}. --help lists those of a sweep")
            word = f"{word}={next(remaining, '')}"
        (own if name in known else passed_on).append(word)
    return own, passed_on, words


main = Command("amr_tf.sweep", PURPOSE, lambda: own_help(USAGE, define_flags()), parse, runner.run)

if __name__ == "__main__":
    main.run()
