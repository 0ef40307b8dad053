"""The numbers of a training step are those of the reference implementations, to the recordings' tolerances."""

import numpy as np
import pytest

from amr_tf.config import Config
from amr_tf.models.build import build_model
from tests.support import golden_replay as golden

# name: settings, shape of the map that the reference flattens channel-first, number of discriminator terms
SMALL = {"lambda_": 10.0, "depth": 8, "latent": 2}
RECORDINGS = {
    "amr_mixup_k2": (SMALL | {"model": "amr", "mixer": "mixup"}, (4, 4, 2), 3),
    "amr_bernoulli_k2": (SMALL | {"model": "amr", "mixer": "bernoulli"}, (4, 4, 2), 3),
    "aegan": (SMALL | {"model": "aegan"}, (4, 4, 2), 2),
    "amr_dsprites_mixup_k2": ({"model": "amr", "arch": "burgess", "lambda_": 1.0}, (4, 4, 32), 3),
}
# Recorded name: name here. The recorded d_x is the mean of the discriminator's terms, disc_loss is their sum.
LOSSES = {"recon": "recon", "disc_g_recon": "gan_recon", "disc_g_mix": "gan_mix", "gen_loss": "gen_loss",
          "d_x": "disc_loss", "cls_enc_loss": "probe_loss", "cls_enc_acc": "probe_accuracy"}  # fmt: skip


def pair_weights(coefficient: np.ndarray) -> np.ndarray:
    """Recorded coefficients, channel-first, of parent 1 -> weights [B, 2, ...]."""
    own = coefficient if coefficient.ndim == 2 else coefficient.transpose(0, 2, 3, 1)
    return np.stack([own, 1 - own], axis=1)


@pytest.mark.parametrize("name", RECORDINGS)
def test_two_steps_equal_the_pytorch_reference(name):
    """Forward pass, the losses of both steps and every network's final weights."""
    settings, flattened, terms = RECORDINGS[name]
    arrays, _ = golden.load(name)
    config = Config(update_g_every=1, batch_size=8, **settings)
    model = build_model(config, arrays["x"].shape[2:], 10)
    networks = {
        "encoder": model.encoder, "decoder": model.decoder, "disc": model.discriminator, "probe": model.probe,
    }  # fmt: skip
    golden.assign(arrays, networks, flattened)

    code = model.encode(arrays["x"][0])
    np.testing.assert_allclose(code, arrays["fwd/h"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(model.decode(code), arrays["fwd/recon"], rtol=0, atol=1e-4)

    def drawn(step):
        indices = np.concatenate([np.arange(8)[None], arrays[f"step{step}/perm"]]).T
        return indices, pair_weights(arrays[f"step{step}/coef"])

    model.mixer = golden.Fixed(*drawn(0))
    for step in range(2):
        model.mixer.set(*drawn(step))
        logs = model.train_on_batch(arrays["x"][step], arrays["y"][step], return_dict=True)
        for theirs, ours in LOSSES.items():
            if ours in logs:
                divisor = terms if theirs == "d_x" else 1
                expected = arrays[f"step{step}/loss/{theirs}"]
                about = f"step {step}: {ours}"
                np.testing.assert_allclose(logs[ours] / divisor, expected, rtol=1e-4, err_msg=about)

    difference = golden.differences(arrays, networks, flattened)
    for judged in ("disc", "probe"):
        assert np.mean(difference[judged] < 2e-5) >= 0.999, judged
    everything = np.concatenate(list(difference.values()))
    assert np.mean(everything < 2e-5) >= 0.99
    assert everything.max() <= 4.1e-4


def test_two_steps_equal_the_original_acai():
    """Forward pass to the bit of rounding and final weights to 1e-6, all three players from one forward pass."""
    arrays, _ = golden.load("acai_tf1")
    model = build_model(Config(model="acai", depth=8, latent=2, batch_size=8), (32, 32, 1), 10)
    networks = {
        "ae_enc": model.encoder, "ae_dec": model.decoder, "disc": model.discriminator,
        "single_layer_classifier": model.probe,
    }  # fmt: skip
    golden.assign(arrays, networks)
    code = model.encode(arrays["x"][0])
    np.testing.assert_allclose(code, arrays["fwd/h"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(model.decode(code), arrays["fwd/recon"], rtol=0, atol=1e-6)
    pairs = np.stack([np.arange(8), np.arange(8)[::-1]], axis=1)
    for step in range(2):  # a new mixer each time: the step must not hold on to the old one
        alpha = 0.5 - np.abs(arrays[f"step{step}/alpha_raw"] - 0.5)
        model.mixer = golden.Fixed(pairs, np.stack([alpha, 1 - alpha], axis=1))
        model.train_on_batch(arrays["x"][step], arrays["y"][step])
    for name, difference in golden.differences(arrays, networks).items():
        assert difference.max() <= 1e-6, name


def test_parameter_counts_of_the_papers_networks():
    """Depth 16, latent 2, 32x32x1: 226,595 in encoder and decoder, 150,146 trained in the discriminator."""
    model = build_model(Config(arch="amr", depth=16, latent=2), (32, 32, 1), 10)
    assert model.encoder.count_params() + model.decoder.count_params() == 226_595
    assert sum(int(np.prod(v.shape)) for v in model.discriminator.trainable_variables) == 150_146
