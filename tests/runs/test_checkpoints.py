"""Checkpoints that are damaged, missing or of another model: never restored silently, never deleted silently."""

import json
import os
import shutil

import numpy as np
import pytest

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.checkpoints import Checkpoints, damage
from amr_tf.runs.folder import RunError
from amr_tf.runtime.errors import DivergedError

SMALL = {"dataset": "spiral", "depth": 1, "update_g_every": 1, "batch_size": 8}
ONE, TWO, THREE = (f"step_{step:010d}" for step in (1, 2, 3))


def build(**settings):
    return build_model(Config(**(SMALL | settings)), (1, 1, 2), 10)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def originals(model, tmp_path_factory):
    """Three checkpoints whose weights all equal their step."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2, 3):
        save(folder, model, step)
    return folder


@pytest.fixture
def folder(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "checkpoints")


def fill(model, step: int) -> None:
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, step, np.float32))
    model.step.assign(step)


def save(folder, model, step: int) -> None:
    fill(model, step)
    Checkpoints(folder, model, warn=pytest.fail).save()


def restored(folder, model) -> tuple[int, list[str]]:
    """Restores into other weights; returns the step whose weights the model then has, and the warnings."""
    fill(model, 99)
    warnings = []
    assert Checkpoints(folder, model, warnings.append).restore()
    values = {float(value) for variable in model.trainable_variables for value in np.unique(variable)}
    assert values == {float(model.step.numpy())}
    return int(model.step.numpy()), warnings


def assert_falls_back(folder, model) -> None:
    """Step 2 is restored, step 3 is named and renamed, and can be saved again."""
    step, (warning,) = restored(folder, model)
    assert step == 2
    assert warning.startswith(f"warning: {folder / THREE} is damaged (")
    assert warning.endswith("resuming from step 2")
    assert "\n" not in warning
    assert names(folder) == [f"damaged_{THREE}", ONE, TWO]
    save(folder, model, 3)
    assert restored(folder, model) == (3, [])


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def contents(folder) -> dict:
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()
    }


def files(folder, step: int = 3):
    """The manifest, data and index of a checkpoint."""
    return sorted((folder / f"step_{step:010d}").iterdir())


def flip(path, rng) -> None:
    """Flips one bit."""
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("seed", range(30))
def test_restore_flipped_bit_falls_back(folder, model, seed):
    flip(files(folder)[seed % 3], np.random.default_rng(seed))
    assert_falls_back(folder, model)


@pytest.mark.parametrize("file", range(3), ids=["manifest", "data", "index"])
@pytest.mark.parametrize("share", [None, 0.0, 0.5, 0.99])
def test_restore_cut_or_missing_file_falls_back(folder, model, file, share):
    path = files(folder)[file]
    content = path.read_bytes()
    path.unlink()
    if share is not None:
        path.write_bytes(content[: int(share * len(content))])
    assert_falls_back(folder, model)


@pytest.mark.parametrize("text", ["[]", "3", '{"step": 3, "sha256": {}}', '{"step": 3, "sha256": 1}', TWO])
def test_restore_invalid_manifest_falls_back(folder, model, text):
    if text == TWO:  # the whole folder is that of another step
        shutil.copytree(folder / TWO, folder / THREE, dirs_exist_ok=True)
    else:
        (folder / THREE / "manifest.json").write_text(text)
    assert_falls_back(folder, model)


def test_restore_two_damaged_falls_back_over_both(folder, model):
    for step in (2, 3):
        files(folder, step)[1].unlink()
    step, warnings = restored(folder, model)
    assert step == 1
    assert [line.split(" is ")[0].rpartition("/")[2] for line in warnings] == [THREE, TWO]
    assert names(folder) == [f"damaged_{TWO}", f"damaged_{THREE}", ONE]


def test_restore_all_damaged_changes_nothing(folder, model):
    for step in (1, 2, 3):
        flip(files(folder, step)[1], np.random.default_rng(step))
    before = contents(folder)
    fill(model, 99)
    with pytest.raises(RunError, match=rf"intact. Received: {THREE}: .*{ONE}: ") as error:
        Checkpoints(folder, model, pytest.fail).restore()
    assert "\n" not in str(error.value)
    assert int(model.step.numpy()) == 99
    assert contents(folder) == before


def test_restore_step_damaged_twice_keeps_both(folder, model):
    flip(files(folder)[1], np.random.default_rng(0))
    assert_falls_back(folder, model)
    flip(files(folder)[1], np.random.default_rng(0))
    assert restored(folder, model)[0] == 2
    assert names(folder) == [f"damaged_{THREE}", f"damaged_{THREE}.2", ONE, TWO]


@pytest.mark.parametrize(
    "settings", [{"depth": 2}, {"latent": 3}, {"model": "ae"}, {"model": "acai"}], ids=str
)
def test_restore_other_model_is_one_line(folder, settings):
    with pytest.raises(RunError, match=rf"^The checkpoint cannot be restored: .*{THREE}") as error:
        Checkpoints(folder, build(**settings), pytest.fail).restore()
    assert "\n" not in str(error.value)
    assert names(folder) == [ONE, TWO, THREE]


def test_restore_uses_the_number_of_the_step(folder, model, tmp_path):
    """Also beyond the ten digits of a name, and when a clock was set back."""
    assert not Checkpoints(tmp_path, model, pytest.fail).restore()
    save(folder, model, 12_345_678_901)
    os.utime(folder / "step_12345678901", (0, 0))
    fill(model, 0)
    assert Checkpoints(folder, model, pytest.fail).restore()
    assert int(model.step.numpy()) == 12_345_678_901


def test_save_existing_step_changes_nothing(folder, model):
    before = contents(folder)
    fill(model, 7)
    model.step.assign(3)
    Checkpoints(folder, model, pytest.fail).save()
    assert contents(folder) == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_save_diverged_weights_are_refused(folder, model, value):
    fill(model, 4)
    weights = model.trainable_variables[-1]
    weights.assign(np.full(weights.shape, value, np.float32))
    with pytest.raises(DivergedError, match=r"step 4\. Received: 1 weights that are not finite") as error:
        Checkpoints(folder, model, pytest.fail).save()
    assert "\n" not in str(error.value)
    assert names(folder) == [ONE, TWO, THREE]


def test_save_that_fails_can_be_repeated(folder, model):
    in_the_way = folder / ".step_0000000004.tmp"
    in_the_way.write_text("")
    with pytest.raises(RunError, match=r"step_0000000004 cannot be written\. Received: .*File exists"):
        save(folder, model, 4)
    assert names(folder) == [in_the_way.name, ONE, TWO, THREE]
    in_the_way.unlink()
    save(folder, model, 4)
    assert restored(folder, model) == (4, [])


def test_save_manifest_lists_every_file(folder):
    manifest, *others = files(folder)
    assert damage(folder / THREE) == ""
    content = json.loads(manifest.read_text())
    assert (content["step"], sorted(content["sha256"])) == (3, [file.name for file in others])


@pytest.mark.parametrize(
    ("best", "kept"), [(1, [1, 4, 5, 6]), (3, [3, 4, 5, 6]), (6, [4, 5, 6]), (99, [4, 5, 6])]
)
def test_save_keeps_the_newest_three_and_the_best(folder, model, best, kept):
    checkpoints = Checkpoints(folder, model, pytest.fail)
    checkpoints.best_step = best
    for step in (4, 5, 6):
        fill(model, step)
        checkpoints.save()
    assert names(folder) == [f"step_{step:010d}" for step in kept]
