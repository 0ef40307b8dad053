"""Importing TensorFlow for a binary: the right Keras backend, and without a dozen lines of start-up chatter."""

import os
import sys
import tempfile

QUIET = "TF_CPP_MIN_LOG_LEVEL"


def import_tensorflow() -> None:
    """Imports TensorFlow and looks for its devices with the process's standard error held back.

    The lines come from C++ before its log level applies. What was held back is shown if the import fails. Who sets
    TF_CPP_MIN_LOG_LEVEL sees everything that level lets through.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    if QUIET in os.environ:
        return
    os.environ[QUIET] = "3"
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            import tensorflow as tf

            tf.config.list_physical_devices()
        except Exception:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
