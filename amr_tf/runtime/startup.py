"""Import of TensorFlow for all commands, which sets Keras's backend and the threads and hides start-up messages."""

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
# Messages are shown if one of these variables is set. At an unknown XLA flag, TensorFlow prints a message and exits.
SHOWN = (QUIET, "TF_XLA_FLAGS", "XLA_FLAGS")


def import_tensorflow() -> None:
    """Imports TensorFlow and Keras and initialises the devices, with the settings that results depend on.

    Keras uses its default settings: the user's keras.json and KERAS_... variables are ignored. TF_NUM_INTRAOP_THREADS
    defaults to half of the number of cores.

    Raises:
        UserError: the number of threads is invalid, no folder for temporary files can be written, or Keras is already
            imported with another backend.
    """
    if "keras" in sys.modules and (backend := sys.modules["keras"].backend.backend()) != BACKEND:
        raise UserError(
            f"Keras runs on another backend. Received: {backend}. Start a new process, and import amr_tf before keras "
            f"or set KERAS_BACKEND={BACKEND}"
        )
    for name in [name for name in os.environ if name.startswith("KERAS_") and name != "KERAS_HOME"]:
        del os.environ[name]  # such as KERAS_MAX_EPOCHS
    # May be set for another program. protobuf rejects unknown values, and TensorFlow needs the default value.
    os.environ.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
    os.environ["KERAS_BACKEND"] = BACKEND
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    # Most of a training step consists of pairs of convolutions that can run concurrently, each on half of the cores.
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
            tf.get_logger().setLevel("ERROR")  # hides warnings about retracing for each opened run
    # Keras may have been imported earlier, with other settings.
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


@contextlib.contextmanager
def _no_settings_of_keras() -> Iterator[None]:
    """Sets KERAS_HOME to an empty folder during the block, so that Keras does not read the user's keras.json."""
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
    """Buffers standard error during the block, and prints the buffer only if the block fails.

    During the import, TensorFlow's C++ code prints messages before the log level takes effect.
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
    """Returns the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
