"""Commands whose streams are closed, full or without a reader, as real processes."""

import os
import pathlib
import pty
import shlex
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = ("train", "evaluate", "report", "export", "sweep", "serving.client")
TINY = "--dataset=spiral --depth=2 --epochs=2 --steps_per_epoch=4"
# Standard input becomes the controlling terminal; the first word is the handler of SIGHUP.
IN_A_TERMINAL = """
import fcntl, os, signal, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.Handlers(int(sys.argv[1])))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
FULL = "Not all of the output could be written: No space left on device\n"


def shell(command: str) -> subprocess.CompletedProcess:
    """Runs `command` in a shell; @ stands for `python -m amr_tf.`"""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        ["/bin/bash", "-c", command.replace("@", f"{sys.executable} -m amr_tf.")],
        capture_output=True, text=True, check=False, cwd=ROOT, env=environment, timeout=200,
    )  # fmt: skip


@pytest.mark.parametrize("binary", BINARIES)
def test_full_disk_is_one_line_and_exit_code_2(binary):
    done = shell(f"@{binary} --help >/dev/full")
    assert (done.returncode, done.stderr) == (2, f"amr_tf.{binary}: {FULL}")


@pytest.mark.parametrize(
    ("command", "code", "lines"),
    [
        ("@report --help | true; exit ${PIPESTATUS[0]}", 0, 0),
        ("PYTHONUNBUFFERED=1 @report --help >/dev/full", 2, 1),
        ("@report no-such-run <&-", 2, 1),
        ("@report no-such-run >&-", 2, 1),
        ("@report no-such-run 2>&-", 2, 0),
        ("@report no-such-run <&- >&- 2>&-", 2, 0),
        ("@report no-such-run >/dev/full 2>/dev/full", 2, 0),
    ],
)
def test_lost_streams_change_no_exit_code(command, code, lines):
    done = shell(command)
    assert (done.returncode, done.stderr.count("\n")) == (code, lines)


@pytest.mark.parametrize("command", ["export --run_dir=.", "train --smoke --dataset=spiral"])
def test_no_temporary_folder_names_tmpdir(command):
    done = shell(f"ulimit -f 0; @{command}")  # no file may have any byte
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "No usable temporary directory" in done.stderr
    assert "TMPDIR" in done.stderr


@pytest.mark.slow
def test_training_out_of_memory_is_one_line(tmp_path):
    done = shell(f"@train {TINY} --depth=2000000 --run_dir={tmp_path}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("amr_tf.train: Out of memory. ")
    assert "ResourceExhaustedError" in (tmp_path / "log.txt").read_text().splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("streams", "code", "said"),
    [("2>&1 | head -c 100 >/dev/null", 0, ""), (">/dev/full", 2, f"amr_tf.train: {FULL}"), ("<&- >&- 2>&-", 0, "")],
)  # fmt: skip
def test_training_survives_lost_streams(tmp_path, streams, code, said):
    done = shell(f"@train {TINY} --run_dir={tmp_path} {streams}; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (code, said)
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3
    assert (tmp_path / "checkpoints" / "step_0000000008").is_dir()
    log = (tmp_path / "log.txt").read_text().splitlines()
    assert log[1].endswith(
        f": {shlex.join([sys.executable, '-m', 'amr_tf.train', *TINY.split()])} --run_dir={tmp_path}"
    )
    assert any(line.startswith("--epochs ") for line in log)
    assert log[-1].startswith("TensorBoard: ")


@pytest.mark.slow
def test_sweep_survives_a_reader_that_leaves(tmp_path):
    (tmp_path / "one.flags").write_text("\n".join(TINY.split()))
    done = shell(
        f"@sweep {tmp_path / 'one.flags'} --out={tmp_path / 'out'} | head -1; exit ${{PIPESTATUS[0]}}"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out" / "report.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("handler", "code", "epochs"), [(signal.SIG_DFL, 129, 1000), (signal.SIG_IGN, 0, 20)]
)
def test_closed_terminal_saves_training_or_is_ignored(tmp_path, handler, code, epochs):
    """SIGHUP ignored is what `nohup` and `trap '' HUP` leave; the terminal's output fails from then on."""
    master, terminal = pty.openpty()
    words = f"{int(handler)} -m amr_tf.train {TINY} --epochs={epochs} --run_dir={tmp_path}".split()
    process = subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *words],
        stdin=terminal, stdout=terminal, stderr=terminal, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    rows = tmp_path / "metrics.csv"
    try:
        while not rows.exists():
            assert os.read(master, 65_536)
        os.close(master)
        assert process.wait(200) == code
    finally:
        process.kill()
    saved = max(int(path.name.removeprefix("step_")) for path in (tmp_path / "checkpoints").glob("step_*"))
    assert saved == 4 * epochs if code == 0 else 4 <= saved < 4 * epochs


@pytest.mark.parametrize(
    "setting",
    [
        *(
            f"PYTHONIOENCODING={encoding}"
            for encoding in ("ascii", "ascii:strict", "latin-1", "cp1252", "cp437")
        ),
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0",
    ],
)
def test_text_the_terminal_lacks_is_escaped(setting):
    """In a line of an error, which any command may print."""
    done = shell(f"{setting} @report 日 2>&1")
    assert (done.returncode, done.stdout.splitlines()[-1].rpartition(": ")[2]) == (2, "\\u65e5")


@pytest.mark.slow
def test_training_in_the_locale_c_uses_the_named_folder(tmp_path):
    """Names of files are UTF-8 for Python and TensorFlow alike; the log is UTF-8 too."""
    folder = tmp_path / "日"
    done = shell(f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 @train {TINY} --run_dir={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u65e5/results.json" in done.stdout
    assert "日/results.json" in (folder / "log.txt").read_text(encoding="utf-8")
    assert (folder / "checkpoints" / "step_0000000008").is_dir()
