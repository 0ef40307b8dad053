"""Files in a run folder that somebody else put there: nothing in them is run, waited for or taken for a checkpoint."""

import hashlib
import io
import json
import os
import pathlib
import pickle
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.runs.checkpoints import MANIFEST, Checkpoints, damage
from amr_tf.runs.folder import RunError
from tests.runs.test_checkpoints import build, fill

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def model():
    return build()


class Payload:
    """Unpickled, it makes a folder."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def keras_archive(escape: pathlib.Path) -> bytes:
    """A .keras file whose layer is Python code."""
    code = {"class_name": "Lambda", "config": {"function": ["4wAAAA==", None, None], "name": str(escape)}}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "config.json", json.dumps({"class_name": "Sequential", "config": {"layers": [code]}})
        )
        archive.writestr("metadata.json", "{}")
    return file.getvalue()


def saved_model(escape: pathlib.Path) -> bytes:
    """A SavedModel whose graph writes a file when it is run."""
    with tf.Graph().as_default() as graph:
        tf.io.write_file(str(escape), "escaped")
    return graph.as_graph_def().SerializeToString()


def npz_of_objects(escape: pathlib.Path) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([Payload(escape)], dtype=object))
    return file.getvalue()


def sign(folder: pathlib.Path, step: int) -> None:
    """Writes a manifest by which all files there are right: who can write files can do that, too."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / MANIFEST).write_text(json.dumps({"step": step, "sha256": hashes}))


@pytest.fixture
def saved(model, tmp_path):
    """A folder of checkpoints 1 and 2, of which 2 is the test's to spoil."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    for step in (1, 2):
        fill(model, step)
        Checkpoints(folder, model, pytest.fail).save()
    return folder


FOREIGN = {
    "a Keras archive with a Lambda": keras_archive,
    "a pickle": lambda escape: pickle.dumps(Payload(escape)),
    "a SavedModel's graph": saved_model,
    "an npz of objects": npz_of_objects,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_another_format_in_a_checkpoint_s_place_is_not_run(model, saved, tmp_path, name):
    """With hashes that fit: one line, no fallback over what looks intact, nothing executed."""
    target, escape = saved / "step_0000000002", tmp_path / "escape"
    content = FOREIGN[name](escape)
    (target / "state.index").write_bytes(content)
    for ending in ("keras", "pkl", "pb", "npz"):
        (target / f"model.{ending}").write_bytes(content)
    assert damage(target) == "state.index is not what was written"
    for left in target.glob("model.*"):
        left.unlink()
    sign(target, 2)
    with pytest.raises(RunError, match=r"^The checkpoint cannot be restored: [^\n]*step_0000000002"):
        Checkpoints(saved, model, pytest.fail).restore()
    assert not escape.exists()


@pytest.mark.parametrize(
    "shapes",
    [{"model": [3]}, {"step": [2**20], "other": [1]}],
    ids=["another model's", "of larger values"],
)
def test_a_foreign_checkpoint_of_tensorflow_is_refused(model, saved, shapes):
    target = saved / "step_0000000002"
    for path in target.iterdir():
        path.unlink()
    values = {name: tf.Variable(tf.zeros(shape)) for name, shape in shapes.items()}
    tf.train.Checkpoint(**values).write(str(target / "state"))
    sign(target, 2)
    with pytest.raises(RunError, match=r"^The checkpoint cannot be restored: "):
        Checkpoints(saved, model, pytest.fail).restore()


def leads(target: pathlib.Path, name: str) -> None:
    hashes = json.loads((target / MANIFEST).read_bytes())["sha256"]
    (target / MANIFEST).write_text(json.dumps({"step": 2, "sha256": hashes | {name: "0" * 64}}))


def pipe_for(name: str):
    def replace(target: pathlib.Path) -> None:
        (target / name).unlink()
        os.mkfifo(target / name)

    return replace


SPOILT = {
    "a manifest that leads to a device without an end": lambda target: leads(target, "/dev/zero"),
    "a manifest that leads out of the folder": lambda target: leads(target, "../../../../etc/passwd"),
    "a pipe for a manifest": pipe_for(MANIFEST),
    "a pipe for weights": pipe_for("state.index"),
    "a folder for weights": lambda target: [
        (target / "state.index").unlink(),
        (target / "state.index").mkdir(),
    ],
    "the other step's files": lambda target: [
        (target / path.name).write_bytes(path.read_bytes())
        for path in target.with_name("step_0000000001").iterdir()
    ],
    "weights that no manifest names": lambda target: (target / "state.data-00001-of-00002").write_bytes(b"x"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_no_checkpoint_is_passed_over_at_once(model, saved, name):
    SPOILT[name](saved / "step_0000000002")
    said = []
    fill(model, 9)
    assert Checkpoints(saved, model, said.append).restore()
    assert int(model.step.numpy()) == 1
    assert len(said) == 1
    assert said[0].isprintable()
