"""Search for the source files of a data set before anything is written.

Without this search and without a network, TFDS would retry for minutes, and its error would name neither the missing
files nor the folder for them.
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
    """A data set to prepare. If one of the folders `prepared` is complete, the preparation is unnecessary."""

    name: str
    prepared: Sequence[Path]
    manual_dir: Path
    raw_dir: Path | None


def gather(target: Target, wanted: Sequence[Archive]) -> tuple[list[Checked], list[Archive]]:
    """Finds and checks every archive missing from the download cache. Nothing is written.

    If raw_dir is given, all these archives must be in raw_dir. Otherwise an archive is searched in TFDS's folder for
    manual downloads and then on the network. Returns the checked files to import, and the archives to download, whose
    URLs were reached.

    Raises:
        DataError: a file is not the official one, is missing in raw_dir, or cannot be downloaded.
    """
    found, missing = [], []
    for archive in wanted:
        if archive.cached:
            continue
        path = archive.find(target.raw_dir) if target.raw_dir else archive.find_shared(target.manual_dir)
        if path:
            found.append(archives.check(archive, path))
        else:
            missing.append(archive)
    if target.raw_dir and missing:
        names = ", ".join(archive.filename for archive in missing)
        raise _lack(f"raw_dir {target.raw_dir} lacks {names} of {target.name}.", target, missing)
    if failures := probe(archive.url for archive in missing):
        reason = f"cannot be downloaded ({next(iter(failures.values()))})."
        raise _lack(f"{target.name} is not prepared in {target.prepared[0]} and {reason}", target, missing)
    return found, missing


def probe(urls: Iterable[str], seconds: float = PROBE_SECONDS) -> dict[str, str]:
    """Requests all URLs concurrently, for at most `seconds`. Returns {url: reason} for the URLs without success."""
    outcomes: dict[str, str | None] = {url: f"no answer within {seconds:g} s" for url in urls}

    def ask(url: str) -> None:
        # Only one byte is requested. Some servers reject HEAD requests.
        request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})  # noqa: S310 (the URLs are TFDS's)
        try:
            with urllib.request.urlopen(request, timeout=seconds):  # noqa: S310
                outcomes[url] = None
        except urllib.error.HTTPError as error:
            outcomes[url] = f"HTTP {error.code} from {url}"
        except (OSError, http.client.HTTPException) as error:
            outcomes[url] = str(getattr(error, "reason", error))

    # The threads are daemons, because waiting for a name server cannot be interrupted.
    threads = [threading.Thread(target=ask, args=(url,), daemon=True) for url in outcomes]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return {url: reason for url, reason in outcomes.items() if reason is not None}


def _lack(reason: str, target: Target, missing: Sequence[Archive]) -> DataError:
    """Returns an error with the reason, the remedies, and a line for each missing file."""
    lines = [reason, "Simplest: copy the prepared data set from a machine that has it:"]
    for folder in target.prepared:
        lines.append(f"  rsync -a HOST:tensorflow_datasets/{'/'.join(folder.parts[-2:])}/ {folder}/")
    lines.append(f"Or put these files into a folder given as --raw_dir, or into {target.manual_dir}:")
    for archive in missing:
        note = "  (of another size there)" if os.path.lexists(target.manual_dir / archive.filename) else ""
        lines.append(
            f"  {archive.filename}  {archive.size} bytes  sha256 {archive.sha256}  {archive.url}{note}"
        )
    return DataError("\n".join(lines))
