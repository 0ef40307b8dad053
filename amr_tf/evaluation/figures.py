"""Figures of trained runs that show images: paths between test images, mixes of three, traversals of a code, masks."""

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
TRIANGLE_SIDE = 7
TRAVERSAL_STEPS = 9
TRAVERSAL_REACH = 2.0  # standard deviations of the test split's codes from their mean
TRAVERSAL_SAMPLE = 2_000
PAIR_GAP = 12
MIXED_PAIRS = 8
MAPS_A_PANEL = 128


class Figure(NamedTuple):
    """A figure of trained runs.

    Attributes:
        description: a noun phrase for the help of the command line.
        draw: takes the runs and a generator; returns the picture and then, where the figure can be animated, the frames
            of its GIF, uint8 [H, W, 3] each.
        points: whether it is one of points or codes; the others take images.
    """

    description: str
    draw: "Callable[[list[TrainedRun], np.random.Generator], list[np.ndarray]]"
    points: bool = False


def draw(runs: "list[TrainedRun]", request: Request) -> list[pathlib.Path]:
    """Draws the requested figures of runs of one data set and returns their files.

    Raises:
        UserError: runs of different data sets, data or codes that a figure cannot show, or a folder that cannot be
            written to.
    """
    chosen = {name: registry.load(registry.FIGURES, name) for name in request.figures}
    _check(runs, [name for name, figure in chosen.items() if not figure.points])
    folder = request.out or runs[0].path / "figures"
    written = []
    for name, figure in chosen.items():
        picture, *frames = figure.draw(runs, np.random.default_rng([request.seed, *name.encode()]))
        contents = {f"{name}.png": canvas.png(picture)}
        if request.animate and frames:
            contents[f"{name}.gif"] = canvas.gif(frames)
        for file, content in contents.items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                files.write(folder / file, content)
            except OSError as error:
                raise RunError(f"The figure cannot be written: {error}. Choose another --out") from error
            written.append(folder / file)
    return written


def _check(runs: "list[TrainedRun]", of_images: list[str]) -> None:
    """Refuses unlike runs, and runs that cannot have the requested figures `of_images`."""
    seen = {(run.config.dataset, run.config.image_fit, f"{run.config.image_width} px") for run in runs}
    if len(seen) > 1:
        names = ", ".join(sorted(" ".join(words) for words in seen))
        raise ConfigError(
            f"One figure shows runs of one data set, one --image_fit and one --image_size. Received: {names}"
        )
    if not of_images:
        return
    run, test = runs[0], runs[0].splits.test
    if run.model.image_shape[0] == 1:
        others = [other for other in registry.FIGURES if registry.load(registry.FIGURES, other).points]
        raise ConfigError(
            f"The examples of {run.config.flag('dataset')} are points, not images. Received: --figures={of_images[0]}. "
            f"Choose {' or '.join(others)}"
        )
    if len(test) < 2 * PAIRS or len(np.unique(test.labels)) < 3:
        raise ConfigError(
            f"The figures need {2 * PAIRS} test images and 3 labels among them. Received: {len(test)} of "
            f"{run.config.dataset}"
        )


def interpolation(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws paths between the same pairs of test images, each run by the path of its own mixer.

    The picture has a block for each pair: the blend of the pixels, whose ends are the images, then a row for each run.
    There is a frame for each point of the path.
    """
    x = _test_images(runs[0], 2 * PAIRS, rng)
    paths = [canvas.blend(x[:PAIRS], x[PAIRS:], PATH_STEPS)]
    paths += [run.model.interpolate(x[:PAIRS], x[PAIRS:], PATH_STEPS).numpy() for run in runs]
    labels = ["pixels", *_labels(runs)]
    rows = np.stack(paths, axis=1)  # [pair, row, step, H, W, C]
    blocks = [_labelled_grid(list(block), labels) for block in rows]
    frames = [_labelled_grid(list(rows[:, :, step].swapaxes(0, 1)), labels) for step in range(PATH_STEPS)]
    return [canvas.stack(blocks, PAIR_GAP), *_and_back(frames)]


def triangle(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws decoded mixes of three test images, whose reconstructions are the corners; below them the images.

    A place in the triangle says the share of each image, and the run's mixer what that means.
    """
    import tensorflow as tf

    from amr_tf.mixing import mix

    run = runs[0]
    # Mixes of images with one label would hardly differ.
    _, first = np.unique(run.splits.test.labels, return_index=True)
    x = pixels.to_float(run.splits.test.images[rng.choice(first, 3, replace=False)])
    steps = TRIANGLE_SIDE - 1
    shares = np.array([(steps - i, i - j, j) for i in range(TRIANGLE_SIDE) for j in range(i + 1)], np.float32)
    weights = run.model.mixer.weights(tf.constant(shares / steps), run.model.code_shape)
    parents = tf.tile([[0, 1, 2]], [len(shares), 1])
    decoded = run.decode(mix(run.encode(x), parents, weights).numpy())
    rows = np.split(decoded, np.cumsum(range(1, TRIANGLE_SIDE)))
    mixes = canvas.stack([_grid([row]) for row in rows], 0)
    return [canvas.stack([mixes, _grid([x])], PAIR_GAP)]


def traversal(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws one test image's code, a row for each of its numbers, which rises while the others are fixed."""
    run = runs[0]
    if not run.has_flat_codes:
        raise ConfigError(
            f"A traversal takes flat codes. Received: {run.config.flag('arch')}, codes {run.model.code_shape}"
        )
    sample = run.encode(_test_images(run, min(TRAVERSAL_SAMPLE, len(run.splits.test)), rng))
    mean, reach = sample.mean(axis=0), TRAVERSAL_REACH * sample.std(axis=0)
    size = sample.shape[1]
    codes = np.tile(sample[0], (size, TRAVERSAL_STEPS, 1))
    numbers = np.arange(size)
    codes[numbers, :, numbers] = np.linspace(mean - reach, mean + reach, TRAVERSAL_STEPS, axis=1)
    decoded = run.decode(codes.reshape(-1, size)).reshape(size, TRAVERSAL_STEPS, *run.model.image_shape)
    labels = [f"z{number + 1}" for number in numbers]
    frames = [_labelled_grid(list(decoded[:, [step]]), labels) for step in range(TRAVERSAL_STEPS)]
    return [_labelled_grid(list(decoded), labels), *_and_back(frames)]


def masks(runs: "list[TrainedRun]", rng: np.random.Generator) -> list[np.ndarray]:
    """Draws the Bernoulli parameters of each combination of attributes, and a mask drawn from them (Figure 6)."""
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
    """Draws pairs of test images that differ in many attributes, and their mixes for each combination of attributes."""
    run = _supervised(runs)
    known, combinations = run.attributes("test"), run.combinations()
    first = rng.choice(len(known), MIXED_PAIRS, replace=False)
    unlike = (known[first, None] != known[None]).sum(axis=2)
    second = np.argmax(unlike + rng.random(unlike.shape), axis=1)
    real = run.examples("test")[0]
    h1, h2 = (run.codes("test")[rows] for rows in (first, second))
    rows = [pixels.to_float(real[first]), pixels.to_float(real[second])]
    for combination in combinations:
        mask = run.masks(np.tile(combination, (MIXED_PAIRS, 1)), rng)
        rows.append(run.decode(run.mix_by_mask(h1, h2, mask)))
    return [_labelled_grid(rows, ["first image", "second image", *_combination_names(run)])]


def _supervised(runs: "list[TrainedRun]") -> "TrainedRun":
    run = runs[0]
    if not run.model.needs_attributes:
        raise ConfigError(
            "Only supervised mixing has masks of attributes. "
            f"Received: {run.config.flag('model')}. Choose a run of --model=amr_supervised"
        )
    return run


def _combination_names(run: "TrainedRun") -> list[str]:
    """Returns the attributes of each of the run's `combinations`; "none" for the empty one."""
    named = [np.array(run.attribute_names)[row.astype(bool)] for row in run.combinations()]
    return [", ".join(names) or "none" for names in named]


def _and_back(frames: list[np.ndarray]) -> list[np.ndarray]:
    """Returns the frames of a path and back, which a GIF repeats without a jump."""
    return [*frames, *frames[-2:0:-1]]


def _test_images(run: "TrainedRun", count: int, rng: np.random.Generator) -> np.ndarray:
    """Returns some test images, float32 [count, H, W, C] in [-1, 1]."""
    rows = rng.choice(len(run.splits.test), count, replace=False)
    return pixels.to_float(run.splits.test.images[rows])


def _labels(runs: "list[TrainedRun]") -> list[str]:
    """Returns method, weights of the losses, seed and step of each run; its folder's name too where these are alike."""
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
MASKS = Figure("supervised mixing: the mask of each combination of attributes, for the first run", masks)
ATTRIBUTE_MIXES = Figure(
    "supervised mixing: pairs of test images mixed for each combination, for the first run", attribute_mixes
)
