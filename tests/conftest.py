"""Quiet logs, threads and rounding, set before TensorFlow is imported; what several tests need."""

import os
import pathlib
import socket
import sys
import tempfile

import pytest

CHROMIUM, DRIVER = pathlib.Path("/usr/bin/chromium"), pathlib.Path("/usr/bin/chromedriver")
BROWSER_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1900,1200",
)  # fmt: skip

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault(
    "TF_NUM_INTRAOP_THREADS", "1"
)  # or it would depend on which test imports TensorFlow first


def pytest_collection_finish():
    """Two logical CPU devices for the tests of replicas, before anything asks TensorFlow for its devices.

    Where no collected test imports TensorFlow, neither does this.
    """
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture(scope="module")
def preset_path(tmp_path_factory):
    """Path of a flag file that a test may write."""
    return tmp_path_factory.mktemp("presets") / "a.flags"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A real Chromium without a window, driven by selenium."""
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("needs chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*BROWSER_FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    os.environ["SE_OFFLINE"] = "true"  # selenium is given its driver and need not look for one
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture
def refused(capsys):
    """`refused(main, *words)` gives the one line of a command that fails with exit code 2."""

    def run(main, *words):
        assert main([*map(str, words)]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix(f"{main.program}: ")

    return run


@pytest.fixture
def closed_port():
    """A port at which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def closed_folder():
    """Makes a folder with a picture, which this process may list and not enter."""
    user = os.geteuid()
    # pytest closes its own temporary folders to other users.
    with tempfile.TemporaryDirectory() as parent:

        def make(name: str) -> pathlib.Path:
            folder = pathlib.Path(parent, name)
            folder.parent.chmod(0o755)
            folder.mkdir()
            (folder / "1.png").touch()
            folder.chmod(0o444)
            if user == 0:
                os.setresuid(65534, 65534, 0)  # root may enter anything
            return folder

        yield make
        os.setresuid(user, user, user)
        for folder in pathlib.Path(parent).iterdir():
            folder.chmod(0o755)
