"""The autoencoders that ACAI was compared with: what each disturbs, draws or quantizes, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf import losses
from amr_tf.models.aae import AAE
from amr_tf.models.build import build_model
from amr_tf.networks.codebook import Codebook
from tests.support.config import tiny_config

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (6, 32, 32, 1)).astype("float32")
Y = RNG.integers(10, size=6)


def build(method, **settings):
    model = build_model(
        tiny_config(model=method, arch="acai", depth=4, batch_size=6, **settings), (32, 32, 1), 10
    )
    model.run_eagerly = True
    return model


def test_denoising_makes_noisy_images_clean():
    """The noise is N(0, sigma^2) and not clipped; `h` and the probe's input are the clean image's code."""
    model = build("denoising", input_noise=0.7)
    seen = []
    encode = model.encode

    def watched(x, training=False):
        seen.append(np.asarray(x))
        return encode(x, training=training)

    model.encode = watched
    made = model.forward(tf.constant(X))
    noisy, clean = seen
    assert (noisy - X).std() == pytest.approx(0.7, rel=0.03)
    assert np.abs(noisy).max() > 1
    np.testing.assert_array_equal(clean, X)
    np.testing.assert_array_equal(made.h, encode(X))
    np.testing.assert_allclose(made.recon, model.decode(encode(tf.constant(noisy))), atol=1e-6)
    np.testing.assert_allclose(model.generator_losses(made)["recon"], losses.l2(X, made.recon))


def test_dropout_keeps_a_share_of_the_code_and_scales_it():
    model = build("dropout", keep_probability=0.8)
    model.decode = lambda h, training: h
    made = model.forward(tf.constant(X))
    ratio = made.recon.numpy() / made.h.numpy()
    assert set(np.round(ratio.ravel(), 4)) == {0.0, 1.25}
    assert np.mean(ratio > 0) == pytest.approx(0.8, abs=0.05)
    np.testing.assert_array_equal(made.h, model.encode(X))


def test_aae_compares_codes_with_draws_of_the_prior():
    """Both losses by hand, and scores of images are those of their codes."""
    model = build("aae")
    made = model.forward(tf.constant(X))
    drawn = made.extras["prior"].numpy()
    assert drawn.shape == made.h.shape
    assert drawn.std() == pytest.approx(1.0, abs=0.05)
    codes, draws = model.discriminator(made.h), model.discriminator(drawn)
    terms = model.discriminator_losses(made)
    np.testing.assert_allclose(terms["disc_code"], losses.gan_bce(codes, 0.0), rtol=1e-5)
    np.testing.assert_allclose(terms["disc_prior"], losses.gan_bce(draws, 1.0), rtol=1e-5)
    np.testing.assert_allclose(
        model.generator_losses(made)["gan_code"], losses.gan_bce(codes, 1.0), rtol=1e-5
    )
    np.testing.assert_allclose(model.score(X), codes, rtol=1e-5, atol=1e-7)
    shapes = [tuple(v.shape) for v in model.discriminator.trainable_variables]
    assert shapes == [(128, 100), (100,), (100, 100), (100,), (100, 1), (1,)]


def test_aae_moves_codes_towards_the_prior():
    """Codes far from 0 come nearer in some steps without a pixel loss; nothing else acts on them."""
    model = AAE((1, 1, 2), 10, dataset="spiral", depth=2, lambda_=0.0, learning_rate=1e-2, batch_size=64)
    model.compile()
    x = RNG.uniform(-1, 1, (64, 1, 1, 2)).astype("float32")
    before = np.abs(model.encode(x)).mean()
    for bias in model.encoder.trainable_variables[-1:]:
        bias.assign_add(tf.fill(bias.shape, 6.0))
    far = np.abs(model.encode(x)).mean()
    for _ in range(200):
        model.train_on_batch(x)
    assert far > before + 3
    assert np.abs(model.encode(x)).mean() < far - 2


def test_codebook_finds_the_nearest_and_follows_it():
    """Three codewords on a line; one vector, decay 0.5, by hand."""
    book = Codebook(3, 1, decay=0.5, seed=0)
    start = np.array([[0.0], [1.0], [5.0]], np.float32)
    book.codewords.assign(start)
    book.sums.assign(start)
    vectors = tf.constant([[[0.8], [4.0]]])
    found, chosen = book.nearest(vectors)
    np.testing.assert_array_equal(chosen, [[1, 2]])
    np.testing.assert_array_equal(found[0, :, 0], [1.0, 5.0])
    book.update(vectors, chosen)
    np.testing.assert_allclose(book.counts, [0.5, 1.0, 1.0])
    np.testing.assert_allclose(book.sums[:, 0], [0.0, 0.9, 4.5])
    np.testing.assert_allclose(book.codewords[:, 0], [0.0, 0.9, 4.5], atol=1e-4)


def test_unused_codewords_stay_where_they_are():
    """Counts that began at 0 would multiply them by about 1e5 on the first step."""
    book = Codebook(64, 4, decay=0.999, seed=0)
    before = book.codewords.numpy()
    vectors = tf.constant(RNG.normal(size=(2, 3, 4)).astype("float32"))
    _, chosen = book.nearest(vectors)
    book.update(vectors, chosen)
    unused = np.setdiff1d(np.arange(64), chosen)
    np.testing.assert_allclose(book.codewords.numpy()[unused], before[unused], rtol=2e-3)
    assert np.abs(before).max() <= (3 / 64) ** 0.5


def test_vqvae_passes_the_gradient_of_codewords_to_vectors():
    """Reconstruction and probe use codewords; the commitment is their distance; the decoder's path equals a step's."""
    model = build("vqvae", codewords=32, code_vectors=5)
    before = model.codebook.codewords.numpy()
    recon, logits = model.reconstruct(X).numpy(), model.classify(model.encode(X)).numpy()
    with tf.GradientTape() as tape:
        made = model.forward(tf.constant(X))
        loss = tf.reduce_mean(losses.l2(X, made.recon))
    np.testing.assert_allclose(made.recon, recon, atol=1e-6)
    np.testing.assert_allclose(model.probe(made.probed), logits, atol=1e-6)
    gradients = tape.gradient(loss, model.encoder.trainable_variables)
    assert all(np.any(g) for g in gradients if g is not None)
    assert gradients[0] is not None
    vectors, codewords = (made.extras[name].numpy() for name in ("vectors", "codewords"))
    assert vectors.shape == (6, 5, 128)
    nearest = np.linalg.norm(vectors[:, :, None] - before, axis=-1).argmin(axis=-1)
    np.testing.assert_array_equal(codewords, before[nearest])
    expected = ((vectors - codewords) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(model.generator_losses(made)["commitment"], expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["denoising", "dropout", "aae", "vqvae", "gaia"])
def test_reconstruction_improves_in_some_steps(method):
    """Of points on the spiral's plane; GAIA with its extension, a pixel loss."""
    settings = {"lambda_": 1.0} if method == "gaia" else {}
    settings |= {"codewords": 64, "codebook_decay": 0.9} if method == "vqvae" else {}
    settings |= {"input_noise": 0.1} if method == "denoising" else {}
    config = tiny_config(model=method, depth=4, learning_rate=1e-2, batch_size=64, **settings)
    model = build_model(config, (1, 1, 2), 10)
    x = RNG.uniform(-1, 1, (64, 1, 1, 2)).astype("float32")
    first = model.evaluate(x, verbose=0)[0]
    for _ in range(150):
        model.train_on_batch(x)
    assert model.evaluate(x, verbose=0)[0] < 0.7 * first
