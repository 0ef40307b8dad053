"""A model of Triton's Python backend that runs `model.onnx` beside it as the onnxruntime backend does.

The package nvidia-pytriton has Triton's server without the onnxruntime backend. Requests that Triton joins are run as
one batch.
"""

import pathlib

import numpy as np
import onnxruntime
import triton_python_backend_utils as utils


class TritonPythonModel:
    """The interface that Triton calls."""

    def initialize(self, arguments):
        folder = pathlib.Path(arguments["model_repository"], arguments["model_version"])
        self.session = onnxruntime.InferenceSession(folder / "model.onnx")

    def execute(self, requests):
        inputs = [one.name for one in self.session.get_inputs()]
        outputs = [one.name for one in self.session.get_outputs()]
        given = [
            [utils.get_input_tensor_by_name(one, name).as_numpy() for name in inputs] for one in requests
        ]
        joined = [np.concatenate(values) for values in zip(*given, strict=True)]
        ends = np.cumsum([len(values[0]) for values in given])[:-1]
        found = self.session.run(outputs, dict(zip(inputs, joined, strict=True)))
        split = zip(*(np.split(values, ends) for values in found), strict=True)
        return [utils.InferenceResponse([*map(utils.Tensor, outputs, values)]) for values in split]
