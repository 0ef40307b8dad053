"""Importing TensorFlow for a binary: backend, threads, and no dozen lines of start-up chatter."""

import os
import re
import sys
import tempfile

from amr_tf.runtime.errors import UserError, one_line

QUIET = "TF_CPP_MIN_LOG_LEVEL"
THREADS = "TF_NUM_INTRAOP_THREADS"


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for its devices with the process's standard error held back.

    The lines come from C++ before its log level applies. What was held back is shown if the import fails. Who sets
    TF_CPP_MIN_LOG_LEVEL sees everything that level lets through; who sets TF_NUM_INTRAOP_THREADS has as many threads.

    Raises:
        UserError: such a number that is none, or no folder for temporary files.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # Nearly everywhere in a step two convolutions can run side by side. With half of the cores each they are quicker
    # than with all of the cores each, which TensorFlow would give them.
    os.environ.setdefault(THREADS, str(max(1, cores() // 2)))
    # TensorFlow aborts the process at a negative one.
    if not re.fullmatch("[0-9]{1,4}", os.environ[THREADS]):
        raise UserError(f"{THREADS} is a number of threads. Received: {os.environ[THREADS]!r}")
    if QUIET in os.environ:
        return
    os.environ[QUIET] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile(dir=temporary_folder()) as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
            # Each run that is opened traces functions of its own, of which TensorFlow warns in five lines.
            tf.get_logger().setLevel("ERROR")
        except Exception:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def temporary_folder() -> str:
    """Where temporary files go.

    Raises:
        UserError: nowhere, because none of the usual folders can be written.
    """
    try:
        return tempfile.gettempdir()
    except OSError as error:
        raise UserError(f"{one_line(error)}: set TMPDIR to a folder that can be written") from error


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
