"""Data that changed since a run began are refused, and unchanged data are accepted."""

import numpy as np
import pytest
from PIL import Image

from amr_tf import data
from amr_tf.config import Config
from amr_tf.runs import data_record
from amr_tf.runs.folder import RunError
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError


@pytest.fixture
def pictures(tmp_path):
    """60 grey pictures in each of two classes, all names different."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pics" / name).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(256, size=(8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pics" / name / f"{name}{number}.png")
    return tmp_path / "pics"


def load(pictures):
    return data.load(Config(dataset=f"folder:{pictures}", image_size=32, depth=2, batch_size=8))


@pytest.fixture
def run(pictures, tmp_path):
    """A run folder with the record of the pictures."""
    (tmp_path / "run").mkdir()
    files.write_json(tmp_path / "run" / "data.json", data_record.describe(load(pictures)))
    return tmp_path / "run"


def test_check_same_pictures_elsewhere_pass(run, pictures, tmp_path):
    data_record.check(run, load(pictures))
    data_record.check(run, load(pictures.rename(pictures.with_name("moved"))))
    data_record.check(tmp_path, load(pictures.with_name("moved")))  # a run older than the record


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("cat", "zebra", r'classes \["dog", "zebra"\] \(then: \["cat", "dog"\]\)'),
        ("cat/cat0.png", "dog/cat0.png", "sha256"),
        ("cat/cat0.png", "away.png", "examples"),
    ],
)
def test_check_changed_pictures_are_named(run, pictures, old, new, differs):
    (pictures / old).rename(pictures / new if new != "away.png" else pictures.with_name(new))
    with pytest.raises(DataError, match=f"not those that .* was trained on. Received: {differs}") as error:
        data_record.check(run, load(pictures))
    assert "\n" not in str(error.value)


def test_check_arrays_may_move_but_not_change(tmp_path):
    """One pixel, or one label, makes other data."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(120, 8, 8), dtype=np.uint8), np.arange(120) % 2

    def load_from(name, **arrays):
        np.savez(tmp_path / name, **{"images": images, "labels": labels} | arrays)
        return data.load(Config(dataset=f"npz:{tmp_path / name}", image_size=32, depth=2, batch_size=8))

    files.write_json(tmp_path / "data.json", data_record.describe(load_from("a.npz")))
    data_record.check(tmp_path, load_from("moved.npz"))
    for changed in ({"images": images ^ (np.arange(120) == 9)[:, None, None]}, {"labels": labels[::-1]}):
        with pytest.raises(DataError, match=f"not those that {tmp_path} was trained on.*sha256"):
            data_record.check(tmp_path, load_from("b.npz", **changed))


@pytest.mark.parametrize("text", ["{", "[1]", "3", "\xff", "[" * 100_000])
def test_check_damaged_record_is_one_line(run, pictures, text):
    (run / "data.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"data\.json") as error:
        data_record.check(run, load(pictures))
    assert "\n" not in str(error.value)
