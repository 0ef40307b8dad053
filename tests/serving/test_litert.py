"""`--also=litert`: float32, float16 and int8 models, run by ai-edge-litert, which is not TensorFlow."""

import re

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime.errors import DataError
from amr_tf.serving import litert, saved_model
from amr_tf.training import experiment

SHARES = {"model.tflite": (1, 1), "model_float16.tflite": (0.5, 0.52), "model_int8.tflite": (0.25, 0.3)}


def answers(content: bytes, images: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes of images, and images of codes."""
    runner = Interpreter(model_content=content).get_signature_runner
    return runner("encode")(images=images)["codes"], runner("decode")(codes=codes)["images"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with enough weights that a file consists of them."""
    folder = tmp_path_factory.mktemp("litert") / "run"
    settings = {"arch": "burgess", "recon_loss": "bce", "latent": 4, "train_examples": 300}
    experiment.run(Config(run_dir=str(folder), steps_per_epoch=20, epochs=1, batch_size=16, **settings))
    return TrainedRun(folder)


@pytest.mark.slow
def test_card_has_the_sizes_and_errors_of_the_interpreter(run, tmp_path):
    """Sizes shrink to a half and about a quarter; the float32 model is exact."""
    folder = saved_model.export(run, tmp_path, ["litert"])
    assert {path.name for path in (folder / "litert").iterdir()} == set(SHARES)
    x = litert._some(run.splits.validation, litert.HELD)
    assert len(x) == litert.HELD
    codes = run.model.encode(x).numpy()
    expected = (codes, run.model.decode(codes).numpy())
    card = (folder / saved_model.CARD).read_text(encoding="utf-8")
    sizes, largest = {}, {}
    for name in SHARES:
        content = (folder / "litert" / name).read_bytes()
        (row,) = re.findall(rf"^\| `{name}` \|(.*)\|$", card, flags=re.MULTILINE)
        size, *errors = row.split(" | ")
        sizes[name], largest[name] = len(content), []
        assert size.strip() == f"{len(content):,}"
        for error, found, wanted in zip(errors, answers(content, x, codes), expected, strict=True):
            differences = np.abs(found - wanted)
            stated = [float(number) for number in re.findall(r"[\d.]+(?:e-?\d+)?", error)]
            assert stated == pytest.approx(
                [differences.max(), differences.mean(), np.abs(wanted).max()], rel=0.01
            )
            largest[name].append(differences.max())
    for name, (least, most) in SHARES.items():
        assert least <= sizes[name] / sizes["model.tflite"] <= most
    exact, half, integer = largest.values()
    assert max(exact) < 2e-5 < max(half) < max(integer)


@pytest.mark.slow
def test_run_without_its_data_has_no_int8_model(run, tmp_path, monkeypatch, capsys):
    """The other files are written, and the reason is printed."""
    monkeypatch.delitem(run.__dict__, "splits", raising=False)
    monkeypatch.setattr("amr_tf.data.check", lambda config: raise_missing())
    folder = saved_model.export(run, tmp_path, ["litert"])
    assert {path.name for path in (folder / "litert").iterdir()} == {"model.tflite", "model_float16.tflite"}
    printed = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert printed == [
        "warning: no model_int8.tflite and no errors, since the run's images cannot be read: No archive"
    ]
    card = (folder / saved_model.CARD).read_text(encoding="utf-8")
    assert "model_int8.tflite is not written" in card
    assert "not measured" in card


def raise_missing():
    raise DataError("No archive")


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{"arch": "acai"}, {"model": "vae", "arch": "amr"}, {"model": "vqvae", "arch": "acai", "codewords": 32}],
    ids=lambda settings: settings.get("model", settings["arch"]),
)
def test_upsampling_and_codebooks_are_converted(settings, tmp_path):
    """The operations that Keras makes of them are unknown to the converter."""
    model = build_model(Config(depth=2, latent=4, **settings), (32, 32, 1), 10)
    litert._write_parts(tmp_path / "parts", model)
    content = litert._convert(tmp_path / "parts", "float32", model, None)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    codes = model.encode(x).numpy()
    found = answers(content, x, codes)
    np.testing.assert_allclose(found[0], codes, atol=5e-5)
    np.testing.assert_allclose(found[1], model.decode(codes), atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"arch": "style", "mixer": "style"}, {"arch": "amr"}], ids=["style", "amr"]
)
def test_integers_keep_normalisations_in_floats(settings, tmp_path):
    """As integers, small variances are 0, whose inverse root aborts the interpreter and with it the process."""
    model = build_model(Config(depth=4, latent=4, **settings), (32, 32, 1), 10)
    x = np.random.default_rng(0).uniform(-1, 1, (32, 32, 32, 1)).astype(np.float32)
    x[:8] = -1  # without any variance
    litert._write_parts(tmp_path / "parts", model)
    content = litert._convert(tmp_path / "parts", "int8", model, litert.Samples(x, x))
    for error in litert._errors(content, model, x):
        assert error.mean < 0.05 * error.scale
