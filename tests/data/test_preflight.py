"""Preparation without a network: refused at once, naming every file to provide."""

import functools
import hashlib
import http.server
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download.checksums import UrlInfo

from amr_tf import data
from amr_tf.data.sources import preflight
from amr_tf.data.sources.svhn import SvhnTrainTest
from amr_tf.runtime.errors import DataError

REPO = Path(__file__).resolve().parents[2]
OFFLINE = ("unshare", "--map-root-user", "--net")
LOAD = """
import sys
from amr_tf import data
from amr_tf.config import Config
from amr_tf.runtime.errors import DataError
try:
    data.load(Config(dataset=sys.argv[1], data_dir=sys.argv[2]))
except DataError as error:
    print(error)
    sys.exit(3)
"""


def load(dataset, data_dir, prefix=(), env=None):
    """Loads a data set in a process."""
    command = [*prefix, sys.executable, "-c", LOAD, dataset, data_dir]
    return subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def no_proxy_to_this_machine(monkeypatch):
    """The servers of these tests are reached directly, whatever the machine's proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def silent_port():
    """A port that accepts connections and never answers, as a network that drops packets."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


@pytest.mark.parametrize("port", ["closed_port", "silent_port"])
def test_load_without_network_names_every_file_within_15_seconds(port, request, tmp_path):
    """Imports included, whether connections are refused or never answered."""
    proxy = f"http://127.0.0.1:{request.getfixturevalue(port)}"
    environment = {**os.environ, "http_proxy": proxy, "https_proxy": proxy, "no_proxy": ""}
    started = time.monotonic()
    run = load("svhn", tmp_path / "data", env=environment)
    assert time.monotonic() - started < 15
    assert run.returncode == 3, run.stderr
    infos = tfds.builder_cls("svhn_cropped").url_infos
    for url, info in infos.items():
        line = f"{info.filename}  {int(info.size)} bytes  sha256 {info.checksum}  {url}"
        assert (line in run.stdout) == (not info.filename.startswith("extra"))
    for folder in ("svhn_cropped/3.1.0/", "svhn_cropped_train_test/3.1.0/", "downloads/manual"):
        assert str(tmp_path / "data" / folder) in run.stdout
    assert "rsync" in run.stdout
    assert "--raw_dir" in run.stdout
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "data").exists()


def test_load_prepared_set_needs_no_network(config, tmp_path, put_in_cache, cifar_files):
    """A GPU node without a network trains on a copied data_dir."""
    if subprocess.run([*OFFLINE, "true"], check=False, capture_output=True).returncode:
        pytest.skip(f"this user may not make a network namespace ({' '.join(OFFLINE)})")
    put_in_cache("cifar10", cifar_files)
    data.load(config("cifar10"))
    run = load("cifar10", tmp_path / "data", OFFLINE)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Preparing" not in run.stdout


def test_probe_keeps_its_deadline_and_gives_reasons(closed_port, silent_port):
    """One deadline for all, not one each."""
    urls = [f"http://127.0.0.1:{silent_port}/{n}" for n in range(5)] + [f"http://127.0.0.1:{closed_port}/"]
    started = time.monotonic()
    failures = preflight.probe(urls, seconds=0.5)
    assert time.monotonic() - started < 2
    assert set(failures) == set(urls)
    assert "refused" in failures[urls[-1]]


@pytest.fixture
def svhn_server(tmp_path, monkeypatch, svhn_files):
    """A web server with a tiny SVHN in place of the official one, and the folder that it serves."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        infos = {}
        for name, content in svhn_files.items():
            (folder / name).write_bytes(content)
            info = UrlInfo(size=len(content), checksum=hashlib.sha256(content).hexdigest(), filename=name)
            infos[f"http://127.0.0.1:{server.server_port}/{name}"] = info
        monkeypatch.setattr(SvhnTrainTest, "url_infos", infos)
        yield folder
        server.shutdown()


def test_probe_http_error_is_a_failure(svhn_server):
    good, gone = SvhnTrainTest.url_infos
    (svhn_server / "test_32x32.mat").unlink()
    assert preflight.probe([good, gone], seconds=3) == {gone: f"HTTP 404 from {gone}"}


@pytest.mark.usefixtures("svhn_server")
def test_load_with_network_downloads_the_files(config, capfd):
    splits = data.load(config("svhn"))
    assert [len(part) for part in splits] == [27, 3, 12]
    assert re.fullmatch(r"Preparing svhn in .* MB to download\)\n", capfd.readouterr().out)


def test_load_download_with_another_checksum_is_refused(config, svhn_server, tmp_path):
    """SVHN comes over plain http: only the sha256 protects."""
    path = svhn_server / "test_32x32.mat"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(DataError, match=r"^svhn could not be prepared in .*test_32x32.mat.*wrong checksum"):
        data.load(config("svhn"))
    assert not (tmp_path / "data" / "svhn_cropped_train_test" / "3.1.0").exists()


def test_load_raw_dir_lacking_a_file_names_it_and_writes_nothing(config, raw_folder, tmp_path):
    """The network is not tried."""
    folder = raw_folder("mnist")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"lacks t10k-labels-idx1-ubyte.gz of mnist") as error:
        data.load(config("mnist", raw_dir=str(folder)))
    assert "sha256 f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6" in str(error.value)
    assert "train-images" not in str(error.value)
    assert not (tmp_path / "data").exists()


def test_load_one_bad_file_imports_nothing(config, raw_folder, tmp_path):
    """Test images given as training images are named, and the other three files are not imported."""
    folder = raw_folder("mnist")
    wrong = folder / "train-images-idx3-ubyte"
    wrong.write_bytes((folder / "t10k-images-idx3-ubyte").read_bytes())
    with pytest.raises(DataError, match=rf"{wrong} is not the official train-images-idx3-ubyte.gz"):
        data.load(config("mnist", raw_dir=str(folder)))
    assert not (tmp_path / "data").exists()


def test_load_checks_files_of_the_right_size_in_manual_folder(config, tmp_path, monkeypatch, closed_port):
    """A file of the official size with other contents is an error; one of another size belongs to another data set."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{closed_port}")
    manual = tmp_path / "data" / "downloads" / "manual"
    manual.mkdir(parents=True)
    path = manual / "train-labels-idx1-ubyte.gz"
    path.write_bytes(bytes(28_881))
    with pytest.raises(DataError, match="not the official"):
        data.load(config("mnist"))
    path.write_bytes(bytes(29_515))
    with pytest.raises(
        DataError, match=r"(?s)cannot be downloaded .*\n.*train-labels[^\n]*another size there"
    ):
        data.load(config("mnist"))
    assert list(manual.parent.iterdir()) == [manual]
