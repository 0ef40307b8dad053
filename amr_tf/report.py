"""BINARY. Compares runs with the paper: python -m amr_tf.report runs/mnist --table=1 --out=report

Runs that differ by their seed are averaged. Exit codes: 0 done, 2 an error that the message explains.
"""

import pathlib

from absl import flags

from amr_tf.config import command_line
from amr_tf.config.command_line import own_help
from amr_tf.reporting import runner
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError
from amr_tf.runtime.main import Command

USAGE = """python -m amr_tf.report RUNS... [--table=TABLE] [--out=FOLDER]

RUNS are run folders, folders that contain some at any depth, or patterns such as 'runs/*/amr_*'."""
PURPOSE = "compares runs with the paper"


def define_flags() -> flags.FlagValues:
    """Declares the flags of this binary."""
    values = flags.FlagValues()
    known = f"table of the paper to fill in: {', '.join(TABLES)} (all runs by their settings)"
    flags.DEFINE_enum("table", None, list(TABLES), known, values)
    command_line.define_path("out", "folder for report.md, report.csv and report.html", values)
    values.set_gnu_getopt()
    return values


def parse(arguments: list[str]) -> tuple[list[str], str | None, pathlib.Path | None]:
    """Reads `arguments` (without the program's name); returns the arguments of `runner.run`.

    Raises:
        UserError: an unknown flag or table, or no run.
    """
    values = define_flags()
    words = command_line.read_own(values, "amr_tf.report", arguments)
    if not words:
        raise UserError("It takes the folders of runs. Received: nothing (--help explains them)")
    return [str(files.user_path(word)) for word in words], values.table, values.out


main = Command(
    "amr_tf.report",
    PURPOSE,
    lambda: own_help(USAGE, define_flags()),
    parse,
    lambda options: runner.run(*options),
)

if __name__ == "__main__":
    main.run()
