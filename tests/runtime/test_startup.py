"""Import of TensorFlow: threads of an operation, and what other programs leave in home folder and environment."""

import contextlib
import os
import pathlib
import subprocess
import sys

import pytest

from amr_tf.runs.folder import read_rows
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("cores", "threads"), [(1, "1"), (2, "1"), (3, "1"), (8, "4")])
def test_threads_default_is_half_of_the_cores(monkeypatch, cores, threads):
    monkeypatch.setattr(startup, "cores", lambda: cores)
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3"})
    startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == threads


@pytest.mark.parametrize("threads", ["7", "-1", "", "two", "1.5", "99999"])
def test_threads_are_those_set_or_refused(monkeypatch, threads):
    """TensorFlow would abort the process at a negative number."""
    monkeypatch.setattr(startup.os, "environ", {startup.QUIET: "3", startup.THREADS: threads})
    refused = pytest.raises(UserError, match=f"^{startup.THREADS} must be .* Received: '{threads}'$")
    with contextlib.nullcontext() if threads == "7" else refused:
        startup.import_tensorflow()
    assert startup.os.environ[startup.THREADS] == threads


SETTINGS = (
    '{"image_data_format": "channels_first", "floatx": "float16", "epsilon": 0.1, "backend": "jax"}',
    "{damaged",
    None,  # a folder of that name
)
REPORT = """
from amr_tf.runtime import startup
startup.import_tensorflow()
import keras
from amr_tf.models.build import build_model
from tests.support.config import tiny_config
print([getattr(keras.config, name)() for name in ("backend", "floatx", "image_data_format", "epsilon")])
model = build_model(tiny_config(arch="amr_fixed"), (32, 32, 1), 10)
print(model.encoder.output_shape, {variable.dtype for variable in model.encoder.variables})
"""


@pytest.mark.slow
@pytest.mark.parametrize("content", SETTINGS)
def test_settings_of_keras_are_not_the_users(tmp_path, content):
    """A keras.json, valid or not, and Keras's variables."""
    place = tmp_path / ".keras" / "keras.json"
    place.parent.mkdir()
    place.write_text(content, encoding="utf-8") if content else place.mkdir()
    leftovers = {"KERAS_BACKEND": "torch", "KERAS_MAX_EPOCHS": "x", "TF_USE_LEGACY_KERAS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", REPORT], capture_output=True, text=True, check=True, cwd=ROOT,
        env=os.environ | leftovers | {"HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "['tensorflow', 'float32', 'channels_last', 1e-07]",
        "(None, 8, 8, 2) {'float32'}",
    ]


@pytest.mark.slow
def test_environment_of_other_programs_changes_no_number(tmp_path):
    """Variables that another program needs, all at once; TF_CONFIG is of a job with two machines."""
    workers = '{"cluster": {"worker": ["host0:1", "host1:1"]}, "task": {"type": "worker", "index": 1}}'
    leftovers = {
        "TF_CONFIG": workers, "KERAS_BACKEND": "torch", "TF_USE_LEGACY_KERAS": "1", "MPLBACKEND": "invalid",
        "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "abc", "COLUMNS": "x", "TZ": "x/y",
        "TF_FORCE_GPU_ALLOW_GROWTH": "maybe", "TMPDIR": "/nonexistent", "http_proxy": "x", "LC_ALL": "xx",
        "CUDA_VISIBLE_DEVICES": "", "HOME": "/nonexistent", "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "bad",
    }  # fmt: skip
    flags = "--dataset=spiral --depth=2 --epochs=1 --steps_per_epoch=2 --strategy=mirrored --cpu_devices=2"
    rows = []
    for number, more in enumerate(({}, leftovers)):
        folder = tmp_path / str(number)
        words = [sys.executable, "-m", "amr_tf.train", *flags.split(), f"--run_dir={folder}"]
        subprocess.run(words, check=True, cwd=ROOT, env=os.environ | more, timeout=300)
        (row,) = read_rows(folder / "metrics.csv")
        rows.append(row | {"images_per_second": 0})
    assert rows[0] == rows[1]
