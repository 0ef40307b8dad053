"""One process at a time trains in a run folder, and one that is killed leaves it free."""

import os
import socket

from tests.reliability.faults.harness import POINTS


def test_second_process_is_refused_until_the_first_is_killed(launch, tmp_path):
    holder = launch(tmp_path / "run", POINTS)
    assert holder.wait_for((tmp_path / "run" / ".process.json").exists)
    assert_in_use(launch(tmp_path / "run", POINTS), holder)
    holder.kill()
    assert (tmp_path / "run" / ".process.json").exists()
    following = launch(tmp_path / "run", POINTS)
    assert following.wait_for(lambda: following.printed("run folder: ")), following.err.read_text()
    assert not os.listdir(tmp_path / "run" / "images")


def assert_in_use(late, holder) -> None:
    """Asserts that a start is refused, and that the process it names continues."""
    _, out, err = late.refused()
    assert out == ""
    assert f"is in use by process {holder.process.pid} on {socket.gethostname()} since " in err
    assert holder.process.poll() is None
