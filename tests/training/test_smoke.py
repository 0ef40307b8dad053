"""--smoke: all parts of a run, by the same code, in little time and without a trace."""

import pathlib
import signal
import tempfile

import pytest

from amr_tf import data, train
from amr_tf.config import Config, command_line
from amr_tf.runtime.errors import Interrupted, UserError
from amr_tf.training import smoke

PRESETS = sorted((command_line.PACKAGE.parent / "flags").rglob("*.flags"))
# The data of the others would have to be downloaded; `test_presets.py` trains each of them on noise.
ON_GENERATED_DATA = [
    path for path in PRESETS if command_line.parse([f"--flagfile={path}"])[0].dataset_spec.generated
]
IN_CI = ("demo", "shapes")
SMALL = ["--dataset=spiral", "--depth=2", "--epochs=7", "--steps_per_execution=5"]


def test_smoke_trains_resumes_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    assert train.main([*SMALL, "--smoke", f"--run_dir={tmp_path / 'run'}"]) == 0
    out = capsys.readouterr().out
    for part in ("at step 2 of 4, which is saved", "resuming after step 2, in epoch 1", "probe accuracy:"):
        assert part in out
    assert out.splitlines()[-1].startswith("smoke: trained, resumed and evaluated in ")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert list((tmp_path / "temporary").glob("amr_tf*")) == []
    lines = [line.split() for line in out.splitlines() if line.startswith("--")]
    shortened = {words[0] for words in lines if words[-1] == "--smoke"}
    assert shortened == {"--epochs", "--steps_per_epoch", "--run_dir"}


@pytest.mark.parametrize(("settings", "count"), [({}, 512), ({"batch_size": 600}, 600)])
def test_smoke_loads_few_examples_and_a_whole_batch(settings, count):
    assert [len(part) for part in data.load(Config(smoke=True, **settings))] == [count] * 3


@pytest.mark.parametrize("error", [Interrupted("by a signal", signal.SIGTERM), UserError("wrong")])
def test_smoke_signal_and_error_end_it(error):
    def fail(config, sources, stop_at=None):
        raise error

    config = Config(dataset="spiral", smoke=True)
    with pytest.raises(type(error)) as raised:
        smoke.run(fail, config, dict.fromkeys(vars(config), "flag"))
    assert raised.value is error


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(path, id=path.stem, marks=pytest.mark.slow if path.stem in IN_CI else pytest.mark.soak)
        for path in ON_GENERATED_DATA
    ],
)
def test_smoke_passes_with_every_preset(preset: pathlib.Path, capsys):
    assert train.main([f"--flagfile={preset}", "--smoke"]) == 0, capsys.readouterr().err
