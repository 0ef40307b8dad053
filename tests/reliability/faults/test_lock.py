"""One process at a time trains in a run folder, and one that is killed leaves it free."""

import os
import socket

from tests.reliability.faults.harness import POINTS, assert_one_line


def test_second_process_is_refused_until_the_first_is_killed(launch, tmp_path):
    holder = launch(tmp_path / "run", POINTS)
    assert holder.wait_for((tmp_path / "run" / ".process.json").exists)
    code, out, err = launch(tmp_path / "run", POINTS).end()
    assert (code, out) == (2, "")
    assert_one_line(err)
    assert f"is in use by process {holder.process.pid} on {socket.gethostname()} since " in err
    assert holder.process.poll() is None
    holder.kill()
    assert (tmp_path / "run" / ".process.json").exists()
    following = launch(tmp_path / "run", POINTS)
    assert following.wait_for(lambda: following.printed("run folder: ")), following.err.read_text()
    assert not os.listdir(tmp_path / "run" / "images")
