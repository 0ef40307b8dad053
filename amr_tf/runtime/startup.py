"""Import of TensorFlow by the commands: Keras backend, number of threads, no start-up messages."""

import os
import re
import sys
import tempfile

from amr_tf.runtime.errors import UserError, one_line

QUIET = "TF_CPP_MIN_LOG_LEVEL"
THREADS = "TF_NUM_INTRAOP_THREADS"
SHOWN = (
    QUIET,
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
)  # At an unknown flag of XLA, TensorFlow prints it and ends the process.
# Keras reads <KERAS_HOME>/keras.json when it is imported. No file can be in this place, and none is written.
KERAS = {"KERAS_BACKEND": "tensorflow", "KERAS_HOME": os.devnull}


def import_tensorflow() -> None:
    """Imports TensorFlow and lists its devices while standard error is held back.

    The user's settings of Keras, in a keras.json or the environment, do not apply.

    The messages come from C++ before its log level applies. They are shown if the import fails, or if
    one of `SHOWN` is set. TF_NUM_INTRAOP_THREADS is half of the cores by default.

    Raises:
        UserError: an invalid number of threads, or no folder for temporary files.
    """
    for name in [name for name in os.environ if name.startswith("KERAS_")]:
        del os.environ[name]
    os.environ.pop("TF_USE_LEGACY_KERAS", None)  # Keras 2 in place of Keras 3
    os.environ.update(KERAS)
    # Most of a step consists of pairs of convolutions that can run side by side, with half of the cores each.
    os.environ.setdefault(THREADS, str(max(1, cores() // 2)))
    # A negative number would abort the process.
    if not re.fullmatch("[0-9]{1,4}", os.environ[THREADS]):
        raise UserError(f"{THREADS} must be a number of threads. Received: {os.environ[THREADS]!r}")
    shown = any(name in os.environ for name in SHOWN)
    os.environ.setdefault(QUIET, "3")
    if shown:
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile(dir=temporary_folder()) as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            tf.get_logger().setLevel("ERROR")  # no warning that each opened run traces its functions anew
        except Exception:
            held_back.seek(0)
            os.write(kept, held_back.read())
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
