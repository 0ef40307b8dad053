"""Model repository of NVIDIA Triton Inference Server: one model for each signature, run by onnxruntime.

<NAME>/config.pbtxt             a ModelConfig in protobuf's text format
<NAME>/<version>/model.onnx     the signature's ONNX model
"""

import pathlib
from typing import Any

from amr_tf.serving import names

CONFIG = "config.pbtxt"
TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
# Limits of joined requests, those of TensorFlow Serving in docs/serving/batching.config.
MAX_BATCH_SIZE = 64
MAX_DELAY_MICROSECONDS = 2000
MAX_QUEUE_SIZE = 100 * MAX_BATCH_SIZE


def write(folder: pathlib.Path, version: int, described: dict[str, Any], graph: bytes) -> None:
    """Writes a model of the repository.

    Args:
        folder: of the model, which is made.
        version: number of the exported version.
        described: the signature as signatures.json has it.
        graph: the signature's serialized ONNX model.
    """
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.onnx").write_bytes(graph)
    (folder / CONFIG).write_text(config(described), encoding="utf-8")


def config(described: dict[str, Any]) -> str:
    """Returns the model's config.pbtxt.

    It has no `name`, so that a model's folder can be renamed. Triton joins requests along dimension 0, which it then
    leaves out of `dims`. Since `dims` cannot be empty, a signature with a tensor of shape [B] is not batched.

    Args:
        described: the signature as signatures.json has it.

    Example:
        >>> images = {"images": {"dtype": "uint8", "shape": [None, 32, 32, 1]}}
        >>> print(config({"inputs": images, "outputs": {"scores": {"dtype": "float32", "shape": [None]}}}))
        backend: "onnxruntime"
        max_batch_size: 0
        input { name: "images" data_type: TYPE_UINT8 dims: [ -1, 32, 32, 1 ] }
        output { name: "scores" data_type: TYPE_FP32 dims: [ -1 ] }
        <BLANKLINE>
    """
    inputs, outputs = described["inputs"], described["outputs"]
    batched = all(len(one["shape"]) > 1 for one in (*inputs.values(), *outputs.values()))
    lines = ['backend: "onnxruntime"', f"max_batch_size: {MAX_BATCH_SIZE if batched else 0}"]
    lines += [_tensor("input", name, one, batched) for name, one in inputs.items()]
    lines += [_tensor("output", names.to_onnx(name, inputs), one, batched) for name, one in outputs.items()]
    if batched:
        lines += [
            "dynamic_batching {",
            f"  max_queue_delay_microseconds: {MAX_DELAY_MICROSECONDS}",
            f"  default_queue_policy {{ max_queue_size: {MAX_QUEUE_SIZE} }}",
            "}",
        ]
    return "\n".join(lines) + "\n"


def _tensor(side: str, name: str, described: dict[str, Any], batched: bool) -> str:
    sizes = ", ".join("-1" if size is None else str(size) for size in described["shape"][batched:])
    return f'{side} {{ name: "{name}" data_type: {TYPES[described["dtype"]]} dims: [ {sizes} ] }}'
