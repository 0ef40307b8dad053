"""The client of the Open Inference Protocol v2 and answers that are not the protocol's; its requests; its flags."""

import json

import numpy as np
import pytest

from amr_tf.serving import client, names, signatures
from amr_tf.serving.server import ServingError, Signature, Tensor

FOREIGN = "is not one of the Open Inference Protocol v2. Received: "
HTTP = f"{FOREIGN}HTTP status"
METADATA = {
    "name": "decode",
    "inputs": [{"name": "codes", "datatype": "FP32", "shape": [-1, 2]}],
    "outputs": [{"name": "images", "datatype": "UINT8", "shape": [-1, 1, 2, 1]}],
}
DECODE = Signature({"codes": Tensor("DT_FLOAT", (None, 2))}, {"images": Tensor("DT_UINT8", (None, 1, 2, 1))})
IMAGES = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 2, 1], "data": [7, 8]}


def connect(url):
    return client.connect(f"v2+{url}", "", 5)


def test_v2_model_flag_has_a_default_for_each_protocol():
    for url, model in (("v2+http://localhost:8000", ""), ("http://localhost:8501", client.MODEL)):
        assert client.parse(["status", f"--url={url}"]).model == model
    assert client.parse(["status", "--url=v2+https://host/proxy", "--model=lines_"]).model == "lines_"


@pytest.mark.parametrize(
    "url", ["v2+grpc://localhost:8001", "v2+localhost:8000", "v2://localhost", "V2+http://h"]
)
def test_v2_invalid_addresses_are_refused(refused, url):
    assert "--url takes " in refused(client.main, "status", f"--url={url}")


def test_v2_closed_port_is_one_line(refused, closed_port):
    url = f"http://127.0.0.1:{closed_port}"
    assert f"cannot be reached at {url}" in refused(client.main, "status", f"--url=v2+{url}")


def test_v2_silent_server_is_given_up(refused, talker):
    url = f"--url=v2+http://127.0.0.1:{talker(lambda connection: connection.recv(1 << 20) and connection.recv(1))}"
    assert "No answer from http://127.0.0.1" in refused(client.main, "status", url, "--timeout=0.3")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>welcome</html>", f"{HTTP} 200"),
        (404, b"<h1>Not Found</h1>", f"{HTTP} 404"),
        (503, b"", f"{HTTP} 503"),
        (422, b'{"detail": "field required"}', f"{HTTP} 422"),
        (200, b"[]", FOREIGN),
        (404, b'{"error": "Model with name encode does not exist."}', "has no model for the signature"),
        (
            400,
            b'{"error": "model \'encode\' is not ready"}',
            "refused the request. Received: model 'encode' is not",
        ),
        (
            200,
            json.dumps(METADATA | {"inputs": [{"name": "x"}]}).encode(),
            f"{FOREIGN}an unexpected answer (KeyError",
        ),
        (200, json.dumps(METADATA | {"outputs": None}).encode(), f"{FOREIGN}an unexpected answer (TypeError"),
    ],
)
def test_v2_unusable_answer_is_one_line(capsys, answering, status, body, said):
    url, _ = answering(status, body)
    assert client.main(["status", f"--url=v2+{url}"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_v2_paths_follow_the_address_and_the_model(answering):
    """The signature ends the model's name, also behind a proxy."""
    url, requests = answering(200, json.dumps(METADATA).encode())
    server = client.connect(f"v2+{url}/behind/a/proxy/", "a b/", 5)
    assert server.versions() == [("unnamed", "AVAILABLE", "")]
    assert server.signature("decode") == DECODE
    assert set(server.signatures) == {
        name + ending for name in names.DESCRIPTIONS for ending in ("", "_uint8")
    }
    base = "/behind/a/proxy/v2/models/a%20b%2F"
    first = [f"{base}encode", f"{base}encode/ready", f"{base}decode"]
    assert [(method, path) for method, path, _ in requests][:3] == [("GET", path) for path in first]


def test_v2_request_is_flat_json(answering):
    """As the protocol documents it: type and shape of each tensor, and its numbers in one list."""
    url, requests = answering(200, json.dumps({"outputs": [IMAGES]}).encode())
    inputs = {"first": np.array([[[[0], [255]]]], np.uint8), "alpha": np.array([0.25], np.float32)}
    answer = connect(url).ask(":predict", "interpolate_uint8", inputs)["outputs"]
    np.testing.assert_array_equal(answer["images"], np.array([[[[7], [8]]]], np.uint8), strict=True)
    ((method, path, body),) = requests
    assert (method, path) == ("POST", "/v2/models/interpolate_uint8/infer")
    assert json.loads(body) == {
        "inputs": [
            {"name": "first", "shape": [1, 1, 2, 1], "datatype": "UINT8", "data": [0, 255]},
            {"name": "alpha", "shape": [1], "datatype": "FP32", "data": [0.25]},
        ]
    }
    assert b".0" not in body  # a pixel is an integer


def test_v2_output_named_as_an_input_returns_its_name(answering):
    url, _ = answering(
        200, json.dumps({"outputs": [IMAGES | {"name": names.to_onnx("images", ["images"])}]}).encode()
    )
    server = connect(url)
    server._known["mix"] = Signature({}, DECODE.outputs)
    assert server.predict("mix", {"images": np.zeros((1, 2), np.float32)})["images"].tolist() == [
        [[[7], [8]]]
    ]


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ([], "KeyError: 'images'"),
        (None, "TypeError"),
        ([IMAGES | {"name": "pictures"}], "KeyError: 'images'"),
        ([IMAGES | {"datatype": "BYTES"}], "KeyError: 'BYTES'"),
        ([IMAGES | {"data": [7]}], "ValueError: cannot reshape"),
        ([IMAGES | {"data": [7, 300]}], "OverflowError"),
        ([IMAGES | {"data": ["x", "y"]}], "ValueError"),
        ([IMAGES | {"shape": [1, 1, 1, 2]}], r"ValueError: images of shape \[1, 1, 1, 2\] instead of"),
        ([{"name": "images"}], "KeyError"),
    ],
)
def test_v2_outputs_unlike_the_metadata_are_refused(answering, outputs, said):
    url, _ = answering(200, json.dumps({"outputs": outputs}).encode())
    server = connect(url)
    server._known["decode"] = DECODE
    with pytest.raises(ServingError, match=f"{FOREIGN}.*{said}"), server.reading():
        server.predict("decode", {"codes": np.zeros((1, 2), np.float32)})


def test_v2_names_are_those_of_the_export(exported):
    """A signature that the client does not know would be missing in `status`."""
    known = {name + ending for name in names.DESCRIPTIONS for ending in ("", names.BYTES)}
    assert {
        name for name in signatures.signatures(exported.run.model) if not name.endswith(names.FILES)
    } <= known
