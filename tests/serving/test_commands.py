"""The commands on a SavedModel with the exported signatures, run by TensorFlow in this process: what a server does."""

import json

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import json_format
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from amr_tf.data import pixels
from amr_tf.runtime.errors import UserError
from amr_tf.serving import client, commands, grpc, rest
from amr_tf.serving.transport import AVAILABLE, ServingError, Signature, Tensor, Version, checked

H, W, C, CLASSES = 2, 4, 1, 5
GAP = 2  # of a grid


def byte_spec(*shape, name):
    return tf.TensorSpec((None, *shape), tf.uint8, name=name)


class Identity(tf.Module):
    """Encoder and decoder change nothing, so that every answer can be foreseen."""

    def __init__(self, channels):
        super().__init__()
        image = (H, W, channels)
        images, spec = byte_spec(*image, name="images"), tf.TensorSpec
        self.endpoints = {
            "reconstruct_uint8": tf.function(self.reconstruct, [images]),
            "interpolate_uint8": tf.function(
                self.interpolate,
                [
                    byte_spec(*image, name="first"),
                    byte_spec(*image, name="second"),
                    spec((None,), name="alpha"),
                ],
            ),
            "mix_uint8": tf.function(
                self.mix, [byte_spec(None, *image, name="images"), spec((None, None), name="weights")]
            ),
            "encode_uint8": tf.function(lambda images: {"codes": self.encode(images)}, [images]),
            "classify_uint8": tf.function(self.classify, [images]),
            "discriminate_uint8": tf.function(
                lambda images: {"scores": tf.reduce_mean(self.encode(images), [1, 2, 3])}, [images]
            ),
        }

    def encode(self, images):
        return tf.cast(images, tf.float32) / 127.5 - 1

    def decode(self, codes):
        return tf.cast(tf.round((codes + 1) * 127.5), tf.uint8)

    def reconstruct(self, images):
        codes = self.encode(images)
        return {"reconstructions": self.decode(codes), "codes": codes}

    def interpolate(self, first, second, alpha):
        alpha = alpha[:, None, None, None]
        return {"images": self.decode(alpha * self.encode(first) + (1 - alpha) * self.encode(second))}

    def mix(self, images, weights):
        return {
            "images": self.decode(tf.reduce_sum(self.encode(images) * weights[..., None, None, None], axis=1))
        }

    def classify(self, images):
        """The class is the first pixel's value."""
        chosen = tf.one_hot(tf.cast(images[:, 0, 0, 0], tf.int32), CLASSES)
        return {"logits": tf.math.log(chosen * 0.6 + 0.1), "probabilities": chosen * 0.6 + 0.1}


class Loaded:
    """A SavedModel asked as a server is, without a network between: a `transport.Server`."""

    def __init__(self, path):
        self.model = tf.saved_model.load(str(path))
        message = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
        self.definitions = message.meta_graphs[0].signature_def

    def versions(self):
        return []

    def signatures(self):
        """Through the JSON that a server's metadata are, as its C++ code prints them."""
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=dict(self.definitions))
        text = json_format.MessageToJson(
            signatures, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        return rest.signatures_of({"metadata": {"signature_def": json.loads(text)}})

    def predict(self, name, signature, inputs):
        """The request travels as JSON, too."""
        question = json.loads(rest.request_body(name, inputs))
        assert question["signature_name"] == name
        tensors = {
            key: tf.constant(value, grpc.types_pb2.DataType.Value(signature.inputs[key].dtype))
            for key, value in question["inputs"].items()
        }
        answer = self.model.signatures[name](**tensors)
        outputs = {key: value.numpy().tolist() for key, value in answer.items()}
        return checked(outputs, signature, len(next(iter(inputs.values()))))


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """SavedModels of grey and of coloured pictures by their number of channels."""
    paths = {}
    for channels in (1, 3):
        module = Identity(channels)
        paths[channels] = tmp_path_factory.mktemp("export") / str(channels)
        tf.saved_model.save(module, str(paths[channels]), signatures=dict(module.endpoints))
    return paths


@pytest.fixture(scope="module")
def server(paths):
    return Loaded(paths[1])


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Files of grey pictures, of one value each: `pictures(0, 255)` gives their names. Results go beside them."""
    monkeypatch.chdir(tmp_path)

    def make(*values):
        for number, value in enumerate(values):
            Image.fromarray(np.full((H, W), value, np.uint8)).save(f"{number}.png")
        return [f"{number}.png" for number in range(len(values))]

    return make


def ask(server, *arguments):
    _, request = client.parse([*arguments])
    client.COMMANDS[request.command].run(server, request)


def cells(path, width=W):
    """The values of the images in a picture of results, row by row, where each has one value."""
    factor = commands.SHOWN_WIDTH // width
    picture = np.asarray(Image.open(path))[::factor, ::factor]
    rows, columns = (picture.shape[0] - GAP) // (H + GAP), (picture.shape[1] - GAP) // (width + GAP)
    found = []
    for row in range(rows):
        top = GAP + row * (H + GAP)
        lefts = [GAP + column * (width + GAP) for column in range(columns)]
        images = [picture[top : top + H, left : left + width] for left in lefts]
        assert all((image == image[0, 0]).all() for image in images)
        found.append([int(image[0, 0, 0]) for image in images])
    return found


def test_an_interpolation_goes_from_the_first_to_the_second(server, pictures, capsys):
    ask(server, "interpolate", *pictures(0, 200), "--steps=5", "--out=deep/strip.png")
    assert cells("deep/strip.png") == [[0, 0, 50, 100, 150, 200, 200]]
    assert capsys.readouterr().out == "written: deep/strip.png\n"


def test_a_mix_stands_after_its_pictures(server, pictures):
    ask(server, "mix", *pictures(0, 100, 200), "--weights=0.5,0.3,0.2")
    assert cells("mix.png") == [[0, 100, 200, 70]]
    ask(server, "mix", *pictures(0, 100))
    assert cells("mix.png") == [[0, 100, 50]]


def test_reconstructions_stand_below_their_pictures(server, pictures):
    ask(server, "reconstruct", *pictures(7, 250))
    assert cells("reconstruct.png") == [[7, 250], [7, 250]]


def test_codes_are_printed_or_written(server, pictures, capsys):
    names = pictures(0, 255)
    ask(server, "encode", *names)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["picture"] for line in lines] == names
    np.testing.assert_array_equal(lines[1]["code"], np.ones((H, W, C)))
    ask(server, "encode", *names, "--out=codes.npy")
    codes = np.load("codes.npy")
    np.testing.assert_array_equal(codes, np.stack([-np.ones((H, W, C)), np.ones((H, W, C))]))
    assert codes.dtype == np.float32


def test_classes_and_scores_are_printed(server, pictures, capsys):
    ask(server, "classify", *pictures(3, 0))
    assert capsys.readouterr().out == (
        "0.png: class 3 70.0%, class 0 10.0%, class 1 10.0%\n0.png: class 0 70.0%, class 1 10.0%, class 2 10.0%\n"
    ).replace("\n0.png", "\n1.png")
    ask(server, "discriminate", *pictures(0, 255))
    assert capsys.readouterr().out == "0.png: -1.0000\n1.png: 1.0000\n"


def test_a_model_of_colours_gets_colours(paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (50, 30), (10, 200, 90)).save("photo.png")
    ask(Loaded(paths[3]), "reconstruct", "photo.png")
    assert np.asarray(Image.open("reconstruct.png"))[GAP * 16, GAP * 16].tolist() == [10, 200, 90]


def test_metadata_mean_the_same_over_both_protocols(server):
    over_rest = server.signatures()
    assert set(over_rest) == {*Identity(C).endpoints, "__saved_model_init_op"}
    for name, definition in server.definitions.items():
        assert over_rest[name].inputs == grpc._tensors(definition.inputs)
        assert over_rest[name].outputs == grpc._tensors(definition.outputs)
    assert over_rest["mix_uint8"].inputs["images"] == ("DT_UINT8", (None, None, H, W, C))


def test_a_grpc_request_holds_the_arrays():
    alpha, first = np.array([0.5], np.float32), pixels.to_uint8(np.zeros((1, H, W, C)))
    request = grpc.predict_request("amr", "interpolate_uint8", {"alpha": alpha, "first": first})
    assert (request.model_spec.name, request.model_spec.signature_name) == ("amr", "interpolate_uint8")
    np.testing.assert_array_equal(tf.make_ndarray(request.inputs["first"]), first)
    assert request.inputs["alpha"].dtype == tf.float32.as_datatype_enum


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"mix_uint8"}, r"no signature 'mix_uint8'\. It has: classify_uint8, .*, reconstruct_uint8$"),
        ({"images"}, "is not amr_tf's: it takes weights instead of images, weights"),
        ({"shape"}, r"does not take pictures: its input 'images' is \[\?, 2\]"),
    ],
)
def test_a_model_that_cannot_do_it_is_named(server, pictures, lacking, said):
    signatures = server.signatures()
    definition = signatures["mix_uint8"]
    inputs = {name: tensor for name, tensor in definition.inputs.items() if name not in lacking}
    if "shape" in lacking:
        inputs["images"] = inputs["images"]._replace(shape=(None, 2))
    signatures["mix_uint8"] = definition._replace(inputs=inputs)

    class Lacking(Loaded):
        def __init__(self):
            """Loads nothing."""

        def signatures(self):
            return {name: signature for name, signature in signatures.items() if name not in lacking}

    with pytest.raises(ServingError, match=said):
        ask(Lacking(), "mix", *pictures(0, 1))


class Claims:
    """A server that says of its one signature what it is told to: a `transport.Server`."""

    def __init__(self, name, taken, given, answer=None):
        self.found = {name: Signature(taken, given)}
        self.answer = answer

    def versions(self):
        return [Version(1, AVAILABLE, "\x1b[2J")]

    def signatures(self):
        return self.found

    def predict(self, name, signature, inputs):
        return self.answer


BYTES = {"images": Tensor("DT_UINT8", (None, H, W, C))}
VAST = {"images": Tensor("DT_UINT8", (None, 300_000, 300_000, 1))}


@pytest.mark.parametrize(
    ("name", "taken", "given", "said"),
    [
        ("encode", BYTES, {}, "it has no output 'codes'$"),
        (
            "classify",
            BYTES,
            {"probabilities": Tensor("DT_FLOAT", None)},
            "no output 'probabilities' of 2 dimensions",
        ),
        (
            "discriminate",
            BYTES,
            {"scores": Tensor("DT_FLOAT", (None, 2))},
            "no output 'scores' of 1 dimensions",
        ),
        ("reconstruct", BYTES, {"reconstructions": Tensor("DT_UINT8", (None, H))}, "of 4 dimensions"),
        (
            "encode",
            VAST,
            {"codes": Tensor("DT_FLOAT", (None, 2))},
            r"takes? pictures: its input 'images' is \[\?, 300000",
        ),
        ("encode", {"\x1b[2J": BYTES["images"]}, {}, r"it takes \?\[2J instead of images"),
    ],
)
def test_a_signature_that_no_export_has_is_refused(pictures, name, taken, given, said):
    with pytest.raises(ServingError, match=said):
        ask(Claims(f"{name}_uint8", taken, given), name, *pictures(0))


def test_pictures_of_another_size_are_refused(pictures):
    given = {"reconstructions": Tensor("DT_UINT8", (None, None, None, C))}
    answer = {"reconstructions": np.zeros((1, H + 1, W, C), np.uint8)}
    with pytest.raises(ServingError, match="pictures of the size that it takes"):
        ask(Claims("reconstruct_uint8", BYTES, given, answer), "reconstruct", *pictures(0))


def test_what_a_server_says_of_itself_is_text(capsys):
    ask(Claims("\x1b]0;x\x07", BYTES, {}), "status")
    assert capsys.readouterr().out == f"version 1: AVAILABLE ?[2J\n?]0;x?: images [?, {H}, {W}, {C}] -> \n"


@pytest.mark.parametrize("out", [".", "0.png/strip.png", "a\0b"])
def test_a_result_that_cannot_be_written(server, pictures, out):
    names = pictures(0, 1)
    with pytest.raises(UserError, match=r"The result cannot be written: .* Choose another --out"):
        ask(server, "interpolate", *names, f"--out={out}")


def test_nobody_answers_over_grpc(closed_port, talker):
    with pytest.raises(ServingError, match="Nothing that can be talked to at grpc://"):
        grpc.GrpcServer(f"grpc://127.0.0.1:{closed_port}", "amr", 5).versions()
    silent = talker(lambda connection: connection.recv(1 << 20) and connection.recv(1 << 20))
    with pytest.raises(ServingError, match=r"No answer from grpc://127.0.0.1:.* within 0.5 s"):
        grpc.GrpcServer(f"grpc://127.0.0.1:{silent}", "amr", 0.5).signatures()


def test_what_speaks_http_is_no_grpc_server(talker):
    port = talker(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(ServingError, match=r"at grpc://127\.0\.0\.1"):
        grpc.GrpcServer(f"grpc://127.0.0.1:{port}", "amr", 2).versions()
