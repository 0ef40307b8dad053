"""Formats for other engines: every signature as ONNX, the Triton model repository, encoder and decoder as LiteRT."""

import doctest
import json
import os
import pathlib
import re
import subprocess

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from amr_tf.serving import conversion, names, saved_model, triton
from tests.docs.documents import ROOT

K = 3
TOLERANCE = {"float32": 1e-5, "uint8": 1}  # one level of grey, where rounding differs
ONNX_TYPES = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.UINT8: "uint8"}
TRITON_TYPES = {"TYPE_FP32": "float32", "TYPE_UINT8": "uint8"}


def described(folder: pathlib.Path) -> dict[str, dict]:
    """The signatures of an export that have an ONNX model."""
    everything = json.loads((folder / saved_model.SIGNATURES).read_bytes())
    left_out = ("serving_default", f"encode{names.FILES}")
    return {name: one for name, one in everything.items() if name not in left_out}


def inputs_of(signature: dict, batch: int) -> dict[str, np.ndarray]:
    rng, found = np.random.default_rng(batch), {}
    for name, one in signature["inputs"].items():
        shape = [batch, *(size or K for size in one["shape"][1:])]
        pixels = one["dtype"] == "uint8"
        found[name] = rng.integers(0, 256, shape, np.uint8) if pixels else rng.random(shape, np.float32)
    return found


def assert_close(found: np.ndarray, value: np.ndarray, message: str) -> None:
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    tolerance = TOLERANCE[value.dtype.name]
    np.testing.assert_allclose(
        found.astype(float), value.astype(float), rtol=1e-5, atol=tolerance, err_msg=message
    )


def graphs(folder: pathlib.Path) -> dict[str, onnx.ModelProto]:
    return {path.stem: onnx.load(path) for path in sorted((folder / "onnx").iterdir())}


def tensors(values) -> dict[str, tuple[str, list[int | str]]]:
    """Types and shapes of a graph's inputs or outputs by name; a free size is its name."""
    found = {}
    for value in values:
        one = value.type.tensor_type
        shape = [size.dim_param or size.dim_value for size in one.shape.dim]
        found[value.name] = (ONNX_TYPES[one.elem_type], shape)
    return found


def python_of(variable: str) -> str:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} is not set: make test-engines sets it up")
    return python


def test_examples_of_names_and_triton_configs_hold():
    """Documentation that a reader copies."""
    for module in (names, triton):
        assert doctest.testmod(module).attempted > 0
        assert doctest.testmod(module).failed == 0


def test_triton_limits_are_those_of_tensorflow_serving():
    text = (ROOT / "docs" / "serving" / "batching.config").read_text(encoding="utf-8")
    limits = {name: int(value) for name, value in re.findall(r"^(\w+) { value: (\d+) }", text, re.MULTILINE)}
    assert limits["max_batch_size"] == triton.MAX_BATCH_SIZE
    assert limits["batch_timeout_micros"] == triton.MAX_DELAY_MICROSECONDS
    assert limits["max_enqueued_batches"] * limits["max_batch_size"] == triton.MAX_QUEUE_SIZE


def test_triton_config_of_rows_joins_requests():
    """A signature all tensors of which have rows is batched; one with a number for each example is not."""
    rows = {"dtype": "float32", "shape": [None, None, 32, 32, 1]}
    single = {"dtype": "float32", "shape": [None]}
    joined = triton.config({"inputs": {"images": rows}, "outputs": {"images": rows}})
    assert 'output { name: "output_images" data_type: TYPE_FP32 dims: [ -1, 32, 32, 1 ] }' in joined
    assert "max_batch_size: 64\n" in joined
    assert "dynamic_batching" in joined
    for inputs, outputs in (({"alpha": single}, {"images": rows}), ({"images": rows}, {"scores": single})):
        alone = triton.config({"inputs": inputs, "outputs": outputs})
        assert "max_batch_size: 0\n" in alone
        assert "dims: [ -1 ]" in alone
        assert "dims: [ -1, -1, 32, 32, 1 ]" in alone
        assert "dynamic_batching" not in alone


@pytest.mark.slow
def test_onnx_signatures_answer_as_the_saved_model(converted):
    signatures, loaded = described(converted), tf.saved_model.load(str(converted)).signatures
    assert sorted(graphs(converted)) == sorted(signatures)
    for name, signature in signatures.items():
        session = onnxruntime.InferenceSession(converted / "onnx" / f"{name}.onnx")
        keys = [names.from_onnx(one.name) for one in session.get_outputs()]
        for batch in (1, 7, 64):
            inputs = inputs_of(signature, batch)
            found = dict(zip(keys, session.run(None, inputs), strict=True))
            expected = loaded[name](**{key: tf.constant(value) for key, value in inputs.items()})
            assert set(found) == set(expected)
            for key, value in expected.items():
                assert_close(found[key], value.numpy(), f"{name}/{batch}/{key}")


@pytest.mark.slow
def test_onnx_models_are_valid_with_the_names_declared(converted):
    signatures = described(converted)
    for name, model in graphs(converted).items():
        onnx.checker.check_model(model, full_check=True)
        given, answered = signatures[name]["inputs"], signatures[name]["outputs"]
        renamed = {names.to_onnx(key, given): one for key, one in answered.items()}
        for values, side in ((model.graph.input, given), (model.graph.output, renamed)):
            expected = {}
            for key, one in side.items():
                shape = [
                    size or free
                    for size, free in zip(one["shape"], [*conversion.FREE, "", "", ""], strict=False)
                ]
                expected[key] = (one["dtype"], shape)
            assert tensors(values) == expected


@pytest.mark.slow
def test_triton_repository_has_the_onnx_models(converted):
    """Under the export's own version, so that the newest version that Triton serves is that of the export."""
    folders = {path.name: path for path in (converted / "triton").iterdir()}
    assert set(folders) == set(described(converted))
    for name, folder in folders.items():
        assert sorted(path.name for path in folder.iterdir()) == [converted.name, "config.pbtxt"]
        model = (folder / converted.name / "model.onnx").read_bytes()
        assert model == (converted / "onnx" / f"{name}.onnx").read_bytes()


@pytest.mark.slow
def test_litert_answers_as_the_saved_model(converted):
    """Encoder and decoder in LiteRT's interpreter."""
    import ai_edge_litert.interpreter

    path = converted / "litert" / "model.tflite"
    interpreter = ai_edge_litert.interpreter.Interpreter(str(path))
    loaded = tf.saved_model.load(str(converted)).signatures
    for name in ("encode", "decode"):
        inputs = inputs_of(described(converted)[name], K)
        found = interpreter.get_signature_runner(name)(**inputs)
        expected = loaded[name](**{key: tf.constant(value) for key, value in inputs.items()})
        for key, value in expected.items():
            np.testing.assert_allclose(found[key], value, atol=2e-5)


@pytest.mark.engines
def test_openvino_runs_every_onnx_model(converted, tmp_path):
    """An engine that shares no code with onnxruntime; OPENVINO_PYTHON names the Python that has it."""
    python, signatures = python_of("OPENVINO_PYTHON"), described(converted)
    engine = pathlib.Path(__file__).with_name("openvino_engine.py")
    models = [converted / "onnx" / f"{name}.onnx" for name in signatures]
    for name, signature in signatures.items():
        np.savez(tmp_path / f"{name}.npz", **inputs_of(signature, 7))
    subprocess.run([python, engine, tmp_path, *models], cwd="/", check=True)
    for model in models:
        session = onnxruntime.InferenceSession(model)
        keys = [one.name for one in session.get_outputs()]
        expected = session.run(keys, inputs_of(signatures[model.stem], 7))
        with np.load(tmp_path / f"{model.stem}_found.npz", allow_pickle=False) as found:
            for key, value in zip(keys, expected, strict=True):
                assert_close(found[key], value, f"{model.stem}/{key}")


@pytest.mark.engines
def test_triton_configs_agree_with_the_onnx_models(converted):
    """Triton's own proto reads them; SERVERS_PYTHON names the Python that has tritonclient."""
    command = [python_of("SERVERS_PYTHON"), pathlib.Path(__file__).with_name("triton_config.py")]
    done = subprocess.run([*command, converted / "triton"], cwd="/", check=True, stdout=subprocess.PIPE)
    configs, models = json.loads(done.stdout), graphs(converted)
    assert set(configs) == set(models)
    assert sorted({config.get("max_batch_size", 0) for config in configs.values()}) == [
        0,
        triton.MAX_BATCH_SIZE,
    ]
    for name, config in configs.items():
        assert config["backend"] == "onnxruntime"
        batched = config.get("max_batch_size", 0) > 0
        assert batched == ("dynamic_batching" in config)
        graph = models[name].graph
        for side, values in (("input", graph.input), ("output", graph.output)):
            found = {}
            for one in config[side]:
                sizes = [-1] * batched + [*map(int, one["dims"])]
                found[one["name"]] = (TRITON_TYPES[one["data_type"]], sizes)
            expected = tensors(values).items()
            assert found == {
                key: (dtype, [-1 if isinstance(size, str) else size for size in shape])
                for key, (dtype, shape) in expected
            }
