"""The API in a few lines, run on small sizes."""

import keras
import numpy as np
import pytest

import amr_tf

SMALL = {
    "depth": 2,
    "latent": 2,
    "latent_width": 8,
    "batch_size": 8,
    "steps_per_epoch": 2,
    "update_g_every": 1,
}


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return rng.integers(256, size=(120, 28, 28), dtype=np.uint8), rng.integers(3, size=120)


def test_runs_train_load_mix_and_measure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = amr_tf.train(dataset="lines", epochs=2, **SMALL)
    run = amr_tf.load(str(run.path), checkpoint="best")
    images, _ = run.examples("test")
    a, b = images[:2]
    codes, strip, face = (
        run.encode(images[:8]),
        run.interpolate(a, b, steps=10),
        run.mix(images[:3], [0.2, 0.3, 0.5]),
    )
    assert codes.shape == (8, 8, 8, 2)
    assert strip.shape == (10, 32, 32, 1)
    assert face.shape == (32, 32, 1)
    scores = run.evaluate(["reconstruction", "interpolation"])
    assert scores["reconstruction"]["mse"] > 0
    assert [row["epoch"] for row in run.history] == [1, 2]


@pytest.mark.parametrize("labelled", [True, False])
def test_own_arrays_train_resume_and_are_measured(arrays, labelled, tmp_path, monkeypatch):
    """Any command opens the run later, since the arrays are kept in a file."""
    monkeypatch.chdir(tmp_path)
    images, labels = arrays
    data = (images, labels) if labelled else images
    run = amr_tf.train(data=data, epochs=1, **SMALL)
    assert run.model.image_shape == (32, 32, 1)
    assert run.spec.classes == (3 if labelled else 1)
    again = amr_tf.train(data=data, epochs=2, **SMALL)
    assert again.path == run.path
    assert len(again.history) == 2
    assert amr_tf.load(run.path).evaluate(["reconstruction"])["reconstruction"]["mse"] > 0


def test_own_arrays_take_splits(arrays, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, labels = arrays
    run = amr_tf.train(
        data={"train": (images[20:], labels[20:]), "test": (images[:20], labels[:20])}, epochs=1, **SMALL
    )
    assert len(run.splits.test) == 20
    assert len(run.splits.train) + len(run.splits.validation) == 100


@pytest.mark.parametrize(
    ("data", "more", "message"),
    [
        ({"tran": np.zeros((9, 8, 8), np.uint8)}, {}, "Received: tran"),
        (np.zeros((8, 8), np.uint8), {}, r"Received: uint8 \(8, 8\)"),
        (np.array([[[None]]]), {}, "object"),
        (np.zeros((90, 28, 28)), {}, "must be uint8"),
        (np.zeros((90, 28, 28), np.uint8), {"dataset": "lines"}, "in place of a data set"),
    ],
)
def test_own_arrays_that_do_not_fit_are_refused(data, more, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(amr_tf.runtime.errors.UserError, match=message):
        amr_tf.train(data=data, **SMALL, **more)


def test_models_are_keras_models(arrays, tmp_path):
    images, labels = arrays
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., None]
    model = amr_tf.AMR(image_shape=(32, 32, 1), num_classes=3, mixer="mixup", k=3, depth=2, latent=2)
    model.compile()
    stop = keras.callbacks.EarlyStopping(patience=5)
    model.fit(
        images,
        labels,
        batch_size=60,
        epochs=1,
        verbose=0,
        validation_data=(images[:20], labels[:20]),
        callbacks=[stop],
    )
    model.save(tmp_path / "amr.keras")
    loaded = keras.saving.load_model(tmp_path / "amr.keras")
    np.testing.assert_array_equal(loaded.encode(images[:4]), model.encode(images[:4]))
