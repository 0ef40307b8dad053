"""Progress lines while much is read."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")
TERMINAL_SECONDS, LOG_SECONDS = 5.0, 60.0  # between two lines


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yields the items and sometimes prints how many of `total` there were; `what` names the activity."""
    pause = TERMINAL_SECONDS if sys.stdout.isatty() else LOG_SECONDS
    begin = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= pause and done < total:
            last = now
            left = (now - begin) / done * (total - done)
            print(f"{what}: {done:,} of {total:,}, {left:,.0f} s left", flush=True)
