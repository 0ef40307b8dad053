"""Restores a folder of damaged checkpoints in a process of its own: python -m tests.reliability.soak.restorer FOLDER"""

import pathlib
import sys

from tests.runs.test_checkpoints import assert_falls_back, build

if __name__ == "__main__":
    assert_falls_back(pathlib.Path(sys.argv[1]), build())
