"""Quiet logs and the rounding of the recordings, set before TensorFlow is imported; what several tests need."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


@pytest.fixture(scope="module")
def preset_path(tmp_path_factory):
    """Where a test may write a flag file."""
    return tmp_path_factory.mktemp("presets") / "a.flags"
