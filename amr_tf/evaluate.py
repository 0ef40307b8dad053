"""BINARY. Measures trained runs: python -m amr_tf.evaluate --run_dir=runs/... --metrics=probe,factor_vae

Everything is rebuilt from the run folder; results are merged into its results.json. Exit codes: 0 done, 2 a failure
that the message explains, 130 interrupted by Ctrl-C, 143 by SIGTERM, 129 by a closed terminal.
"""

import glob
import os
import pathlib
import sys
from typing import Any, NamedTuple

from absl import flags

from amr_tf.config import ConfigError, command_line
from amr_tf.registry import FIGURES, METRICS, load
from amr_tf.runtime import errors, process, startup
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.runtime.interruption import Interruption, ignore_signals

USAGE = "python -m amr_tf.evaluate --run_dir=RUN [--metrics=NAME,...] [--figures=NAME,...]"
PURPOSE = "measures trained runs, and draws pictures that compare them"
DEFAULT_METRICS = ("probe", "clustering", "reconstruction")


class Request(NamedTuple):
    """What a command asks for."""

    folders: list[pathlib.Path]
    metrics: list[str]
    figures: list[str]
    checkpoint: str
    seed: int
    places: dict[str, str]
    out: str
    animate: bool


def define_flags() -> flags.FlagValues:
    """The flags of this binary, apart from absl's global ones."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_multi_string(
        "run_dir",
        [],
        "run folder, or a pattern such as 'runs/mnist/*'; more may follow without the flag's name",
        **own,
    )
    names = "; ".join(f"{name}: {load(METRICS, name).description}" for name in METRICS)
    default = ",".join(DEFAULT_METRICS)
    flags.DEFINE_list(
        "metrics", None, f"which to compute ({default} where no --figures are asked for). {names}", **own
    )
    names = "; ".join(f"{name}: {load(FIGURES, name).description}" for name in FIGURES)
    flags.DEFINE_list("figures", [], f"which to draw. {names}", **own)
    flags.DEFINE_string("checkpoint", "best", "best (by validation), last, or a number of steps", **own)
    flags.DEFINE_integer("seed", 0, "of whatever a metric or a figure draws", lower_bound=0, **own)
    flags.DEFINE_string(
        "data_dir", None, "where the data are, if elsewhere than when the run was trained", **own
    )
    flags.DEFINE_string("raw_dir", None, "folder of official archives, if elsewhere than then", **own)
    flags.DEFINE_string("out", "", "folder of the figures (that of the first run)", **own)
    flags.DEFINE_bool("animate", False, "figures as GIFs too", **own)
    return values


def parse(arguments: list[str]) -> Request:
    """Reads `arguments` (without the program's name).

    Raises:
        ConfigError: an unknown flag, metric or figure, or a pattern that no folder fits.
    """
    values = define_flags()
    stray = command_line.read_own(values, "amr_tf.evaluate", arguments)
    patterns = [*values.run_dir, *stray]
    if not patterns:
        raise ConfigError(f"No run to measure: {USAGE}")
    for flag, known in (("metrics", METRICS), ("figures", FIGURES)):
        for name in values[flag].value or []:
            if name not in known:
                raise ConfigError(f"--{flag} takes {', '.join(known)}. Received: {name!r}")
    metrics = (
        values.metrics if values.metrics is not None else [] if values.figures else list(DEFAULT_METRICS)
    )
    if not metrics and not values.figures:
        raise ConfigError(f"Nothing to measure: --metrics takes {', '.join(METRICS)}. Received: --metrics=")
    asked = {name: values[name].value for name in ("data_dir", "raw_dir")}
    places = {name: place for name, place in asked.items() if place is not None}
    return Request(
        list(dict.fromkeys(folder for pattern in patterns for folder in _folders(pattern))),
        list(dict.fromkeys(metrics)), list(dict.fromkeys(values.figures)), values.checkpoint, values.seed, places,
        values.out, values.animate,
    )  # fmt: skip


def _folders(pattern: str) -> list[pathlib.Path]:
    pattern = os.path.expanduser(pattern)
    # A name with brackets is one folder before it is a pattern.
    found = [pattern] if os.path.isdir(pattern) else sorted(filter(os.path.isdir, glob.glob(pattern)))
    if not found:
        raise ConfigError(f"No such run folder. Received: --run_dir={pattern}")
    return [pathlib.Path(name) for name in found]


def main(arguments: list[str]) -> int:
    """Measures what `arguments` ask for; returns the exit code."""
    arguments, debug = errors.take_debug(arguments)
    if {"--help", "-help", "-h", "--helpfull", "--helpshort"}.intersection(arguments):
        print(f"{USAGE}\n\n{PURPOSE}\n{define_flags().get_help()}\n{errors.DEBUG_HELP}")
        return 0
    try:
        request = parse(arguments)
        with Interruption() as interruption:
            startup.import_tensorflow()
            from amr_tf.evaluation import runner

            with errors.out_of_memory_as_user_error():
                return runner.run(request, interruption, debug)
    except UserError as error:
        return errors.report("amr_tf.evaluate", error, debug)
    except Interrupted as interrupted:
        ignore_signals()
        print("amr_tf.evaluate: interrupted; results.json has what was measured", file=sys.stderr)
        return interrupted.exit_code
    except KeyboardInterrupt:
        print("amr_tf.evaluate: interrupted before it began", file=sys.stderr)
        return 130


if __name__ == "__main__":
    process.run("amr_tf.evaluate", main)
