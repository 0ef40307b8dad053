"""Encoder and decoder as `.keras` archives that Keras alone can load."""

import pathlib
from typing import Any

import keras

FOLDER = "keras"


def write(folder: pathlib.Path, model) -> None:
    """Writes `<folder>/keras/encoder.keras`, images to codes, and `decoder.keras`, codes to images."""
    (folder / FOLDER).mkdir()
    encoder, maps = _copy(model.encoder), model.code_shape[-1]
    image = keras.Input(model.image_shape)
    if encoder(image).shape[-1] > maps:  # a VAE's encoder gives variances after the codes
        encoder = keras.Model(image, encoder(image)[..., :maps], name="encoder")
    encoder.save(folder / FOLDER / "encoder.keras")
    _copy(model.decoding_network()).save(folder / FOLDER / "decoder.keras")


def _copy(network: keras.Model) -> keras.Model:
    copy = type(network).from_config(_without_initializers(network.get_config()))
    copy.set_weights(network.get_weights())
    return copy


def _without_initializers(config: Any) -> Any:
    """Drops the initializers: loading them would need this package, and the weights are saved anyway."""
    if isinstance(config, list | tuple):
        return type(config)(_without_initializers(item) for item in config)
    if not isinstance(config, dict):
        return config
    return {
        name: "zeros" if name.endswith("_initializer") and value else _without_initializers(value)
        for name, value in config.items()
    }
