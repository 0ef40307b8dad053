"""`amr_tf.export`: the export answers as the Keras model does, through TensorFlow's C++ loader in another process."""

import copy
import io
import json
import re
import shutil

import filelock
import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

from amr_tf import export
from amr_tf.config import Config
from amr_tf.models.build import build_model
from amr_tf.runs.folder import RunFolder
from amr_tf.serving import archives, card, saved_model, signatures, warmup
from amr_tf.serving.server import ServingError
from tests.serving import harness


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


@pytest.mark.parametrize(("protocol", "batches"), [("rest", [3]), ("v2", [3]), ("grpc", [1, 7, 64])])
def test_served_signatures_answer_as_the_keras_model(served, exported, protocol, batches):
    harness.assert_answers(served[protocol], exported.run.model, batches)


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_served_signature_bad_input_is_refused_by_name(served, case):
    """A server does not compare a request with the shapes that the model declares."""
    name, said = case.split("/")
    server = harness.connect(served["grpc"])
    with pytest.raises(ServingError, match=said):
        server.predict(name, BAD_INPUTS[case])


def test_warm_up_has_a_request_for_each_signature(served, exported):
    server = harness.connect(served["grpc"])
    replayed = []
    for record in tf.data.TFRecordDataset(str(exported.folder / warmup.FILE)).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        replayed.append(request.model_spec.signature_name)
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        server.predict(replayed[-1], inputs)
    assert sorted(replayed) == sorted(server.signatures)


def test_card_and_signatures_json_describe_everything(served, exported):
    described = json.loads((exported.folder / saved_model.SIGNATURES).read_bytes())
    types = {"float32": "DT_FLOAT", "uint8": "DT_UINT8", "string": "DT_STRING"}
    declared = {
        name: tuple(
            {key: (types[one["dtype"]], tuple(one["shape"])) for key, one in signature[side].items()}
            for side in ("inputs", "outputs")
        )
        for name, signature in described.items()
    }
    assert declared == harness.connect(served["rest"]).signatures
    for one in described.values():
        for value in (one, *one["inputs"].values(), *one["outputs"].values()):
            assert len(value["description"]) > 3
    text = (exported.folder / saved_model.CARD).read_text(encoding="utf-8")
    assert all(f"### `{name}`" in text for name in described if name != "serving_default")
    assert not re.search(r"^#.*\n\n(#|\Z)", text, flags=re.MULTILINE), "a section is empty"
    best = json.loads(exported.run.folder.results.read_bytes())["best"]
    assert f"{best['test_probe_accuracy']:.4g}" in text
    assert type(exported.run.model).description in text


def test_export_after_a_kill_leaves_whole_versions_only(exported):
    assert exported.folder.name == "8"
    assert sorted(path.name for path in exported.folder.parent.iterdir()) == [".export.lock", "7", "8"]


def test_encode_png_any_size_and_format_has_the_pixels_code(exported):
    """A picture of the model's own size has the code of its pixels; a wide one that of its middle."""
    row, column = np.mgrid[:32, :32] / 31
    pixels = (255 * np.sin(3 * row) * column).astype(np.uint8)
    wide = np.pad(pixels, ((0, 0), (9, 9)))
    large = np.kron(wide, np.ones((3, 3), np.uint8))
    cases = [(pixels, "PNG", {}), (wide, "PNG", {}), (np.stack([wide] * 3, axis=-1), "PNG", {})]
    cases += [(wide, "BMP", {}), (wide, "GIF", {})]
    cases += [(wide, "JPEG", {"quality": 100}), (large, "PNG", {})]  # the last two are not exact
    files = [io.BytesIO() for _ in cases]
    for file, (array, form, options) in zip(files, cases, strict=True):
        Image.fromarray(array).save(file, form, **options)
    encode_png = tf.saved_model.load(str(exported.folder)).signatures["encode_png"]
    codes = encode_png(image_bytes=tf.constant([file.getvalue() for file in files]))["codes"].numpy()
    expected = exported.run.model.encode(pixels[None, ..., None] / np.float32(127.5) - 1).numpy()
    np.testing.assert_allclose(codes[:-2] - expected, 0, atol=1e-4)
    np.testing.assert_allclose(codes[-2:] - expected, 0, atol=0.3)


def test_keras_archive_of_a_vae_has_codes_without_variances(tmp_path):
    """It names no class of this package and computes the same."""
    model = build_model(Config(model="vae", arch="acai", depth=2, latent_width=8), (32, 32, 1), 10)
    archives.write(tmp_path, model)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    paths = [tmp_path / archives.FOLDER / f"{name}.keras" for name in ("encoder", "decoder")]
    encoder, decoder = map(keras.saving.load_model, paths)
    assert "amr_tf" not in json.dumps(encoder.get_config()) + json.dumps(decoder.get_config())
    np.testing.assert_allclose(encoder(x), model.encode(x), atol=1e-6)
    np.testing.assert_allclose(decoder(encoder(x)), model.reconstruct(x), atol=1e-6)


def test_mix_attributes_takes_the_most_probable_mask():
    """Nothing is drawn, so that the same request has the same answer."""
    config = Config(dataset="shapes", model="amr_supervised", arch="acai", depth=2, latent_width=8)
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


@pytest.mark.parametrize(
    "settings",
    [{"model": "vqvae", "codewords": 32}, {"model": "gaia"}, {"model": "aae"}, {"model": "denoising"},
     {"model": "dropout"}, {"model": "amr", "arch": "style", "mixer": "style", "k": 3}],
    ids=lambda settings: settings.get("arch", settings["model"]),
)  # fmt: skip
def test_export_of_a_method_answers_as_its_model(settings, tmp_path):
    """The SavedModel's signatures and the archives, which name no class of this package."""
    config = Config(**{"arch": "acai"} | settings, depth=2, latent=4)
    model = build_model(config, (32, 32, 1), 10)
    x = np.random.default_rng(0).uniform(-1, 1, (3, 32, 32, 1)).astype(np.float32)
    model.train_on_batch(x, np.arange(3))
    found = signatures.signatures(model)
    answer = found["reconstruct"](tf.constant(x))
    np.testing.assert_allclose(answer["reconstructions"], model.reconstruct(x), atol=1e-5)
    np.testing.assert_allclose(
        found["classify"](tf.constant(x))["logits"], model.classify(model.encode(x)), atol=1e-5
    )
    if model.has_discriminator:
        np.testing.assert_allclose(found["discriminate"](tf.constant(x))["scores"], model.score(x), atol=1e-5)
    archives.write(tmp_path, model)
    paths = [tmp_path / archives.FOLDER / f"{name}.keras" for name in ("encoder", "decoder")]
    encoder, decoder = map(keras.saving.load_model, paths)
    assert "amr_tf" not in json.dumps(encoder.get_config()) + json.dumps(decoder.get_config())
    np.testing.assert_allclose(encoder(x), model.encode(x), atol=1e-6)
    np.testing.assert_allclose(decoder(encoder(x)), model.reconstruct(x), atol=1e-5)


@pytest.mark.parametrize(("model", "scored"), [("amr", {"discriminate"}), ("ae", set()), ("vae", set())])
def test_signatures_of_points_have_no_bytes(model, scored):
    """And those of a model without a discriminator have no scores."""
    found = signatures.signatures(build_model(Config(dataset="spiral", model=model, depth=2), (1, 1, 2), 10))
    expected = {"reconstruct", "encode", "decode", "interpolate", "mix", "mix_bernoulli", "classify"}
    assert set(found) == expected | scored


def test_discriminate_repeated_requests_score_the_same(served, exported):
    """`arch=amr_fixed` takes a power step in every pass; a served model must not."""
    server = harness.connect(served["grpc"])
    x = harness.cases(exported.run.model, 3)["encode"][0]
    scores = [server.predict("discriminate", x)["scores"] for _ in range(2)]
    np.testing.assert_array_equal(*scores)


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
        (["--run_dir=/nowhere"], "/nowhere"),
        (["--run_dir=x", "--also=tflite"], "--also takes onnx, litert, triton, hub. Received: 'tflite'"),
        (["--run_dir=x", "--version=3"], "--help lists the flags"),
    ],
)
def test_export_invalid_arguments_are_one_line(refused, arguments, said):
    assert said in refused(export.main, *arguments)


def test_export_damaged_checkpoint_writes_nothing(run_dir, tmp_path, refused):
    copy = shutil.copytree(run_dir, tmp_path / "run")
    for data in copy.glob("checkpoints/step_*/state.data*"):
        data.write_bytes(data.read_bytes()[:-7])
    assert "checkpoint" in refused(export.main, f"--run_dir={copy}")
    assert not (copy / "export").exists()


def test_export_unusable_folder_is_one_line(run_dir, tmp_path, refused, monkeypatch):
    """A file is in the way, or another export holds the folder."""
    monkeypatch.setattr(saved_model, "LOCK_SECONDS", 0.1)
    (tmp_path / "file").write_text("in the way")
    words = [f"--run_dir={run_dir}", f"--export_dir={tmp_path}"]
    with filelock.FileLock(tmp_path / ".export.lock"):
        assert "Another export" in refused(export.main, *words)
    assert "Choose another --export_dir" in refused(export.main, words[0], f"{words[1]}/file/export")
