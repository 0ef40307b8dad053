"""A report as Markdown, as CSV and in the terminal."""

import csv
import io
import re

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from amr_tf.reporting.tables import Report, Section, summary_line


def markdown(report: Report) -> str:
    """Returns the report as Markdown. Characters with a meaning in Markdown are escaped in all texts."""
    lines = [f"# {_escaped(report.title)}", "", _escaped(report.protocol), ""]
    for section in report.sections:
        lines += _markdown_section(section)
    lines += [f"[{number}] {_escaped(note)}\n" for number, note in enumerate(report.footnotes, 1)]
    lines += [f"- {_escaped(remark)}" for remark in report.remarks]
    lines += ["", *(_markdown_section(report.provenance) if report.groups else [])]
    if report.groups:
        lines += [_escaped(summary_line(report.groups))]
    return "\n".join(lines).rstrip() + "\n"


def _markdown_section(section: Section) -> list[str]:
    title = [f"## {_escaped(section.title)}", ""] if section.title else []
    rows = [section.head, ("---",) * len(section.head), *section.rows]
    return [*title, *(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows), ""]


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*\[\]<>|&])", r"\\\1", text)


def csv_text(report: Report) -> str:
    """Returns the report as CSV, a line for each row, with unrounded numbers. Missing values are empty cells."""
    text = io.StringIO()
    names = list(report.records[0])
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_inert, names))
    writer.writerows([_inert(record.get(name, "")) for name in names] for record in report.records)
    return text.getvalue()


def _inert(value: object) -> object:
    """Puts an apostrophe before text that a spreadsheet would evaluate as a formula. Other values are unchanged."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def show(report: Report, console: Console) -> None:
    """Prints the tables of the report with their notes."""
    console.print(Text(f"{report.title}\n", style="bold"))
    for section in report.sections:
        table = Table(
            box=rich.box.SIMPLE_HEAD, title=Text(section.title), title_justify="left", pad_edge=False
        )
        for name in section.head:
            table.add_column(Text(name), overflow="fold")
        for row in section.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    for number, note in enumerate(report.footnotes, 1):
        console.print(Text(f"[{number}] {note}"))
    for line in [*report.remarks, report.protocol]:
        console.print(Text(line))
    if report.groups:
        console.print(Text(summary_line(report.groups)))
