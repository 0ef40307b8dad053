"""Published defaults of each method, network and data set, and the settings that a method fixes or ignores."""

from typing import Any

# Methods of the ACAI paper. They use its networks, losses and training length.
ACAI_PAPER = ("acai", "denoising", "dropout", "aae", "vqvae")
_ACAI = {
    "arch": "acai", "lambda_": 1.0, "recon_loss": "l2", "update_g_every": 1, "adam_beta1": 0.9, "adam_beta2": 0.999,
    "weight_decay": 0.0, "image_fit": "pad", "epochs": 256, "steps_per_epoch": 1024,
}  # fmt: skip

# fmt: off
# Each row is (condition on the settings of a run, published values that replace the general defaults). Later rows win.
# `Config` must declare the settings of a condition before the settings that the condition changes.
PUBLISHED_DEFAULTS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"dataset": "spiral"}, {"arch": "mlp", "latent": 2}),
    ({"dataset": "mnist"}, {"epochs": 2000}),
    ({"dataset": "fashion_mnist"}, {"epochs": 2000}),
    ({"dataset": "kmnist"}, {"epochs": 5000}),
    ({"dataset": "svhn"}, {"epochs": 4000}),
    ({"dataset": "cifar10"}, {"epochs": 3000}),
    ({"dataset": "dsprites"}, {"arch": "burgess", "epochs": 500}),
    ({"dataset": "celeba"}, {"arch": "resnet", "attributes": "Male,Heavy_Makeup,Wearing_Lipstick"}),
    ({"dataset": "zappos"}, {"arch": "resnet"}),
    ({"arch": "burgess"}, {"latent": 10, "recon_loss": "bce_sum", "weight_decay": 0.0}),
    ({"arch": "resnet"}, {"latent": 512, "depth": 64, "latent_width": 8}),
    # A plain autoencoder has no discriminator, so it is updated on every step.
    ({"model": "ae"}, {"update_g_every": 1, "lambda_": 1.0}),
    ({"model": "vae"}, {"update_g_every": 1, "lambda_": 1.0, "adam_beta1": 0.9}),
    *(({"model": name}, _ACAI) for name in ACAI_PAPER),
    ({"model": "acai"}, {"gan_loss": "lsgan"}),
    (
        {"model": "gaia"},
        {"arch": "acai", "mixer": "gaussian", "lambda_": 0.0, "update_g_every": 1, "adam_beta1": 0.9,
         "adam_beta2": 0.999, "weight_decay": 0.0},
    ),
    # The AMR paper's rerun of ACAI uses L1 with all networks.
    ({"model": "acai_rerun"}, {"recon_loss": "l1"}),
    *(
        ({"model": name, "dataset": dataset}, {"depth": 64})
        for name in ACAI_PAPER
        for dataset in ("svhn", "cifar10", "celeba")
    ),
    *(({"model": name, "dataset": "spiral"}, {"arch": "mlp"}) for name in (*ACAI_PAPER, "gaia")),
    # On the lines data, the ACAI paper uses latent 16, depth 16 and latent_width 2 together. Runs with another latent
    # or depth are other models and keep the general latent_width. The VQ-VAE's code is 4 pixels wide on all data sets.
    *(
        ({"model": name, "dataset": "lines", "latent": 16, "depth": 16}, {"latent_width": 2})
        for name in ACAI_PAPER
        if name != "vqvae"
    ),
    ({"recon_loss": "l2"}, {"consistency_loss": "l2"}),
)
# fmt: on

_ALONE = {"update_g_every": (1, "An autoencoder has no discriminator to train between its updates")}
_ONE_COEFFICIENT = {
    "k": (2, "ACAI predicts the mixing coefficient of a pair"),
    "mixer": ("mixup", "ACAI predicts one mixing coefficient for a mix"),
}
# For each method, the settings for which it accepts one value only: that value and the reason.
FIXED: dict[str, dict[str, tuple[Any, str]]] = {
    "ae": _ALONE,
    "denoising": _ALONE,
    "dropout": _ALONE,
    "vae": _ALONE,
    "vqvae": _ALONE,
    "gaia": {
        "k": (2, "GAIA mixes pairs"),
        "mixer": ("gaussian", "GAIA has its own pairs with Gaussian weights"),
        "gan_loss": ("bce", "GAIA's discriminator has a reconstruction error and no score"),
        "update_g_every": (1, "GAIA balances its players anew on every step"),
    },
    "acai": _ONE_COEFFICIENT | {"gan_loss": ("lsgan", "ACAI's losses are squared errors")},
    "acai_rerun": _ONE_COEFFICIENT,
    "amr_supervised": {
        "k": (2, "A mask chooses between two codes"),
        "mixer": ("mixup", "The mixes without attributes are those of mixup"),
    },
}
# For each architecture, the size settings that it ignores.
UNUSED_SIZES: dict[str, tuple[str, ...]] = {
    "burgess": ("depth", "latent_width"),
    "mlp": ("latent_width",),
    "style": ("latent_width",),
}
# For each method, the settings that it accepts but ignores.
UNUSED: dict[str, tuple[str, ...]] = {
    name: ("mixer", "k") for name in ("ae", "denoising", "dropout", "vae", "aae", "vqvae", "aegan")
}
