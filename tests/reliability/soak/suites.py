"""Bars that are tests of the project: pytest runs the tests of some files, slow ones included, as one trial."""

import re
import subprocess
import sys

from tests.reliability.faults.harness import ROOT
from tests.reliability.soak.tally import Bar, Outcome, Skipped


class Suite(Bar):
    """Attributes:
    files: paths of tests, from the root of the checkout.
    """

    asked = 1
    files: tuple[str, ...]

    def trial(self, number: int) -> Outcome:
        words = ("-p", "no:cacheprovider", "-m", "soak or not soak", f"--basetemp={self.folder / 'pytest'}")
        command = [sys.executable, "-m", "pytest", *words, *self.files]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]
        passed = re.search(r"(\d+) passed", done.stdout)
        if not passed:
            raise Skipped("pytest skipped every test")
        return Outcome({"tests": int(passed[1])})


class Disk(Suite):
    files = ("tests/reliability/faults/test_disk.py",)


class Permissions(Suite):
    files = ("tests/reliability/faults/test_permissions.py",)


class Attacks(Suite):
    files = ("tests/reliability/attacks",)


class Parsers(Suite):
    files = ("tests/reliability/attacks/test_generated_files.py",)


class ExportKills(Suite):
    files = ("tests/serving/test_export_in_use.py",)
