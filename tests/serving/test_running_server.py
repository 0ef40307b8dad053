"""Every signature over both protocols, many requests at once, requests that are wrong: of a stand-in and a real server.

The real one is TensorFlow Serving (slow): AMR_TF_SERVING_URL (http://localhost:8501) and AMR_TF_SERVING_GRPC_URL
(grpc://localhost:8500) name a running one, AMR_TF_SERVING_MODEL its model (amr). Without them a tiny model is trained,
exported and served by Docker, where there is an engine.
"""

import base64
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from amr_tf.data import pixels
from amr_tf.plotting import canvas
from amr_tf.serving import client
from amr_tf.serving.server import AVAILABLE, ServingError
from tests.docs.documents import ROOT, python_blocks
from tests.serving import stand_in
from tests.serving.conftest import TINY

COMPOSE = ("docker", "compose", "-f", str(ROOT / "docs" / "serving" / "docker-compose.yml"))
MODEL = os.environ.get("AMR_TF_SERVING_MODEL", stand_in.MODEL)
TRAINED = [f"--{name}={value}" for name, value in TINY.items()]
THREADS, REQUESTS = 8, 200
ONE_LEVEL = 1.01 / 127.5  # of grey, in [-1, 1]
REAL = pytest.param("real", marks=[pytest.mark.slow, pytest.mark.timeout(1200)])


@pytest.fixture(scope="module", params=["stand_in", REAL])
def urls(request, tmp_path_factory):
    """The addresses of a server by protocol."""
    if request.param == "stand_in":
        yield request.getfixturevalue("served")
        return
    given = {"rest": os.environ.get("AMR_TF_SERVING_URL"), "grpc": os.environ.get("AMR_TF_SERVING_GRPC_URL")}
    if any(given.values()):
        yield given
        return
    for command in (("docker", "version"), ("docker", "compose", "version")):
        if not works(*command):
            pytest.skip(f"no AMR_TF_SERVING_URL is set, and `{' '.join(command)}` does not work here")
    run, export = (tmp_path_factory.mktemp("served") / name for name in ("run", "export"))
    for module, *words in (("train", *TRAINED), ("export", f"--export_dir={export}")):
        command = [sys.executable, "-m", f"amr_tf.{module}", f"--run_dir={run}", *words]
        subprocess.run(command, check=True, cwd=ROOT)
    environment = os.environ | {"AMR_TF_EXPORT_DIR": str(export)}
    try:
        subprocess.run([*COMPOSE, "up", "--wait"], check=True, env=environment)
        yield {"rest": "http://localhost:8501", "grpc": "grpc://localhost:8500"}
    finally:
        subprocess.run([*COMPOSE, "down"], check=True, env=environment)


def works(*command):
    try:
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def address(urls, protocol):
    if not urls[protocol]:
        pytest.skip(f"no address of the server for {protocol} was given")
    return urls[protocol]


@pytest.fixture(scope="module", params=["rest", "grpc"])
def url(request, urls):
    return address(urls, request.param)


@pytest.fixture(scope="module")
def server(url):
    return client.connect(url, MODEL, 60.0)


@pytest.fixture(scope="module")
def pictures(server):
    """Three pictures of noise as the model takes them: uint8 [3, H, W, C]."""
    shape = server.signatures["encode"].inputs["images"].shape[1:]
    return np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)


@pytest.fixture(scope="module")
def ask(server):
    """`ask(name, **inputs)` gives the outputs by name."""
    return lambda name, **inputs: server.predict(name, inputs)


def test_server_bytes_and_floats_mean_the_same(ask, pictures):
    x = pixels.to_float(pictures)
    default, by_bytes = ask("serving_default", images=x), ask("reconstruct_uint8", images=pictures)
    for codes in (by_bytes, ask("encode", images=x), ask("encode_uint8", images=pictures)):
        np.testing.assert_allclose(codes["codes"], default["codes"], atol=1e-5)
    decoded = ask("decode", codes=default["codes"])["images"]
    np.testing.assert_allclose(decoded, default["reconstructions"], atol=1e-5)
    for decoded in (by_bytes["reconstructions"], ask("decode_uint8", codes=default["codes"])["images"]):
        expected = np.clip(default["reconstructions"], -1, 1)
        np.testing.assert_allclose(pixels.to_float(decoded), expected, atol=ONE_LEVEL)


@pytest.mark.parametrize("ending", ["", "_uint8"])
def test_server_mixes_at_their_ends_are_reconstructions(ask, server, pictures, ending):
    x = pictures if ending else pixels.to_float(pictures)
    expected = ask(f"reconstruct{ending}", images=x)["reconstructions"]
    parents, weights = np.stack([x] * 3), np.eye(3, dtype=np.float32)
    maps = server.signatures["mix_bernoulli"].inputs["masks"].shape[-1]
    mixed = {
        # The second is its own mirror image.
        "interpolate": {"first": x, "second": x[::-1].copy(), "alpha": np.array([1, 0, 1], np.float32)},
        "mix": {"images": parents, "weights": weights},
        "mix_bernoulli": {"images": parents, "masks": np.repeat(weights[..., None], maps, axis=-1)},
    }
    for name, inputs in mixed.items():
        found = ask(f"{name}{ending}", **inputs)["images"]
        np.testing.assert_allclose(found.astype(float), expected, atol=1 if ending else 1e-5)


def test_server_judgements_of_bytes_are_those_of_floats(ask, server, pictures):
    x = pixels.to_float(pictures)
    for name in {"classify", "discriminate"} & set(server.signatures):
        judged = ask(name, images=x)
        for output, values in ask(f"{name}_uint8", images=pictures).items():
            np.testing.assert_allclose(values, judged[output], atol=1e-4)
    np.testing.assert_allclose(ask("classify", images=x)["probabilities"].sum(axis=1), 1, atol=1e-5)


def as_png(picture):
    return canvas.png(picture if picture.shape[-1] == 3 else picture[..., 0])


def test_server_picture_files_have_the_codes_of_pixels(url, ask, pictures):
    files = [as_png(picture) for picture in pictures]
    if url.startswith("grpc"):
        answer = ask("encode_png", image_bytes=np.array(files, dtype=object))["codes"]
    else:
        inputs = {"image_bytes": [{"b64": base64.b64encode(file).decode()} for file in files]}
        status, answer = post(url, {"signature_name": "encode_png", "inputs": inputs})
        assert status == 200
        answer = answer["outputs"]
    np.testing.assert_allclose(answer, ask("encode_uint8", images=pictures)["codes"], atol=1e-5)


def test_server_many_requests_at_once_get_their_own_answers(ask, pictures):
    """The server joins them: each has to get the answer that it gets alone."""
    x, weights = pixels.to_float(pictures), np.eye(3, dtype=np.float32)
    requests = [
        *(("encode", "codes", {"images": x[i : i + 1]}) for i in range(3)),
        *(("mix", "images", {"images": x[None], "weights": weights[i : i + 1]}) for i in range(3)),
    ]
    alone = [ask(name, **inputs)[output] for name, output, inputs in requests]

    def difference(number):
        name, output, inputs = requests[number % 6]
        return np.abs(ask(name, **inputs)[output] - alone[number % 6]).max()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        assert max(pool.map(difference, range(REQUESTS))) < 1e-4


def post(url, body, path=f"/v1/models/{MODEL}:predict"):
    """Status and JSON of an answer over REST."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(f"{url}{path}", data, timeout=60) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no JSON",
        {"signature_name": "encode"},
        {"signature_name": "dream", "inputs": [1]},
        {"signature_name": "encode", "inputs": {"pictures": [1]}},
        {"signature_name": "encode", "inputs": {"images": [[1, 2], [3]]}},
        {"signature_name": "encode", "inputs": {"images": [[1, 2], [3, 4]]}},
        {"signature_name": "encode", "inputs": {"images": "text"}},
        {"signature_name": "encode_png", "inputs": {"image_bytes": [{"b64": "bm8gcGljdHVyZQ=="}]}},
    ],
)
def test_server_wrong_json_is_refused_and_changes_nothing(urls, body):
    url = address(urls, "rest")
    status, answer = post(url, body)
    assert 400 <= status < 600
    assert answer["error"]
    assert AVAILABLE in [state for _, state, _ in client.connect(url, MODEL, 60.0).versions()]


def test_server_wrong_requests_are_refused_in_one_line(url, server, pictures):
    with pytest.raises(ServingError, match=r"^The server refused the request\. Received: .*$"):
        server.predict("encode", {"images": pixels.to_float(pictures[0])})
    with pytest.raises(ServingError, match="does not know the model 'nobody'"):
        client.connect(url, "nobody", 60.0).versions()


def test_server_named_version_answers(urls):
    url = address(urls, "rest")
    server = client.connect(url, MODEL, 60.0)
    number = max(number for number, state, _ in server.versions() if state == AVAILABLE)
    images = np.zeros((1, *server.signatures["encode_uint8"].inputs["images"].shape[1:]), np.uint8)
    body = {"signature_name": "encode_uint8", "inputs": {"images": images.tolist()}}
    status, answer = post(url, body, f"/v1/models/{MODEL}/versions/{number}:predict")
    assert status == 200
    np.testing.assert_allclose(
        answer["outputs"], server.predict("encode_uint8", {"images": images})["codes"], atol=1e-5
    )


def test_client_commands_work_on_picture_files(url, pictures, tmp_path, capsys):
    files = []
    for number, picture in enumerate(pictures):
        files.append(str(tmp_path / f"{number}.png"))
        pathlib.Path(files[-1]).write_bytes(as_png(picture))
    server = [f"--url={url}", f"--model={MODEL}", "--timeout=60"]
    for name, count in (("reconstruct", 3), ("interpolate", 2), ("mix", 3)):
        out = tmp_path / f"{name}.png"
        assert client.main([name, *files[:count], *server, f"--out={out}"]) == 0
        assert np.asarray(Image.open(out)).std() > 0
    assert client.main(["status", *server]) == client.main(["encode", *files, *server]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert any(AVAILABLE in line for line in printed)
    assert [json.loads(line)["picture"] for line in printed[-3:]] == files
    assert client.main(["status", f"--url={url}", "--model=nobody"]) == 2
    assert "does not know the model 'nobody'" in capsys.readouterr().err


def test_documented_grpc_code_runs(served, exported, capsys):
    (block,) = python_blocks(ROOT / "docs" / "serving.md")
    assert "localhost:8500" in block
    code = block.replace("localhost:8500", served["grpc"].removeprefix("grpc://"))
    exec(compile(code, "serving.md", "exec"), {})  # noqa: S102
    codes = exported.run.model.encode(np.zeros((2, 32, 32, 1), np.float32))
    assert capsys.readouterr().out == f"{tuple(codes.shape)}\n"
