"""Checkpoints that survive kills, power cuts and damage.

checkpoints/step_0000001200/    state.index, state.data-...   the files of tf.train.Checkpoint
                                manifest.json                 the step, and the SHA-256 of each file

A checkpoint is written and synced under a temporary name and then renamed, so it is complete or absent. There is no
index file: every folder with such a name is a checkpoint.
"""

import hashlib
import os
import pathlib
import shutil
from collections.abc import Callable

import tensorflow as tf

from amr_tf.distributed.coordination import Coordinator
from amr_tf.runs.folder import RunError, checkpoints_in, step_of
from amr_tf.runtime import files
from amr_tf.runtime.errors import DivergedError, one_line, printable

NEWEST_KEPT = 3
MANIFEST = "manifest.json"
ALONE = Coordinator()


class Checkpoints:
    """The checkpoints of one run: weights, optimizers, step count and the metrics' means over the current epoch.

    Args:
        folder: the existing folder of the checkpoints.
        model: a compiled model whose optimizers are built.
        warn: is called with a message for the user before a damaged checkpoint is renamed.
        coordinator: synchronises the workers of the run, which restore and save together.
    """

    def __init__(self, folder: pathlib.Path, model, warn: Callable[[str], None], coordinator=ALONE):
        self.folder, self.model, self.warn, self.coordinator = folder, model, warn, coordinator
        self.best_step = 0  # step of the best checkpoint, which is not deleted; 0 if unknown
        # Keras excludes a model's metrics from tf.train.Checkpoint(model=model).
        means = {v.path: v.value for metric in model.metrics for v in metric.variables}
        self.state = tf.train.Checkpoint(model=model, means=means)

    def restore(self) -> bool:
        """Loads the newest intact checkpoint into the model; returns False if there are no checkpoints.

        Newer checkpoints that are damaged are renamed, with a warning. All workers load the checkpoint that the chief
        worker chooses.

        Raises:
            RunError: all checkpoints are damaged (then none is renamed), or the chosen checkpoint cannot be read on
                this machine or belongs to another model.
        """
        damaged: dict[pathlib.Path, str] = {}

        def newest() -> int:
            for path in reversed(checkpoints_in(self.folder)):
                if not (reason := damage(path)):
                    return step_of(path)
                damaged[path] = reason
            if damaged:
                reasons = "; ".join(f"{path.name}: {reason}" for path, reason in damaged.items())
                raise RunError(
                    f"No checkpoint of {self.folder} is intact. Received: {reasons}. Restore one from a backup, or "
                    "choose another --run_dir."
                )
            return 0

        found = self.coordinator.on_chief(newest) or 0
        step = self.coordinator.broadcast(found)
        if step:
            (self._read if step == found else self.restore_step)(step)
        for path, reason in damaged.items():
            self.warn(f"warning: {path} is damaged ({reason}); resuming from step {step}")
            try:
                files.set_aside(path)
            except OSError as error:
                raise RunError(f"The damaged checkpoint cannot be renamed: {error}") from error
        return step > 0

    def restore_step(self, step: int) -> None:
        """Loads the checkpoint of one step into the model; the folder stays unchanged.

        Raises:
            RunError: the checkpoint is missing, damaged or of another model.
        """
        kept = {step_of(path): path for path in checkpoints_in(self.folder)}
        reason = damage(kept[step]) if step in kept else f"no checkpoint of step {step} is kept"
        if reason:
            raise RunError(
                f"The checkpoint cannot be used. Received: {self._path(step)}: {reason}. Choose another of those kept "
                f"({', '.join(map(str, kept)) or 'none'}), or restore it from a backup."
            )
        self._read(step)

    def _path(self, step: int) -> pathlib.Path:
        return self.folder / f"step_{step:010d}"

    def _read(self, step: int) -> None:
        path = self._path(step)
        try:
            with files.literal(path) as folder:
                # `expect_partial` silences TensorFlow's warnings about unrestored values when the process ends.
                self.state.read(str(folder / "state")).expect_partial().assert_consumed()
        except (OSError, tf.errors.OpError, AssertionError, ValueError) as error:
            raise RunError(f"The checkpoint cannot be restored: {path}: {one_line(error)}") from error

    def save(self) -> None:
        """Saves the model, and deletes all checkpoints except the newest three and the best.

        If a checkpoint of this step exists, the method does nothing. All workers must call this method, because the
        means of the epoch are summed over the workers. Only the files of the chief worker are kept.

        Raises:
            DivergedError: a weight is not finite.
            RunError: the files cannot be written. Earlier checkpoints are unchanged.
        """
        step = int(self.model.step.numpy())
        path = self._path(step)
        if self.coordinator.broadcast(path.exists()):
            return
        floats = [v for v in self.model.variables if v.dtype.startswith(("float", "bfloat"))]
        if broken := [v.path for v in floats if not bool(tf.reduce_all(tf.math.is_finite(v.value)))]:
            raise DivergedError(
                f"Training diverged at step {step:,}. Received: {len(broken)} weights that are not finite, the first "
                f"is {broken[0]}. Earlier checkpoints are kept: try a lower --learning_rate in another --run_dir."
            )
        try:
            with self.coordinator.new_folder(path) as folder:
                with files.literal(folder) as written:
                    self.state.write(str(written / "state"))
                for left in filter(pathlib.Path.is_dir, folder.iterdir()):
                    shutil.rmtree(left)  # TensorFlow ignores errors when it deletes its temporary folder
                files.write_json(folder / MANIFEST, {"step": step, "sha256": _hashes(folder)})
            self.coordinator.on_chief(self._prune)
        except (OSError, tf.errors.OpError) as error:
            if self.coordinator.is_loss(error):
                raise
            raise RunError(
                f"The checkpoint {path} cannot be written. Received: {one_line(error)}. Free some space or fix the "
                "permissions, and resume with the same command."
            ) from error
        self.coordinator.barrier()

    def _prune(self) -> None:
        """Deletes all checkpoints except the newest ones and the best."""
        for path in checkpoints_in(self.folder)[:-NEWEST_KEPT]:
            if step_of(path) != self.best_step:
                # The folder is renamed first. If the process is killed here, the next start deletes the rest.
                gone = path.with_name(f".{path.name}.tmp")
                os.rename(path, gone)
                shutil.rmtree(gone)


def damage(path: pathlib.Path) -> str:
    """Describes the damage of the checkpoint in this folder; returns "" for an intact one.

    Raises:
        RunError: no permission to read a file.
    """
    try:
        manifest = files.read_json(path / MANIFEST)
        listed = manifest.get("sha256")
        if manifest.get("step") != step_of(path) or not isinstance(listed, dict) or not listed:
            return f"{MANIFEST} is not that of this step"
        # Only files found in the folder are opened: a name in the manifest could point outside of the folder.
        found = _hashes(path)
        changed = sorted(name for name in listed.keys() | found if listed.get(name) != found.get(name))
        if not changed:
            return ""
        state = "not what was written" if changed[0] in found else "missing"
        return f"{printable(changed[0][:80])} is {state}"
    except PermissionError as error:
        raise RunError(
            f"The checkpoint cannot be read. Received: {error}. Fix the permissions, or choose another --run_dir."
        ) from error
    except FileNotFoundError as error:
        return f"{pathlib.Path(error.filename).name} is missing"
    except (OSError, ValueError, RecursionError) as error:
        return f"{MANIFEST}: {one_line(error)}"


def _hashes(folder: pathlib.Path) -> dict[str, str]:
    """Returns the SHA-256 of each file `state.*` by file name."""
    found = {}
    for path in sorted(folder.glob("state.*")):
        with open(files.regular(path), "rb") as file:
            found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
