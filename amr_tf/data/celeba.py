"""CelebA's attributes by name, and the labels made of those that were chosen. Importing this costs nothing."""

import difflib

import numpy as np

from amr_tf.runtime.errors import DataError

# fmt: off
ATTRIBUTES = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
    "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks",
    "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
    "Wearing_Necklace", "Wearing_Necktie", "Young",
)
# fmt: on
MOST = 8  # a label for each combination of them: 256


def chosen(text: str) -> tuple[str, ...]:
    """The attributes that `--attributes=text` names, in its order.

    Raises:
        DataError: a name that CelebA does not have, with those nearest to it; one given twice; none or too many.
    """
    names = tuple(text.split(","))
    for name in names:
        if name not in ATTRIBUTES:
            raise DataError(
                f"CelebA has no attribute {name!r}.{_nearest(name)} Received: --attributes={text}"
            )
    if len(set(names)) < len(names) or len(names) > MOST:
        raise DataError(
            f"--attributes takes 1 to {MOST} names, each of them once. Received: --attributes={text}"
        )
    return names


def labels_of(attributes: np.ndarray) -> np.ndarray:
    """Which combination of attributes an example has, read as a binary number: the first is the highest bit.

    Args:
        attributes: uint8 [N, A], 0 or 1.

    Returns:
        int64 [N] in 0 .. 2^A - 1.
    """
    return attributes.astype(np.int64) @ (1 << _places(attributes.shape[1]))


def attributes_of(labels: np.ndarray, count: int) -> np.ndarray:
    """The inverse of `labels_of`: int64 [N] -> uint8 [N, count]."""
    return (labels[:, None] >> _places(count) & 1).astype(np.uint8)


def _places(count: int) -> np.ndarray:
    """The bit of a label that each of `count` attributes is."""
    return np.arange(count)[::-1]


def _nearest(name: str) -> str:
    """A sentence that suggests names, however they were capitalised."""
    by_lower_case = {attribute.lower(): attribute for attribute in ATTRIBUTES}
    wanted = name.strip().lower().replace(" ", "_").replace("-", "_")
    near = difflib.get_close_matches(wanted, by_lower_case, n=3, cutoff=0.5)
    near = near or [lower for lower in by_lower_case if wanted and wanted in lower][:3]
    return f" Did you mean {' or '.join(by_lower_case[lower] for lower in near)}?" if near else ""
