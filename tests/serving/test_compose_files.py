"""The files for Docker, as far as they can be judged without it: their messages, their cross-references, the probe."""

import importlib.metadata
import json
import pathlib
import re
import subprocess

import pytest
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from amr_tf.serving import client

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "docs" / "serving"
COMPOSE = (FOLDER / "docker-compose.yml").read_text(encoding="utf-8")
PAGE = FOLDER.with_name("serving.md").read_text(encoding="utf-8")


def test_the_model_is_served_under_the_clients_default_name():
    config = text_format.Parse(
        (FOLDER / "models.config").read_text(encoding="utf-8"), model_server_config_pb2.ModelServerConfig()
    )
    (model,) = config.model_config_list.config
    assert model.name == client.parse(["status"]).model
    assert f"target: {model.base_path}\n" in COMPOSE
    assert f"GET /v1/models/{model.name} " in COMPOSE
    assert model.model_version_policy.latest.num_versions == 2


def test_the_files_that_are_mounted_exist_where_the_server_looks():
    mounted = re.findall(r"- \./([\w.]+):(\S+):ro\n", COMPOSE)
    assert sorted(name for name, _ in mounted) == ["batching.config", "models.config"]
    for name, target in mounted:
        assert (FOLDER / name).is_file()
        assert f"_file={target}\n" in COMPOSE


def test_the_page_names_the_image_that_is_started():
    ((variable, tag),) = re.findall(r"image: tensorflow/serving:\$\{(\w+):-(\d+\.\d+\.\d+)\}\n", COMPOSE)
    assert set(re.findall(r"tensorflow/serving:([\w.]+)", PAGE)) == {tag}
    assert f"`{variable}`" in PAGE


def test_the_page_names_the_installed_version_of_the_client():
    """Its messages are those that were tested; a server of another version has to understand them."""
    version = importlib.metadata.version("tensorflow-serving-api")
    assert f"tensorflow-serving-api {version}" in PAGE


@pytest.mark.parametrize(
    ("state", "healthy"), [("AVAILABLE", True), ("LOADING", False), ("UNAVAILABLE", False), (None, False)]
)
def test_the_probe_of_health_asks_for_an_available_version(talker, closed_port, state, healthy):
    """The command of the compose file in a real bash; the answers are those that TensorFlow Serving documents."""
    answer = json.dumps({"model_version_status": [{"version": "1", "state": state}]}, indent=1)
    port = closed_port if state is None else talker(lambda connection: reply(connection, answer))
    text = re.search(r">-\n((?: {10}.*\n)+)", COMPOSE)[1]
    command = " ".join(line.strip() for line in text.splitlines()).replace("8501", str(port))
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, timeout=20, check=False)
    assert (done.returncode == 0) is healthy


def reply(connection, answer):
    """Answers as a web server does, once the question is whole."""
    with connection.makefile("rb") as asked:
        assert asked.readline() == b"GET /v1/models/amr HTTP/1.0\r\n"
        assert asked.readline() == b"\r\n"
    connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{answer}".encode())
