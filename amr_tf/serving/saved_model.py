"""Writes a run as a SavedModel with its papers: a new version in a folder that a server may be watching.

<export_dir>/<version>/   saved_model.pb, variables/, assets.extra/   what TensorFlow Serving loads
                          keras/, onnx/, litert/                      encoder and decoder for other engines
                          model_card.md, signatures.json              what it is, and what it can be asked
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence

import filelock
import keras
import tensorflow as tf

from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files
from amr_tf.runtime.errors import UserError, one_line
from amr_tf.serving import card, converted, portable, warmup
from amr_tf.serving.signatures import Signature, signatures

SIGNATURES, CARD = "signatures.json", "model_card.md"


class ExportError(UserError):
    """A model that cannot be written."""


def export(run: TrainedRun, export_dir: pathlib.Path, also: Sequence[str] = ()) -> pathlib.Path:
    """Writes the run's model as the next version, with the formats of `converted` in `also`; returns its folder.

    It is written under another name and then renamed: who watches sees the whole version or none.

    Raises:
        ExportError: the folder cannot be written to, or another export into it does not end.
    """
    try:
        with _alone(export_dir):
            version = 1 + max((int(p.name) for p in export_dir.iterdir() if p.name.isdecimal()), default=0)
            temporary, path = export_dir / f".{version}.tmp", export_dir / str(version)
            try:
                _write(run, temporary, version, also)
                _sync(temporary)
                os.rename(temporary, path)
                files.sync(export_dir)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except (OSError, tf.errors.OpError) as error:
        raise ExportError(
            f"The model cannot be written to {export_dir}: {one_line(error)}. Choose another --export_dir"
        ) from error
    return path


@contextlib.contextmanager
def _alone(export_dir: pathlib.Path) -> Iterator[None]:
    """One export at a time; what a killed one left is swept away."""
    export_dir.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(export_dir / ".export.lock")
    try:
        lock.acquire(timeout=300)
    except filelock.Timeout:
        raise ExportError(
            f"Another export into {export_dir} does not end: stop it, or choose another --export_dir"
        ) from None
    try:
        for left in export_dir.glob(".*.tmp"):
            if left.name[1:-4].isdecimal():
                shutil.rmtree(left)
        yield
    finally:
        lock.release()


def _write(run: TrainedRun, folder: pathlib.Path, version: int, also: Sequence[str]) -> None:
    # Read now: a run that is still training writes on.
    facts = card.Facts.of(run, version)
    found = signatures(run.model, run.attribute_names)
    traced = _write_archive(run.model, found, folder)
    inputs = {name: dict(zip(one.inputs, one.input_specs(), strict=True)) for name, one in found.items()}
    height, width, channels = run.model.image_shape
    image = tf.io.encode_png(tf.zeros([height, width, channels], tf.uint8)).numpy() if height > 1 else b""
    warmup.write(folder, {"serving_default": inputs["reconstruct"], **inputs}, image)
    portable.write(folder, run.model)
    converted.write(folder, also, run.model)
    described = card.describe(found, traced)
    everything = {"serving_default": described["reconstruct"], **described}
    files.write(folder / SIGNATURES, json.dumps(everything, indent=2) + "\n")
    files.write(folder / CARD, card.model_card(facts, described))


def _write_archive(
    model, found: dict[str, Signature], folder: pathlib.Path
) -> dict[str, dict[str, tf.TensorSpec]]:
    """Writes the SavedModel; returns the outputs of each signature."""
    archive, outputs = keras.export.ExportArchive(), {}
    for name in ("encoder", "decoder", "probe", "discriminator", "class_mixer"):
        if hasattr(model, name):
            archive.track(getattr(model, name))
    for name, one in found.items():
        function = archive.add_endpoint(name, one.compute, one.input_specs())
        outputs[name] = function.get_concrete_function().structured_outputs
    archive.write_out(str(folder), verbose=False)
    return outputs


def _sync(folder: pathlib.Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        files.sync(path)
    files.sync(folder)
