"""Printed text cannot control a terminal, and a run's log contains what was printed."""

import io
import sys

import pytest
import rich.table
from rich.text import Text

from amr_tf.runtime import console
from amr_tf.runtime.console import Console, LoggedConsole, Output
from amr_tf.runtime.errors import UserError

HOSTILE = "a\x1b[2J\x9b1m\x07\r\tb\udcff\u202e"
SHOWN = "a?[2J?1m?\r\tb??"


def test_text_stream_replaces_control_characters(tmp_path):
    stream = console.Text(Output(tmp_path / "x", "w"))
    assert stream.write(f"{HOSTILE}\n") == len(HOSTILE) + 1
    stream.close()
    assert (tmp_path / "x").read_bytes().decode() == f"{SHOWN}\n"


def test_console_escapes_come_from_rich_only(tmp_path, monkeypatch):
    stream = console.Text(Output(tmp_path / "x", "w"))
    monkeypatch.setattr(sys, "stdout", stream)
    shown = Console(force_terminal=True, color_system="standard")
    table = rich.table.Table("[b]", box=None)
    table.add_row(HOSTILE)
    shown.print(table, Text(HOSTILE, style="bold"), f"[red]:smile:{HOSTILE}")
    print(HOSTILE)
    stream.close()
    text = (tmp_path / "x").read_bytes().decode()
    assert {escape[:3] for escape in text.split("\x1b")[1:]} == {"[1m", "[0m"}
    assert text.count("a?[2J?1m") == 4
    assert "[red]:smile:" in text


def test_console_wraps_only_with_a_pipe_width(capsys):
    Console(20, soft_wrap=False).print("word " * 10)
    Console().print("word " * 40)
    assert [len(line) <= 20 for line in capsys.readouterr().out.splitlines()] == [True] * 3 + [False]


@pytest.mark.parametrize(
    ("error", "last"),
    [
        (UserError("diverged"), "UserError: diverged"),
        (KeyboardInterrupt(), "KeyboardInterrupt: "),
        (ZeroDivisionError("bug"), "ZeroDivisionError: bug"),
    ],
    ids=repr,
)
def test_log_appends_lines_and_the_error(tmp_path, monkeypatch, error, last):
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "x y"])
    log = tmp_path / "log.txt"
    log.write_text("first start\n")
    shown = LoggedConsole(file=io.StringIO(), force_terminal=True)
    shown.print("[before] it opened")

    def work():
        with shown.log_to(log):
            shown.print(Text(HOSTILE, style="bold"))
            raise error

    with pytest.raises(type(error)):
        work()
    first, empty, header, *lines, end = log.read_bytes().decode().split("\n")
    assert (first, empty, end) == ("first start", "", "")
    assert header.endswith(": python -m 'x y'")
    assert lines[0] == "[before] it opened"
    assert lines[1].startswith("a?[2J?1m")
    assert lines[-1] == last


def test_log_that_cannot_be_written_is_ignored(tmp_path):
    shown = LoggedConsole(file=io.StringIO())
    for path in ("/dev/full", tmp_path / "absent" / "log.txt"):
        with shown.log_to(path):
            shown.print("a line " * 10_000)
    assert "a line" in shown.file.getvalue()
