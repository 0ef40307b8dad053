"""Run folders of an earlier version: each kind opens, resumes to the numbers of that version, and reports.

tests/recorded_runs/ has a folder for each kind, of two epochs of two steps on the spiral, written before names changed.
`resumed_to_epoch_3.csv` has the third epoch as the earlier version itself trained it.
"""

import pathlib
import shutil

import numpy as np
import pytest

from amr_tf.config import command_line
from amr_tf.reporting import reading
from amr_tf.runs.folder import RunFolder, read_rows
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment

RECORDED = sorted((pathlib.Path(__file__).parent / "recorded_runs").iterdir())
NAMES = {"acai_amr": "acai_rerun", "amr_supervised": "amr_supervised"}


def opened_as(folder: pathlib.Path) -> str:
    """The model that a folder's run has today."""
    kind = folder.name.partition("_lambda")[0]
    return next((new for old, new in NAMES.items() if kind.startswith(old)), kind.partition("_")[0])


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.name.partition("_lambda")[0])
def test_recorded_run_opens_resumes_and_reports(recorded, tmp_path, monkeypatch):
    """The command of its flags.txt finds it under its old default name and trains the third epoch."""
    monkeypatch.chdir(tmp_path)
    folder = pathlib.Path("runs") / "spiral" / recorded.name
    shutil.copytree(recorded, folder)
    expected = read_rows(folder / "resumed_to_epoch_3.csv")[0]
    (folder / "resumed_to_epoch_3.csv").unlink()
    before = read_rows(folder / "metrics.csv")

    run = TrainedRun(folder, "last")
    assert run.config.model == opened_as(recorded)
    assert run.step == 4
    assert run.encode(np.zeros((3, 1, 1, 2), np.float32)).shape == (3, 2)

    config, _ = command_line.parse([f"--flagfile={folder / 'flags.txt'}", "--epochs=3"])
    assert RunFolder(config).path == folder
    assert experiment.run(config) == folder
    rows = read_rows(folder / "metrics.csv")
    assert rows[:2] == before
    shared = expected.keys() - {"images_per_second"}
    assert shared <= rows[2].keys()
    for name in shared:
        np.testing.assert_allclose(rows[2][name], expected[name], rtol=1e-3, atol=1e-4, err_msg=name)

    assert reading.read(folder).config.model == opened_as(recorded)
    assert reading.read(folder).epoch == 3
