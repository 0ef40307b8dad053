"""Restores a folder of damaged checkpoints in a process of its own: python -m tests.soak.restorer FOLDER"""

import pathlib
import sys

from tests.test_checkpoints import assert_falls_back, build

if __name__ == "__main__":
    assert_falls_back(pathlib.Path(sys.argv[1]), build())
