"""Checkpoints that outlive kills, power cuts and damage.

checkpoints/step_0000001200/    state.index, state.data-...   what tf.train.Checkpoint writes
                                manifest.json                 the step, and the SHA-256 of each file

A checkpoint is written and synced under a temporary name and then renamed, so it is there whole or not at all. The
folders themselves are the list of what there is: no index can be damaged or disagree with them.
"""

import hashlib
import json
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable

import tensorflow as tf

from amr_tf.distributed.coordination import Agreement
from amr_tf.runs.folder import RunError, checkpoints_in, step_of
from amr_tf.runtime import files
from amr_tf.runtime.errors import DivergedError, one_line

NEWEST_KEPT = 3
MANIFEST = "manifest.json"
ALONE = Agreement()


class Checkpoints:
    """The checkpoints of one run.

    Args:
        folder: where they are kept; it exists.
        model: a compiled model whose optimizers are built. Its weights, optimizers and step count are saved, and the
            means of the epoch so far.
        warn: receives a line for the user when a damaged checkpoint is passed over.
        agreement: of this process with the other workers, which restore and save with it.

    Attributes:
        best_step: the step of the checkpoint to keep besides the newest, 0 for none.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        model,
        warn: Callable[[str], None],
        agreement: Agreement = ALONE,
    ):
        self.folder, self.model, self.warn, self.agreement = folder, model, warn, agreement
        self.best_step = 0
        # Keras keeps metrics out of tf.train.Checkpoint.
        means = {v.path: v.value for metric in model.metrics for v in metric.variables}
        self.state = tf.train.Checkpoint(model=model, means=means)

    def restore(self) -> bool:
        """Loads the newest intact checkpoint into the model; False where there is none at all.

        Newer ones that are damaged are renamed, with a warning, and training makes them again. Of several workers the
        chief chooses, and all of them load the same.

        Raises:
            RunError: all of them are damaged (and left as they are), they are another model's, or this worker does not
                see the one that the chief chose.
        """
        path, damaged = self._newest() if self.agreement.is_chief else (None, {})
        step = self.agreement.chiefs(step_of(path) if path else 0)
        if not step:
            return False
        if path:
            self._read(path)
            for bad, reason in damaged.items():
                self.warn(f"warning: {bad} is damaged ({reason}); going on from {path.name}")
                _set_aside(bad)
        else:
            self.restore_step(step)
        return True

    def _newest(self) -> tuple[pathlib.Path | None, dict[pathlib.Path, str]]:
        """The newest intact checkpoint, None where there is none at all, and what is wrong with newer ones."""
        damaged = {}
        for path in reversed(checkpoints_in(self.folder)):
            try:
                reason = damage(path)
            except PermissionError as error:
                raise RunError(
                    f"The checkpoint cannot be read: {error}. Set the permissions right, or choose another --run_dir"
                ) from error
            if not reason:
                break
            damaged[path] = reason
        else:
            if not damaged:
                return None, {}
            reasons = "; ".join(f"{path.name}: {reason}" for path, reason in damaged.items())
            raise RunError(
                f"No checkpoint of {self.folder} is intact: {reasons}. Bring back a copy, or choose another --run_dir"
            )
        return path, damaged

    def restore_step(self, step: int) -> None:
        """Loads the checkpoint of one step into the model; changes nothing in the folder.

        Raises:
            RunError: there is none, naming those there are; it is damaged; or it is another model's.
        """
        steps = [step_of(path) for path in checkpoints_in(self.folder)]
        if step not in steps:
            there = ", ".join(map(str, steps)) or "none"
            raise RunError(
                f"No checkpoint of step {step} is kept in {self.folder}: choose one of those there are. There: {there}"
            )
        path = self.folder / f"step_{step:010d}"
        try:
            reason = damage(path)
        except OSError as error:
            reason = str(error)
        if reason:
            raise RunError(
                f"The checkpoint {path} cannot be used ({reason}): bring back a copy, or choose another --checkpoint"
            )
        self._read(path)

    def _read(self, path: pathlib.Path) -> None:
        try:
            status = self.state.read(str(path / "state"))
            # Else TensorFlow would list each value that found no place when the program ends.
            status.expect_partial().assert_consumed()
        except (tf.errors.OpError, AssertionError, ValueError) as error:
            raise RunError(f"The checkpoint cannot be restored: {path}: {one_line(error)}") from error

    def save(self) -> None:
        """Saves the model as it is now, unless its step has been saved before, and deletes what need not be kept.

        All workers take part, since the means of the epoch are read from all of them; the chief's files stay. Whoever
        returns knows that they are there.

        Raises:
            DivergedError: a weight is not finite.
            RunError: the files cannot be written; those saved before are untouched.
        """
        step = int(self.model.step.numpy())
        path = self.folder / f"step_{step:010d}"
        if self.agreement.chiefs(path.exists()):
            return
        self._refuse_diverged(step)
        if self.agreement.is_chief:
            self._write(path, step)
        else:
            with tempfile.TemporaryDirectory(prefix="amr_tf_") as elsewhere:
                self.state.write(os.path.join(elsewhere, "state"))
        self.agreement.wait()

    def _write(self, path: pathlib.Path, step: int) -> None:
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            temporary.mkdir()
            self.state.write(str(temporary / "state"))
            for left in filter(pathlib.Path.is_dir, temporary.iterdir()):
                shutil.rmtree(left)  # TensorFlow says nothing where it could not delete its own folder
            states = sorted(temporary.iterdir())
            for state in states:
                files.sync(state)
            hashes = {state.name: _sha256(state) for state in states}
            files.write_json(temporary / MANIFEST, {"step": step, "sha256": hashes})
            files.sync(temporary)
            os.rename(temporary, path)
            files.sync(self.folder)
            self._prune()
        except (OSError, tf.errors.OpError) as error:
            if self.agreement.is_loss(error):
                raise
            raise RunError(
                f"The checkpoint {path} cannot be written: {one_line(error)}. Make room or set the permissions right; "
                "the same command goes on from the checkpoint before"
            ) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _prune(self) -> None:
        """Deletes all but the newest ones and the best."""
        for path in checkpoints_in(self.folder)[:-NEWEST_KEPT]:
            if step_of(path) != self.best_step:
                # Renamed first: what a kill leaves of it is swept at the next start, not taken for a checkpoint.
                gone = path.with_name(f".{path.name}.tmp")
                os.rename(path, gone)
                shutil.rmtree(gone)

    def _refuse_diverged(self, step: int) -> None:
        floats = [v for v in self.model.variables if v.dtype.startswith(("float", "bfloat"))]
        broken = [v.path for v in floats if not bool(tf.reduce_all(tf.math.is_finite(v.value)))]
        if broken:
            raise DivergedError(
                f"Training diverged at step {step:,}: {len(broken)} weights are not finite, the first is {broken[0]}. "
                "Nothing of it is kept; try a lower --learning_rate in another --run_dir"
            )


def damage(path: pathlib.Path) -> str:
    """What is wrong with the checkpoint in this folder, or "" where its files are those that were written."""
    try:
        manifest = json.loads(files.regular(path / MANIFEST).read_bytes())
        if manifest["step"] != step_of(path):
            return f"{MANIFEST} is of another step"
        hashes, there = manifest["sha256"], {file.name for file in path.glob("state.*")}
        # Compared before anything is opened: a name may not lead to a file elsewhere.
        if set(hashes) != there:
            missing = sorted(name for name in set(hashes) - there if name.isprintable())
            return (
                f"{missing[0][:80]} is missing" if missing else f"{MANIFEST} names other files than there are"
            )
        for name, expected in hashes.items():
            if _sha256(files.regular(path / name)) != expected:
                return f"{name} is not what was written"
    except FileNotFoundError as error:
        return f"{pathlib.Path(error.filename).name} is missing"
    except PermissionError:
        raise  # nothing is known of it
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"{MANIFEST}: {one_line(error)}"
    return "" if hashes else f"{MANIFEST} names no files"


def _set_aside(path: pathlib.Path) -> None:
    """Gives a damaged checkpoint another name, so that its step can be saved again; kept for whoever wants to look."""
    try:
        files.set_aside(path)
    except OSError as error:
        raise RunError(f"The damaged checkpoint cannot be put aside: {error}") from error


def _sha256(path: pathlib.Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
