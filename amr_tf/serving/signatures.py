"""Signatures of an exported model: the requests that it answers, with their inputs, outputs and computations.

A server with batching joins the requests of different clients along dimension 0. So every input has that dimension,
and no signature mixes across it.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from amr_tf import mixing
from amr_tf.data import pixels
from amr_tf.serving import names, picture_files

# Names of the inputs and outputs that are pictures: signatures called *_uint8 take and give these as bytes.
PICTURES = {"images", "first", "second", "reconstructions"}
BYTES = "in 0 .. 255"
FLOATS = {"inputs": "in [-1, 1]", "outputs": "-1 black, 1 white; some networks exceed them a little"}
CODES = {"codes": "the codes"}


class Value(NamedTuple):
    """An input: its shape with None where a size is free, its description, and its type."""

    shape: tuple[int | None, ...]
    description: str
    dtype: tf.DType = tf.float32


@dataclasses.dataclass(frozen=True)
class Signature:
    """A request that an exported model answers.

    Attributes:
        description: a sentence for the model card.
        inputs: by name. The free sizes at the beginning of the first input's shape are shared by all inputs.
        outputs: descriptions by name.
        compute: takes the inputs in order and returns the outputs by name.
    """

    description: str
    inputs: dict[str, Value]
    outputs: dict[str, str]
    compute: Callable[..., dict[str, tf.Tensor]]

    def input_specs(self) -> dict[str, tf.TensorSpec]:
        """The inputs as `tf.function` takes them, by name."""
        return {name: tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in self.inputs.items()}

    def __call__(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the outputs by name, or fails with the name of an empty or misshapen input.

        A server does not compare requests with the declared shapes.
        """
        checked = [
            tf.ensure_shape(value, one.shape, name=name)
            for (name, one), value in zip(self.inputs.items(), values, strict=True)
        ]
        first, sizes = next(iter(self.inputs)), tf.shape(checked[0])
        shared = self.inputs[first].shape.count(None)
        empty = f"{first} is empty: at least one example is needed"
        assertions = [tf.debugging.assert_positive(tf.reduce_min(sizes), message=empty)]
        for name, value in zip(self.inputs, checked, strict=True):
            message = f"{name} does not fit {first}: their first dimensions differ"
            assertions.append(
                tf.debugging.assert_equal(tf.shape(value)[:shared], sizes[:shared], message=message)
            )
        with tf.control_dependencies(assertions):
            return self.compute(*map(tf.identity, checked))

    def with_bytes(self) -> "Signature":
        """Returns the same request with uint8 instead of float pictures, as inputs and outputs."""
        inputs = {
            name: one._replace(dtype=tf.uint8) if name in PICTURES else one
            for name, one in self.inputs.items()
        }

        def compute(*values):
            found = self(*map(pixels.to_float, values)).items()
            return {name: pixels.to_uint8(value) if name in PICTURES else value for name, value in found}

        return dataclasses.replace(self, inputs=inputs, compute=compute)

    def describe(self, outputs: dict[str, tf.TensorSpec]) -> dict[str, Any]:
        """The signature as signatures.json has it, null where a size is free; `outputs` are those that were traced."""
        described: dict[str, Any] = {"description": self.description, "inputs": {}, "outputs": {}}
        for side, values in (("inputs", self.inputs), ("outputs", outputs)):
            for name, one in values.items():
                text = one.description if side == "inputs" else self.outputs[name]
                if name in PICTURES:
                    text += f", {BYTES if one.dtype == tf.uint8 else FLOATS[side]}"
                shape = list(one.shape)
                described[side][name] = {"dtype": one.dtype.name, "shape": shape, "description": text}
        return described


def signatures(
    model, attribute_names: tuple[str, ...] = (), white: int = picture_files.DEEP
) -> dict[str, Signature]:
    """Returns all signatures of a model by name, `reconstruct` first.

    Args:
        model: an `Autoencoder`. Its spectral norms are frozen: an answer must not depend on previous ones.
        attribute_names: names of the attributes of `mix_attributes`.
        white: value of 16-bit grey pictures that is white.
    """
    networks = _Networks(model)
    found = networks.signatures(attribute_names)
    if model.has_discriminator:
        for layer in getattr(model.discriminator, "spectral_layers", ()):
            layer.steps_in_eval = False
    if model.image_shape[0] == 1:  # a point is not made of bytes
        return found
    pictures = [(name, one) for name, one in found.items() if PICTURES & {*one.inputs, *one.outputs}]
    found |= {name + names.BYTES: one.with_bytes() for name, one in pictures}
    files = Value((None,), "PNG, JPEG, GIF or BMP files; over REST {'b64': ...}", tf.string)
    text = (
        "Image files are encoded, with the pixels that they have in a folder of training pictures. Files turned by "
        "EXIF data, CMYK and WebP are refused."
    )
    found["encode" + names.FILES] = Signature(
        text, {"image_bytes": files}, CODES, functools.partial(networks.encode_files, white)
    )
    return found


class _Networks:
    """The computations of all signatures, on encoder, decoder and probe, each of which is traced once."""

    def __init__(self, model):
        self.model, self.image_shape, self.code_shape = model, model.image_shape, model.code_shape
        images = tf.TensorSpec((None, *self.image_shape), tf.float32)
        codes = tf.TensorSpec((None, *self.code_shape), tf.float32)
        self.encode = tf.function(model.encode, input_signature=[images])
        self.decode = tf.function(model.decode, input_signature=[codes])
        self.probe = tf.function(model.classify, input_signature=[codes])

    def signatures(self, attribute_names: tuple[str, ...]) -> dict[str, Signature]:
        """The signatures of floats."""
        images = {"images": Value((None, *self.image_shape), "images")}
        codes = {"codes": Value((None, *self.code_shape), "codes as `encode` gives them")}
        pair = {"first": images["images"], "second": images["images"]._replace(description="as many images")}
        alpha = {"alpha": Value((None,), "the share of the first, usually in [0, 1]")}
        many = {"images": Value((None, None, *self.image_shape), "k images for each mix, any k")}
        weights = {"weights": Value((None, None), "usually >= 0 with sum 1")}
        per_map = (None, None, self.code_shape[-1])
        masks = {"masks": Value(per_map, "1 for the image that gives a feature map, otherwise 0")}
        decoded, mixes = {"images": "the decoded codes"}, {"images": "the decoded mixes"}
        logits = {"logits": "one for each class", "probabilities": "their softmax"}
        table: dict[str, Any] = {
            "reconstruct": (images, {"reconstructions": "the decoded codes", **CODES}, self.reconstruct),
            "encode": (images, CODES, lambda images: {"codes": self.encode(images)}),
            "decode": (codes, decoded, lambda codes: {"images": self.decode(codes)}),
            "classify": (images, logits, self.classify),
            "interpolate": (pair | alpha, mixes, self.interpolate),
            "mix": (many | weights, mixes, self.mix),
            "mix_bernoulli": (many | masks, mixes, self.mix),
        }
        if self.model.has_discriminator:
            table["discriminate"] = (images, {"scores": self.model.score_meaning}, self.discriminate)
        if self.model.needs_attributes:
            requested = Value((None, self.model.attributes), f"0 or 1 each: {', '.join(attribute_names)}")
            mask = {"parameters": "probability that the first image gives a map, as for `mix_bernoulli`"}
            table["mix_attributes"] = (pair | {"attributes": requested}, mixes | mask, self.mix_attributes)
        return {name: Signature(names.DESCRIPTIONS[name], *one) for name, one in table.items()}

    def reconstruct(self, images):
        codes = self.encode(images)
        return {"reconstructions": self.decode(codes), "codes": codes}

    def classify(self, images):
        logits = self.probe(self.encode(images))
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    def discriminate(self, images):
        return {"scores": self.model.score(images)}

    def mix(self, images, weights):
        """Decodes mixes of k images each.

        Args:
            images: [B, k, H, W, C].
            weights: [B, k], or [B, k, feature maps].
        """
        ones = [tf.newaxis] * (len(self.code_shape) + 2 - len(weights.shape))
        codes = self.encode(tf.reshape(images, (-1, *self.image_shape)))
        indices = tf.reshape(tf.range(tf.shape(codes)[0]), tf.shape(images)[:2])
        return {"images": self.decode(mixing.mix(codes, indices, weights[:, :, *ones]))}

    def interpolate(self, first, second, alpha):
        return self.mix(tf.stack([first, second], axis=1), tf.stack([alpha, 1 - alpha], axis=1))

    def mix_attributes(self, first, second, attributes):
        parameters = self.model.mask_parameters(attributes)
        soft = self.model.config.mask_gradient == "soft"  # trained without draws
        mask = parameters if soft else tf.cast(parameters >= 0.5, tf.float32)
        mixed = self.mix(tf.stack([first, second], axis=1), tf.stack([mask, 1 - mask], axis=1))
        return mixed | {"parameters": parameters}

    def encode_files(self, white, files):
        images = tf.map_fn(
            lambda data: picture_files.read(data, self.image_shape, white),
            files,
            fn_output_signature=tf.TensorSpec(self.image_shape, tf.float32),
        )
        return {"codes": self.encode(images / 127.5 - 1)}
