"""Search for the files that preparing a data set needs, before anything is written.

TFDS alone retries for minutes without a network, and then names neither the missing files nor where to put them.
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

from amr_tf.data.sources import archives
from amr_tf.data.sources.archives import Archive, Checked
from amr_tf.runtime.errors import DataError

PROBE_SECONDS = 6.0


class Target(NamedTuple):
    """A data set to prepare. One complete folder of `prepared` makes the preparation unnecessary."""

    name: str
    prepared: Sequence[Path]
    manual_dir: Path
    raw_dir: Path | None


def gather(target: Target, wanted: Sequence[Archive]) -> tuple[list[Checked], list[Archive]]:
    """Finds and checks every archive missing from the download cache. Nothing is written.

    An archive is searched in raw_dir, else in TFDS's folder for manual downloads, else on the network.

    Returns:
        The checked files to import, and the archives to download, whose URLs answer.

    Raises:
        DataError: a file is damaged or wrong, or files are missing and cannot be downloaded.
    """
    missing = [archive for archive in wanted if not archive.cached]
    if target.raw_dir is not None:
        found = [
            archives.check(archive, path) for archive in missing if (path := archive.find(target.raw_dir))
        ]
        if missing := _without(missing, found):
            names = ", ".join(archive.filename for archive in missing)
            reason = f"raw_dir {target.raw_dir} lacks {names} of {target.name}."
            raise DataError(_advice(reason, target, missing))
        return found, []
    at_hand = of_right_size(missing, target.manual_dir)
    found = [archives.check(archive, target.manual_dir / archive.filename) for archive in at_hand]
    missing = _without(missing, found)
    if failures := probe(archive.url for archive in missing):
        why = f"{target.name} is not prepared in {target.prepared[0]} and cannot be downloaded "
        raise DataError(_advice(f"{why}({next(iter(failures.values()))}).", target, missing))
    return found, missing


def probe(urls: Iterable[str], seconds: float = PROBE_SECONDS) -> dict[str, str]:
    """Tries all URLs at once, for at most `seconds`.

    Returns:
        {url: why it cannot be reached}, without the URLs that answer.
    """
    # Daemons, since a name server that never answers cannot be interrupted.
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


def of_right_size(wanted: Sequence[Archive], folder: Path) -> list[Archive]:
    """The archives that a folder has in the right size.

    Data sets share the folder for manual downloads, and the MNIST family its file names: a file of another size
    belongs to another data set.
    """

    def fits(path: Path, size: int) -> bool:
        return os.path.isfile(path) and path.stat().st_size == size

    return [archive for archive in wanted if fits(folder / archive.filename, archive.size)]


def _without(wanted: Sequence[Archive], found: Sequence[Checked]) -> list[Archive]:
    there = {checked.archive for checked in found}
    return [archive for archive in wanted if archive not in there]


def _advice(reason: str, target: Target, missing: Sequence[Archive]) -> str:
    """A message: the reason, what to do, and a line for each missing file."""
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
