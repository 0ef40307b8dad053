"""Copies of encoder, decoder and probe that Keras loads without this package, and their `.keras` archives."""

import pathlib
from typing import Any

import keras

FOLDER = "keras"


def write(folder: pathlib.Path, model) -> None:
    """Writes `encoder.keras` (images -> codes) and `decoder.keras` (codes -> images) to the folder `<folder>/keras`."""
    (folder / FOLDER).mkdir()
    for network in (encoder_of(model), decoder_of(model)):
        network.save(folder / FOLDER / f"{network.name}.keras")


def encoder_of(model) -> keras.Model:
    """Returns a copy of the encoder, images -> codes. Keras can load the copy without this package."""
    encoder, maps = _copy(model.encoder), model.code_shape[-1]
    image = keras.Input(model.image_shape)
    if encoder(image).shape[-1] > maps:  # the encoder of a VAE also returns log-variances, after the codes
        encoder = keras.Model(image, encoder(image)[..., :maps])
    encoder.name = "encoder"
    return encoder


def decoder_of(model) -> keras.Model:
    """Returns a copy of the decoder, codes -> images. Keras can load the copy without this package."""
    decoder = _copy(model.decoding_network())
    decoder.name = "decoder"
    return decoder


def probe_of(model) -> keras.Model:
    """Returns a copy of the probe, codes -> logits. Keras can load the copy without this package."""
    probe = _copy(model.classifying_network())
    probe.name = "probe"
    return probe


def _copy(network: keras.Model) -> keras.Model:
    copy = type(network).from_config(_without_initializers(network.get_config()))
    copy.set_weights(network.get_weights())
    return copy


def _without_initializers(config: Any) -> Any:
    """Replaces initializers by "zeros", because loading an initializer can need this package. Weights are set later."""
    if isinstance(config, list | tuple):
        return type(config)(_without_initializers(item) for item in config)
    if not isinstance(config, dict):
        return config
    return {
        name: "zeros" if name.endswith("_initializer") and value else _without_initializers(value)
        for name, value in config.items()
    }
