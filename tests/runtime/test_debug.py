"""One line for an expected failure, its traceback with --debug, and the exit code that is documented."""

import pytest

from amr_tf import evaluate, export, report, sweep, train
from amr_tf.config import ConfigError
from amr_tf.runs.folder import InUseError, RunError
from amr_tf.runtime import errors
from amr_tf.runtime.errors import DataError, DivergedError, Interrupted, LostWorkerError, UserError
from amr_tf.serving import client

FAILURES = {
    train: ["--k=1"],
    evaluate: ["--run_dir=no-such-run"],
    report: ["no-such-run"],
    export: ["--run_dir=", "stray"],
    sweep: ["no-such-preset"],
    client: ["no-such-command"],
}


@pytest.mark.parametrize("binary", FAILURES, ids=lambda binary: binary.__name__)
def test_a_traceback_is_shown_with_debug_only(binary, capsys):
    assert binary.main(FAILURES[binary]) == 2
    line = capsys.readouterr().err
    assert line.startswith(f"{binary.__name__}: ")
    assert line.count("\n") == 1
    assert binary.main([*FAILURES[binary], "--debug"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Traceback (most recent call last):")
    assert said.endswith(line)


@pytest.mark.parametrize("binary", FAILURES, ids=lambda binary: binary.__name__)
def test_help_names_it(binary, capsys):
    assert binary.main(["--help", "--debug"]) == 0
    assert errors.DEBUG_HELP in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        *(
            (kind("x"), 2)
            for kind in (UserError, ConfigError, DataError, DivergedError, RunError, InUseError)
        ),
        (LostWorkerError("x"), 75),
        (Interrupted("x", 2), 130),
        (Interrupted("x", 15), 143),
        (Interrupted("x", 1), 129),
    ],
    ids=repr,
)
def test_exit_codes_are_those_of_the_readme(failure, code):
    assert failure.exit_code == code
