"""Creates a report: reads the runs, writes the files and prints the tables."""

import pathlib
import sys
from typing import NamedTuple

from amr_tf.reporting import comparison, groups, page, reading, tables, text
from amr_tf.reporting.published import TABLES
from amr_tf.runtime import files
from amr_tf.runtime.console import Console
from amr_tf.runtime.errors import KEPT, UserError, printable

PIPE_WIDTH = 200  # width in columns if the output is not a terminal


class Compared(NamedTuple):
    """Arguments of `comparison.compare`: the names of the groups to compare, and the options."""

    names: list[str]
    margin: float
    despite: list[str]


def run(
    words: list[str], table: str | None, out: pathlib.Path | None, compared: Compared | None = None
) -> None:
    """Prints the report on the runs that `words` name, and writes the report to the folder `out` if given.

    Args:
        words: run folders, folders that contain some, or patterns of such folders.
        table: name of a table of the paper; None for all runs by their settings.
        out: folder for report.md, report.csv and report.html.
        compared: groups that are compared in further sections.

    Raises:
        UserError: a file cannot be read or written.
    """
    found = groups.group([reading.read(folder) for folder in _begun(reading.find(words))])
    report = tables.paper_table(TABLES[table], found) if table else tables.all_groups(found)
    if compared:
        more = comparison.compare(compared.names, found, compared.margin, compared.despite)
        sections, remarks = [*report.sections, *more.sections], [*more.remarks, *report.remarks]
        report = report._replace(sections=sections, remarks=remarks)
    console = Console(PIPE_WIDTH, soft_wrap=False)
    try:
        pages = {
            "report.md": text.markdown(report),
            "report.csv": text.csv_text(report),
            "report.html": page.html(report),
        }
    except OSError as error:
        raise UserError(f"The report cannot be made: {error}") from error
    if out:
        try:
            out.mkdir(parents=True, exist_ok=True)
            for name, content in pages.items():
                files.write(out / name, content)
        except OSError as error:
            raise UserError(f"The report cannot be written: {error}. Choose another --out") from error
    text.show(report, console)
    if out:
        console.print(f"\nwritten: {', '.join(pages)} in {out}")


def _begun(folders: list[pathlib.Path]) -> list[pathlib.Path]:
    """Returns the folders with a metrics.csv, the last file that an epoch writes, and prints the other folders."""
    begun = []
    for folder in folders:
        if (folder / "metrics.csv").exists():
            begun.append(folder)
        else:
            line = f"amr_tf.report: left out, no metrics.csv yet: {folder}"
            print(printable(line, KEPT), file=sys.stderr)
    if not begun:
        raise UserError(
            f"No run there has a metrics.csv. Received: {len(folders)} runs. Train one to the end of an epoch"
        )
    return begun
