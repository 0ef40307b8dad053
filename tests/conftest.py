"""Before TensorFlow is imported: quiet logs, and the rounding that the recordings were checked with."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
