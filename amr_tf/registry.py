"""Tables from names in flags to import paths. `load` imports the module of a name when the name is used.

A new method, mixer, network, loss, data set, metric or figure needs one file and one line in a table.
"""

import importlib
from collections.abc import Mapping
from typing import Any

MODELS = {
    "ae": "amr_tf.models.autoencoder:Autoencoder",
    "denoising": "amr_tf.models.denoising:DenoisingAutoencoder",
    "dropout": "amr_tf.models.dropout:DropoutAutoencoder",
    "vae": "amr_tf.models.vae:VAE",
    "aae": "amr_tf.models.aae:AAE",
    "vqvae": "amr_tf.models.vqvae:VQVAE",
    "aegan": "amr_tf.models.amr:AEGAN",
    "amr": "amr_tf.models.amr:AMR",
    "amr_supervised": "amr_tf.models.amr_supervised:SupervisedAMR",
    "acai": "amr_tf.models.acai:ACAI",
    "acai_rerun": "amr_tf.models.acai:ACAIRerun",
    "gaia": "amr_tf.models.gaia:GAIA",
}
MIXERS = {
    "mixup": "amr_tf.mixing:Mixup",
    "mixup_channel": "amr_tf.mixing:ChannelMixup",
    "bernoulli": "amr_tf.mixing:Bernoulli",
    "bernoulli_unit": "amr_tf.mixing:UnitBernoulli",
    "gaussian": "amr_tf.mixing:GaussianMixup",
    "style": "amr_tf.mixing:StyleCrossover",
}
MASK_GRADIENTS = {
    "straight_through": "amr_tf.mixing:straight_through",
    "soft": "amr_tf.mixing:soft",
    "gumbel": "amr_tf.mixing:gumbel",
}
ARCHS = {
    "amr": "amr_tf.networks.convolutional:AMR",
    "acai": "amr_tf.networks.convolutional:ACAI",
    "acai_bounded": "amr_tf.networks.convolutional:ACAI_BOUNDED",
    "amr_fixed": "amr_tf.networks.convolutional:AMR_FIXED",
    "burgess": "amr_tf.networks.burgess:BURGESS",
    "mlp": "amr_tf.networks.mlp:MLP",
    "resnet": "amr_tf.networks.resnet:RESNET",
    "style": "amr_tf.networks.style:STYLE",
}
RECON_LOSSES = {
    "l1": "amr_tf.losses:l1",
    "l2": "amr_tf.losses:l2",
    "bce": "amr_tf.losses:bce",
    "bce_sum": "amr_tf.losses:bce_sum",
}
GAN_LOSSES = {
    "bce": "amr_tf.losses:gan_bce",
    "lsgan": "amr_tf.losses:gan_lsgan",
}
DATASETS = {
    "lines": "amr_tf.data.catalog:LINES",
    "spiral": "amr_tf.data.catalog:SPIRAL",
    "digits": "amr_tf.data.catalog:DIGITS",
    "mnist": "amr_tf.data.catalog:MNIST",
    "kmnist": "amr_tf.data.catalog:KMNIST",
    "fashion_mnist": "amr_tf.data.catalog:FASHION_MNIST",
    "svhn": "amr_tf.data.catalog:SVHN",
    "cifar10": "amr_tf.data.catalog:CIFAR10",
    "dsprites": "amr_tf.data.catalog:DSPRITES",
    "celeba": "amr_tf.data.catalog:CELEBA",
    "zappos": "amr_tf.data.catalog:ZAPPOS",
    "shapes": "amr_tf.data.catalog:SHAPES",
}
FOLDER, NPZ = "folder:", "npz:"
OWN_DATA = {  # data of the user: --dataset=folder:PATH, --dataset=npz:FILE
    FOLDER: "amr_tf.data.catalog:PICTURES",
    NPZ: "amr_tf.data.catalog:ARRAYS",
}
METRICS = {
    "probe": "amr_tf.evaluation.measures:PROBE",
    "probe_pixels": "amr_tf.evaluation.measures:PROBE_PIXELS",
    "probe_few": "amr_tf.evaluation.measures:PROBE_FEW",
    "knn": "amr_tf.evaluation.measures:KNN",
    "clustering": "amr_tf.evaluation.measures:CLUSTERING",
    "reconstruction": "amr_tf.evaluation.measures:RECONSTRUCTION",
    "interpolation": "amr_tf.evaluation.measures:INTERPOLATION",
    "mix_quality": "amr_tf.evaluation.measures:MIX_QUALITY",
    "samples": "amr_tf.evaluation.measures:SAMPLES",
    "attributes": "amr_tf.evaluation.measures:ATTRIBUTES",
    "lines": "amr_tf.evaluation.measures:LINES",
    "style_rows": "amr_tf.evaluation.measures:STYLE_ROWS",
    "manifold": "amr_tf.evaluation.measures:MANIFOLD",
    "spiral": "amr_tf.evaluation.measures:SPIRAL",
    "factor_vae": "amr_tf.evaluation.measures:FACTOR_VAE",
    "factor_vae_disentanglement_lib": "amr_tf.evaluation.measures:FACTOR_VAE_DISENTANGLEMENT_LIB",
    "amr_dfv": "amr_tf.evaluation.measures:AMR_DFV",
    "beta_vae": "amr_tf.evaluation.measures:BETA_VAE",
    "mig": "amr_tf.evaluation.measures:MIG",
    "sap": "amr_tf.evaluation.measures:SAP",
    "dci": "amr_tf.evaluation.measures:DCI",
    "dci_quick": "amr_tf.evaluation.measures:DCI_QUICK",
    "modularity": "amr_tf.evaluation.measures:MODULARITY",
}
FIGURES = {
    "interpolation": "amr_tf.evaluation.figures:INTERPOLATION",
    "triangle": "amr_tf.evaluation.figures:TRIANGLE",
    "traversal": "amr_tf.evaluation.figures:TRAVERSAL",
    "samples": "amr_tf.evaluation.figures:SAMPLES",
    "style_grid": "amr_tf.evaluation.figures:STYLE_GRID",
    "masks": "amr_tf.evaluation.figures:MASKS",
    "attribute_mixes": "amr_tf.evaluation.figures:ATTRIBUTE_MIXES",
    "spiral": "amr_tf.evaluation.point_figures:SPIRAL",
    "latent": "amr_tf.evaluation.point_figures:LATENT",
}


def load(table: Mapping[str, str], name: str) -> Any:
    """Imports and returns the object that a table of this module lists under a name.

    Example:
        >>> load(MIXERS, "mixup").__name__
        'Mixup'

    Raises:
        KeyError: the table has no such name.
    """
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def load_dataset(name: str) -> Any:
    """Returns the `DatasetSpec` for a value of `--dataset`: a name in `DATASETS`, `folder:PATH` or `npz:FILE`."""
    prefix, _ = own_data(name)
    return load(OWN_DATA, prefix) if prefix else load(DATASETS, name)


def own_data(dataset: str) -> tuple[str, str]:
    """Splits `folder:PATH` or `npz:FILE` into prefix and path. Both are "" for other values of `--dataset`.

    Example:
        >>> own_data("npz:faces.npz")
        ('npz:', 'faces.npz')
    """
    prefix = next(filter(dataset.startswith, OWN_DATA), "")
    return prefix, dataset.removeprefix(prefix) if prefix else ""
