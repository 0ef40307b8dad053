"""Import of TensorFlow by the commands: Keras backend, number of threads, no start-up messages."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator

from amr_tf.runtime.errors import UserError, one_line

QUIET = "TF_CPP_MIN_LOG_LEVEL"
THREADS = "TF_NUM_INTRAOP_THREADS"
BACKEND = "tensorflow"
# Messages are shown with these variables. At an unknown flag of XLA, TensorFlow prints it and ends the process.
SHOWN = (QUIET, "TF_XLA_FLAGS", "XLA_FLAGS")


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras and lists the devices, with the settings that results depend on.

    Keras's settings are the defaults of Keras, whatever the user's keras.json and environment contain.
    TF_NUM_INTRAOP_THREADS is half of the cores by default.

    Raises:
        UserError: an invalid number of threads, no folder for temporary files, or a Keras that runs on another backend.
    """
    if "keras" in sys.modules and (backend := sys.modules["keras"].backend.backend()) != BACKEND:
        raise UserError(
            f"Keras runs on another backend. Received: {backend}. Start a new process, and import amr_tf before keras "
            f"or set KERAS_BACKEND={BACKEND}"
        )
    for name in [name for name in os.environ if name.startswith("KERAS_") and name != "KERAS_HOME"]:
        del os.environ[name]  # such as KERAS_MAX_EPOCHS
    # Written for another program. protobuf refuses names that it does not know; TensorFlow needs the default.
    os.environ.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
    os.environ["KERAS_BACKEND"] = BACKEND
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    # Most of a step consists of pairs of convolutions that can run side by side, with half of the cores each.
    os.environ.setdefault(THREADS, str(max(1, cores() // 2)))
    # A negative number would abort the process.
    if not re.fullmatch("[0-9]{1,4}", os.environ[THREADS]):
        raise UserError(f"{THREADS} must be a number of threads. Received: {os.environ[THREADS]!r}")
    quiet = not any(name in os.environ for name in SHOWN)
    os.environ.setdefault(QUIET, "3")
    with _held_back() if quiet else contextlib.nullcontext(), _no_settings_of_keras():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()
        if quiet:
            tf.get_logger().setLevel("ERROR")  # no warning that each opened run traces its functions anew
    # It may have been imported before.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


@contextlib.contextmanager
def _no_settings_of_keras() -> Iterator[None]:
    """Replaces the user's Keras folder, whose keras.json is read at import, by an empty folder during the block."""
    with tempfile.TemporaryDirectory(prefix="amr_tf_", dir=temporary_folder()) as empty:
        before = os.environ.get("KERAS_HOME")
        os.environ["KERAS_HOME"] = empty
        try:
            yield
        finally:
            del os.environ["KERAS_HOME"]
            if before is not None:
                os.environ["KERAS_HOME"] = before


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Buffers standard error, and prints it if the block fails.

    The messages of an import come from C++ before its log level applies.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile(dir=temporary_folder()) as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
        except Exception:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def temporary_folder() -> str:
    """Returns the folder for temporary files; raises UserError if none of the usual folders can be written."""
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise UserError(f"{one_line(error)}: set TMPDIR to a folder that can be written") from error


def cores() -> int:
    """Counts the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
