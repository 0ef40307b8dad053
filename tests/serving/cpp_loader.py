"""TensorFlow's own C++ loader of SavedModels, the code that TensorFlow Serving runs, in a process without this project.

    python cpp_loader.py MODEL FOLDER COMMAND...

    replay   runs what the warm-up file of the model holds
    answer   arrays "signature/case/input" of FOLDER/inputs.npz -> "signature/case/output" in FOLDER/outputs.npz
    refuse   the same for FOLDER/bad_inputs.npz: what is said about each
    python   `tf.saved_model.load` instead: whether it answers batches of 7 as the C++ loader does
    load     1,000 calls from 8 threads

What is found is printed as one JSON object.
"""

import concurrent.futures
import importlib.util
import json
import os
import pathlib
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

CALLS, WARM, THREADS, BATCH = 1_000, 200, 8, 4


class Model:
    """A SavedModel in a Session. Like a server, it feeds what it is given without a look at the declared shapes."""

    def __init__(self, folder: str):
        self.session = tf.compat.v1.Session(graph=tf.Graph())
        with self.session.graph.as_default():
            loaded = tf.compat.v1.saved_model.loader.load(self.session, ["serve"], folder)
        self.signatures = loaded.signature_def
        self._callables = {}

    def __call__(self, signature: str, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        declared = self.signatures[signature]
        if signature not in self._callables:
            options = config_pb2.CallableOptions(
                feed=[declared.inputs[name].name for name in sorted(declared.inputs)],
                fetch=[declared.outputs[name].name for name in sorted(declared.outputs)],
            )
            self._callables[signature] = self.session._make_callable_from_options(options)
        values = self._callables[signature](*(np.asarray(inputs[name]) for name in sorted(declared.inputs)))
        return dict(zip(sorted(declared.outputs), values, strict=True))


def replay(model: Model, model_dir: str, folder: pathlib.Path) -> dict:
    from tensorflow_serving.apis import prediction_log_pb2

    seen = []
    path = str(pathlib.Path(model_dir) / "assets.extra" / "tf_serving_warmup_requests")
    for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        model(request.model_spec.signature_name, inputs)
        seen.append(request.model_spec.signature_name)
    return {"replayed": sorted(seen)}


def requests(path: pathlib.Path) -> dict[str, dict[str, np.ndarray]]:
    """The inputs in a file by "signature/case"."""
    found = {}
    with np.load(path, allow_pickle=False) as arrays:
        for name in arrays.files:
            case, _, value = name.rpartition("/")
            found.setdefault(case, {})[value] = arrays[name]
    return found


def answer(model: Model, model_dir: str, folder: pathlib.Path) -> dict:
    answers = {}
    for case, inputs in requests(folder / "inputs.npz").items():
        for name, value in model(case.split("/")[0], inputs).items():
            answers[f"{case}/{name}"] = value
    np.savez(folder / "outputs.npz", **answers)
    return {"answered": len(answers)}


def refuse(model: Model, model_dir: str, folder: pathlib.Path) -> dict:
    said = {}
    for case, inputs in requests(folder / "bad_inputs.npz").items():
        try:
            model(case.split("/")[0], inputs)
            said[case] = "answered"
        except (tf.errors.OpError, TypeError, ValueError) as error:
            said[case] = str(error)
    return {"refused": said}


def python(model: Model, model_dir: str, folder: pathlib.Path) -> dict:
    loaded, differ = tf.saved_model.load(model_dir), []
    for case, inputs in requests(folder / "inputs.npz").items():
        signature, size = case.split("/")
        if size != "7":
            continue
        found = loaded.signatures[signature](**{name: tf.constant(value) for name, value in inputs.items()})
        other = model(signature, inputs)
        if not all(np.array_equal(found[name].numpy(), other[name]) for name in other):
            differ.append(case)
    return {"differ_in_python": differ}


def load(model: Model, model_dir: str, folder: pathlib.Path) -> dict:
    """Calls of `encode` and `reconstruct` in turn, each compared with the same call made alone."""
    rng = np.random.default_rng(0)
    shape = [dim.size for dim in model.signatures["encode"].inputs["images"].tensor_shape.dim][1:]
    images = rng.uniform(-1, 1, (16, BATCH, *shape)).astype(np.float32)
    names = [("encode", "reconstruct")[number % 2] for number in range(len(images))]
    alone = [model(name, {"images": x}) for name, x in zip(names, images, strict=True)]

    def one(number: int) -> tuple[bool, float]:
        begin = time.perf_counter()
        found = model(names[number % 16], {"images": images[number % 16]})
        same = all(np.array_equal(found[name], value) for name, value in alone[number % 16].items())
        return same, time.perf_counter() - begin

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(one, range(WARM)))
        before, begin = resident(), time.perf_counter()
        answers += list(pool.map(one, range(WARM, CALLS)))
        seconds = time.perf_counter() - begin
    milliseconds = np.array([latency for _, latency in answers]) * 1e3
    return {
        "calls": len(answers),
        "equal": sum(same for same, _ in answers),
        "p50_ms": float(np.median(milliseconds)),
        "p99_ms": float(np.quantile(milliseconds, 0.99)),
        "calls_per_second": (CALLS - WARM) / seconds,
        "megabytes": before,
        "megabytes_grown": resident() - before,
    }


def declared(values) -> dict[str, list]:
    """Type and shape of each by name, None where a size is free."""
    return {
        name: [tf.as_dtype(value.dtype).name, tf.TensorShape(value.tensor_shape).as_list()]
        for name, value in values.items()
    }


def resident() -> float:
    """Memory that the process holds, in megabytes."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main(model_dir: str, folder: str, *commands: str) -> None:
    assert importlib.util.find_spec("amr_tf") is None, "the project can be imported here"
    known = {"replay": replay, "answer": answer, "refuse": refuse, "python": python, "load": load}
    model, found = Model(model_dir), {}
    for name in commands:
        found |= known[name](model, model_dir, pathlib.Path(folder))
    found["declared"] = {
        name: {"inputs": declared(one.inputs), "outputs": declared(one.outputs)}
        for name, one in model.signatures.items()
        if not name.startswith("__")
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
