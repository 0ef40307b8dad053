"""Encoder and decoder as `.keras` archives that Keras alone can load, and the copies that these contain."""

import pathlib
from typing import Any

import keras

FOLDER = "keras"


def write(folder: pathlib.Path, model) -> None:
    """Writes `<folder>/keras/encoder.keras`, images to codes, and `decoder.keras`, codes to images."""
    (folder / FOLDER).mkdir()
    for network in (encoder_of(model), decoder_of(model)):
        network.save(folder / FOLDER / f"{network.name}.keras")


def encoder_of(model) -> keras.Model:
    """Returns a copy of the encoder, images -> codes, that names no class of this package."""
    encoder, maps = _copy(model.encoder), model.code_shape[-1]
    image = keras.Input(model.image_shape)
    if encoder(image).shape[-1] > maps:  # a VAE's encoder gives variances after the codes
        encoder = keras.Model(image, encoder(image)[..., :maps])
    encoder.name = "encoder"
    return encoder


def decoder_of(model) -> keras.Model:
    """Returns a copy of the decoder, codes -> images, likewise."""
    decoder = _copy(model.decoding_network())
    decoder.name = "decoder"
    return decoder


def probe_of(model) -> keras.Model:
    """Returns a copy of the probe, codes -> logits, likewise."""
    probe = _copy(model.classifying_network())
    probe.name = "probe"
    return probe


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
