"""Figures of trained runs: images of paths, mixes, traversals, samples and exchanged code rows, and charts of masks."""

import pathlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from amr_tf import registry
from amr_tf.config import ConfigError
from amr_tf.data import pixels
from amr_tf.evaluation import Request
from amr_tf.plotting import canvas, charts
from amr_tf.runs.folder import RunError
from amr_tf.runtime import files

if TYPE_CHECKING:
    from amr_tf.runs.trained import TrainedRun

PAIRS, PATH_STEPS = 4, 11
MANY = 8  # for more runs, `interpolation` draws only one pair of images
TRIANGLE_SIDE = 7
TRAVERSAL_STEPS = 9
TRAVERSAL_REACH = 2.0  # distance from the mean of the codes to both ends, in standard deviations of the codes
TRAVERSAL_SAMPLE = 2_000
PAIR_GAP = 12
SAMPLE_SIDE = 8
MIXED_PAIRS = 8
MAPS_A_PANEL = 128
# Number of images whose codes are changed, and number of images from which the new rows of the codes are copied.
STYLE_COLUMNS, STYLE_ROWS = 6, 2
# Number of coarse rows of a style code (scales of 4 and 8 px), and of fine rows (scale of the image).
COARSE_ROWS, FINE_ROWS = 4, 2


class Figure(NamedTuple):
    """A figure of trained runs.

    Attributes:
        description: a noun phrase for the help of the command line.
        draw: function of the runs and a random generator. It returns a list of images, uint8 [H, W, 3] each. The first
            image is the figure. Further images are the frames of a GIF, if the figure can be animated.
        points: true for figures of points or codes, false for figures of images.
    """

    description: str
    draw: "Callable[[list[TrainedRun], np.random.Generator], list[np.ndarray]]"
    points: bool = False


def draw(name: str, runs: "list[TrainedRun]", request: Request) -> list[pathlib.Path]:
    """Draws a figure of runs of one data set and returns the paths of the written files.

    Raises:
        ConfigError: the figure cannot show these data or codes.
        RunError: the folder cannot be written to.
    """
    figure = registry.load(registry.FIGURES, name)
    if runs[0].model.image_shape[0] == 1 and not figure.points:
        others = [other for other in registry.FIGURES if registry.load(registry.FIGURES, other).points]
        raise ConfigError(
            f"The examples of {runs[0].config.flag('dataset')} are points, not images. Received: --figures={name}. "
            f"Choose {' or '.join(others)}"
        )
    folder = request.out or runs[0].path / "figures"
    picture, *frames = figure.draw(runs, np.random.default_rng([request.seed, *name.encode()]))
    contents = {f"{name}.png": canvas.png(picture)}
    if request.animate and frames:
        contents[f"{name}.gif"] = canvas.gif(frames)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            files.write(folder / file, content)
    except OSError as error:
        raise RunError(f"The figure cannot be written: {error}. Choose another --out") from error
    return [folder / file for file in contents]


def check(runs: "list[TrainedRun]") -> None:
    """Checks that one figure can show all runs.

    Raises:
        ConfigError: the runs differ in data set, image size or, for data read through TFDS, `image_fit`.
    """
    seen = {
        (
            run.config.dataset,
            run.config.image_fit if run.spec.builders else "",
            f"{run.config.image_width} px",
        )
        for run in runs
    }
    if len(seen) > 1:
        names = ", ".join(sorted(" ".join(filter(None, words)) for words in seen))
        raise ConfigError(
            f"One figure shows runs of one data set, one --image_fit and one --image_size. Received: {names}"
        )


def interpolation(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws decoded paths between pairs of test images.

    All runs use the same pairs: at most PAIRS pairs, or one pair if there are more than MANY runs. The mixer of a run
    determines the path. The figure has one block for each pair. The first row of a block is the blend of the two test
    images in pixel space. Each further row shows one run. The frames show the points of the path forwards, then
    backwards.
    """
    _need_images("interpolation", runs[0], 2)
    pairs = min(PAIRS if len(runs) <= MANY else 1, len(runs[0].splits.test) // 2)
    x1, x2 = np.split(_test_images(runs[0], 2 * pairs, rng), 2)
    paths = [canvas.blend(x1, x2, PATH_STEPS)]
    paths += [run.model.interpolate(x1, x2, PATH_STEPS).numpy() for run in runs]
    labels = ["pixels", *_labels(runs)]
    rows = np.stack(paths, axis=1)  # [pair, row, step, H, W, C]
    blocks = [_labelled_grid(list(block), labels) for block in rows]
    frames = [_labelled_grid(list(rows[:, :, step].swapaxes(0, 1)), labels) for step in range(PATH_STEPS)]
    return [canvas.stack(blocks, PAIR_GAP), *_and_back(frames)]


def triangle(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws a triangle of decoded mixes of three test images for the first run, and below it the three images.

    The corners are the reconstructions of the images. The position in the triangle determines the fraction of each
    image. The run's mixer converts the fractions to weights.
    """
    import tensorflow as tf

    from amr_tf.mixing import mix

    run = runs[0]
    _need_images("triangle", run, 3)
    # Images with different labels are preferred, because mixes of images with the same label hardly differ.
    _, first = np.unique(run.splits.test.labels, return_index=True)
    chosen = rng.choice(first, min(3, len(first)), replace=False)
    others = np.setdiff1d(np.arange(len(run.splits.test)), chosen)
    chosen = np.append(chosen, rng.choice(others, 3 - len(chosen), replace=False))
    x = pixels.to_float(run.splits.test.images[chosen])
    steps = TRIANGLE_SIDE - 1
    shares = np.array([(steps - i, i - j, j) for i in range(TRIANGLE_SIDE) for j in range(i + 1)], np.float32)
    weights = run.model.mixer.weights(tf.constant(shares / steps), run.model.code_shape)
    parents = tf.tile([[0, 1, 2]], [len(shares), 1])
    decoded = run.decode(mix(run.encode(x), parents, weights).numpy())
    rows = np.split(decoded, np.cumsum(range(1, TRIANGLE_SIDE)))
    mixes = canvas.stack([_grid([row]) for row in rows], 0)
    return [canvas.stack([mixes, _grid([x])], PAIR_GAP)]


def traversal(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws one row for each dimension of the code of one test image, for the first run.

    The value of the dimension increases from left to right, and the other dimensions are fixed. The range is the mean
    plus and minus TRAVERSAL_REACH standard deviations of the codes of test images. If there is only one test image,
    the codes of the training split are used.
    """
    run = runs[0]
    if not run.has_flat_codes:
        raise ConfigError(
            f"A traversal takes flat codes. Received: {run.config.flag('arch')}, codes {run.model.code_shape}"
        )
    sample = run.encode(_test_images(run, min(TRAVERSAL_SAMPLE, len(run.splits.test)), rng))
    spread = sample if len(sample) > 1 else run.codes("train")
    mean, reach = spread.mean(axis=0), TRAVERSAL_REACH * spread.std(axis=0)
    size = sample.shape[1]
    codes = np.tile(sample[0], (size, TRAVERSAL_STEPS, 1))
    numbers = np.arange(size)
    codes[numbers, :, numbers] = np.linspace(mean - reach, mean + reach, TRAVERSAL_STEPS, axis=1)
    decoded = run.decode(codes.reshape(-1, size)).reshape(size, TRAVERSAL_STEPS, *run.model.image_shape)
    labels = [f"z{number + 1}" for number in numbers]
    frames = [_labelled_grid(list(decoded[:, [step]]), labels) for step in range(TRAVERSAL_STEPS)]
    return [_labelled_grid(list(decoded), labels), *_and_back(frames)]


def samples(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws images decoded from a Gaussian mixture, which is fitted to the codes of the first run's training images."""
    from amr_tf.metrics import samples as mixtures

    run = runs[0]
    mixture = mixtures.fitted(run.codes("train"), run.codes("validation"), rng)
    codes = mixtures.drawn(mixture, SAMPLE_SIDE**2, rng).reshape(-1, *run.model.code_shape)
    return [_grid(np.split(run.decode(codes), SAMPLE_SIDE))]


def style_grid(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws test images after the coarse, middle or fine rows of their codes were replaced, for the first run.

    The layout follows Figure 3 of Karras et al. (2019, https://arxiv.org/abs/1812.04948). The first row shows the
    images whose codes are changed. The first column shows the images from which the new rows of the codes are copied.
    Coarse rows control the scales of 4 and 8 px. Fine rows control the scale of the image.
    """
    run = runs[0]
    if len(run.model.code_shape) != 2:
        raise ConfigError(
            f"The figure exchanges rows of a code. Received: {run.config.flag('arch')}. Choose a run of --arch=style"
        )
    _need_images("style_grid", run, STYLE_COLUMNS + STYLE_ROWS)
    x = _test_images(run, STYLE_COLUMNS + STYLE_ROWS, rng)
    codes, white = run.encode(x), np.ones_like(x[:1])
    kept, given = codes[:STYLE_COLUMNS], codes[STYLE_COLUMNS:]
    count = codes.shape[1]
    blocks = {
        "coarse": slice(0, COARSE_ROWS),
        "middle": slice(COARSE_ROWS, count - FINE_ROWS),
        "fine": slice(count - FINE_ROWS, count),
    }
    rows, labels = [np.concatenate([white, x[:STYLE_COLUMNS]])], ["image"]
    for name, exchanged in blocks.items():
        for number, code in enumerate(given):
            mixed = kept.copy()
            mixed[:, exchanged] = code[exchanged]
            rows.append(np.concatenate([x[[STYLE_COLUMNS + number]], run.decode(mixed)]))
            labels.append(f"{name} rows of\nthe left image")
    return [_labelled_grid(rows, labels)]


def masks(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Plots the Bernoulli parameters and one sampled mask for each combination of attributes (AMR paper, Figure 6).

    If the first run was trained with `mask_gradient` "soft", the masks are equal to the Bernoulli parameters.
    """
    run = _supervised(runs)
    combinations = run.combinations()
    parameters, drawn = run.mask_parameters(combinations), run.masks(combinations, rng)
    panels = [
        charts.Mask(title, first + 1, values[:, first : first + MAPS_A_PANEL])
        for first in range(0, parameters.shape[1], MAPS_A_PANEL)
        for title, values in (("Bernoulli parameters", parameters), ("a mask drawn from them", drawn))
    ]
    return [charts.picture(charts.masks(panels, _combination_names(run)))]


def attribute_mixes(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws pairs of test images and their mixes for each combination of attributes, for the first run.

    The two images of a pair differ in as many attributes as possible. There are MIXED_PAIRS pairs. If the test split
    has fewer images, there is one pair for each image.
    """
    run = _supervised(runs)
    _need_images("attribute_mixes", run, 2)
    known, combinations = run.attributes("test"), run.combinations()
    pairs = min(MIXED_PAIRS, len(known))
    first = rng.choice(len(known), pairs, replace=False)
    unlike = (known[first, None] != known[None]).sum(axis=2)
    unlike[np.arange(pairs), first] = -1  # no image is paired with itself
    second = np.argmax(unlike + rng.random(unlike.shape), axis=1)
    real = run.examples("test")[0]
    h1, h2 = (run.codes("test")[rows] for rows in (first, second))
    rows = [pixels.to_float(real[first]), pixels.to_float(real[second])]
    for combination in combinations:
        mask = run.masks(np.tile(combination, (pairs, 1)), rng)
        rows.append(run.decode(run.mix_by_mask(h1, h2, mask)))
    return [_labelled_grid(rows, ["first image", "second image", *_combination_names(run)])]


def _need_images(figure: str, run: "TrainedRun", count: int) -> None:
    """Raises ConfigError if the test split has fewer than `count` images."""
    if len(run.splits.test) < count:
        raise ConfigError(
            f"The figure {figure} mixes {count} test images. Received: {len(run.splits.test)} of "
            f"{run.config.flag('dataset')}. Choose another of --figures"
        )


def _supervised(runs: "list[TrainedRun]") -> "TrainedRun":
    run = runs[0]
    if not run.model.needs_attributes:
        raise ConfigError(
            "Only supervised mixing has masks of attributes. "
            f"Received: {run.config.flag('model')}. Choose a run of --model=amr_supervised"
        )
    return run


def _combination_names(run: "TrainedRun") -> list[str]:
    """Returns the names of the attributes in each of the run's `combinations`, or "none" if there are no attributes."""
    named = [np.array(run.attribute_names)[row.astype(bool)] for row in run.combinations()]
    return [", ".join(names) or "none" for names in named]


def _and_back(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the frames of a path forwards and then backwards. A GIF can repeat these frames without a jump."""
    return [*frames, *frames[-2:0:-1]]


def _test_images(run: "TrainedRun", count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns random test images, float32 [count, H, W, C] in [-1, 1]."""
    rows = rng.choice(len(run.splits.test), count, replace=False)
    return pixels.to_float(run.splits.test.images[rows])


def _labels(runs: "list[TrainedRun]") -> list[str]:
    """Returns a label for each run: method, loss weights, seed and step.

    If two labels are equal, the end of the folder's name is added to every label.
    """
    labels = []
    for run in runs:
        config = run.config
        mixed = f" {config.mixer} k={config.k}" if config.uses("mixer") else ""
        weights = f"lambda {config.lambda_:g}" + (f", beta {config.beta:g}" if config.beta else "")
        labels.append(f"{config.model}{mixed}\n{weights}\nseed {config.seed}, step {run.step:,}")
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label}\n{run.path.name[-24:]}" for label, run in zip(labels, runs, strict=True)]


def _grid(rows: list[np.ndarray]) -> np.ndarray:
    return canvas.enlarge(canvas.grid(rows), canvas.factor(rows[0].shape[2]))


def _labelled_grid(rows: list[np.ndarray], labels: list[str]) -> np.ndarray:
    return charts.labelled(_grid(rows), labels)


INTERPOLATION = Figure("pixel blend and decoded paths between test images, a row for each run", interpolation)
TRIANGLE = Figure("decoded mixes of three test images, for the first run", triangle)
TRAVERSAL = Figure("one number of a flat code changed at a time, for the first run", traversal)
SAMPLES = Figure("decoded draws of a mixture of Gaussians fitted to the codes, for the first run", samples)
STYLE_GRID = Figure(
    "codes of --arch=style with coarse, middle or fine rows exchanged, for the first run", style_grid
)
MASKS = Figure(
    "supervised mixing: the mask of each combination of attributes, for the first run", masks, points=True
)
ATTRIBUTE_MIXES = Figure(
    "supervised mixing: pairs of test images mixed for each combination, for the first run", attribute_mixes
)
