"""Names of an export's signatures, inputs and outputs.

The export and the client use this module. It does not import TensorFlow.
"""

from collections.abc import Container

DESCRIPTIONS = {
    "reconstruct": "Images are encoded and decoded.",
    "encode": "Images are encoded.",
    "decode": "Codes are decoded.",
    "classify": "The linear probe on the codes predicts the class.",
    "discriminate": "The discriminator scores images.",
    "interpolate": "The codes of two images are mixed, alpha of the first and 1 - alpha of the second, and decoded.",
    "mix": "The codes of k images are mixed with one weight for each image, and decoded.",
    "mix_bernoulli": "The codes of k images are mixed with one weight for each image and feature map, and decoded.",
    "mix_attributes": "Two images are mixed with the most probable mask for the requested attributes, and decoded.",
}
BYTES = "_uint8"  # suffix of a signature that takes and returns images as uint8
FILES = "_png"  # suffix of a signature that takes image files
_PREFIX = "output_"


def to_onnx(output: str, inputs: Container[str]) -> str:
    """Returns the name of an output in the ONNX model.

    An input and an output of an ONNX graph cannot have the same name. So an output with the name of an input gets a
    prefix.

    Args:
        output: name in the SavedModel.
        inputs: names of the inputs of the same signature.

    Example:
        >>> to_onnx("images", ["images", "weights"]), to_onnx("images", ["codes"])
        ('output_images', 'images')
    """
    return _PREFIX + output if output in inputs else output


def from_onnx(output: str) -> str:
    """Returns the name of an output in the SavedModel for the output's name in the ONNX model.

    Example:
        >>> from_onnx("output_images"), from_onnx("codes")
        ('images', 'codes')
    """
    return output.removeprefix(_PREFIX)
