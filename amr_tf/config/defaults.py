"""Published defaults of each method, network and data set, and the settings that a method fixes or ignores."""

from typing import Any

# fmt: off
# (settings that a run has, published values that then replace the general defaults). Later rows win. The settings on
# the left are declared before the ones on the right.
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
    # A plain autoencoder has no second player to wait for.
    ({"model": "ae"}, {"update_g_every": 1, "lambda_": 1.0}),
    ({"model": "vae"}, {"update_g_every": 1, "lambda_": 1.0, "adam_beta1": 0.9}),
    (
        {"model": "acai"},
        {"arch": "acai", "lambda_": 1.0, "recon_loss": "l2", "gan_loss": "lsgan", "update_g_every": 1,
         "adam_beta1": 0.9, "adam_beta2": 0.999, "weight_decay": 0.0, "image_fit": "pad",
         "epochs": 256, "steps_per_epoch": 1024},
    ),
    # The AMR paper's rerun of ACAI has no other reconstruction loss, whatever the networks.
    ({"model": "acai_rerun"}, {"recon_loss": "l1"}),
    ({"model": "acai", "dataset": "svhn"}, {"depth": 64}),
    ({"model": "acai", "dataset": "cifar10"}, {"depth": 64}),
    ({"model": "acai", "dataset": "celeba"}, {"depth": 64}),
    ({"model": "acai", "dataset": "spiral"}, {"arch": "mlp"}),
    # ACAI's model of the lines is one whole: with another latent or depth it is no longer that model.
    ({"model": "acai", "dataset": "lines", "latent": 16, "depth": 16}, {"latent_width": 2}),
    ({"recon_loss": "l2"}, {"consistency_loss": "l2"}),
)
# fmt: on

_ALONE = {"update_g_every": (1, "An autoencoder has no discriminator to train between its updates")}
_ONE_COEFFICIENT = {
    "k": (2, "ACAI predicts the mixing coefficient of a pair"),
    "mixer": ("mixup", "ACAI predicts one mixing coefficient for a mix"),
}
# For each method, settings that it takes with one value only, with the reason.
FIXED: dict[str, dict[str, tuple[Any, str]]] = {
    "ae": _ALONE,
    "vae": _ALONE,
    "acai": _ONE_COEFFICIENT | {"gan_loss": ("lsgan", "ACAI's losses are squared errors")},
    "acai_rerun": _ONE_COEFFICIENT
    | {"recon_loss": ("l1", "The AMR paper's rerun of ACAI reconstructs with l1")},
    "amr_supervised": {
        "k": (2, "A mask chooses between two codes"),
        "mixer": ("mixup", "The mixes without attributes are those of mixup"),
    },
}
# For each network, sizes that have no effect on it.
UNUSED_SIZES: dict[str, tuple[str, ...]] = {"burgess": ("depth", "latent_width"), "mlp": ("latent_width",)}
# For each method, settings that it accepts and does not read.
UNUSED: dict[str, tuple[str, ...]] = {
    "ae": ("mixer", "k"),
    "vae": ("mixer", "k"),
    "aegan": ("mixer", "k"),
}
