"""Checkpoints that are damaged, missing or another model's: never silently wrong, never silently gone."""

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


def build(**settings):
    return build_model(Config(**(SMALL | settings)), (1, 1, 2), 10)


@pytest.fixture(scope="module")
def model():
    return build()


@pytest.fixture(scope="module")
def originals(model, tmp_path_factory):
    """Three checkpoints whose weights are their step's number, all of them."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for step in (1, 2, 3):
        fill(model, step)
        Checkpoints(folder, model, warn=pytest.fail).save()
    return folder


@pytest.fixture
def folder(originals, tmp_path):
    return shutil.copytree(originals, tmp_path / "checkpoints")


def fill(model, step: int) -> None:
    for variable in model.trainable_variables:
        variable.assign(np.full(variable.shape, step, np.float32))
    model.step.assign(step)


def restored(folder, model) -> tuple[int, list[str]]:
    """Restores into other weights; returns the step whose weights are now there, and what was said."""
    fill(model, 99)
    said = []
    assert Checkpoints(folder, model, said.append).restore()
    values = {float(value) for variable in model.trainable_variables for value in np.unique(variable)}
    assert values == {float(model.step.numpy())}
    return int(model.step.numpy()), said


def assert_falls_back(folder, model, bad: str = "step_0000000003") -> None:
    """The one before is restored, the bad one named and put aside, and its step can be saved again."""
    step, said = restored(folder, model)
    assert step == 2
    assert len(said) == 1
    assert said[0].startswith(f"warning: {folder / bad} is damaged (")
    assert said[0].endswith("going on from step_0000000002")
    assert "\n" not in said[0]
    assert names(folder) == [f"damaged_{bad}", "step_0000000001", "step_0000000002"]
    fill(model, 3)
    Checkpoints(folder, model, pytest.fail).save()
    assert restored(folder, model) == (3, [])


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files(folder, number: int = 3):
    return sorted((folder / f"step_{number:010d}").iterdir())


def flip(path, rng) -> None:
    """Turns one bit over."""
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(bytes(data))


def test_the_newest_intact_checkpoint_is_restored(folder, model):
    assert restored(folder, model) == (3, [])


def test_an_empty_folder_has_nothing_to_restore(tmp_path, model):
    assert not Checkpoints(tmp_path, model, pytest.fail).restore()


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_is_found(folder, model, seed):
    rng = np.random.default_rng(seed)
    flip(files(folder)[seed % 3], rng)
    assert_falls_back(folder, model)


@pytest.mark.parametrize("file", range(3), ids=["manifest", "data", "index"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_cut_file_is_found(folder, model, file, share):
    path = files(folder)[file]
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert_falls_back(folder, model)


@pytest.mark.parametrize("file", range(3), ids=["manifest", "data", "index"])
def test_a_missing_file_is_found(folder, model, file):
    files(folder)[file].unlink()
    assert_falls_back(folder, model)


def test_an_empty_checkpoint_is_found(folder, model):
    for path in files(folder):
        path.unlink()
    assert_falls_back(folder, model)


@pytest.mark.parametrize(
    "text", ["", "[]", "3", '{"step": 3}', '{"step": 3, "sha256": {}}', '{"step": 3, "sha256": 1}']
)
def test_a_manifest_that_says_something_else_is_damage(folder, model, text):
    (folder / "step_0000000003" / "manifest.json").write_text(text)
    assert_falls_back(folder, model)


def test_a_checkpoint_under_another_step_s_name_is_damage(folder, model):
    shutil.rmtree(folder / "step_0000000003")
    shutil.copytree(folder / "step_0000000002", folder / "step_0000000003")
    assert_falls_back(folder, model)


def test_two_damaged_ones_are_both_passed_over(folder, model):
    for number in (2, 3):
        files(folder, number)[1].unlink()
    step, said = restored(folder, model)
    assert step == 1
    assert [line.split(" is ")[0].rpartition("/")[2] for line in said] == [
        "step_0000000003",
        "step_0000000002",
    ]
    assert names(folder) == ["damaged_step_0000000002", "damaged_step_0000000003", "step_0000000001"]


def test_where_all_are_damaged_nothing_is_restored_renamed_or_deleted(folder, model):
    for number in (1, 2, 3):
        flip(files(folder, number)[1], np.random.default_rng(number))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fill(model, 99)
    with pytest.raises(RunError, match=r"intact: step_0000000003: .*step_0000000001: ") as error:
        Checkpoints(folder, model, pytest.fail).restore()
    assert "\n" not in str(error.value)
    assert int(model.step.numpy()) == 99
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_step_damaged_twice_is_put_aside_twice(folder, model):
    flip(files(folder)[1], np.random.default_rng(0))
    assert_falls_back(folder, model)
    flip(files(folder)[1], np.random.default_rng(0))
    assert restored(folder, model)[0] == 2
    aside = ["damaged_step_0000000003", "damaged_step_0000000003.2"]
    assert names(folder) == [*aside, "step_0000000001", "step_0000000002"]


@pytest.mark.parametrize(
    "settings", [{"depth": 2}, {"latent": 3}, {"model": "ae"}, {"model": "acai"}], ids=str
)
def test_a_checkpoint_of_another_model_is_one_line(folder, settings):
    before = names(folder)
    with pytest.raises(RunError, match=r"^The checkpoint cannot be restored: .*step_0000000003") as error:
        Checkpoints(folder, build(**settings), pytest.fail).restore()
    assert "\n" not in str(error.value)
    assert names(folder) == before


def test_a_step_is_saved_once(folder, model):
    before = {path: path.stat().st_mtime_ns for path in files(folder)}
    fill(model, 7)
    model.step.assign(3)
    Checkpoints(folder, model, pytest.fail).save()
    assert before == {path: path.stat().st_mtime_ns for path in files(folder)}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_not_saved(folder, model, value):
    fill(model, 4)
    weights = model.trainable_variables[-1]
    weights.assign(np.full(weights.shape, value, np.float32))
    before = names(folder)
    with pytest.raises(DivergedError, match="step 4: 1 weights are not finite") as error:
        Checkpoints(folder, model, pytest.fail).save()
    assert "\n" not in str(error.value)
    assert names(folder) == before


def test_a_save_that_fails_leaves_nothing_and_can_be_tried_again(folder, model):
    fill(model, 4)
    in_the_way = folder / ".step_0000000004.tmp"
    in_the_way.write_text("")
    with pytest.raises(RunError, match=r"^The checkpoint .*step_0000000004 cannot be written: .*File exists"):
        Checkpoints(folder, model, pytest.fail).save()
    in_the_way.unlink()
    Checkpoints(folder, model, pytest.fail).save()
    assert restored(folder, model) == (4, [])


def test_the_manifest_names_every_file_that_tensorflow_wrote(folder):
    path = folder / "step_0000000003"
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["step"] == 3
    assert sorted(manifest["sha256"]) == [file.name for file in files(folder) if file.name != "manifest.json"]
    assert damage(path) == ""


@pytest.mark.parametrize(
    ("best", "kept"), [(1, [1, 4, 5, 6]), (3, [3, 4, 5, 6]), (6, [4, 5, 6]), (99, [4, 5, 6])]
)
def test_the_newest_three_and_the_best_are_kept(folder, model, best, kept):
    checkpoints = Checkpoints(folder, model, pytest.fail)
    checkpoints.best_step = best
    for step in (4, 5, 6):
        fill(model, step)
        checkpoints.save()
    assert names(folder) == [f"step_{step:010d}" for step in kept]


def test_steps_are_ordered_as_numbers_and_not_by_the_time_of_their_files(folder, model):
    """Also beyond the ten digits of a name, and when a clock was set back."""
    fill(model, 12_345_678_901)
    Checkpoints(folder, model, pytest.fail).save()
    os.utime(folder / "step_12345678901", (0, 0))
    fill(model, 0)
    assert Checkpoints(folder, model, pytest.fail).restore()
    assert int(model.step.numpy()) == 12_345_678_901
