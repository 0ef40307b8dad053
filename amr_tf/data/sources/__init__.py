"""Readers of the data sets. Each reader returns the examples of the three splits in a fixed order."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

import numpy as np

from amr_tf.data.pixels import PackedImages

Item = TypeVar("Item")
TERMINAL_SECONDS, LOG_SECONDS = 5.0, 60.0  # seconds between two lines of progress


class Examples(NamedTuple):
    """Examples of one split.

    Attributes:
        images: uint8 [N, S, S, C]; for points, float32 [N, 1, 1, 2] in [-1, 1].
        labels: int64 [N].
        attributes: uint8 [N, A], 0 or 1; None if the data set has no attributes.
    """

    images: np.ndarray | PackedImages
    labels: np.ndarray
    attributes: np.ndarray | None = None

    def take(self, rows: slice | np.ndarray) -> "Examples":
        """Selects examples; packed images stay packed."""
        images = self.images.take(rows) if isinstance(self.images, PackedImages) else self.images[rows]
        attributes = self.attributes if self.attributes is None else self.attributes[rows]
        return Examples(images, self.labels[rows], attributes)


def labels_of(attributes: np.ndarray) -> np.ndarray:
    """Returns the number of each row's combination of attributes: uint8 [N, A] -> int64 [N].

    The first attribute is the highest bit.
    """
    return attributes.astype(np.int64) @ (1 << np.arange(attributes.shape[1])[::-1])


def counted(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """Yields the items and, every few seconds, prints how many of `total` are done; `what` names the activity."""
    pause = TERMINAL_SECONDS if sys.stdout.isatty() else LOG_SECONDS
    begin = last = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        now = time.monotonic()
        if now - last >= pause and done < total:
            last = now
            left = (now - begin) / done * (total - done)
            print(f"{what}: {done:,} of {total:,}, {left:,.0f} s left", flush=True)
