"""OpenVINO runs models, without TensorFlow: openvino_engine.py FOLDER MODEL...

A model is the folder of a SavedModel, of which it runs `serving_default`, or an ONNX file. Its inputs are in
FOLDER/<stem>.npz, and its outputs are written to FOLDER/<stem>_found.npz.
"""

import importlib.util
import pathlib
import sys

import numpy as np
import openvino


def main(folder: str, *models: str) -> None:
    assert importlib.util.find_spec("tensorflow") is None, "TensorFlow can be imported here"
    core = openvino.Core()
    for model in models:
        stem = pathlib.Path(model).stem
        compiled = core.compile_model(core.read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        with np.load(pathlib.Path(folder, f"{stem}.npz"), allow_pickle=False) as inputs:
            found = compiled(dict(inputs))
        outputs = {output.get_any_name(): value for output, value in found.items()}
        np.savez(pathlib.Path(folder, f"{stem}_found.npz"), **outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
