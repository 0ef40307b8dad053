"""The beta-VAE: a Gaussian for each code, its mean for all who look at it."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf import losses
from amr_tf.models.build import build_model
from tests.support.config import tiny_config

X = np.random.default_rng(0).uniform(-1, 1, (6, 32, 32, 1)).astype("float32")


def build(**settings):
    config = tiny_config(model="vae", arch="acai", latent=3, depth=4, batch_size=6, **settings)
    model = build_model(config, (32, 32, 1), 10)
    model.run_eagerly = True
    return model


def test_code_is_the_mean_of_the_requested_size():
    model = build()
    assert model.code_shape == (8, 8, 3)
    parameters = model.encoder(X).numpy()
    assert parameters.shape == (6, 8, 8, 6)
    np.testing.assert_array_equal(model.encode(X), parameters[..., :3])
    np.testing.assert_array_equal(model.encode(X), model.encode(X))


def test_draw_has_the_mean_and_variance_of_the_encoder():
    """The decoder is replaced by one that returns its code, so that the draws can be seen."""
    model = build()
    model.decode = lambda z, training: z
    draws = []
    for step in range(100):
        model.step.assign(step)
        draws.append(model.forward(X).recon.numpy())
    forward = model.forward(X)
    mean, deviation = forward.h.numpy(), np.exp(forward.extras["log_variance"].numpy() / 2)
    standardised = (np.stack(draws) - mean) / deviation
    # 115,200 numbers: the mean is within 5 standard errors of 0.
    assert abs(standardised.mean()) < 5 / np.sqrt(standardised.size)
    assert standardised.std() == pytest.approx(1.0, abs=0.01)
    assert abs(np.mean(standardised[0] * standardised[1])) < 0.2


def test_loss_is_reconstruction_plus_beta_times_divergence():
    model = build(beta_kl=7.0, lambda_=2.0)
    forward = model.forward(X)
    terms = model.generator_losses(forward)
    np.testing.assert_allclose(terms["recon"], losses.l1(X, forward.recon), rtol=1e-6)
    np.testing.assert_allclose(
        terms["kl"], losses.kl_to_standard_normal(forward.h, forward.extras["log_variance"]), rtol=1e-6
    )
    logs = model.train_on_batch(X, np.zeros(6, int), return_dict=True)
    assert logs["gen_loss"] == pytest.approx(2 * logs["recon"] + 7 * logs["kl"], rel=1e-5)


def test_a_heavy_beta_makes_the_codes_say_nothing():
    """The posterior becomes the prior: the divergence falls towards 0, and a light one lets it grow."""
    ends = {}
    for beta in (0.0, 100.0):
        model = build(beta_kl=beta, learning_rate=1e-2)
        model.run_eagerly = False
        logs = [model.train_on_batch(X, np.zeros(6, int), return_dict=True) for _ in range(60)]
        ends[beta] = (logs[0]["kl"], float(tf.reduce_mean(kl_of(model))))
    assert ends[100.0][1] < 0.1 * ends[100.0][0]
    assert ends[0.0][1] > ends[0.0][0]


def kl_of(model):
    forward = model.forward(X)
    return losses.kl_to_standard_normal(forward.h, forward.extras["log_variance"])
