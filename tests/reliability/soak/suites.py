"""Bars that are tests of the project already: pytest runs them, one result is one trial."""

import os
import pathlib
import re
import signal
import subprocess
import sys

from tests.reliability.faults.harness import ROOT
from tests.reliability.soak.tally import Outcome, Skipped


class Suite:
    """The tests of some files, slow ones included.

    Args:
        folder: for pytest's temporary folders.
    """

    files: tuple[str, ...]

    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        listed = self._pytest("--collect-only", "-q")
        self.tests = [line for line in listed.communicate()[0].splitlines() if "::" in line]
        self.asked = len(self.tests)
        self.process: subprocess.Popen | None = None

    def _pytest(self, *words: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-m", "slow or not slow", *words]
        return subprocess.Popen(
            [*command, *([] if "::" in "".join(words) else self.files)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "300"},
        )  # fmt: skip

    def trial(self, number: int) -> Outcome:
        if self.process is None:
            words = ("-v", "-rs", "--tb=line", f"--basetemp={self.folder / 'pytest'}")
            self.process = self._pytest(*words, *self.tests[number:])
        for line in self.process.stdout:
            found = re.match(r"(tests/\S+::.+) (PASSED|FAILED|SKIPPED|ERROR)", line)
            if not found:
                continue
            assert found[1] == self.tests[number], (found[1], self.tests[number])
            if found[2] == "SKIPPED":
                raise Skipped(line.strip())
            assert found[2] == "PASSED", line.strip()
            return Outcome({"tests": 1})
        raise AssertionError("pytest ended before this test")

    def close(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.communicate()


class Disk(Suite):
    files = ("tests/reliability/faults/test_disk.py",)


class Permissions(Suite):
    files = ("tests/reliability/faults/test_permissions.py",)


class Attacks(Suite):
    files = ("tests/reliability/attacks",)
