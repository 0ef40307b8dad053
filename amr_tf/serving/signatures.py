"""Signatures of an exported model. A signature is one kind of request, with inputs, outputs and a computation.

A server with batching concatenates requests of different clients along dimension 0. So dimension 0 of every input is
the batch, and no signature mixes different examples of a batch.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from amr_tf import mixing
from amr_tf.data import pixels
from amr_tf.serving import names, picture_files

# Names of the inputs and outputs that are images. Signatures with the suffix _uint8 use uint8 for these tensors.
PICTURES = {"images", "first", "second", "reconstructions"}
BYTES = "in 0 .. 255"
FLOATS = {"inputs": "in [-1, 1]", "outputs": "-1 black, 1 white; some networks exceed them a little"}
CODES = {"codes": "the codes"}


class Value(NamedTuple):
    """An input of a signature. In the shape, None is a dimension of variable size."""

    shape: tuple[int | None, ...]
    description: str
    dtype: tf.DType = tf.float32


@dataclasses.dataclass(frozen=True)
class Signature:
    """One kind of request to an exported model.

    Attributes:
        description: a sentence for the model card.
        inputs: inputs by name. If the first input has n dimensions of variable size, the first n dimensions of all
            inputs must have equal sizes.
        outputs: descriptions of the outputs by name.
        compute: function that takes the inputs in the order of `inputs` and returns the outputs by name.
    """

    description: str
    inputs: dict[str, Value]
    outputs: dict[str, str]
    compute: Callable[..., dict[str, tf.Tensor]]

    def input_specs(self) -> dict[str, tf.TensorSpec]:
        """Returns the `tf.TensorSpec` of each input by name."""
        return {name: tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in self.inputs.items()}

    def __call__(self, *values: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes the outputs by name.

        The shapes of the inputs are checked here, because a server does not compare requests with the declared shapes.
        An empty input or an input of a wrong shape causes an error with the name of the input.
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
        """Returns the same signature with uint8 images instead of float images, for inputs and outputs."""
        inputs = {
            name: one._replace(dtype=tf.uint8) if name in PICTURES else one
            for name, one in self.inputs.items()
        }

        def compute(*values):
            found = self(*map(pixels.to_float, values)).items()
            return {name: pixels.to_uint8(value) if name in PICTURES else value for name, value in found}

        return dataclasses.replace(self, inputs=inputs, compute=compute)

    def describe(self, outputs: dict[str, tf.TensorSpec]) -> dict[str, Any]:
        """Returns the signature's entry for signatures.json.

        Args:
            outputs: specifications of the traced outputs by name. Dimensions of variable size become null in JSON.
        """
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
        model: an `Autoencoder`. This function disables power steps of spectral normalisation outside training, because
            a response must not depend on previous requests.
        attribute_names: names of the attributes, for the description of `mix_attributes`.
        white: value of 16-bit greyscale images that is converted to white.
    """
    networks = _Networks(model)
    found = networks.signatures(attribute_names)
    if model.has_discriminator:
        for layer in getattr(model.discriminator, "spectral_layers", ()):
            layer.steps_in_eval = False
    if model.image_shape[0] == 1:  # 2-D points cannot be stored as uint8 images
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
    """Computations of all signatures. The encoder, the decoder and the probe are traced only once."""

    def __init__(self, model):
        self.model, self.image_shape, self.code_shape = model, model.image_shape, model.code_shape
        images = tf.TensorSpec((None, *self.image_shape), tf.float32)
        codes = tf.TensorSpec((None, *self.code_shape), tf.float32)
        self.encode = tf.function(model.encode, input_signature=[images])
        self.decode = tf.function(model.decode, input_signature=[codes])
        self.probe = tf.function(model.classify, input_signature=[codes])

    def signatures(self, attribute_names: tuple[str, ...]) -> dict[str, Signature]:
        """Returns the signatures whose images are floats, by name."""
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
        soft = self.model.config.mask_gradient == "soft"  # trained without sampled masks
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
