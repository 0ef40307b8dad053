"""The commands, over each protocol, on a SavedModel whose every answer can be foreseen."""

import contextlib
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from amr_tf.plotting import canvas
from amr_tf.runtime.errors import UserError
from amr_tf.serving import client
from amr_tf.serving.server import Server, ServingError, Signature, Tensor
from tests.serving import harness
from tests.serving.stand_in import MODEL, serving

H, W, C, CLASSES = 4, 4, 1, 5
GAP = 2  # of a grid


def identity(channels):
    """Signatures of a model whose encoder and decoder change nothing."""

    def spec(*shape, name="images"):
        return tf.TensorSpec((None, *shape), tf.uint8, name=name)

    def encode(images):
        return {"codes": tf.cast(images, tf.float32) / 127.5 - 1}

    def decode(codes):
        return {"images": tf.cast(tf.round((codes + 1) * 127.5), tf.uint8)}

    def reconstruct(images):
        return {"reconstructions": images} | encode(images)

    def mix(images, weights):
        codes = encode(images)["codes"] * weights[..., None, None, None]
        return decode(tf.reduce_sum(codes, axis=1))

    def interpolate(first, second, alpha):
        return mix(tf.stack([first, second], axis=1), tf.stack([alpha, 1 - alpha], axis=1))

    def classify(images):
        """The class is the first pixel's value."""
        chosen = tf.one_hot(tf.cast(images[:, 0, 0, 0], tf.int32), CLASSES)
        return {"logits": tf.math.log(chosen * 0.6 + 0.1), "probabilities": chosen * 0.6 + 0.1}

    def discriminate(images):
        return {"scores": tf.reduce_mean(encode(images)["codes"], [1, 2, 3])}

    image = (H, W, channels)
    pair = [spec(*image, name="first"), spec(*image, name="second"), tf.TensorSpec((None,), name="alpha")]
    many = [spec(None, *image), tf.TensorSpec((None, None), name="weights")]
    one = {compute: [spec(*image)] for compute in (reconstruct, encode, classify, discriminate)}
    functions = one | {interpolate: pair, mix: many}
    return {f"{compute.__name__}_uint8": tf.function(compute, specs) for compute, specs in functions.items()}


@pytest.fixture(scope="module")
def urls(tmp_path_factory):
    """Addresses of models of grey and of coloured pictures, by number of channels and protocol."""
    with contextlib.ExitStack() as stack:
        found = {}
        for channels in (1, 3):
            path = tmp_path_factory.mktemp("export") / "1"
            tf.saved_model.save(tf.Module(), str(path), signatures=identity(channels))
            found[channels] = stack.enter_context(serving(path))
        yield found


@pytest.fixture(scope="module", params=["rest", "grpc", "v2"])
def url(request, urls):
    """The flag of the address of the model of grey pictures."""
    return f"--url={urls[C][request.param]}"


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Writes grey pictures of one value each: `pictures(0, 255)` gives their names. Results go beside them."""
    monkeypatch.chdir(tmp_path)

    def make(*values):
        for number, value in enumerate(values):
            Image.fromarray(np.full((H, W), value, np.uint8)).save(f"{number}.png")
        return [f"{number}.png" for number in range(len(values))]

    return make


def cells(path):
    """The values of the images in a picture of results, row by row; each image has one value."""
    factor = canvas.factor(W)
    picture = np.asarray(Image.open(path))[GAP * factor :: factor, GAP * factor :: factor, 0]
    rows = [picture[top : top + H] for top in range(0, len(picture), H + GAP)]
    images = [[row[:, left : left + W] for left in range(0, row.shape[1], W + GAP)] for row in rows]
    assert all(np.ptp(image) == 0 for row in images for image in row)
    return [[int(image[0, 0]) for image in row] for row in images]


def test_interpolate_two_pictures_is_a_strip_between_them(url, pictures, capsys):
    assert client.main(["interpolate", *pictures(0, 200), "--steps=5", "--out=deep/strip.png", url]) == 0
    assert cells("deep/strip.png") == [[0, 0, 50, 100, 150, 200, 200]]
    assert capsys.readouterr().out == "written: deep/strip.png\n"


def test_mix_with_and_without_weights_follows_its_pictures(url, pictures):
    assert client.main(["mix", *pictures(0, 100, 200), "--weights=0.5,0.3,0.2", url]) == 0
    assert cells("mix.png") == [[0, 100, 200, 70]]
    assert client.main(["mix", *pictures(0, 100), url]) == 0
    assert cells("mix.png") == [[0, 100, 50]]


def test_reconstruct_pictures_shows_reconstructions_below(url, pictures):
    assert client.main(["reconstruct", *pictures(7, 250), url]) == 0
    assert cells("reconstruct.png") == [[7, 250], [7, 250]]


def test_encode_pictures_prints_or_writes_codes(url, pictures, capsys):
    names = pictures(0, 255)
    assert client.main(["encode", *names, url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["picture"] for line in lines] == names
    np.testing.assert_array_equal(lines[1]["code"], np.ones((H, W, C)))
    assert client.main(["encode", *names, "--out=codes.npy", url]) == 0
    codes = np.load("codes.npy")
    np.testing.assert_array_equal(codes, np.stack([-np.ones((H, W, C)), np.ones((H, W, C))]))
    assert codes.dtype == np.float32


def test_classify_and_discriminate_pictures_print_a_line_each(url, pictures, capsys):
    assert client.main(["classify", *pictures(3, 0), url]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "0.png: class 3 70.0%, class 0 10.0%, class 1 10.0%",
        "1.png: class 0 70.0%, class 1 10.0%, class 2 10.0%",
    ]
    assert client.main(["discriminate", *pictures(0, 255), url]) == 0
    assert capsys.readouterr().out == "0.png: -1.0000\n1.png: 1.0000\n"


def test_reconstruct_model_of_colours_gets_colours(urls, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (50, 30), (10, 200, 90)).save("photo.png")
    assert client.main(["reconstruct", "photo.png", f"--url={urls[3]['rest']}"]) == 0
    assert np.asarray(Image.open("reconstruct.png"))[GAP * 16, GAP * 16].tolist() == [10, 200, 90]


def test_server_signatures_have_the_exported_shapes(url):
    found = harness.connect(url.removeprefix("--url=")).signatures
    assert set(found) == set(identity(C))
    assert found["mix_uint8"] == (
        {"images": ("DT_UINT8", (None, None, H, W, C)), "weights": ("DT_FLOAT", (None, None))},
        {"images": ("DT_UINT8", (None, H, W, C))},
    )


def claiming(monkeypatch, output, value, shape=(H, W, C), names=tuple(client.COMMANDS)):
    """Lets the client ask a model that takes pictures of a shape, and gives one output in each answer."""
    server = Server("http://127.0.0.1:1", MODEL, 1)
    signature = Signature({"images": Tensor("DT_UINT8", (None, *shape))}, {})
    server.signatures = dict.fromkeys((f"{name}_uint8" for name in names), signature)
    monkeypatch.setattr(server, "predict", lambda name, inputs: {output: value})
    monkeypatch.setattr(client, "connect", lambda *connection: server)


@pytest.mark.parametrize(
    ("command", "output", "value", "shape", "said"),
    [
        ("mix", "pictures", np.zeros((1, H, W, C)), (H, W, C), "KeyError: 'images'"),
        ("classify", "probabilities", np.zeros(1), (H, W, C), "IndexError"),
        ("discriminate", "scores", np.zeros((1, 2)), (H, W, C), "TypeError"),
        ("reconstruct", "reconstructions", np.zeros((1, H + 1, W, C)), (H, W, C), "ValueError"),
        ("encode", "codes", None, (2,), "ValueError"),
        ("encode", "codes", None, (H, W + 1, C), "images of 4 x 5 x 1"),
        ("encode", "codes", None, (None, None, C), "images of None x None x 1"),
    ],
)
def test_model_unlike_an_export_is_refused(pictures, monkeypatch, command, output, value, shape, said):
    claiming(monkeypatch, output, value, shape)
    with pytest.raises(ServingError, match=f"is not TensorFlow Serving's. Received: .*{said}"):
        client.work(client.parse([command, *pictures(*range(client.COMMANDS[command].least))]))


def test_model_without_the_signature_is_refused(pictures, monkeypatch):
    claiming(monkeypatch, "", None, names=["dream"])
    with pytest.raises(
        ServingError, match=r"no signature 'encode_uint8' among dream_uint8. Serve amr_tf's export"
    ):
        client.work(client.parse(["encode", *pictures(0)]))


@pytest.mark.parametrize("out", [".", "0.png/strip.png"])
def test_out_unwritable_path_is_refused(pictures, monkeypatch, out):
    claiming(monkeypatch, "codes", np.zeros((1, 2), np.float32))
    with pytest.raises(UserError, match=r"The result cannot be written: .* Choose another --out"):
        client.work(client.parse(["encode", *pictures(0), f"--out={out}"]))
