"""GAIA's numbers are those of its author's code, and the recording tells wrong variants apart."""

import numpy as np
import pytest
import tensorflow as tf

from amr_tf.config import Config
from amr_tf.models.gaia import GAIA
from tests.support import golden_replay as golden

# Recorded name: name here. `recon` is not recorded.
LOSSES = {
    "d_real": "disc_real", "d_recon": "gan_recon", "d_mix": "gan_mix", "distance": "distance",
    "d_share_fake": "share_fake", "g_share_mix": "share_mix", "lr_d": "disc_rate", "lr_g": "gen_rate",
    "disc_loss": "disc_loss", "gen_loss": "gen_loss",
}  # fmt: skip
NAMES = ("gaia_tf1_acai", "gaia_tf1_acai_distance")


def networks(model):
    second = {layer.name: layer for layer in model.discriminator.layers}
    return {
        "encoder": model.encoder, "decoder": model.decoder,
        "disc_enc": second["encoder"], "disc_dec": second["decoder"],
    }  # fmt: skip


def replay(name, method=GAIA):
    """Takes the recorded steps; returns largest errors of losses (relative) and images, and all weights' errors."""
    arrays, meta = golden.load(name)
    settings = {
        "structure_weight": meta["distance_weight"],
        "learning_rate": meta["lr_max"],
        "balance_slope": meta["slope"],
    }
    config = Config(model="gaia", depth=8, latent=2, batch_size=8, **settings)
    model = method((32, 32, 1), 10, **vars(config))
    model.compile()
    golden.assign(arrays, networks(model))
    losses, images = [], []
    mixer = golden.Fixed(arrays["step0/indices"], arrays["step0/weights"][:, :, None, None, None])
    model.mixer = mixer
    for step in range(2):
        key = f"step{step}"
        mixer.set(arrays[f"{key}/indices"], arrays[f"{key}/weights"][:, :, None, None, None])
        made = model.forward(tf.constant(arrays["x"][step]))
        found = {"h": made.h, "recon": made.recon, "h_mix": made.h_mix, "mix": made.mix}
        found |= {
            "d_x": model.discriminator(made.x),
            "d_xrecon": model.discriminator(made.recon),
            "d_xmix": model.discriminator(made.mix),
        }
        images += [np.abs(value - arrays[f"{key}/{one}"]).max() for one, value in found.items()]
        logs = model.train_on_batch(arrays["x"][step], return_dict=True)
        for theirs, ours in LOSSES.items():
            losses.append(abs(logs[ours] / arrays[f"{key}/loss/{theirs}"] - 1))
    weights = np.concatenate(list(golden.differences(arrays, networks(model)).values()))
    return max(losses), max(images), weights


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_equal_the_reference_implementation_of_gaia(name):
    losses, images, weights = replay(name)
    assert losses < 2e-6
    assert images < 2e-6
    assert weights.max() < 1e-6


class HeldShares(GAIA):
    """c and w without gradient."""

    def _objectives(self, means):
        held = {name: tf.stop_gradient(value) for name, value in means.items()}
        slope = self.config.balance_slope
        share_fake = tf.minimum(tf.sigmoid(slope * (held["gan_mix"] / 2 - held["disc_real"])), 0.9)
        share_mix = tf.sigmoid(slope * (held["gan_mix"] - held["gan_recon"]))
        _, _, shares = super()._objectives(held)
        fake = (means["gan_recon"] + means["gan_mix"]) / 2
        gen = share_mix * means["gan_mix"] + (1 - share_mix) * means["gan_recon"]
        return (
            gen + self.config.structure_weight * means["distance"],
            means["disc_real"] - share_fake * fake,
            shares,
        )


class SwappedSign(GAIA):
    """The discriminator lowers its error on reconstructions."""

    def _objectives(self, means):
        gen, disc, shares = super()._objectives(means)
        return gen, disc + shares["share_fake"] * means["gan_recon"], shares


class Log2(GAIA):
    """Distances in log2, as the author's post has them."""

    def _errors(self, forward):
        errors = super()._errors(forward)
        return errors | {"distance": errors["distance"] / np.log(2) ** 2}


@pytest.mark.parametrize("wrong", [HeldShares, SwappedSign, Log2])
def test_recording_tells_wrong_variants_apart(wrong):
    losses, _, weights = replay(NAMES[0], wrong)
    assert losses > 1e-3 or np.mean(weights < 1e-6) < 0.9
