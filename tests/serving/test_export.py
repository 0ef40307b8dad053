"""`amr_tf.export`: what is written answers as the Keras model does, to TensorFlow's C++ loader in another process."""

import copy
import io
import json
import re
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from amr_tf import export
from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.folder import RunFolder
from amr_tf.runs.trained import TrainedRun
from amr_tf.serving import archives, card, conversion, saved_model, signatures
from tests.serving import harness

PNG = b"\x89PNG\r\n\x1a\n"


def images(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


BAD_INPUTS = {
    "encode/images": {"images": images(2, 28, 28, 1)},
    "discriminate/images": {"images": images(32, 32, 1)},
    "reconstruct/images": {"images": np.zeros((2, 32, 32, 1), np.uint8)},
    "classify/images is empty": {"images": images(0, 32, 32, 1)},
    "decode/codes": {"codes": images(2, 8, 8, 3)},
    "interpolate/alpha does not fit first": {
        "first": images(2, 32, 32, 1), "second": images(2, 32, 32, 1), "alpha": images(3),
    },
    "interpolate_uint8/second does not fit first": {
        "first": np.zeros((2, 32, 32, 1), np.uint8), "second": np.zeros((1, 32, 32, 1), np.uint8), "alpha": images(2),
    },
    "mix/weights does not fit images": {"images": images(2, 3, 32, 32, 1), "weights": images(2, 2)},
    "mix_bernoulli/masks": {"images": images(2, 3, 32, 32, 1), "masks": images(2, 3, 5)},
    "encode_png/image_bytes": {"image_bytes": np.array([b"no picture"])},
    "encode_png/image_bytes is empty": {"image_bytes": np.array([], "S1")},
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(exported, tmp_path_factory):
    """What one process of the C++ loader found; the answers that were expected; the folder of what it wrote."""
    folder = tmp_path_factory.mktemp("engine")
    answers = harness.write_requests(exported.run.model, folder)
    bad = {f"{case}/{n}": v for case, inputs in BAD_INPUTS.items() for n, v in inputs.items()}
    np.savez(folder / "bad_inputs.npz", **bad)
    return (
        harness.cpp_loader(exported.folder, folder, "replay", "answer", "refuse", "python"),
        answers,
        folder,
    )


def test_every_signature_answers_as_the_keras_model(engine):
    """For 1, 7 and 64 examples, to 1e-5, in a process that has TensorFlow and no amr_tf."""
    found, answers, folder = engine
    harness.assert_equal(folder, answers)
    asked = {name.split("/")[0] for name in answers}
    floats = {name for name in found["signatures"] if not name.endswith(("_uint8", "_png"))}
    assert asked == floats
    assert found["differ_in_python"] == []


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_what_cannot_be_answered_is_refused_by_the_name_of_its_input(engine, case):
    """A server does not compare what it is sent with the shapes that the model declares."""
    assert case.split("/")[1] in engine[0]["refused"][case]


def test_the_warm_up_has_a_request_for_each_signature(engine):
    found = engine[0]
    assert found["replayed"] == found["signatures"]


def shapes(values):
    """Type and shape of each by name."""
    return {name: [value["dtype"], value["shape"]] for name, value in values.items()}


def test_the_papers_name_everything(exported, engine):
    described = json.loads((exported.folder / saved_model.SIGNATURES).read_bytes())
    assert sorted(described) == engine[0]["signatures"]
    assert {
        name: {side: shapes(one[side]) for side in ("inputs", "outputs")} for name, one in described.items()
    } == (engine[0]["declared"])
    for one in described.values():
        for value in (one, *one["inputs"].values(), *one["outputs"].values()):
            assert len(value["description"]) > 3
    text = (exported.folder / saved_model.CARD).read_text(encoding="utf-8")
    assert all(f"### `{name}`" in text for name in described if name != "serving_default")
    assert not re.search(r"^#.*\n\n(#|\Z)", text, flags=re.MULTILINE), "a section is empty"
    best = json.loads(exported.run.folder.results.read_bytes())["best"]
    assert f"{best['test_probe_accuracy']:.4g}" in text


def test_the_next_version_is_written_and_nothing_else_is_left(exported):
    """And what a killed export left is swept away."""
    assert exported.folder.name == "8"
    assert sorted(path.name for path in exported.folder.parent.iterdir()) == [".export.lock", "7", "8"]


def test_bytes_are_the_pictures_of_the_floats(exported):
    """0 .. 255 in and out stand for -1 .. 1, rounded."""
    loaded = tf.saved_model.load(str(exported.folder)).signatures
    raw = np.random.default_rng(0).integers(256, size=(3, 32, 32, 1), dtype=np.uint8)
    as_bytes = loaded["reconstruct_uint8"](images=tf.constant(raw))
    floats = loaded["reconstruct"](images=tf.constant(raw / np.float32(127.5) - 1))
    np.testing.assert_allclose(as_bytes["codes"], floats["codes"], atol=1e-5)
    rounded = np.clip((floats["reconstructions"].numpy() + 1) * 127.5, 0, 255)
    np.testing.assert_allclose(as_bytes["reconstructions"].numpy(), rounded, atol=0.501)


def test_picture_files_of_any_size_and_kind_are_coded(exported):
    """A picture of the model's own size has the code of its pixels; a wide one that of its middle."""
    encode_png = tf.saved_model.load(str(exported.folder)).signatures["encode_png"]
    row, column = np.mgrid[:32, :32] / 31
    pixels = (255 * np.sin(3 * row) * column).astype(np.uint8)
    wide = np.zeros((32, 50), np.uint8)
    wide[:, 9:41] = pixels
    files = []
    for array, mode, form in (
        (pixels, "L", "PNG"),
        (wide, "L", "PNG"),
        (wide, "RGB", "PNG"),
        (wide, "L", "JPEG"),
    ):
        file = io.BytesIO()
        Image.fromarray(array).convert(mode).resize((array.shape[1], 32)).save(file, form, quality=100)
        files.append(file.getvalue())
    for form in ("BMP", "GIF", "WEBP"):
        file = io.BytesIO()
        Image.fromarray(wide).save(file, form, **({"lossless": True} if form == "WEBP" else {}))
        files.append(file.getvalue())
    large = io.BytesIO()
    Image.fromarray(np.kron(wide, np.ones((3, 3), np.uint8))).save(large, "PNG")
    codes = encode_png(image_bytes=tf.constant([*files, large.getvalue()]))["codes"].numpy()
    expected = exported.run.model.encode(pixels[None, ..., None] / np.float32(127.5) - 1).numpy()[0]
    for code, tolerance in zip(codes, (1e-4, 1e-4, 1e-4, 0.3, 1e-4, 1e-4, 1e-4, 0.3), strict=True):
        np.testing.assert_allclose(code, expected, atol=tolerance)


def test_the_keras_archives_need_keras_alone(exported):
    """No class of this package is named in them, and they compute what the model does."""
    model = exported.run.model
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    encoder, decoder = (
        keras.saving.load_model(exported.folder / archives.FOLDER / f"{name}.keras")
        for name in ("encoder", "decoder")
    )
    assert "amr_tf" not in json.dumps(encoder.get_config()) + json.dumps(decoder.get_config())
    np.testing.assert_allclose(encoder(x), model.encode(x), atol=1e-6)
    np.testing.assert_allclose(decoder(encoder(x)), model.reconstruct(x), atol=1e-6)


def test_the_keras_encoder_of_a_vae_gives_codes_alone(tmp_path):
    model = build_model(Config(model="vae", arch="acai", depth=2, latent_width=8), (32, 32, 1), 10)
    archives.write(tmp_path, model)
    encoder = keras.saving.load_model(tmp_path / archives.FOLDER / "encoder.keras")
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(encoder(x), model.encode(x), atol=1e-6)


def test_a_model_without_a_discriminator_has_no_signature_for_it():
    for model, image_shape in (("vae", (32, 32, 1)), ("ae", (32, 32, 1))):
        config = Config(model=model, arch="acai", depth=2, latent_width=8)
        assert "discriminate" not in signatures.signatures(build_model(config, image_shape, 10))


def test_a_supervised_model_is_asked_for_attributes():
    """The likeliest mask decides, so that the same request has the same answer."""
    config = Config(dataset="shapes", mixer="supervised", arch="acai", depth=2, latent_width=8)
    model = build_model(config, (32, 32, 3), 16, 4)
    mix = signatures.signatures(model)["mix_attributes"]
    rng = np.random.default_rng(0)
    first, second = rng.uniform(-1, 1, (2, 3, 32, 32, 3)).astype(np.float32)
    asked = rng.integers(2, size=(3, 4)).astype(np.float32)
    answer = mix(tf.constant(first), tf.constant(second), tf.constant(asked))
    parameters = model.mask_parameters(asked).numpy()
    np.testing.assert_allclose(answer["parameters"], parameters, atol=1e-6)
    mask = (parameters >= 0.5)[:, None, None, :]
    codes = np.where(mask, model.encode(first), model.encode(second))
    np.testing.assert_allclose(answer["images"], model.decode(codes), atol=1e-5)


def test_points_have_no_bytes():
    config = Config(dataset="spiral", depth=2)
    found = signatures.signatures(build_model(config, (1, 1, 2), 10))
    assert set(found) == {
        "reconstruct", "encode", "decode", "interpolate", "mix", "mix_bernoulli", "classify", "discriminate",
    }  # fmt: skip


def test_a_score_does_not_depend_on_those_before_it(exported):
    """`arch=amr_fixed` moves its spectral norms on in every pass; a served model must not."""
    score = tf.saved_model.load(str(exported.folder)).signatures["discriminate"]
    x = tf.constant(np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32))
    np.testing.assert_array_equal(score(images=x)["scores"], score(images=x)["scores"])


def test_model_card_unfinished_run_says_what_is_unknown(exported, tmp_path):
    """A run that was stopped in its first epoch has neither results.json nor metrics.csv."""
    run = copy.copy(exported.run)
    run.path, run.folder = tmp_path, RunFolder(Config(run_dir=str(tmp_path)))
    text = card.model_card(run, 1, {})
    for said in ("unknown: the run had not finished an epoch", "Nothing was measured of these weights"):
        assert said in text
    assert "discriminate" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Received: nothing"),
        (["runs/x"], "Received: runs/x"),
        (["--run_dir=/nowhere"], "Not a run folder"),
        (["--run_dir=x", "--also=tflite"], "--also takes onnx, litert. Received: 'tflite'"),
        (["--run_dir=x", "--version=3"], "--help lists the flags"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line(capsys, arguments, said):
    assert export.main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.startswith("amr_tf.export: ")
    assert err.count("\n") == 1


def test_a_damaged_checkpoint_is_one_line_and_nothing_is_written(run_dir, tmp_path, capsys):
    copy = shutil.copytree(run_dir, tmp_path / "run")
    for data in copy.glob("checkpoints/step_*/state.data*"):
        data.write_bytes(data.read_bytes()[:-7])
    assert export.main([f"--run_dir={copy}"]) == 2
    err = capsys.readouterr().err
    assert "is not what was written" in err
    assert err.count("\n") == 1
    assert not (copy / "export").exists()


def test_a_folder_that_cannot_be_made_is_one_line(run_dir, tmp_path, capsys):
    (tmp_path / "file").write_text("in the way")
    assert export.main([f"--run_dir={run_dir}", f"--export_dir={tmp_path / 'file' / 'export'}"]) == 2
    err = capsys.readouterr().err
    assert "Choose another --export_dir" in err
    assert err.count("\n") == 1


@pytest.mark.slow
def test_formats_for_other_engines(run_dir, tmp_path):
    """ONNX by onnxruntime and LiteRT by its interpreter, neither of which is TensorFlow."""
    import ai_edge_litert.interpreter
    import onnxruntime

    run = TrainedRun(run_dir, "last")
    folder = saved_model.export(run, tmp_path, list(conversion.FORMATS))
    runner = ai_edge_litert.interpreter.Interpreter(
        str(folder / "litert" / "model.tflite")
    ).get_signature_runner
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    codes = run.model.encode(x).numpy()
    for part, given, wanted in (
        ("encode", {"images": x}, {"codes": codes}),
        ("decode", {"codes": codes}, {"images": run.model.decode(codes).numpy()}),
    ):
        (value,) = wanted.values()
        session = onnxruntime.InferenceSession(folder / "onnx" / f"{part}.onnx")
        np.testing.assert_allclose(session.run(None, given)[0], value, atol=2e-5)
        np.testing.assert_allclose(runner(part)(**given)[next(iter(wanted))], value, atol=2e-5)
