"""Effect of single rows of a style code on the class, the spatial frequencies and the reconstruction loss."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.utils import check_consistent_length

HIDDEN = 128
MAX_PASSES = 60

Split = tuple[np.ndarray, np.ndarray]


def score(
    train: Split,
    test: Split,
    labels: np.ndarray,
    crossovers: np.ndarray,
    coarse: int,
    fine: int,
    images: np.ndarray,
    without: np.ndarray,
    rng: np.random.Generator,
) -> dict:
    """Measures crossovers of codes with L rows (Karras et al., 2019, https://arxiv.org/abs/1812.04948).

    A crossover with cut c has the rows before c from the code of a first image, and the other rows from the code of a
    second image. A classifier predicts the classes of crossovers. The classifier is a perceptron with one hidden layer,
    trained on pixels of real images.

    Args:
        train, test: real images float [N, H, W, C] and their labels [N].
        labels: labels of the first and the second image of M crossovers, [M, 2]. The two labels must differ.
        crossovers: decoded crossovers for the cuts 0 to L, [L + 1, M, H, W, C].
        coarse, fine: number of coarse rows and number of fine rows.
        images: real images [N, H, W, C].
        without: reconstructions of `images`, [L + 1, N, H, W, C]. In entry l < L, row l of each code is replaced by the
            mean of row l over the images. Entry L has unchanged codes.
        rng: generator of the classifier's seed.

    Returns:
        first, second: fraction of crossovers that are classified as the class of the first or the second image, for
        each cut, [L + 1]. classifier: accuracy on the test images. octaves_coarse, octaves_fine: mean squared change
        of the image if the coarse or the fine rows are exchanged, by octave of spatial frequency; see
        `octave_energies`. low_coarse, low_fine: fraction of this change below 4 cycles per image. loss: MSE of the
        reconstructions with unchanged codes. losses: MSE with row l replaced, [L]. mixes: M.

    Raises:
        ValueError: the numbers of images and labels differ.
    """
    check_consistent_length(*train)
    check_consistent_length(*test)
    check_consistent_length(labels, crossovers[0])
    classifier = MLPClassifier(
        (HIDDEN,), early_stopping=True, max_iter=MAX_PASSES, random_state=int(rng.integers(2**31))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the result reports `classifier`
        classifier.fit(_rows(train[0]), train[1])
    named = np.stack([classifier.predict(_rows(mixes)) for mixes in crossovers])
    last = len(crossovers) - 1
    octaves = {
        "coarse": octave_energies(crossovers[coarse] - crossovers[0]),
        "fine": octave_energies(crossovers[last - fine] - crossovers[last]),
    }
    losses = [float(np.mean((images - decoded) ** 2)) for decoded in without]
    return {
        "first": (named == labels[:, 0]).mean(axis=1).tolist(),
        "second": (named == labels[:, 1]).mean(axis=1).tolist(),
        "classifier": float(classifier.score(_rows(test[0]), test[1])),
        **{f"octaves_{name}": energies.tolist() for name, energies in octaves.items()},
        **{f"low_{name}": float(energies[:3].sum() / energies.sum()) for name, energies in octaves.items()},
        "loss": losses[-1],
        "losses": losses[:-1],
        "mixes": len(labels),
    }


def octave_energies(differences: np.ndarray) -> np.ndarray:
    """Returns the mean square of images in each octave of spatial frequency.

    The sum over the octaves is the mean square of the images.

    Args:
        differences: float [M, H, W, C].

    Returns:
        float [bands]. The bands are below 1 cycle per image, 1 to 2 cycles, 2 to 4 cycles, and so on.
    """
    height, width = differences.shape[1:3]
    spectrum = np.abs(np.fft.fft2(differences, axes=(1, 2))) ** 2 / (height * width) ** 2
    power = spectrum.mean(axis=(0, 3))
    rows, columns = np.fft.fftfreq(height, 1 / height), np.fft.fftfreq(width, 1 / width)
    frequency = np.hypot(rows[:, None], columns[None])
    band = np.where(frequency < 1, 0, 1 + np.floor(np.log2(np.maximum(frequency, 1)))).astype(int)
    return np.bincount(band.ravel(), weights=power.ravel())


def _rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
