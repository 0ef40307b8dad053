"""Bars that are tests of the project: pytest runs the tests of some files, slow ones included, as one trial."""

import pathlib
import re
import subprocess
import sys

from tests.reliability.faults.harness import ROOT
from tests.reliability.soak.tally import Bar, Outcome, Skipped


class Suite(Bar):
    """The tests of one path from the root of the checkout."""

    asked = 1

    def __init__(self, folder: pathlib.Path, path: str):
        super().__init__(folder)
        self.path = path

    def trial(self, number: int) -> Outcome:
        words = ("-p", "no:cacheprovider", "-m", "soak or not soak", f"--basetemp={self.folder / 'pytest'}")
        command = [sys.executable, "-m", "pytest", *words, self.path]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        passed = re.search(r"(\d+) passed", done.stdout)
        if not passed:
            raise Skipped("pytest skipped every test")
        return Outcome({"tests": int(passed[1])})
