"""`--also=hub`: a model repository that Keras alone loads, with a card that the Hub's own client reads."""

import json
import os
import pathlib
import subprocess

import keras
import numpy as np
import pytest

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.trained import TrainedRun
from amr_tf.serving import archives, hub
from amr_tf.training import experiment
from tests.serving.conftest import TINY

PARTS, FILES = ("encoder", "decoder", "probe"), ("config.json", "metadata.json", "model.weights.h5")
SAVES = {f"{part}/{name}" for part in PARTS for name in FILES}


@pytest.fixture(scope="module")
def repository(run_dir, tmp_path_factory):
    """The run, and its folder for the Hub."""
    folder, run = tmp_path_factory.mktemp("hub"), TrainedRun(run_dir)
    hub.write(folder, run, 3)
    return run, folder / hub.FOLDER


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_saves_answer_as_the_model(repository):
    run, folder = repository
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    encoder, decoder, probe = (keras.saving.load_model(folder / part) for part in PARTS)
    codes = run.model.encode(x)
    np.testing.assert_allclose(encoder(x), codes, atol=1e-6)
    np.testing.assert_allclose(decoder(codes), run.model.decode(codes), atol=1e-6)
    np.testing.assert_allclose(probe(codes), run.model.classify(codes), atol=1e-6)


def test_folder_has_saves_card_and_figure_only(repository):
    """Nothing names a path of this machine, or a class of this package."""
    run, folder = repository
    found = contents(folder)
    assert set(found) == SAVES | {"README.md", hub.FIGURE}
    for name, content in found.items():
        for secret in (str(run.path.parent), str(pathlib.Path.cwd()), str(pathlib.Path.home())):
            assert secret.encode() not in content, name
        assert name == "README.md" or b"amr_tf" not in content


def test_own_data_show_no_path_and_no_picture(tmp_path):
    images = np.random.default_rng(0).integers(256, size=(60, 32, 32, 1), dtype=np.uint8)
    np.savez(tmp_path / "private.npz", images=images)
    settings = TINY | {"dataset": f"npz:{tmp_path}/private.npz", "train_examples": 0, "epochs": 1}
    experiment.run(Config(run_dir=str(tmp_path / "run"), **settings))
    hub.write(tmp_path, TrainedRun(tmp_path / "run"), 1)
    found = contents(tmp_path / hub.FOLDER)
    assert set(found) == {name for name in SAVES if not name.startswith("probe/")} | {"README.md"}
    assert not [name for name, content in found.items() if str(tmp_path).encode() in content]
    assert b'type: "npz"' in found["README.md"]
    assert b"datasets:" not in found["README.md"]


def test_large_weights_are_named_for_git_lfs(repository, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "LARGE", 100)
    hub.write(tmp_path, repository[0], 1)
    assert b"*.h5 filter=lfs" in contents(tmp_path / hub.FOLDER)[".gitattributes"]


def test_probe_of_a_vqvae_reads_codes_through_the_codebook():
    config = Config(model="vqvae", arch="acai", codewords=32, depth=2, latent=4)
    model = build_model(config, (32, 32, 1), 10)
    codes = np.random.default_rng(0).normal(size=(5, *model.code_shape)).astype(np.float32)
    np.testing.assert_allclose(archives.probe_of(model)(codes), model.classify(codes), atol=1e-5)


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.94278, "0.9428"),
        (1e-7, "1.0e-07"),
        (123456.0, "123500.0"),
        (1.5e20, "1.5e+20"),
        (-2e-5, "-2.0e-05"),
    ],
)
def test_number_is_one_of_yaml(score, text):
    """YAML 1.1 reads 1e-07 as a word."""
    assert hub._number(score) == text


@pytest.mark.engines
def test_hub_client_and_keras_on_jax_read_the_folder(repository, tmp_path):
    """Its own classes find licence, library and results; KERAS_PYTHON names the Python that has both packages."""
    python = os.environ.get("KERAS_PYTHON")
    if not python:
        pytest.skip("KERAS_PYTHON is not set: make test-engines sets it up")
    run, folder = repository
    x = np.random.default_rng(0).uniform(-1, 1, (7, 32, 32, 1)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    engine = pathlib.Path(__file__).with_name("hub_engine.py")
    command = [python, engine, folder, tmp_path / "x.npy", tmp_path / "found.npz"]
    subprocess.run(command, cwd="/", check=True, env={**os.environ, "KERAS_BACKEND": "jax"})
    codes = run.model.encode(x)
    expected = {"codes": codes, "images": run.model.decode(codes), "logits": run.model.classify(codes)}
    with np.load(tmp_path / "found.npz", allow_pickle=False) as found:
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, atol=1e-5 * np.abs(values).max())
        metadata = json.loads(str(found["metadata"]))
    assert (metadata["license"], metadata["library_name"]) == ("apache-2.0", "keras")
    assert metadata["pipeline_tag"] == "image-feature-extraction"
    best = json.loads(run.folder.results.read_bytes())["best"]
    scores = {
        result["dataset"]["split"]: result["metrics"][0]["value"]
        for result in metadata["model-index"][0]["results"]
    }
    assert scores["test"] == pytest.approx(best["test_probe_accuracy"], abs=1e-4)
    assert scores["validation"] == pytest.approx(best["val_probe_accuracy"], abs=1e-4)
