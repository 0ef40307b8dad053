"""Adversarial Mixup Resynthesis, ACAI and their relatives in TensorFlow 2 and Keras 3.

    run = amr_tf.train(dataset="lines", epochs=2)            # keyword arguments are flags of the command line
    run = amr_tf.load("runs/lines/demo")                     # opens a run folder
    model = amr_tf.AMR(image_shape=(32, 32, 1), num_classes=10)  # a keras.Model

`import amr_tf` imports neither TensorFlow nor Keras. The first use of `load`, `train` or a class imports both, with the
Keras backend and the number of threads that the commands use. The Python API and the commands therefore compute the
same results.
"""

import importlib
from typing import TYPE_CHECKING, Any

from amr_tf import registry

if TYPE_CHECKING:
    from amr_tf.api import Run as Run
    from amr_tf.api import load as load
    from amr_tf.models.aae import AAE as AAE
    from amr_tf.models.acai import ACAI as ACAI
    from amr_tf.models.acai import ACAIRerun as ACAIRerun
    from amr_tf.models.amr import AEGAN as AEGAN
    from amr_tf.models.amr import AMR as AMR
    from amr_tf.models.amr_supervised import SupervisedAMR as SupervisedAMR
    from amr_tf.models.autoencoder import Autoencoder as Autoencoder
    from amr_tf.models.denoising import DenoisingAutoencoder as DenoisingAutoencoder
    from amr_tf.models.dropout import DropoutAutoencoder as DropoutAutoencoder
    from amr_tf.models.gaia import GAIA as GAIA
    from amr_tf.models.vae import VAE as VAE
    from amr_tf.models.vqvae import VQVAE as VQVAE
    from amr_tf.networks.own import Networks as Networks

__version__ = "0.2.0"

# Public names and their import paths. Names in `_MODULES` are modules; the module `train` is also callable.
_PUBLIC = {
    "load": "amr_tf.api:load",
    "Run": "amr_tf.api:Run",
    "Networks": "amr_tf.networks.own:Networks",
}
_PUBLIC |= {path.rpartition(":")[2]: path for path in registry.MODELS.values()}
_MODULES = ("train", "metrics", "mixing", "losses")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"amr_tf.{name}")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'amr_tf' has no attribute {name!r}")
    from amr_tf.runtime import startup

    startup.import_tensorflow()
    globals()[name] = value = registry.load(_PUBLIC, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC, *_MODULES})
