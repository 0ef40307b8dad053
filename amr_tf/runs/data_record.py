"""data.json of a run folder: what the run's data were when it began, so that it never goes on with others unnoticed."""

import json
import pathlib
from typing import Any

from amr_tf.config.rules import FOLDER
from amr_tf.data import Splits
from amr_tf.runs.folder import RunError
from amr_tf.runtime import files
from amr_tf.runtime.errors import DataError

SHOWN = 80  # characters of a value that a message shows


def describe(splits: Splits) -> dict[str, Any]:
    """What data.json says: name, classes, attributes and the number of examples of each split.

    For a folder of pictures the SHA-256 of what these are called and labelled, too.
    """
    spec = splits.train.spec
    facts = {
        "name": splits.train.name,
        "classes": list(spec.class_names) or spec.classes,
        "attributes": list(spec.attributes),
        "examples": {name: len(part) for name, part in splits._asdict().items()},
    }
    return facts | ({"sha256": spec.sha256} if spec.sha256 else {})


def check(path: pathlib.Path, splits: Splits) -> None:
    """Refuses data that are not those of the run in the folder `path`. A run without the file is taken as it is.

    A folder of pictures may have moved.

    Raises:
        DataError: names what differs.
        RunError: the file is damaged.
    """
    before = _read(path / "data.json")
    now = describe(splits)
    if now["name"].startswith(FOLDER):
        before.pop("name", None)
    changed = [name for name in now if name in before and before[name] != now[name]]
    if changed:
        differences = ", ".join(
            f"{name} {_shown(now[name])} (then: {_shown(before[name])})" for name in changed
        )
        raise DataError(
            f"The data are not those that {path} was trained on: bring them back as they were (a relative path counts "
            f"from the current folder), or train in another --run_dir. Received: {differences}"
        )


def write(path: pathlib.Path, splits: Splits) -> None:
    """Writes down what the data of the run in the folder `path` are.

    Raises:
        RunError: the file cannot be written.
    """
    try:
        files.write_json(path / "data.json", describe(splits))
    except OSError as error:
        raise RunError(f"The run folder cannot be written: {error}. Choose another --run_dir") from error


def _read(path: pathlib.Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return dict(files.read_json(path))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunError(
            f"What the run's data were cannot be read: {path}: {error}. Bring back a copy, or remove it to go on "
            "unchecked"
        ) from error


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
