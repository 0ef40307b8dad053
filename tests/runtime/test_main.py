"""The one `main`: help, errors on one line, their traceback with --debug, and the documented exit codes."""

import numpy as np
import pytest

from amr_tf import __main__, evaluate, export, report, sweep, train
from amr_tf.config import ConfigError
from amr_tf.runs.folder import InUseError
from amr_tf.runtime.errors import DivergedError, Interrupted, LostWorkerError, UserError
from amr_tf.runtime.main import DEBUG_HELP, Command
from amr_tf.serving import client

FAILURES = {
    train.main: ["--k=1"],
    evaluate.main: ["--run_dir=no-such-run"],
    report.main: ["no-such-run"],
    export.main: ["--run_dir=", "stray"],
    sweep.main: ["no-such-preset"],
    client.main: ["no-such-command"],
}


@pytest.mark.parametrize("command", FAILURES, ids=lambda command: command.program)
def test_debug_is_in_help_and_shows_the_traceback(command, capsys):
    assert command(["--help", "--debug"]) == 0
    assert DEBUG_HELP in capsys.readouterr().out
    assert command(FAILURES[command]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"{command.program}: ")
    assert line.count("\n") == 1
    assert command([*FAILURES[command], "--debug"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert said.endswith(line)


def raising(error: BaseException) -> Command:
    def work(_):
        raise error

    return Command("program", "", str, list, work)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        *((kind("x"), 2) for kind in (UserError, ConfigError, DivergedError, InUseError)),
        *((Interrupted("x", number), code) for number, code in ((2, 130), (15, 143), (1, 129), (None, 0))),
        (LostWorkerError("x"), 75),
        (KeyboardInterrupt(), 130),
    ],
    ids=repr,
)
def test_exit_codes_are_those_of_the_readme(monkeypatch, capsys, error, code):
    monkeypatch.setattr("amr_tf.runtime.main.ignore_signals", lambda: None)
    assert raising(error)([]) == code
    assert capsys.readouterr().err.startswith("program: ")


def test_error_cannot_control_the_terminal(capsys):
    raising(UserError("a\x1b[2J\udcff\nb"))([])
    assert capsys.readouterr().err == "program: a?[2J?\nb\n"


def test_out_of_memory_is_one_line(capsys):
    """NumPy's, at once. TensorFlow's takes ten seconds: test_process.py."""
    assert Command("program", "", str, list, lambda _: np.empty(2**60, np.uint8))([]) == 2
    line = capsys.readouterr().err
    assert line.startswith("program: Out of memory. Received: Unable to allocate ")
    assert line.count("\n") == 1


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())([])


def test_package_lists_and_runs_the_commands(capsys):
    for words in ([], ["--help"]):
        assert __main__.main(words) == 0
        listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()[2:]]
        assert {__main__.load(name) for name in listed} == set(FAILURES)
    assert __main__.main(["train", "--k=1"]) == 2
    assert capsys.readouterr().err.startswith("amr_tf.train: --k ")
    assert __main__.main(["trian"]) == 2
    assert "'trian'" in capsys.readouterr().err
