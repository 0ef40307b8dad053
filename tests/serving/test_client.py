"""The client where it meets what is not a served model: closed ports, silence, foreign answers, refusals, bad flags."""

import contextlib
import http.server
import json
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from amr_tf.serving import client, rest
from amr_tf.serving.transport import ServingError, Signature, Tensor, checked

DECODE = Signature({"codes": Tensor("DT_FLOAT", (None, 2))}, {"images": Tensor("DT_UINT8", (None, 1, 2, 1))})


@pytest.fixture
def answering():
    """A web server that answers every request with one status and body: `answering(status, body)` gives its URL and
    the list of the requests that came."""
    with contextlib.ExitStack() as stack:

        def start(status, body):
            requests = []

            class Handler(http.server.BaseHTTPRequestHandler):
                def do_GET(self):
                    length = int(self.headers.get("Content-Length", 0))
                    requests.append((self.command, self.path, self.rfile.read(length)))
                    self.send_response(status)
                    self.end_headers()
                    self.wfile.write(body)

                do_POST = do_GET

                def log_message(self, *words):
                    """Says nothing."""

            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler))
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_port}", requests

        yield start


def refusal(capsys, *arguments):
    """What the client says when it fails: one line, exit code 2."""
    assert client.main([*map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("amr_tf.serving.client: "), err
    assert err.count("\n") == 1, err
    return err


def test_nothing_listens_and_no_tensorflow_is_needed_to_say_so(closed_port):
    """The whole command, in a process of its own."""
    program = (
        "import sys; from amr_tf.serving import client; code = client.main(sys.argv[1:]); "
        "print(code, sorted({'tensorflow', 'grpc', 'keras'} & set(sys.modules)))"
    )
    url = f"--url=http://127.0.0.1:{closed_port}"
    done = subprocess.run(
        [sys.executable, "-c", program, "status", url], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "2 []\n"
    assert done.stderr.startswith("amr_tf.serving.client: Nothing that can be talked to at http://127.0.0.1:")
    assert "Connection refused" in done.stderr


def test_a_server_that_never_answers_is_given_up(capsys, talker):
    port = talker(lambda connection: time.sleep(3))
    start = time.monotonic()
    assert "No answer from http://127.0.0.1" in refusal(
        capsys, "status", f"--url=http://127.0.0.1:{port}", "--timeout=0.3"
    )
    assert time.monotonic() - start < 2.5


def test_a_server_that_answers_a_byte_at_a_time_is_given_up(capsys, talker):
    def drip(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.02)

    port = talker(drip)
    assert "within 0.3 s" in refusal(capsys, "status", f"--url=http://127.0.0.1:{port}", "--timeout=0.3")


@pytest.mark.parametrize(
    "beginning", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0"]
)
def test_a_server_that_never_ends_a_line_is_given_up(capsys, talker, beginning):
    """Each byte comes in time, and the line that they are of is read whole before anything else is done."""

    def drip(connection):
        connection.sendall(beginning)
        for _ in range(200):
            connection.sendall(b"0")
            time.sleep(0.02)

    start = time.monotonic()
    url = f"--url=http://127.0.0.1:{talker(drip)}"
    assert "within 0.3 s" in refusal(capsys, "status", url, "--timeout=0.3")
    assert time.monotonic() - start < 2.5


def test_a_port_that_speaks_another_protocol(capsys, talker):
    settings = b"\x00\x00\x18\x04\x00\x00\x00\x00\x00" + b"\x00" * 24  # how a gRPC server greets
    port = talker(lambda connection: connection.sendall(settings))
    assert "Nothing that can be talked to" in refusal(capsys, "status", f"--url=http://127.0.0.1:{port}")


LONG = "You must feed a value for placeholder tensor 'x' " * 20


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>welcome</html>", "is not TensorFlow Serving's REST interface (HTTP status 200)"),
        (404, b"<h1>Not Found</h1>", "is not TensorFlow Serving's REST interface (HTTP status 404)"),
        (503, b"", "(HTTP status 503)"),
        (200, b"\xff\xfe", "is not TensorFlow Serving's"),
        (200, b"[" * 200_000, "is not TensorFlow Serving's"),
        (200, b"[]", "is not TensorFlow Serving's"),
        (200, b'{"model_version_status": [{"state": "AVAILABLE"}]}', "is not TensorFlow Serving's"),
        (200, b'{"model_version_status": [{"version": "1', "is not TensorFlow Serving's"),
        (
            200,
            b'{"model_version_status": [{"version": Infinity, "state": "A"}]}',
            "is not TensorFlow Serving's",
        ),
        (
            200,
            b'{"model_version_status": [{"version": 1, "state": null}, {"version": 1, "state": "LOADING"}]}',
            "No version of the model answers",
        ),
        (200, b'{"model_version_status": []}', "No version of the model answers"),
        (
            200,
            b'{"model_version_status": [{"version": "3", "state": "LOADING", "status": {"error_code": "OK", '
            b'"error_message": ""}}]}',
            "No version of the model answers",
        ),
        (500, b'{"message": "proxy"}', "(HTTP status 500)"),
        (404, b'{ "error": "Servable not found for request: Latest(amr)" }', "No model 'amr' at http://"),
        (500, b'{ "error": "first\\n\\u001b[31mline" }', "The server refuses: first ?[31mline\n"),
        (
            400,
            json.dumps({"error": LONG}).encode(),
            "The server refuses: You must feed a value for placeholder tensor 'x'",
        ),
        (400, b'{ "error": 7 }', "The server refuses: 7\n"),
    ],
)
def test_an_answer_that_is_none(capsys, answering, status, body, said):
    url, _ = answering(status, body)
    arguments = ["status", f"--url={url}"]
    assert client.main(arguments) == 2
    _, err = capsys.readouterr()
    assert said in err
    assert err.count("\n") == 1
    assert len(err) < 300


def test_paths_are_those_of_the_rest_interface(answering):
    url, requests = answering(400, b'{ "error": "no" }')
    server = rest.RestServer(f"{url}/behind/a/proxy/", "a b/c", 5)
    for ask in (
        server.versions,
        server.signatures,
        lambda: server.predict("decode", DECODE, {"codes": np.zeros((1, 2))}),
    ):
        with pytest.raises(ServingError, match=r"The server refuses: no$"):
            ask()
    base = "/behind/a/proxy/v1/models/a%20b%2Fc"
    assert [(method, path) for method, path, _ in requests] == [
        ("GET", base),
        ("GET", f"{base}/metadata"),
        ("POST", f"{base}:predict"),
    ]
    assert json.loads(requests[2][2]) == {"signature_name": "decode", "inputs": {"codes": [[0, 0]]}}


def test_a_request_is_columnar_json():
    """As TensorFlow Serving documents it: inputs by name, each in its natural nesting, numbers as numbers."""
    body = rest.request_body(
        "interpolate_uint8",
        {
            "first": np.array([[[[0], [255]]]], np.uint8),
            "second": np.array([[[[1], [2]]]], np.uint8),
            "alpha": np.array([0.25], np.float32),
        },
    )
    assert json.loads(body) == {
        "signature_name": "interpolate_uint8",
        "inputs": {"first": [[[[0], [255]]]], "second": [[[[1], [2]]]], "alpha": [0.25]},
    }
    assert ".0" not in body  # a pixel is an integer: 255.0 is none to the server


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({}, "no usable 'images'"),
        ({"images": [[[[1]]], [[[1], [2]]]]}, "no usable 'images'"),
        ({"images": [[[["x"], ["y"]]]]}, "no usable 'images': values of type"),
        ({"images": None}, "no usable 'images'"),
        ({"images": 3}, r"'images' is \[\], not \[1, 1, 2, 1\]"),
        ({"images": [[[[1], [2], [3]]]]}, r"'images' is \[1, 1, 3, 1\], not \[1, 1, 2, 1\]"),
        ({"images": [[[[1], [2]]], [[[1], [2]]]]}, r"'images' is \[2, 1, 2, 1\], not \[1, 1, 2, 1\]"),
        ([1], "no usable 'images'"),
    ],
)
def test_outputs_that_are_not_the_signatures(outputs, said):
    with pytest.raises(ServingError, match=said):
        checked(outputs, DECODE, batch=1)


def test_a_single_output_comes_without_its_name(answering):
    """TensorFlow Serving leaves the name away then, so the shape alone can be wrong."""
    url, _ = answering(200, b'{"outputs": [[1, 2]]}')
    with pytest.raises(ServingError, match=r"'images' is \[1, 2\]"):
        rest.RestServer(url, "amr", 5).predict("decode", DECODE, {"codes": np.zeros((1, 2))})


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
        (["status", "--url=http://user:secret@localhost"], "--url takes"),
        (["status", "--nope"], "Unknown command line flag 'nope'"),
    ],
)
def test_flags_that_make_no_sense(capsys, arguments, said):
    assert said in refusal(capsys, *arguments)


def test_flags_may_stand_between_the_pictures():
    connection, request = client.parse(
        ["mix", "a.png", "--url=grpc://[::1]:8500", "b.png", "--weights=1.5,-0.5", "--model=x"]
    )
    assert connection == ("grpc://[::1]:8500", "x", 10.0)
    assert (request.pictures, request.weights) == (["a.png", "b.png"], [1.5, -0.5])


def test_help_names_every_command(capsys):
    assert client.main(["--help"]) == 0
    out = capsys.readouterr().out
    for name in client.COMMANDS:
        assert f"\n  {name}: " in out
