"""Model repository for NVIDIA Triton Inference Server. Each signature is one model, which onnxruntime runs.

<NAME>/config.pbtxt             a ModelConfig in protobuf's text format
<NAME>/<version>/model.onnx     the signature's ONNX model
"""

import pathlib
from typing import Any

from amr_tf.serving import names

CONFIG = "config.pbtxt"
TYPES = {"float32": "TYPE_FP32", "uint8": "TYPE_UINT8"}
# Limits for batching of requests, equal to the limits for TensorFlow Serving in docs/serving/batching.config.
MAX_BATCH_SIZE = 64
MAX_DELAY_MICROSECONDS = 2000
MAX_QUEUE_SIZE = 100 * MAX_BATCH_SIZE


def write(folder: pathlib.Path, version: int, described: dict[str, Any], graph: bytes) -> None:
    """Writes one model of the repository.

    Args:
        folder: folder of the model. This function creates the folder.
        version: number of the exported version.
        described: the signature's entry in signatures.json.
        graph: the signature's serialized ONNX model.
    """
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.onnx").write_bytes(graph)
    (folder / CONFIG).write_text(config(described), encoding="utf-8")


def config(described: dict[str, Any]) -> str:
    """Returns the model's config.pbtxt.

    The file contains no `name`, so that the model's folder can be renamed. If batching is enabled, Triton concatenates
    requests along dimension 0, and `dims` must not contain this dimension. Triton does not accept empty `dims`. So
    batching is disabled for a signature with a tensor of shape [B].

    Args:
        described: the signature's entry in signatures.json.

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
