"""Real servers of the Open Inference Protocol v2 with an exported model: Triton and KServe's model server.

SERVERS_PYTHON names a Python with nvidia-pytriton, kserve and onnxruntime: `make test-engines`.
"""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from amr_tf.serving import client
from amr_tf.serving.server import AVAILABLE, ServingError
from tests.serving import harness

pytestmark = pytest.mark.engines
HERE = pathlib.Path(__file__).parent
START_SECONDS = 120
THREADS, REQUESTS = 8, 200
PLACES = "import sys, sysconfig; print(sysconfig.get_path('purelib')); print('%d.%d' % sys.version_info[:2])"


def triton(python, converted, work, port):
    """Command and environment of Triton's server for the exported repository.

    The package lacks the onnxruntime backend, so that `triton_model` runs the same files in the Python backend.
    """
    done = subprocess.run([python, "-c", PLACES], stdout=subprocess.PIPE, text=True, check=True)
    packages, version = done.stdout.split()
    server = pathlib.Path(packages, "pytriton", "tritonserver")
    shutil.copytree(server / "backends" / "python", work / "backends" / "python")
    shutil.copytree(
        server / "python_backend_stubs" / version, work / "backends" / "python", dirs_exist_ok=True
    )
    shutil.copytree(converted / "triton", work / "models")
    for model in (work / "models").iterdir():
        config = model / "config.pbtxt"
        config.write_text(config.read_text().replace('backend: "onnxruntime"', 'backend: "python"'))
        shutil.copy(HERE / "triton_model.py", model / converted.name / "model.py")
    flags = {"model-repository": work / "models", "backend-directory": work / "backends", "http-port": port}
    flags |= {"http-address": "127.0.0.1", "allow-grpc": "false", "allow-metrics": "false"}
    libraries = pathlib.Path(packages, "nvidia_pytriton.libs")
    path = f"{pathlib.Path(python).parent}:{os.environ['PATH']}"
    environment = {"LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": packages, "PATH": path}
    return [
        server / "bin" / "tritonserver",
        *(f"--{key}={value}" for key, value in flags.items()),
    ], environment


def kserve(python, converted, work, port):
    """Command and environment of KServe's model server."""
    return [python, HERE / "kserve_engine.py", converted / "onnx", str(port)], {}


@pytest.fixture(scope="module", params=[triton, kserve], ids=lambda start: start.__name__)
def server(request, converted, tmp_path_factory):
    """Name, process and URL of a server that is ready."""
    python = os.environ.get("SERVERS_PYTHON")
    if not python:
        pytest.skip("SERVERS_PYTHON is not set: make test-engines sets it up")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    work = tmp_path_factory.mktemp(request.param.__name__)
    command, environment = request.param(python, converted, work, port)
    log, url = work / "log.txt", f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd="/", env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + START_SECONDS
        while not ready(url):
            assert process.poll() is None, log.read_text()[-3000:]
            assert time.monotonic() < end, log.read_text()[-3000:]
            time.sleep(0.2)
        yield request.param.__name__, process, f"v2+{url}"
    finally:
        process.terminate()
        process.wait(60)


def ready(url):
    try:
        with urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5) as answer:  # noqa: S310
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def url(server):
    return server[2]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three pictures of noise, in the working folder."""
    monkeypatch.chdir(tmp_path)
    rng, names = np.random.default_rng(0), ["0.png", "1.png", "2.png"]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (32, 32), np.uint8)).save(name)
    return names


def test_v2_signatures_answer_as_the_keras_model(url, exported):
    """`converted` has the same checkpoint as `exported`."""
    harness.assert_answers(url, exported.run.model)


def test_v2_commands_work_on_picture_files(url, files, exported, capsys):
    flags = [f"--url={url}", "--timeout=60"]
    for name, count in (("reconstruct", 3), ("interpolate", 2), ("mix", 3)):
        assert client.main([name, *files[:count], *flags]) == 0
        assert np.asarray(Image.open(f"{name}.png")).std() > 0
    for name in ("classify", "discriminate", "encode"):
        assert client.main([name, *files, *flags]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()[-3:]]
    pictures = np.stack([np.asarray(Image.open(name)) for name in files])[..., None]
    codes = exported.run.model.encode(pictures.astype(np.float32) / 127.5 - 1)
    np.testing.assert_allclose([line["code"] for line in lines], codes, rtol=1e-5, atol=1e-5)


def test_v2_status_lists_versions_and_signatures(server, converted, capsys):
    name, _, url = server
    assert client.main(["status", f"--url={url}"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    version = {"triton": converted.name, "kserve": "unnamed"}[name]
    assert first == f"version {version}: {AVAILABLE}"
    assert "mix_uint8: images [?, ?, 32, 32, 1], weights [?, ?] -> images [?, 32, 32, 1]" in lines
    assert len(lines) == len([*(converted / "onnx").iterdir()])


def test_v2_unknown_model_is_one_line(url, files, refused):
    for words in (["status"], ["encode", files[0]]):
        message = refused(client.main, *words, f"--url={url}", "--model=nobody_")
        assert "has no model for the signature. Received: " in message
        assert "nobody_encode" in message


def test_v2_wrong_requests_are_refused_and_change_nothing(url):
    server = harness.connect(url)
    for inputs in (
        {"images": np.zeros((2, 28, 28, 1), np.uint8)},
        {"pictures": np.zeros((2, 32, 32, 1), np.uint8)},
    ):
        with pytest.raises(ServingError, match=r"^The server refused the request\. Received: .*$"):
            server.predict("encode_uint8", inputs)
    assert (
        server.predict("encode_uint8", {"images": np.zeros((2, 32, 32, 1), np.uint8)})["codes"].shape[0] == 2
    )


def test_v2_request_above_the_limit_is_refused_by_triton(server):
    """`max_batch_size` of the configuration, which KServe does not read."""
    name, _, url = server
    images = {"images": np.zeros((65, 32, 32, 1), np.uint8)}
    if name == "triton":
        with pytest.raises(ServingError, match="must be <= 64"):
            harness.connect(url).predict("encode_uint8", images)
    else:
        assert len(harness.connect(url).predict("encode_uint8", images)["codes"]) == 65


def test_v2_requests_at_once_get_their_own_answers(server):
    """Triton joins requests, and only those with the same k."""
    kind, _, url = server
    server, rng = harness.connect(url), np.random.default_rng(0)
    requests = []
    for k in (2, 3, 2, 3):
        images = rng.uniform(-1, 1, (1, k, 32, 32, 1)).astype(np.float32)
        requests.append({"images": images, "weights": np.full((1, k), 1 / k, np.float32)})
    alone = [server.predict("mix", inputs)["images"] for inputs in requests]

    def difference(number):
        return np.abs(server.predict("mix", requests[number % 4])["images"] - alone[number % 4]).max()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        assert max(pool.map(difference, range(REQUESTS))) < 1e-5
    if kind == "triton":
        (counted,) = server.request("/v2/models/mix/stats")["model_stats"]
        assert counted["execution_count"] < counted["inference_count"]


def test_v2_stopped_server_is_given_up(server, files, refused):
    """The process is suspended: the port accepts connections, and nothing answers."""
    _, process, url = server
    process.send_signal(signal.SIGSTOP)
    try:
        assert "No answer from http://127.0.0.1" in refused(
            client.main, "encode", files[0], f"--url={url}", "--timeout=0.5"
        )
    finally:
        process.send_signal(signal.SIGCONT)
    assert client.main(["encode", files[0], f"--url={url}", "--timeout=60"]) == 0
