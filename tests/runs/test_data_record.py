"""Data that changed under a run are seen, and those that are the same are let through."""

import numpy as np
import pytest
from PIL import Image

from amr_tf import data
from amr_tf.config import Config
from amr_tf.runs import data_record
from amr_tf.runs.folder import RunError
from amr_tf.runtime.errors import DataError

SEEN = "not those that .* was trained on"


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
    """A run folder that says what the pictures are."""
    (tmp_path / "run").mkdir()
    data_record.write(tmp_path / "run", load(pictures))
    return tmp_path / "run"


def test_the_same_pictures_pass_wherever_they_lie(run, pictures):
    data_record.check(run, load(pictures))
    data_record.check(run, load(pictures.rename(pictures.with_name("moved"))))


def test_a_renamed_class_is_named(run, pictures):
    (pictures / "cat").rename(pictures / "zebra")
    with pytest.raises(DataError, match=r'classes \["dog", "zebra"\] \(then: \["cat", "dog"\]\)') as error:
        data_record.check(run, load(pictures))
    assert "\n" not in str(error.value)


def test_added_and_moved_pictures_are_seen(run, pictures):
    (pictures / "cat" / "cat0.png").rename(pictures / "dog" / "cat0.png")
    with pytest.raises(DataError, match=rf"{SEEN}.*Received: sha256"):
        data_record.check(run, load(pictures))
    (pictures / "cat" / "more.png").write_bytes((pictures / "cat" / "cat1.png").read_bytes())
    with pytest.raises(DataError, match="Received: examples"):
        data_record.check(run, load(pictures))


def test_a_run_older_than_the_file_is_accepted(pictures, tmp_path):
    data_record.check(tmp_path, load(pictures))


@pytest.mark.parametrize("text", ["{", "[1]", "3", "\xff", "[" * 100_000])
def test_a_damaged_file_is_one_line(run, pictures, text):
    (run / "data.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match=r"data\.json") as error:
        data_record.check(run, load(pictures))
    assert "\n" not in str(error.value)
