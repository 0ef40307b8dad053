"""BINARY. Compares runs with the paper: python -m amr_tf.report runs/mnist --table=1 --out=report

Results of runs that differ only by their seeds are averaged. The exit code is 0 after success, and 2 after an error
that the message explains.
"""

import dataclasses
import pathlib
from typing import Any

from absl import flags

from amr_tf.config import Config, command_line, flag_name
from amr_tf.config.command_line import own_help
from amr_tf.reporting import runner
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.main import Command

USAGE = """python -m amr_tf.report RUNS... [--table=TABLE] [--compare=A,B] [--out=FOLDER]

RUNS are run folders, folders that contain some at any depth, or patterns such as 'runs/*/amr_*'."""
PURPOSE = "compares runs with the paper"


def define_flags() -> flags.FlagValues:
    """Declares and returns the flags of this command."""
    values = flags.FlagValues()
    known = f"table of the paper to fill in: {', '.join(TABLES)} (all runs by their settings)"
    flags.DEFINE_enum("table", None, list(TABLES), known, values)
    command_line.define_path("out", "folder for report.md, report.csv and report.html", values)
    own: dict[str, Any] = {"flag_values": values}
    flags.DEFINE_list(
        "compare",
        [],
        "groups to compare by seed and test image: presets, folders of a sweep, methods or labels",
        **own,
    )
    flags.DEFINE_float(
        "margin", 0.5, "points of accuracy within which methods count as equivalent", lower_bound=0.0, **own
    )
    flags.DEFINE_list(
        "despite", [], "settings that may differ between compared groups, such as image_fit", **own
    )
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> tuple[list[str], str | None, pathlib.Path | None, runner.Compared | None]:
    """Parses `arguments` (without the program's name); returns the arguments of `runner.run`.

    Raises:
        UserError: an unknown flag, table or setting, no run folder, or fewer than two different groups to compare.
    """
    values = define_flags()
    words = command_line.read_own(values, "amr_tf.report", arguments)
    if not words:
        raise UserError("It takes the folders of runs. Received: nothing (--help explains them)")
    return [str(files.user_path(word)) for word in words], values.table, values.out, _compared(values)


def _compared(values: flags.FlagValues) -> runner.Compared | None:
    names, known = values.compare, {flag_name(field.name) for field in dataclasses.fields(Config)}
    if not names:
        return None
    if len(names) < 2 or len(set(names)) < len(names):
        raise UserError(
            f"--compare takes two or more different groups. Received: --compare={','.join(names)}"
        )
    if unknown := sorted(set(values.despite) - known):
        raise UserError(f"--despite takes names of training flags. Received: {', '.join(unknown)}")
    return runner.Compared(names, values.margin, values.despite)


main = Command(
    "amr_tf.report",
    PURPOSE,
    lambda: own_help(USAGE, define_flags()),
    parse,
    lambda options: runner.run(*options),
)

if __name__ == "__main__":
    main.run()
