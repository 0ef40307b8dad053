"""A real TensorFlow Serving: every signature over both protocols, many requests at once, requests that are wrong.

AMR_TF_SERVING_URL (http://localhost:8501) and AMR_TF_SERVING_GRPC_URL (grpc://localhost:8500) name a running one,
AMR_TF_SERVING_MODEL its model (amr). Without them a tiny model is trained, exported and served by Docker, where there
is an engine.
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
from amr_tf.serving import client, grpc, transport

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ("docker", "compose", "-f", str(ROOT / "docs" / "serving" / "docker-compose.yml"))
MODEL = os.environ.get("AMR_TF_SERVING_MODEL", "amr")
TRAINED = (
    "--dataset=lines",
    "--latent=2",
    "--depth=2",
    "--batch_size=8",
    "--steps_per_epoch=2",
    "--epochs=1",
)
THREADS, REQUESTS = 8, 200
ONE_LEVEL = 1.01 / 127.5  # of grey, in [-1, 1]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """The addresses of the server by protocol."""
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


@pytest.fixture(scope="module", params=["rest", "grpc"])
def url(request, urls):
    if not urls[request.param]:
        pytest.skip(f"no address of the server for {request.param} was given")
    return urls[request.param]


@pytest.fixture(scope="module")
def server(url):
    return client.connect(client.Connection(url, MODEL, 60.0))


@pytest.fixture(scope="module")
def signatures(server):
    return server.signatures()


@pytest.fixture(scope="module")
def pictures(signatures):
    """Three pictures of noise as the model takes them: uint8 [3, H, W, C]."""
    shape = signatures["encode"].inputs["images"].shape[1:]
    return np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)


@pytest.fixture(scope="module")
def ask(server, signatures):
    """`ask(name, **inputs)` gives the outputs by name."""
    return lambda name, **inputs: server.predict(name, signatures[name], inputs)


def test_a_version_answers(server):
    assert transport.AVAILABLE in [version.state for version in server.versions()]


def test_bytes_and_floats_mean_the_same(ask, pictures):
    x = pixels.to_float(pictures)
    default, by_bytes = ask("serving_default", images=x), ask("reconstruct_uint8", images=pictures)
    np.testing.assert_allclose(by_bytes["codes"], default["codes"], atol=1e-5)
    np.testing.assert_allclose(
        pixels.to_float(by_bytes["reconstructions"]), default["reconstructions"], atol=ONE_LEVEL
    )
    for name in ("encode", "encode_uint8"):
        x_or_bytes = pictures if name.endswith("uint8") else x
        np.testing.assert_allclose(ask(name, images=x_or_bytes)["codes"], default["codes"], atol=1e-5)
    decoded = ask("decode", codes=default["codes"])["images"]
    np.testing.assert_allclose(decoded, default["reconstructions"], atol=1e-5)
    decoded = ask("decode_uint8", codes=default["codes"])["images"]
    np.testing.assert_allclose(pixels.to_float(decoded), default["reconstructions"], atol=ONE_LEVEL)


@pytest.mark.parametrize("ending", ["", "_uint8"])
def test_mixes_at_their_ends_are_reconstructions(ask, signatures, pictures, ending):
    x = pictures if ending else pixels.to_float(pictures)
    wanted = ask(f"reconstruct{ending}" if ending else "serving_default", images=x)["reconstructions"]
    close = {"atol": 1 if ending else 1e-5}
    alpha = np.array([1, 0, 1], np.float32)
    other = x[::-1].copy()
    interpolated = ask(f"interpolate{ending}", first=x, second=other, alpha=alpha)["images"]
    np.testing.assert_allclose(
        interpolated.astype(float), wanted, **close
    )  # the second is its own mirror image
    weights = np.eye(3, dtype=np.float32)
    parents = np.stack([x] * 3)
    mixed = ask(f"mix{ending}", images=parents, weights=weights)["images"]
    np.testing.assert_allclose(mixed.astype(float), wanted, **close)
    maps = signatures["mix_bernoulli"].inputs["masks"].shape[-1]
    masks = np.repeat(weights[..., None], maps, axis=-1)
    mixed = ask(f"mix_bernoulli{ending}", images=parents, masks=masks)["images"]
    np.testing.assert_allclose(mixed.astype(float), wanted, **close)


def test_judgements(ask, signatures, pictures):
    x = pixels.to_float(pictures)
    for name, output in (("classify", "probabilities"), ("discriminate", "scores")):
        if name in signatures:
            judged = ask(name, images=x)[output]
            np.testing.assert_allclose(ask(f"{name}_uint8", images=pictures)[output], judged, atol=1e-4)
            if name == "classify":
                np.testing.assert_allclose(judged.sum(axis=1), 1, atol=1e-5)


def as_png(picture):
    return canvas.png(picture if picture.shape[-1] == 3 else picture[..., 0])


def test_picture_files_are_encoded(url, server, ask, signatures, pictures):
    files = [as_png(picture) for picture in pictures]
    if url.startswith("grpc"):
        answer = ask("encode_png", image_bytes=np.array(files, dtype=object))["codes"]
    else:
        inputs = {"image_bytes": [{"b64": base64.b64encode(file).decode()} for file in files]}
        status, answer = post(url, {"signature_name": "encode_png", "inputs": inputs})
        assert status == 200
        answer = answer["outputs"]
    np.testing.assert_allclose(answer, ask("encode_uint8", images=pictures)["codes"], atol=1e-5)


def test_many_requests_at_once_get_their_own_answers(ask, pictures):
    """The server joins them: each has to get the answer that it gets alone."""
    x = pixels.to_float(pictures)
    alone = [ask("encode", images=x[i : i + 1])["codes"] for i in range(3)]
    mixes = [
        ask("mix", images=x[None], weights=np.eye(3, dtype=np.float32)[i : i + 1])["images"] for i in range(3)
    ]

    def one(number):
        i = number % 3
        if number % 2:
            weights = np.eye(3, dtype=np.float32)[i : i + 1]
            return np.abs(ask("mix", images=x[None], weights=weights)["images"] - mixes[i]).max()
        return np.abs(ask("encode", images=x[i : i + 1])["codes"] - alone[i]).max()

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        differences = list(pool.map(one, range(REQUESTS)))
    assert len(differences) == REQUESTS
    assert max(differences) < 1e-4


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
def test_what_is_wrong_is_refused_and_changes_nothing(urls, body):
    if not urls["rest"]:
        pytest.skip("no address of the server for rest was given")
    status, answer = post(urls["rest"], body)
    assert 400 <= status < 600
    assert answer["error"]
    connection = client.Connection(urls["rest"], MODEL, 60.0)
    assert transport.AVAILABLE in [version.state for version in client.connect(connection).versions()]


def test_what_is_wrong_is_refused_over_grpc(urls, pictures):
    if not urls["grpc"]:
        pytest.skip("no address of the server for grpc was given")
    server = grpc.GrpcServer(urls["grpc"], MODEL, 60.0)
    signature = server.signatures()["encode"]
    for name, inputs in (
        ("dream", {"images": pictures}),
        ("encode", {"images": pixels.to_float(pictures[0])}),
    ):
        with pytest.raises(transport.ServingError, match="The server refuses"):
            server.predict(name, signature, inputs)
    with pytest.raises(transport.ServingError, match="No model 'nobody'"):
        grpc.GrpcServer(urls["grpc"], "nobody", 60.0).signatures()


def test_a_version_can_be_named(urls, server, ask, pictures):
    if not urls["rest"]:
        pytest.skip("no address of the server for rest was given")
    number = max(version.number for version in server.versions() if version.state == transport.AVAILABLE)
    body = {"signature_name": "encode_uint8", "inputs": {"images": pictures.tolist()}}
    status, answer = post(urls["rest"], body, f"/v1/models/{MODEL}/versions/{number}:predict")
    assert status == 200
    np.testing.assert_allclose(answer["outputs"], ask("encode_uint8", images=pictures)["codes"], atol=1e-5)


def test_the_client(url, pictures, tmp_path, capsys):
    files = []
    for number, picture in enumerate(pictures):
        files.append(str(tmp_path / f"{number}.png"))
        pathlib.Path(files[-1]).write_bytes(as_png(picture))
    server = [f"--url={url}", f"--model={MODEL}", "--timeout=60"]
    for name, count in (("reconstruct", 3), ("interpolate", 2), ("mix", 3)):
        out = tmp_path / f"{name}.png"
        assert client.main([name, *files[:count], *server, f"--out={out}"]) == 0
        assert np.asarray(Image.open(out)).shape[-1] == 3
    for name in ("status", "encode"):
        assert client.main([name, *(files if name == "encode" else []), *server]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["picture"] for line in printed[-3:]] == files
    assert client.main(["status", f"--url={url}", "--model=nobody"]) == 2
    assert "No model 'nobody'" in capsys.readouterr().err
