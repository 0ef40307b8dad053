"""The client and the manual's code over real gRPC, asking an export that TensorFlow runs in this process."""

import json

import numpy as np
import pytest
from PIL import Image

from amr_tf.data import pixels
from amr_tf.plotting import canvas
from amr_tf.serving import client, grpc, transport
from tests.docs.documents import ROOT, python_blocks
from tests.serving.grpc_server import MODEL, serving


@pytest.fixture(scope="module")
def address(exported):
    with serving(exported.folder) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(exported):
    """Three pictures of noise as the model takes them: uint8 [3, H, W, C]."""
    shape = exported.run.model.image_shape
    return np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)


@pytest.fixture
def files(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, picture in enumerate(pictures):
        (tmp_path / f"{number}.png").write_bytes(canvas.png(picture[..., 0]))
    return [f"{number}.png" for number in range(len(pictures))]


def test_the_code_of_the_manual_runs(address, exported, tmp_path, monkeypatch, capsys):
    blocks = python_blocks(ROOT / "docs" / "serving.md")
    assert len(blocks) == 1
    assert "localhost:8500" in blocks[0]
    exec(compile(blocks[0].replace("localhost:8500", address), "serving.md", "exec"), {})  # noqa: S102
    codes = exported.run.model.encode(np.zeros((2, 32, 32, 1), np.float32))
    assert capsys.readouterr().out == f"{tuple(codes.shape)}\n"


def test_the_answers_are_the_models(address, exported, pictures):
    server = grpc.GrpcServer(f"grpc://{address}", MODEL, 60.0)
    signature = server.signatures()["reconstruct_uint8"]
    answer = server.predict("reconstruct_uint8", signature, {"images": pictures})
    codes = exported.run.model.encode(pixels.to_float(pictures))
    np.testing.assert_allclose(answer["codes"], codes, atol=1e-5)
    decoded = pixels.to_float(answer["reconstructions"])
    np.testing.assert_allclose(decoded, np.clip(exported.run.model.decode(codes), -1, 1), atol=1.01 / 127.5)


def test_the_commands(address, exported, files, capsys):
    asked = [f"--url=grpc://{address}", "--timeout=60"]
    for name, count in (("reconstruct", 3), ("interpolate", 2), ("mix", 3)):
        assert client.main([name, *files[:count], *asked]) == 0
        assert np.asarray(Image.open(f"{name}.png")).std() > 0
    capsys.readouterr()
    assert client.main(["encode", *files, *asked]) == 0
    assert [json.loads(line)["picture"] for line in capsys.readouterr().out.splitlines()] == files
    assert client.main(["status", *asked]) == 0
    shown = capsys.readouterr().out
    assert exported.folder.name in shown
    assert transport.AVAILABLE in shown


def test_what_is_wrong_is_refused_in_one_line(address, files, pictures, capsys):
    server = grpc.GrpcServer(f"grpc://{address}", MODEL, 60.0)
    signature = server.signatures()["encode"]
    for name, inputs in (("dream", {"images": pictures}), ("encode", {"images": pictures})):
        with pytest.raises(transport.ServingError, match=r"^The server refuses: .*$"):
            server.predict(name, signature, inputs)
    assert client.main(["encode", *files, f"--url=grpc://{address}", "--model=nobody"]) == 2
    assert capsys.readouterr().err.startswith("amr_tf.serving.client: No model 'nobody' at grpc://")
