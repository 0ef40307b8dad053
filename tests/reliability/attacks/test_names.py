"""Names chosen to be read as something else: HTML, Markdown, a spreadsheet's formula, a terminal's orders."""

import csv
import io
import os
import re

import numpy as np
import pytest
from rich.console import Console

from amr_tf import report
from amr_tf.reporting import groups, page, reading, tables, text
from tests.reporting.run_folders import write_run
from tests.reporting.test_report import Page

PIECES = (
    "<script>alert(1)<", "script>", "<img src=x onerror=alert(1)>", "<svg onload=alert(1)>", "\"'><b>", "javascript:x",
    "]]>", "<!--", "-->", "{{7*7}}", "{% raw %}", "${x}", "%00", "&lt;", "&#x3c;script&#x3e;", "](http:", "![x]",
    "|", "`", "\\", "*", "=1+1", "+cmd|' C'!A0", "-2", "@SUM(A1)", "\x1b[2J", "\x1b]8;;x\x07", "\r", "\n", "\t", "\x7f",
    "\u202e", "\u2028", "\u0000", "\ud800", "\udcff", "[red]", "[link=x]", ":smile:", "..", "~root", "é", "名", "'; --",
    "style=background:url(x)", "expression(1)", "--out=x", "\\\\host\\x", "<base href=x>", "<meta http-equiv=refresh>",
)  # fmt: skip
# Text that a spreadsheet computes; numbers are shown.
FORMULA = re.compile(r"(?!-?[\d.]+(e-?\d+)?$)[=+\-@\t\r]")


def hostile(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    # The number keeps apart what would be the same once it is printable.
    return ["".join(rng.choice(PIECES, rng.integers(1, 6))) + str(number) for number in range(count)]


def folder_name(name: str) -> str:
    """The part of a name that file systems accept."""
    short = os.fsencode(name.replace("/", "").replace("\0", "").replace("\ud800", ""))[:200]
    return os.fsdecode(short)


@pytest.fixture
def make(tmp_path):
    """Runs with names of every kind hostile; gives the report and what of it a terminal shows."""

    def made(names: list[str]):
        read = []
        for number, name in enumerate(names):
            about = {"device": [name], "commit": name, "versions": {name: name}, "data": name}
            folder = tmp_path / f"{number}{folder_name(name)}"
            metrics = {name: {"score": 0.5, "checkpoint": name}}
            read.append(reading.read(write_run(folder, [0.5], metrics, False, seed=number, about=about)))
        return tables.all_groups(groups.group(read))

    return made


def assert_text(report_made, harmless) -> None:
    """The structure of each output is that of harmless names."""
    html, expected = Page(page.html(report_made)), Page(page.html(harmless))
    assert [tag for tag, _ in html.tags] == [tag for tag, _ in expected.tags]
    for _, attributes in html.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert all(a.startswith(("data:", "#")) for n, a in attributes.items() if n in ("src", "href"))
    # Cells end at bars that no backslash precedes.
    assert rows(report_made) == rows(harmless)
    assert all(line.isprintable() for line in text.markdown(report_made).splitlines())
    for row in csv.reader(io.StringIO(text.csv_text(report_made))):
        assert all(cell.isprintable() and not FORMULA.match(cell) for cell in row), row
    output = io.StringIO()
    text.show(report_made, Console(file=output, width=200, force_terminal=True, color_system=None))
    assert set(re.findall(r"\x1b[^m]*m?", output.getvalue())) <= {"\x1b[1m", "\x1b[0m", "\x1b[3m", "\x1b[2m"}


def rows(made) -> list[int]:
    return [
        len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        for line in text.markdown(made).splitlines()
        if line.startswith("| ")
    ]


@pytest.mark.parametrize(
    ("count", "seed"),
    [(8, 0), (8, 1), *(pytest.param(100, seed, marks=pytest.mark.soak) for seed in range(10, 20))],
)
def test_hostile_names_stay_text(make, count, seed):
    assert_text(make(hostile(count, seed)), make([f"n{number}" for number in range(count)]))


def test_a_hostile_folder_is_reported_by_the_command(tmp_path, capsys):
    for number, name in enumerate(hostile(5, 3)):
        write_run(tmp_path / "runs" / f"{number}{folder_name(name)}", [0.5], picture=False, seed=number)
    assert report.main([str(tmp_path / "runs"), f"--out={tmp_path / 'out'}"]) == 0
    assert capsys.readouterr().err == ""
    assert set(os.listdir(tmp_path / "out")) == {"report.csv", "report.html", "report.md"}
