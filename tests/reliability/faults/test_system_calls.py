"""Part of `make soak BAR=syscalls` and `BAR=io_errors`: saves whose system calls fail, or are killed at one."""

import pytest

from tests.reliability.soak.saves import FailedSaves, KilledSaves
from tests.reliability.soak.tally import Skipped

pytestmark = pytest.mark.slow
SHARE = 16  # one call in 16


@pytest.mark.parametrize("bar", [KilledSaves, FailedSaves])
def test_interrupted_save_is_whole_or_reported(bar, tmp_path):
    try:
        tried = bar(tmp_path)
    except Skipped as reason:
        pytest.skip(str(reason))
    try:
        for number in range(SHARE // 2, tried.asked, SHARE):
            tried.trial(number)
    finally:
        tried.close()
