"""Run folders whose names TensorFlow, a shell, a formatter or a flag file could read as something else."""

import os
import pathlib
import string

import numpy as np
import pytest

from amr_tf import evaluate, export, report, sweep, train
from amr_tf.config import Config, ConfigError, command_line
from amr_tf.models.build import build_model
from amr_tf.runs.checkpoints import Checkpoints
from amr_tf.runs.folder import RunFolder
from tests.training.test_tensorboard import read

ROOT = pathlib.Path(__file__).parents[2]
ODD = (
    "exp1", "exp[1]", "lr=[0.1,0.2]", "a\\[1]", "[!a]", "{epoch}", "%d %(a)s %%", "# a", "$HOME", "-x", "--k=3", "~",
    "~x", "gs:", "...", "ü", "名 前", "😀", "e\u0301", "[red]a[/red]", "<b>",
)  # fmt: skip
CHARACTERS = [char for char in string.printable.rstrip() if char != "/"]
SINGLE = [f"a{char}b" for char in CHARACTERS]
TOGETHER = [f"a{''.join(CHARACTERS[first : first + 8])}b" for first in range(0, len(CHARACTERS), 8)]
REFUSED = (
    " a",
    "a ",
    "a\tb",
    "a\nb",
    "a\u2028b",
    "\u202e",
    "\x7f",
    "a\u00a0",
    os.fsdecode(b"latin\xe9"),
    "\ud800",
)
TINY = (
    "--dataset=spiral",
    "--depth=2",
    "--batch_size=8",
    "--update_g_every=1",
    "--steps_per_epoch=2",
    "--epochs=1",
)


@pytest.fixture(scope="module")
def model():
    return build_model(Config(dataset="spiral", depth=1, update_g_every=1, batch_size=8), (1, 1, 2), 10)


def fill(model, value: int) -> None:
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, value, np.float32))
    model.step.assign(value)


@pytest.mark.parametrize(
    "names", [ODD, TOGETHER, pytest.param(SINGLE, marks=pytest.mark.slow)], ids=["odd", "together", "single"]
)
def test_checkpoint_in_a_folder_of_any_name_is_restored(model, names, tmp_path, monkeypatch):
    """Saved under its name, and restored as the flags.txt in it says. Runs of like names lie beside it."""
    monkeypatch.chdir(tmp_path)
    for step, name in enumerate(names, start=1):
        config, sources = command_line.parse(["--dataset=spiral", f"--run_dir=./{name}"])
        folder = RunFolder(config)
        folder.check()
        with folder.started(sources):
            fill(model, step)
            Checkpoints(folder.checkpoints, model, pytest.fail).save()
        assert (tmp_path / name / "checkpoints" / f"step_{step:010d}" / "state.index").exists()
        fill(model, 0)
        again, _ = command_line.parse([f"--flagfile=./{name}/flags.txt"])
        found = RunFolder(again)
        found.check()
        assert Checkpoints(found.checkpoints, model, pytest.fail).restore(), name
        values = {float(value) for weights in model.trainable_variables for value in np.unique(weights)}
        assert values == {float(step)}, name


@pytest.mark.parametrize("name", REFUSED)
def test_name_that_flags_txt_cannot_keep_is_refused(name, tmp_path, monkeypatch, refused):
    """Before anything is made."""
    monkeypatch.chdir(tmp_path)
    said = refused(train.main, *TINY, f"--run_dir={name}")
    assert "printable" in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", [".lock", "checkpoints", "tensorboard", "images", ""])
def test_other_kind_of_entry_in_the_way_is_refused(name, tmp_path, refused):
    """A file where the run needs a folder, or a folder where it needs a file, is not taken for absent."""
    run = tmp_path / "run"
    if name:
        run.mkdir()
    (run / name).mkdir() if name == ".lock" else (run / name).write_text("mine")
    said = refused(train.main, *TINY, f"--run_dir={run}")
    assert str(run / name) in said
    assert (run / name).is_dir() or (run / name).read_text() == "mine"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["my [runs]/lr=[0.1,0.2]* 100% {epoch} #1 ü", "a\\b?", "-x", "./~"])
def test_run_in_a_folder_of_any_name_goes_all_the_way(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run, word, pattern = tmp_path / name, f"--run_dir={name}", pathlib.Path(name).parent / "*"
    assert train.main([*TINY, word, "--projector", "--profile_steps=1,1"]) == 0
    assert train.main([*TINY, word, "--epochs=2"]) == 0
    assert "resuming after step 2" in capsys.readouterr().out
    assert evaluate.main([word, "--metrics=spiral", "--figures=spiral"]) == 0
    assert evaluate.main([f"--run_dir={pattern}", "--metrics=spiral"]) == 0
    assert report.main([f"./{name}", f"--out=./{name}/report"]) == 0
    assert export.main([word]) == 0
    assert ("warning: TensorFlow reads" in capsys.readouterr().out) == ("[" in name or "\\" in name)
    made = {path.relative_to(run).as_posix() for path in run.rglob("*")}
    assert {"figures/spiral.png", "report/report.html", "export/1/saved_model.pb"} <= made
    events = read(run / "tensorboard/train").Tensors("probe/accuracy")
    assert [event.step for event in events] == [2, 4]
    assert os.listdir(tmp_path) == [run.relative_to(tmp_path).parts[0]]


@pytest.mark.slow
def test_sweep_into_a_folder_of_any_name_goes_all_the_way(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "one.flags").write_text("\n".join(TINY))
    out = "-sweep [1]* {a}"
    code = sweep.main(["one.flags", f"--out={out}", "--figures=spiral", "--metrics=spiral"])
    assert code == 0, capfd.readouterr()
    made = {path.relative_to(tmp_path / out).as_posix() for path in (tmp_path / out).rglob("*")}
    assert {"report.html", "spiral.png", "one/s0/results.json"} <= made
    assert set(os.listdir(tmp_path)) == {"one.flags", out}


def test_sweep_slurm_takes_no_pattern(tmp_path, monkeypatch, refused):
    """Slurm replaces %j in the paths of a job's output."""
    monkeypatch.chdir(tmp_path)
    assert "Slurm reads %" in refused(sweep.main, "flags/demo.flags", "--out=100%j", "--executor=slurm")
    with pytest.raises(ConfigError, match="Slurm"):
        sweep.parse(["flags/demo.flags", "--out=a\\b", "--executor=slurm"])
