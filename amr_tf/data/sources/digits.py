"""The 1,797 digits of scikit-learn: the test set of UCI's optical recognition of handwritten digits, by 13 writers.

E. Alpaydin and C. Kaynak (1998), https://archive.ics.uci.edu/dataset/80. scikit-learn includes the digits, so nothing
is downloaded.
"""

import itertools

import numpy as np

from amr_tf.data import pixels
from amr_tf.data.catalog import DatasetSpec, Places
from amr_tf.data.sources import Examples

BRIGHTEST = 16  # largest value of the original 8 x 8 images
TRAIN, VALIDATION = 1_197, 300  # the test split has the other 300


def read(spec: DatasetSpec, places: Places) -> tuple[DatasetSpec, list[Examples]]:
    """Reads the digits, enlarged bilinearly: uint8 [N, 32, 32, 1] with 1,197 / 300 / 300 examples.

    The splits are consecutive parts of the file. In the file, digits of the same writer are next to each other. Most
    test digits are therefore by writers without training digits.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    found = load_digits()
    images = np.rint(found.images * (255 / BRIGHTEST)).astype(np.uint8)[..., None]
    digits = Examples(pixels.resize(images, spec.width), found.target.astype(np.int64))
    ends = (0, TRAIN, TRAIN + VALIDATION, len(images))
    return spec, [digits.take(slice(*part)) for part in itertools.pairwise(ends)]
