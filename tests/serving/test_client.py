"""The client and things that are not a served model: closed ports, silence, foreign answers, refusals, bad flags."""

import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from amr_tf.serving import client
from amr_tf.serving.server import ServingError, Signature, Tensor

DECODE = Signature({"codes": Tensor("DT_FLOAT", (None, 2))}, {"images": Tensor("DT_UINT8", (None, 1, 2, 1))})


def run(*command):
    """The whole command, in its own process."""
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)


def test_client_closed_port_is_refused_without_tensorflow(closed_port):
    program = (
        "import sys; from amr_tf.serving import client; code = client.main(sys.argv[1:]); "
        "print(code, sorted({'tensorflow', 'grpc', 'keras'} & set(sys.modules)))"
    )
    done = run("-c", program, "status", f"--url=http://127.0.0.1:{closed_port}")
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith("amr_tf.serving.client: The server cannot be reached at http://127.0.0.1:")
    assert "Connection refused" in done.stderr


def test_client_status_replaces_control_characters(answering):
    """Characters that a terminal would obey are replaced in the streams of the process."""
    version = {"version": 1, "state": "\x1b]0;x\x07", "status": {"error_message": "\x1b[2J"}}
    url, _ = answering(200, states(version))
    done = run("-m", "amr_tf.serving.client", "status", f"--url={url}")
    assert done.stdout == "version 1: ?]0;x? ?[2J\n"
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "beginning",
    ["", "\r\n", "X: ", "Transfer-Encoding: chunked\r\n\r\n0"],
    ids=["silence", "body", "header", "chunk"],
)
def test_client_endless_answer_is_given_up(refused, talker, beginning):
    """Each byte comes in time, but the whole answer does not."""

    def drip(connection):
        for part in [f"HTTP/1.1 200 OK\r\n{beginning}"] + ["0"] * 200:
            connection.sendall(part.encode() if beginning else b"")
            time.sleep(0.02)

    start = time.monotonic()
    url = f"--url=http://127.0.0.1:{talker(drip)}"
    assert "No answer from http://127.0.0.1" in refused(client.main, "status", url, "--timeout=0.3")
    assert time.monotonic() - start < 2.5


def test_client_other_protocols_are_refused(talker, closed_port):
    """HTTP where gRPC answers, and gRPC where HTTP, nobody or silence answers."""
    settings = b"\x00\x00\x18\x04\x00\x00\x00\x00\x00" + b"\x00" * 24  # a gRPC server's greeting
    greeting = talker(lambda connection: connection.sendall(settings))
    web = talker(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    silent = talker(lambda connection: connection.recv(1 << 20) and connection.recv(1 << 20))
    for url, timeout, said in (
        (f"http://127.0.0.1:{greeting}", 5, "cannot be reached at http://127"),
        (f"grpc://127.0.0.1:{web}", 2, "grpc://127"),
        (f"grpc://127.0.0.1:{silent}", 0.5, "No answer from grpc://127.* within 0.5 s"),
        (f"grpc://127.0.0.1:{closed_port}", 5, "cannot be reached at grpc://"),
    ):
        with pytest.raises(ServingError, match=said):
            client.connect(url, "amr", timeout).versions()


FOREIGN = "is not TensorFlow Serving's. Received: "
HTTP = f"{FOREIGN}HTTP status"
LONG = "You must feed a value for placeholder tensor 'x' " * 20


def states(*versions):
    return json.dumps({"model_version_status": versions}).encode()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>welcome</html>", f"{HTTP} 200"),
        (404, b"<h1>Not Found</h1>", f"{HTTP} 404"),
        (503, b"", f"{HTTP} 503"),
        (200, b"\xff\xfe", f"{HTTP} 200"),
        (200, b"[" * 200_000, f"{HTTP} 200"),
        (500, b'{"message": "proxy"}', f"{HTTP} 500"),
        (200, states()[:-3], f"{HTTP} 200"),
        (200, b"[]", FOREIGN),
        (200, states({"state": "AVAILABLE"}), FOREIGN),
        (200, states({"version": float("inf"), "state": "A"}), FOREIGN),
        (200, states({"version": 1, "state": None}, {"version": 1, "state": "LOADING"}), "No version"),
        (200, states(), "No version of the model answers"),
        (200, states({"version": "3", "state": "LOADING", "status": {"error_message": ""}}), "No version"),
        (404, b'{ "error": "Servable not found for request: Latest(amr)" }', "does not know the model 'amr'"),
        (500, b'{ "error": "first\\n\\u001b[31mline" }', "refused the request. Received: first ?[31mline. "),
        (400, json.dumps({"error": LONG}).encode(), "Received: You must feed a value for placeholder"),
        (400, b'{ "error": 7 }', "refused the request. Received: 7. "),
    ],
)
def test_client_unusable_answer_is_one_line(capsys, answering, status, body, said):
    url, _ = answering(status, body)
    assert client.main(["status", f"--url={url}"]) == 2
    _, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert len(err) < 400


def test_rest_paths_follow_the_address_and_the_model(answering):
    url, requests = answering(400, b'{ "error": "no" }')
    server = client.connect(f"{url}/behind/a/proxy/", "a b/c", 5)
    for ask in (server.versions, lambda: server.signatures, lambda: server.ask(":predict", "decode", {})):
        with pytest.raises(ServingError, match="Received: no"):
            ask()
    base = "/behind/a/proxy/v1/models/a%20b%2Fc"
    expected = [("GET", base), ("GET", f"{base}/metadata"), ("POST", f"{base}:predict")]
    assert [(method, path) for method, path, _ in requests] == expected


def test_rest_request_is_columnar_json(answering):
    """As TensorFlow Serving documents it: inputs by name, each in its natural nesting, numbers as numbers."""
    url, requests = answering(200, b"{}")
    inputs = {
        "first": np.array([[[[0], [255]]]], np.uint8),
        "second": np.array([[[[1], [2]]]], np.uint8),
        "alpha": np.array([0.25], np.float32),
    }
    client.connect(url, "amr", 5).ask(":predict", "interpolate_uint8", inputs)
    ((_, _, body),) = requests
    assert json.loads(body) == {
        "signature_name": "interpolate_uint8",
        "inputs": {"first": [[[[0], [255]]]], "second": [[[[1], [2]]]], "alpha": [0.25]},
    }
    assert b".0" not in body  # a pixel is an integer: the server refuses 255.0


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "KeyError: 'images'"),
        ({"images": [[[[1]], [[[1], [2]]]]]}, "ValueError"),
        ({"images": [[[["x"], ["y"]]]]}, "ValueError"),
        ({"images": None}, "TypeError"),
        ({"images": 3}, r"ValueError"),
        ({"images": [[[[1], [2], [3]]]]}, r"shape \[1, 1, 3, 1\] instead of \[1, 1, 2, 1\]"),
        ({"images": [[[[1], [2]]], [[[1], [2]]]]}, r"shape \[2, 1, 2, 1\] instead of \[1, 1, 2, 1\]"),
        ([[1, 2]], r"ValueError"),  # a single output comes without its name
    ],
)
def test_predict_outputs_unlike_the_signature_are_refused(answering, outputs, said):
    url, _ = answering(200, json.dumps({"outputs": outputs}).encode())
    server = client.connect(url, "amr", 5)
    server.signatures = {"decode": DECODE}
    with (
        pytest.raises(ServingError, match=f"is not TensorFlow Serving's. Received: .*{said}"),
        server.reading(),
    ):
        server.predict("decode", {"codes": np.zeros((1, 2))})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "A command is needed, one of status, "),
        (["dream"], "Received: 'dream'"),
        (["mix", "a.png"], "mix takes 2 or more pictures. Received: 1"),
        (["interpolate", "a.png", "b.png", "c.png"], "interpolate takes 2 pictures. Received: 3"),
        (["mix", "a.png", "b.png", "--weights=0.5,0.4"], "--weights takes 2 numbers that sum to 1"),
        (["mix", "a.png", "b.png", "--weights=1"], "--weights takes 2 numbers"),
        (["mix", "a.png", "b.png", "--weights=nan,1"], "--weights takes 2 numbers"),
        (["mix", "a.png", "b.png", "--weights=a,b"], "Received: a,b"),
        (["status", "--steps=3"], "--steps is of no use to status"),
        (["classify", "a.png", "--out=x"], "--out is of no use to classify"),
        (["interpolate", "a.png", "b.png", "--steps=1"], "--steps=1"),
        (["status", "--timeout=nan"], "--timeout takes seconds"),
        (["status", "--timeout=0"], "--timeout takes seconds"),
        (["status", "--url=localhost:8501"], "--url takes http://HOST:PORT"),
        (["status", "--url=http://host:port"], "--url takes"),
        (["status", "--url=grpc://localhost"], "--url takes"),
        (["status", "--url=http://localhost/?key=1"], "--url takes"),
        (["status", "--url=http://l\u00f6calhost"], "--url takes"),
        (["status", "--url=http://localhost:99999"], "cannot be reached at http://localhost:99999"),
        (["status", "--url=http://user:secret@localhost"], "--url takes"),
        (["status", "--nope"], "Unknown command line flag 'nope'"),
    ],
)
def test_client_invalid_flags_are_refused(refused, arguments, said):
    assert said in refused(client.main, *arguments)


def test_client_flags_between_pictures_are_read():
    words = ["mix", "a.png", "--url=grpc://[::1]:8500", "b.png", "--weights=1.5,-0.5", "--model=x"]
    pictures = [pathlib.Path("a.png"), pathlib.Path("b.png")]
    expected = ("mix", pictures, "grpc://[::1]:8500", "x", 10.0, 9, 65_535, [1.5, -0.5], None)
    assert client.parse(words) == expected


def test_client_help_lists_every_command(capsys):
    assert client.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in client.COMMANDS:
        assert f"\n  {name}: " in out
