"""A tiny run, its export and a server of it, for tests that only read them; ports without a model server."""

import contextlib
import http.server
import socket
import threading
from typing import NamedTuple

import pytest

from amr_tf.config import Config
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment

TINY = {
    "arch": "amr_fixed", "depth": 2, "latent": 2, "latent_width": 8, "batch_size": 8, "steps_per_epoch": 2,
    "epochs": 2, "update_g_every": 1, "train_examples": 300,
}  # fmt: skip


class Exported(NamedTuple):
    """A run and the folder of its exported version."""

    run: TrainedRun
    folder: object


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """The folder of a run on lines."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    experiment.run(Config(run_dir=str(folder), **TINY))
    return folder


@pytest.fixture(scope="session")
def exported(run_dir, tmp_path_factory):
    """An export into a folder with an older version and the remains of a killed export."""
    from amr_tf.serving import saved_model

    export_dir = tmp_path_factory.mktemp("export")
    (export_dir / "7").mkdir()
    (export_dir / ".8.tmp").mkdir()
    (export_dir / ".8.tmp" / "saved_model.pb").write_bytes(b"half of it")
    run = TrainedRun(run_dir, "best")
    return Exported(run, saved_model.export(run, export_dir))


@pytest.fixture(scope="session")
def converted(run_dir, tmp_path_factory):
    """The folder of version 8, with every format for other engines."""
    from amr_tf.serving import conversion, saved_model

    export_dir = tmp_path_factory.mktemp("converted")
    (export_dir / "7").mkdir()
    return saved_model.export(TrainedRun(run_dir, "best"), export_dir, conversion.FORMATS)


@pytest.fixture(scope="session")
def served(exported):
    """URLs of the exported version, served by TensorFlow's C++ loader in a process without this project."""
    from tests.serving import stand_in

    with stand_in.process(exported.folder) as urls:
        yield urls


@pytest.fixture
def talker():
    """Listens and calls a function with every connection: `talker(talk)` gives the port."""
    with contextlib.ExitStack() as stack:

        def start(talk):
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

            def accept():
                with contextlib.suppress(OSError):  # the test has ended
                    while True:
                        connection, _ = listener.accept()
                        with connection, contextlib.suppress(OSError):
                            talk(connection)

            threading.Thread(target=accept, daemon=True).start()
            return listener.getsockname()[1]

        yield start


@pytest.fixture
def answering():
    """A web server that answers every request with one status and body: `answering(status, body)` gives its URL and
    the list of the requests that came."""
    from tests.serving import stand_in

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
                    """Prints nothing."""

            return stack.enter_context(stand_in.web_server(Handler)), requests

        yield start
