"""Export of a run as a SavedModel. Each export is a new version in a folder that a model server can watch.

<export_dir>/<version>/   saved_model.pb, variables/, assets.extra/   files for TensorFlow Serving
                          keras/, litert/                             encoder and decoder for other engines
                          onnx/, triton/                              each signature for other engines
                          hub/                                        a model repository of the Hugging Face Hub
                          model_card.md, signatures.json              descriptions for readers and for programs
"""

import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import filelock
import keras
import tensorflow as tf

from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.serving import archives, card, conversion, hub, warmup
from amr_tf.serving.signatures import Signature, signatures

SIGNATURES, CARD = "signatures.json", "model_card.md"
LOCK_SECONDS = 300  # time for which an export waits for another export to the same folder


def export(run: TrainedRun, export_dir: pathlib.Path, also: Sequence[str] = ()) -> pathlib.Path:
    """Writes the run's model atomically as the next version.

    Args:
        run: the run and its checkpoint.
        export_dir: folder of the versions 1, 2, ...
        also: additional formats: names from `conversion.FORMATS`, or "hub".

    Returns:
        The path of the version's folder.

    Raises:
        UserError: the folder cannot be written to, a conversion fails, or another export to the same folder does not
            end within LOCK_SECONDS.
    """
    try:
        export_dir.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(export_dir / ".export.lock", timeout=LOCK_SECONDS):
            for left in export_dir.glob(".[0-9]*.tmp"):  # temporary folders of killed exports
                shutil.rmtree(left)
            versions = (int(path.name) for path in export_dir.iterdir() if path.name.isdecimal())
            path = export_dir / str(1 + max(versions, default=0))
            found = signatures(run.model, run.attribute_names, run.spec.white)
            archive, described = _archive(run.model, found)
            with files.atomic_folder(path) as temporary, files.literal(temporary) as folder:
                archive.write_out(str(folder), verbose=False)
                requested = {"serving_default": found["reconstruct"], **found}
                warmup.write(folder, requested, run.model.image_shape)
                archives.write(folder, run.model)
                formats = [name for name in also if name != hub.FOLDER]
                converted = conversion.write(folder, formats, run, found, described, int(path.name))
                if hub.FOLDER in also:
                    hub.write(folder, run, int(path.name))
                everything = {"serving_default": described["reconstruct"], **described}
                files.write_json(folder / SIGNATURES, everything)
                files.write(folder / CARD, card.model_card(run, int(path.name), described, converted))
    except filelock.Timeout as error:
        raise UserError(
            f"Another export into this folder does not end. Received: {export_dir}. Stop it, or choose another "
            "--export_dir"
        ) from error
    except (OSError, tf.errors.OpError) as error:
        raise UserError(
            f"The model cannot be written to {export_dir}. Received: {one_line(error)}. Choose another --export_dir"
        ) from error
    return path


def _archive(
    model, found: dict[str, Signature]
) -> tuple[keras.export.ExportArchive, dict[str, dict[str, Any]]]:
    """Traces the signatures. Returns the archive to write, and the descriptions of the signatures by name."""
    archive, described = keras.export.ExportArchive(), {}
    for network in model.networks.values():
        archive.track(network)
    for name, one in found.items():
        function = archive.add_endpoint(name, one.__call__, list(one.input_specs().values()))
        described[name] = one.describe(function.get_concrete_function().structured_outputs)
    return archive, described
