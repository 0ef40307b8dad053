"""KServe's model server with the ONNX models of a folder: kserve_engine.py FOLDER PORT"""

import pathlib
import sys

import kserve
import onnxruntime

DATATYPES = {"tensor(float)": "FP32", "tensor(uint8)": "UINT8"}


class OnnxModel(kserve.Model):
    """An ONNX file, run by onnxruntime, under the name of the file."""

    def __init__(self, path: pathlib.Path):
        super().__init__(path.stem)
        self.session, self.ready = onnxruntime.InferenceSession(path), True

    async def get_input_types(self):
        return described(self.session.get_inputs())

    async def get_output_types(self):
        return described(self.session.get_outputs())

    def predict(self, payload, headers=None, response_headers=None):
        names = [one.name for one in self.session.get_outputs()]
        inputs = {one.name: one.as_numpy() for one in payload.inputs}
        try:
            values = self.session.run(names, inputs)
        except Exception as error:  # of onnxruntime, whose types have no common base
            raise kserve.errors.InvalidInput(str(error)) from error
        outputs = []
        for one, value in zip(self.session.get_outputs(), values, strict=True):
            outputs.append(kserve.InferOutput(one.name, [*value.shape], DATATYPES[one.type]))
            outputs[-1].set_data_from_numpy(value, binary_data=False)
        return kserve.InferResponse(payload.id or "", self.name, outputs)


def described(tensors) -> list[dict]:
    return [
        {
            "name": one.name,
            "datatype": DATATYPES[one.type],
            "shape": [-1 if isinstance(size, str) else size for size in one.shape],
        }
        for one in tensors
    ]


if __name__ == "__main__":
    models = [OnnxModel(path) for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx"))]
    kserve.ModelServer(http_port=int(sys.argv[2]), enable_grpc=False).start(models)
