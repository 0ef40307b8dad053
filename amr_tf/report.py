"""BINARY. Sets runs beside the paper: python -m amr_tf.report runs/mnist --table=1 --out=report

Runs that differ by their seed are averaged. Exit codes: 0 done, 2 a failure that the message explains.
"""

import pathlib
import sys
from typing import NamedTuple

from absl import flags
from rich.console import Console

from amr_tf.config import command_line
from amr_tf.reporting import groups, page, reading, tables, text
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import errors, files, process
from amr_tf.runtime.errors import UserError

HELP_FLAGS = {"--help", "-help", "-h", "--helpfull", "--helpshort"}
HELP = f"""python -m amr_tf.report RUNS... [--table=TABLE] [--out=FOLDER]: sets runs beside the paper

RUNS
    Run folders, folders with run folders somewhere in them, or patterns such as 'runs/*/amr_*'.

--table
    The table of the paper to fill in. One of: {", ".join(TABLES)}. Default: all runs by their settings.
--out
    Folder in which report.md, report.csv and report.html are written. Default: the table is printed only."""
PIPE_WIDTH = 200  # of what is not a terminal and has no width of its own


class Options(NamedTuple):
    """What the command line asks for."""

    words: list[str]
    table: str | None
    out: str | None


def main(arguments: list[str]) -> int:
    """Makes the report that `arguments` ask for; returns the exit code."""
    arguments, debug = errors.take_debug(arguments)
    if HELP_FLAGS.intersection(arguments):
        print(f"{HELP}\n\n{errors.DEBUG_HELP}")
        return 0
    try:
        run(parse(arguments))
    except UserError as error:
        return errors.report("amr_tf.report", error, debug)
    except KeyboardInterrupt:
        print("amr_tf.report: interrupted", file=sys.stderr)
        return 130
    return 0


def parse(arguments: list[str]) -> Options:
    """Reads `arguments` (without the program's name).

    Raises:
        UserError: an unknown flag or table, or no run.
    """
    values = flags.FlagValues()
    flags.DEFINE_enum("table", None, list(TABLES), "table of the paper", values)
    flags.DEFINE_string("out", None, "folder for the files", values)
    values.set_gnu_getopt()
    words = command_line.read_own(values, "amr_tf.report", arguments)
    if not words:
        raise UserError("It takes the folders of runs. Received: none (--help says more)")
    return Options(words, values.table, values.out)


def run(options: Options) -> None:
    """Reads everything, writes the files when all of them could be made, and prints the table.

    Raises:
        UserError: something cannot be read or written.
    """
    found = groups.group([reading.read(folder) for folder in _begun(reading.find(options.words))])
    report = tables.paper_table(TABLES[options.table], found) if options.table else tables.all_groups(found)
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    try:
        pages = {
            "report.md": text.markdown(report),
            "report.csv": text.csv_text(report),
            "report.html": page.html(report),
        }
    except OSError as error:
        raise UserError(f"The report cannot be made: {error}") from error
    if options.out:
        _write(pathlib.Path(options.out), pages)
    text.show(report, console)
    if options.out:
        console.print(f"\nwritten: {', '.join(pages)} in {errors.printable(options.out)}", markup=False)


def _begun(folders: list[pathlib.Path]) -> list[pathlib.Path]:
    """Without those that were cut off before metrics.csv, the last file of an epoch, was there for the first time."""
    begun = [folder for folder in folders if (folder / "metrics.csv").exists()]
    for folder in folders:
        if folder not in begun:
            print(
                f"amr_tf.report: left out, no metrics.csv yet: {errors.printable(str(folder))}",
                file=sys.stderr,
            )
    if not begun:
        raise UserError(
            f"No run there has a metrics.csv: train one to the end of an epoch. Runs: {len(folders)}"
        )
    return begun


def _write(folder: pathlib.Path, pages: dict[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in pages.items():
            files.write(folder / name, content)
    except OSError as error:
        raise UserError(f"The report cannot be written: {error}. Choose another --out") from error


if __name__ == "__main__":
    process.run("amr_tf.report", main)
