"""Names of an export's signatures, inputs and outputs, for the export and the client alike. Imports no TensorFlow."""

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
BYTES = "_uint8"  # ends the name of a signature that takes and gives pictures as bytes
FILES = "_png"  # ends the name of a signature that takes image files
_PREFIX = "output_"


def to_onnx(output: str, inputs: Container[str]) -> str:
    """Returns the name of an output in an ONNX graph, in which every name stands for one value.

    Args:
        output: name in the SavedModel.
        inputs: container of the names of the same signature's inputs.

    Example:
        >>> to_onnx("images", ["images", "weights"]), to_onnx("images", ["codes"])
        ('output_images', 'images')
    """
    return _PREFIX + output if output in inputs else output


def from_onnx(output: str) -> str:
    """Returns the name in the SavedModel of an ONNX graph's output.

    Example:
        >>> from_onnx("output_images"), from_onnx("codes")
        ('images', 'codes')
    """
    return output.removeprefix(_PREFIX)
