"""The networks by the name that `--arch` takes. Each makes an encoder, a decoder, a discriminator and a probe."""

from typing import Any

from amr_tf.networks import convolutional
from amr_tf.networks.burgess import BurgessArch
from amr_tf.networks.mlp import MlpArch
from amr_tf.networks.resnet import ResnetArch

ARCHS: dict[str, Any] = {
    "amr": convolutional.ConvolutionalArch(convolutional.AMR),
    "acai": convolutional.ConvolutionalArch(convolutional.ACAI),
    "amr_fixed": convolutional.ConvolutionalArch(convolutional.AMR_FIXED),
    "burgess": BurgessArch(),
    "mlp": MlpArch(),
    "resnet": ResnetArch(),
}
