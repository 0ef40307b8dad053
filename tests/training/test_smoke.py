"""--smoke: the whole way of a run, by the same code, in little time and without a trace."""

import pathlib
import signal
import tempfile

import pytest

from amr_tf import data, train
from amr_tf.config import Config, command_line
from amr_tf.config.rules import GENERATED
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.training import smoke

PRESETS = sorted((command_line.PACKAGE.parent / "flags").rglob("*.flags"))
# Data of the others would have to be downloaded; `test_presets.py` takes steps of each of them on noise.
ON_GENERATED_DATA = [
    path for path in PRESETS if command_line.parse([f"--flagfile={path}"])[0].dataset in GENERATED
]
IN_CI = ("demo", "shapes", "lambda_walk")
SMALL = ["--dataset=spiral", "--depth=2", "--epochs=7", "--steps_per_execution=5"]


def test_a_run_is_trained_stopped_resumed_and_evaluated_and_nothing_is_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert train.main([*SMALL, "--smoke", f"--run_dir={tmp_path / 'run'}"]) == 0
    said = capsys.readouterr().out
    for part in ("at step 2 of 4, which is saved", "resuming after step 2, in epoch 1", "probe accuracy:"):
        assert part in said
    assert said.splitlines()[-1].startswith("smoke: trained, saved, resumed and evaluated in ")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert list((tmp_path / "temporary").glob("amr_tf*")) == []


def test_what_was_shortened_is_said_to_be(capsys):
    train.main([*SMALL, "--smoke"])
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("--")]
    sources = {words[0]: words[-1] for words in lines}
    assert [flag for flag, source in sources.items() if source == "--smoke"] == [
        "--epochs",
        "--steps_per_epoch",
        "--run_dir",
    ]


def test_a_few_examples_of_each_split_are_enough_and_a_batch_is_whole():
    assert [len(part) for part in data.load(Config(smoke=True))] == [512] * 3
    assert [len(part) for part in data.load(Config(smoke=True, batch_size=600))] == [600] * 3


def test_a_signal_ends_it_and_an_error_shows(tmp_path):
    def interrupted(config, sources, stop_at=None):
        raise Interrupted("by a signal", signal.SIGTERM)

    def wrong(config, sources, stop_at=None):
        raise UserError("wrong")

    config = Config(dataset="spiral", smoke=True)
    sources = dict.fromkeys(vars(config), "flag")
    with pytest.raises(Interrupted, match="by a signal"):
        smoke.run(interrupted, config, sources)
    with pytest.raises(UserError, match="wrong"):
        smoke.run(wrong, config, sources)


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in IN_CI else pytest.mark.soak)
        for path in ON_GENERATED_DATA
    ],
)
def test_every_preset_on_generated_data_passes(preset: pathlib.Path, capsys):
    # A walk is five runs: of points, then, which are the quickest.
    others = SMALL if preset.stem == "lambda_walk" else []
    assert train.main([*others, f"--flagfile={preset}", "--smoke"]) == 0, capsys.readouterr().err
