"""Quiet logs, threads and rounding, set before TensorFlow is imported; what several tests need."""

import os
import sys

import pytest

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
    """Where a test may write a flag file."""
    return tmp_path_factory.mktemp("presets") / "a.flags"
