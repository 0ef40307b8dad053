"""BINARY. Measures trained runs: python -m amr_tf.evaluate --run_dir=runs/... --metrics=probe,factor_vae

The run folder determines the settings, the weights and the data. Results are stored in the run's results.json, unless
the run is read-only. With --out=FILE.json, results are also written to FILE.json. The exit code is 0 after success, 2
after an error that the message explains, 130 after Ctrl-C, 143 after SIGTERM, and 129 after the terminal was closed.
"""

import os
import pathlib
from typing import Any

from absl import flags

from amr_tf.config import ConfigError, command_line
from amr_tf.config.command_line import own_help
from amr_tf.evaluation import Request
from amr_tf.registry import FIGURES, METRICS, load
from amr_tf.runtime import files, startup
from amr_tf.runtime.interruption import Interruption
from amr_tf.runtime.main import Command

USAGE = "python -m amr_tf.evaluate --run_dir=RUN [--metrics=NAME,...] [--figures=NAME,...]"
STOPPED = "interrupted; results.json contains what was measured"
PURPOSE = "measures trained runs, and draws pictures that compare them"
DEFAULT_METRICS = ("probe", "clustering", "reconstruction")


def define_flags() -> flags.FlagValues:
    """Declares and returns the flags of this command."""
    values = flags.FlagValues()
    own: dict[str, Any] = {"flag_values": values}
    more = "more may follow without the flag's name"
    command_line.define_path(
        "run_dir", f"run folder, or a pattern such as 'runs/mnist/*'; {more}", values, several=True
    )
    metrics, figures = (
        "; ".join(f"{name}: {load(table, name).description}" for name in table)
        for table in (METRICS, FIGURES)
    )
    default = ",".join(DEFAULT_METRICS)
    flags.DEFINE_list("metrics", None, f"metrics ({default} without --figures). {metrics}", **own)
    flags.DEFINE_list("figures", [], f"figures. {figures}", **own)
    flags.DEFINE_string(
        "checkpoint", "best", "best (on the validation split), last, or a number of steps", **own
    )
    flags.DEFINE_integer("seed", 0, "seed of what metrics and figures draw", lower_bound=0, **own)
    command_line.define_path("data_dir", "folder (or file) of the data, if moved since the training", values)
    command_line.define_path("raw_dir", "folder of official archives, if moved since then", values)
    out = "folder of the figures (that of the first run), or FILE.json for the results of the metrics"
    command_line.define_path("out", out, values)
    flags.DEFINE_bool("animate", False, "figures as GIFs too", **own)
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> Request:
    """Parses `arguments` (without the program's name).

    Raises:
        ConfigError: an unknown flag, metric or figure; no run, metric or figure; or a pattern without matching folders.
    """
    values = define_flags()
    stray = command_line.read_own(values, "amr_tf.evaluate", arguments)
    patterns = [*values.run_dir, *map(files.user_path, stray)]
    if not patterns:
        raise ConfigError(f"No run to measure: {USAGE}")
    figures = command_line.known("figures", values.figures, FIGURES)
    metrics = values.metrics if values.metrics is not None else () if figures else DEFAULT_METRICS
    if not metrics and not figures:
        raise ConfigError(f"Nothing to measure: --metrics takes {', '.join(METRICS)}. Received: --metrics=")
    to_file = values.out is not None and values.out.suffix == ".json"
    if to_file and figures:
        raise ConfigError(
            f"Figures are written to a folder. Received: --out={values.out}. Use a command for each"
        )
    places = {name: str(values[name].value) for name in ("data_dir", "raw_dir") if values[name].value}
    return Request(
        folders=list(dict.fromkeys(folder for pattern in patterns for folder in _folders(pattern))),
        metrics=command_line.known("metrics", metrics, METRICS),
        figures=figures,
        checkpoint=values.checkpoint,
        seed=values.seed,
        places=places,
        out=None if to_file else values.out,
        results_file=values.out if to_file else None,
        animate=values.animate,
    )


def _folders(pattern: pathlib.Path) -> list[pathlib.Path]:
    found = files.matching(pattern)
    folders = [files.user_path(files.as_word(pathlib.Path(name))) for name in found if os.path.isdir(name)]
    if not folders:
        what = "Not a folder" if found else "No such run folder"
        raise ConfigError(f"{what}. Received: --run_dir={pattern}")
    return folders


def work(request: Request) -> int:
    """Computes the requested metrics, draws the requested figures and returns the exit code."""
    with Interruption() as interruption:
        startup.import_tensorflow()
        from amr_tf.evaluation import runner

        return runner.run(request, interruption)


main = Command("amr_tf.evaluate", PURPOSE, lambda: own_help(USAGE, define_flags()), parse, work, STOPPED)

if __name__ == "__main__":
    main.run()
