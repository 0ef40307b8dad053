"""A share of `make soak BAR=syscalls` and `BAR=io_errors`: a save whose system calls fail, or at which it is killed."""

import pytest

from tests.reliability.soak.saves import FailedSaves, KilledSaves
from tests.reliability.soak.tally import Skipped

pytestmark = pytest.mark.slow
SHARE = 8  # one call in so many


@pytest.mark.parametrize("bar", [KilledSaves, FailedSaves])
def test_a_save_is_whole_or_said_to_be_none(bar, tmp_path):
    try:
        tried = bar(tmp_path)
    except Skipped as reason:
        pytest.skip(str(reason))
    try:
        for number in range(SHARE // 2, tried.asked, SHARE):
            tried.trial(number)
    finally:
        tried.close()
