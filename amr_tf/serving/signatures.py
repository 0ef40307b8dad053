"""Signatures of an exported model: the requests that it answers, with their inputs, outputs and computations.

A server with batching joins the requests of different clients along dimension 0. So every input has that dimension,
and no signature mixes across it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from amr_tf import mixing
from amr_tf.data import pixels

# Names of the inputs and outputs that are pictures: signatures called *_uint8 take and give these as bytes.
PICTURES = {"images", "first", "second", "reconstructions"}
FLOATS, BYTES = "in [-1, 1]", "in 0 .. 255"
DECODED = "-1 black, 1 white; some networks exceed them a little"
MIXES, CODES = {"images": f"the decoded mixes, {DECODED}"}, {"codes": "the codes"}
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as in Pillow


class Value(NamedTuple):
    """An input: its type, its shape with None where a size is free, and its description."""

    dtype: tf.DType
    shape: tuple[int | None, ...]
    description: str


@dataclasses.dataclass(frozen=True)
class Signature:
    """A request that an exported model answers.

    Attributes:
        description: a sentence for the model card.
        inputs: by name. The free sizes at the beginning of the first one's shape are shared by all inputs.
        outputs: descriptions by name.
        compute: takes the inputs in their order, returns the outputs by name.
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

        A server feeds what a client sent without comparing it with the declared shapes.
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
        """The same request with uint8 in place of float pictures, in and out."""
        inputs = {
            name: Value(tf.uint8, one.shape, one.description.replace(FLOATS, BYTES))
            if name in PICTURES
            else one
            for name, one in self.inputs.items()
        }

        def compute(*values):
            found = self(*map(pixels.to_float, values)).items()
            return {name: pixels.to_uint8(value) if name in PICTURES else value for name, value in found}

        outputs = {name: text.replace(DECODED, BYTES) for name, text in self.outputs.items()}
        return Signature(self.description, inputs, outputs, compute)

    def describe(self, outputs: dict[str, tf.TensorSpec]) -> dict[str, Any]:
        """The signature as signatures.json has it, null where a size is free; `outputs` are those that were traced."""

        def one(value, description: str) -> dict[str, Any]:
            return {"dtype": value.dtype.name, "shape": list(value.shape), "description": description}

        return {
            "description": self.description,
            "inputs": {name: one(value, value.description) for name, value in self.inputs.items()},
            "outputs": {name: one(value, self.outputs[name]) for name, value in outputs.items()},
        }


def signatures(model, attribute_names: tuple[str, ...] = ()) -> dict[str, Signature]:
    """All signatures of a model by name, `reconstruct` first.

    Args:
        model: an `Autoencoder`. Its spectral norms are frozen: an answer must not depend on the ones before it.
        attribute_names: names of the attributes of `mix_attributes`.
    """
    networks = _Networks(model)
    found = _of_codes(networks) | _of_mixes(networks, attribute_names)
    if model.image_shape[0] == 1:  # a point is not made of bytes
        return found
    pictures = [(name, one) for name, one in found.items() if PICTURES & {*one.inputs, *one.outputs}]
    found |= {f"{name}_uint8": one.with_bytes() for name, one in pictures}
    files = Value(tf.string, (None,), "PNG, JPEG, WebP, BMP or GIF files; over REST {'b64': ...}")
    found["encode_png"] = Signature(
        "Image files are encoded: the shorter side is resized, antialiased, to the model's, the middle cut out.",
        {"image_bytes": files},
        CODES,
        networks.encode_files,
    )
    return found


def _of_codes(networks: "_Networks") -> dict[str, Signature]:
    images = {"images": networks.images("images")}
    codes = {"codes": Value(tf.float32, (None, *networks.code_shape), "codes as `encode` gives them")}
    decoded = f"the decoded codes, {DECODED}"
    reconstructions = {"reconstructions": decoded} | CODES
    logits = {"logits": "one for each class", "probabilities": "their softmax"}
    found = {
        "reconstruct": Signature(
            "Images are encoded and decoded.", images, reconstructions, networks.reconstruct
        ),
        "encode": Signature(
            "Images are encoded.", images, CODES, lambda images: {"codes": networks.encode(images)}
        ),
        "decode": Signature(
            "Codes are decoded.", codes, {"images": decoded}, lambda codes: {"images": networks.decode(codes)}
        ),
        "classify": Signature(
            "The linear probe on the codes predicts the class.", images, logits, networks.classify
        ),
    }
    if networks.model.has_discriminator:
        for layer in networks.model.discriminator.spectral_layers:
            layer.steps_in_eval = False
        scores = {"scores": networks.model.score_meaning}
        found["discriminate"] = Signature(
            "The discriminator scores images.", images, scores, networks.discriminate
        )
    return found


def _of_mixes(networks: "_Networks", attribute_names: tuple[str, ...]) -> dict[str, Signature]:
    pair = {"first": networks.images("images"), "second": networks.images("as many images")}
    many = {"images": networks.images("k images for each mix, any k", None)}
    alpha = {"alpha": Value(tf.float32, (None,), "the share of the first, usually in [0, 1]")}
    weights = {"weights": Value(tf.float32, (None, None), "usually >= 0 with sum 1")}
    per_map = (None, None, networks.code_shape[-1])
    masks = {"masks": Value(tf.float32, per_map, "1 for the image that gives a feature map, otherwise 0")}
    found = {
        "interpolate": Signature(
            "The codes of two images are mixed, alpha of the first and 1 - alpha of the second, and decoded.",
            pair | alpha,
            MIXES,
            networks.interpolate,
        ),
        "mix": Signature(
            "The codes of k images are mixed with one weight for each image, and decoded.",
            many | weights,
            MIXES,
            networks.mix,
        ),
        "mix_bernoulli": Signature(
            "The codes of k images are mixed with one weight for each image and feature map, and decoded.",
            many | masks,
            MIXES,
            networks.mix,
        ),
    }
    if networks.model.needs_attributes:
        requested = (None, networks.model.attributes)
        found["mix_attributes"] = Signature(
            "Two images are mixed with the most probable mask for the requested attributes, and decoded.",
            pair | {"attributes": Value(tf.float32, requested, f"0 or 1 each: {', '.join(attribute_names)}")},
            MIXES
            | {"parameters": "probabilities of `mix_bernoulli`'s masks: that the first image gives a map"},
            networks.mix_attributes,
        )
    return found


class _Networks:
    """Encoder, decoder and probe of a model, each traced once, and the computations of the signatures."""

    def __init__(self, model):
        self.model, self.image_shape, self.code_shape = model, model.image_shape, model.code_shape
        images = tf.TensorSpec((None, *self.image_shape), tf.float32)
        codes = tf.TensorSpec((None, *self.code_shape), tf.float32)
        self.encode = tf.function(model.encode, input_signature=[images])
        self.decode = tf.function(model.decode, input_signature=[codes])
        self.probe = tf.function(
            lambda h: tf.cast(model.probe(h, training=False), tf.float32), input_signature=[codes]
        )

    def images(self, description: str, *free: None) -> Value:
        return Value(tf.float32, (None, *free, *self.image_shape), f"{description}, {FLOATS}")

    def reconstruct(self, images):
        codes = self.encode(images)
        return {"reconstructions": self.decode(codes), "codes": codes}

    def classify(self, images):
        logits = self.probe(self.encode(images))
        return {"logits": logits, "probabilities": tf.nn.softmax(logits)}

    def discriminate(self, images):
        return {"scores": self.model.discriminator(images, training=False)}

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

    def encode_files(self, files):
        images = tf.map_fn(
            self._read_file, files, fn_output_signature=tf.TensorSpec(self.image_shape, tf.float32)
        )
        return {"codes": self.encode(tf.clip_by_value(images, 0, 255) / 127.5 - 1)}

    def _read_file(self, data):
        height, width, channels = self.image_shape
        # The name is what a client sees of an error. Not every format can be read as grey.
        image = tf.io.decode_image(data, 3, expand_animations=False, name="image_bytes")
        image = tf.cast(image, tf.float32)
        if channels == 1:
            image = tf.tensordot(image, LUMA, 1)[..., None]
        size = tf.cast(tf.shape(image)[:2], tf.float32)
        scale = tf.reduce_max([height, width] / size)
        fitting = tf.maximum(tf.cast(tf.round(size * scale), tf.int32), [height, width])
        image = tf.image.resize(image, fitting, antialias=True)
        return tf.image.resize_with_crop_or_pad(image, height, width)
