"""data.json of a run folder: identifies the run's data, so that a run is not resumed with other data by mistake."""

import json
import pathlib
from typing import Any

from amr_tf.data import Splits
from amr_tf.data.decoding import DEEP
from amr_tf.registry import own_data
from amr_tf.runs.folder import read_json
from amr_tf.runtime.errors import DataError, one_line


def describe(splits: Splits) -> dict[str, Any]:
    """Returns the content of data.json. SHA-256 hashes are included for the user's own data."""
    spec = splits.train.spec
    facts = {
        "name": splits.train.name,
        "classes": list(spec.class_names) or spec.classes,
        "attributes": list(spec.attributes),
        "examples": {name: len(part) for name, part in splits._asdict().items()},
    }
    hashes = {"sha256": spec.sha256, "content_sha256": spec.content_sha256}
    if spec.white != DEEP:
        facts["white"] = spec.white
    return facts | {name: value for name, value in hashes.items() if value}


def check(path: pathlib.Path, splits: Splits) -> None:
    """Checks that the data equal the data that the run in the folder `path` was trained on.

    The path of the user's own data may differ. A run without data.json is accepted.

    Raises:
        DataError: the data differ. The message names the differences.
        RunError: data.json is damaged.
    """
    before, now = read_json(path / "data.json", "record of the run's data", {}), describe(splits)
    if own_data(now["name"])[0]:
        before.pop("name", None)
    changed = [name for name in now if name in before and before[name] != now[name]]
    if changed:
        found = (f"{name} {_shown(now[name])} (then: {_shown(before[name])})" for name in changed)
        differences = ", ".join(found)
        raise DataError(
            f"The data are not those that {path} was trained on. Received: {differences}. Restore them (a relative "
            "path counts from the current folder), or train in another --run_dir"
        )


def _shown(value: Any) -> str:
    return one_line(ValueError(json.dumps(value)), 80)
