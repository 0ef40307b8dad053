"""What is needed to prepare a data set, looked for before anything is written.

TFDS alone would retry for minutes without a network, and then say neither which files it lacks nor where to put
them.
"""

import http.client
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from amr_tf.data import archives
from amr_tf.data.archives import Archive, Checked
from amr_tf.runtime.errors import DataError

PROBE_SECONDS = 6.0


class Target(NamedTuple):
    """A data set to prepare: its name and the folders it concerns.

    Any one of the folders in `prepared`, complete, would make the preparation needless.
    """

    name: str
    prepared: Sequence[Path]
    manual_dir: Path
    raw_dir: Path | None


def gather(target: Target, wanted: Sequence[Archive]) -> tuple[list[Checked], list[Archive]]:
    """Finds every archive that is not in the download cache yet: in raw_dir, else in TFDS's folder for manual
    downloads, else on the network. Every file is checked before this returns; nothing is written.

    Returns:
        The checked files to import, and the archives left to download, which can be reached.

    Raises:
        DataError: a file is damaged or another one, or files are missing and cannot be downloaded.
    """
    missing = [archive for archive in wanted if not archive.cached]
    found = []
    if target.raw_dir is not None:
        found = _check_all(missing, target.raw_dir)
        missing = _without(missing, found)
        if missing:
            names = ", ".join(archive.filename for archive in missing)
            raise DataError(
                _advice(f"raw_dir {target.raw_dir} lacks {names} of {target.name}.", target, missing)
            )
    found += _check_all(of_right_size(missing, target.manual_dir), target.manual_dir)
    missing = _without(missing, found)
    failures = probe(archive.url for archive in missing)
    if failures:
        reason = next(iter(failures.values()))
        reason = f"{target.name} is not prepared in {target.prepared[0]} and cannot be downloaded ({reason})."
        raise DataError(_advice(reason, target, missing))
    return found, missing


def probe(urls: Iterable[str], seconds: float = PROBE_SECONDS) -> dict[str, str]:
    """Tries all URLs at once, for at most `seconds` whatever the network does.

    The threads are daemons: a name server that never answers cannot be interrupted, only left behind.

    Returns:
        {url: why it cannot be reached}, without those that can.
    """
    outcomes: dict[str, str | None] = {url: f"no answer within {seconds:g} s" for url in urls}
    threads = [threading.Thread(target=_ask, args=(url, seconds, outcomes), daemon=True) for url in outcomes]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {url: reason for url, reason in outcomes.items() if reason is not None}


def _ask(url: str, seconds: float, outcomes: dict[str, str | None]) -> None:
    # One byte: some servers refuse HEAD.
    request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 (the URLs are TFDS's)
    try:
        with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
            outcomes[url] = None
    except urllib.error.HTTPError as error:
        outcomes[url] = f"HTTP {error.code} from {url}"
    except (OSError, http.client.HTTPException) as error:
        outcomes[url] = str(getattr(error, "reason", error))


def _check_all(wanted: Sequence[Archive], folder: Path) -> list[Checked]:
    paths = [(archive, archive.find(folder)) for archive in wanted]
    return [archives.check(archive, path) for archive, path in paths if path]


def of_right_size(wanted: Sequence[Archive], folder: Path) -> list[Archive]:
    """The archives of which the folder for manual downloads, which all data sets share, seems to hold the file.

    The MNIST family shares its file names: a file of another size is another data set's, and no error.
    """
    paths = {archive: folder / archive.filename for archive in wanted}
    return [
        archive
        for archive, path in paths.items()
        if os.path.isfile(path) and path.stat().st_size == archive.size
    ]


def _without(wanted: Sequence[Archive], found: Sequence[Checked]) -> list[Archive]:
    there = {checked.archive for checked in found}
    return [archive for archive in wanted if archive not in there]


def _advice(reason: str, target: Target, missing: Sequence[Archive]) -> str:
    """The reason, what to do about it, and a line for each missing file."""
    lines = [reason, "Simplest: copy the prepared data set from a machine that has it:"]
    for folder in target.prepared:
        lines.append(f"  rsync -a HOST:tensorflow_datasets/{'/'.join(folder.parts[-2:])}/ {folder}/")
    lines.append(f"Or put these files into a folder given as --raw_dir, or into {target.manual_dir}:")
    for archive in missing:
        note = "  (of another size there)" if os.path.lexists(target.manual_dir / archive.filename) else ""
        lines.append(
            f"  {archive.filename}  {archive.size} bytes  sha256 {archive.sha256}  {archive.url}{note}"
        )
    return "\n".join(lines)
