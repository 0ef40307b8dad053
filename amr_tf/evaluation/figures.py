"""The pictures of `amr_tf.evaluate`: paths between test images run by run, mixes of three, traversals of a code."""

import pathlib

import numpy as np

from amr_tf.config import ConfigError
from amr_tf.data import pixels
from amr_tf.evaluation import point_figures
from amr_tf.evaluation.request import Request
from amr_tf.plotting import canvas
from amr_tf.runs.folder import RunError
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files

PAIRS, PATH_STEPS = 4, 11
TRIANGLE_SIDE = 7
TRAVERSAL_STEPS = 9
# A traversal goes as far as that many standard deviations of the test split's codes from their mean.
TRAVERSAL_REACH = 2.0
TRAVERSAL_SAMPLE = 2_000
SHOWN_WIDTH = 64  # smaller images are enlarged to about that many pixels
PAIR_GAP = 12
MIXED_PAIRS = 8
MAPS_A_PANEL, PANEL_WIDTH, MASK_HEIGHT = (
    128,
    768,
    18,
)  # feature maps side by side, pixels across, pixels a row


def draw(request: Request) -> list[pathlib.Path]:
    """Draws the requested figures; returns the files.

    Raises:
        UserError: a run cannot be opened, runs of different data sets, points, codes that are not flat, or a folder
            that cannot be written to.
    """
    opened = [TrainedRun(folder, request.checkpoint, request.places) for folder in request.folders]
    _refuse_unlike(opened)
    for name in request.figures:
        if name not in OF_POINTS:
            _refuse_points(opened[0], name)
    folder = files.user_path(request.out) if request.out else opened[0].path / "figures"
    written = []
    for name in request.figures:
        frames = FIGURES[name](opened, np.random.default_rng([request.seed, *name.encode()]))
        contents = {f"{name}.png": canvas.png(frames[0])}
        if request.animate and len(frames) > 1:
            contents[f"{name}.gif"] = canvas.gif(frames[1:])
        for file, content in contents.items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                files.write(folder / file, content)
            except OSError as error:
                raise RunError(f"The figure cannot be written: {error}. Choose another --out") from error
            written.append(folder / file)
    return written


def _refuse_unlike(opened: list[TrainedRun]) -> None:
    seen = {(run.config.dataset, run.config.image_fit, f"{run.config.image_width} px") for run in opened}
    if len(seen) > 1:
        names = ", ".join(sorted(" ".join(words) for words in seen))
        raise ConfigError(
            f"One figure shows runs of one data set, one --image_fit and one --image_size. Received: {names}"
        )


def _refuse_points(run: TrainedRun, name: str) -> None:
    if run.config.dataset == "spiral":
        raise ConfigError(
            f"Points have the figures {' and '.join(OF_POINTS)}. Received: --figures={name} of --dataset=spiral"
        )
    test = run.splits.test
    if len(test) < 2 * PAIRS or len(np.unique(test.labels)) < 3:
        raise ConfigError(
            f"The figures need {2 * PAIRS} test images and 3 labels among them. Received: {len(test)} of "
            f"{run.config.dataset}"
        )


def interpolation(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """Paths between the same pairs of test images: first the picture, then a frame for each point on the way.

    In the picture a block for each pair: the blend of the pixels, whose ends are the images, then a row for each run.
    Runs with a Bernoulli mixer switch feature maps over one after the other, in their order.
    """
    x = _test_images(opened[0], 2 * PAIRS, rng)
    share = np.linspace(0, 1, PATH_STEPS, dtype=np.float32).reshape(1, -1, 1, 1, 1)
    paths = [(1 - share) * x[:PAIRS, None] + share * x[PAIRS:, None]]
    for run in opened:
        paths.append(run.model.interpolate(x[:PAIRS], x[PAIRS:], PATH_STEPS).numpy())
    labels = ["pixels", *_labels(opened)]
    rows = np.stack(paths, axis=1)  # [pair, row, step, H, W, C]
    blocks = [canvas.with_labels(_grid(list(block)), labels) for block in rows]
    frames = [
        canvas.with_labels(_grid([row[:, step] for row in rows.swapaxes(0, 1)]), labels)
        for step in _there_and_back()
    ]
    return [canvas.stack(blocks, PAIR_GAP), *frames]


def triangle(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """Decoded mixes of three test images, whose reconstructions are the corners; below them the images themselves.

    With a Bernoulli mixer a weight is the share of the feature maps, in their order, that an image gives.
    """
    run = opened[0]
    # Of different labels, or the mixes would hardly differ.
    _, first = np.unique(run.splits.test.labels, return_index=True)
    x = pixels.to_float(run.splits.test.images[rng.choice(first, 3, replace=False)])
    steps = TRIANGLE_SIDE - 1
    places = [(i, j) for i in range(TRIANGLE_SIDE) for j in range(i + 1)]
    codes = run.encode(x)
    weights = np.array([(steps - i, i - j, j) for i, j in places], np.float32) / steps
    decoded = run.decode(np.stack([mix_of_three(codes, weight, run.config.mixer) for weight in weights]))
    return [_in_triangle(places, decoded, x)]


def mix_of_three(codes: np.ndarray, weights: np.ndarray, mixer: str) -> np.ndarray:
    """Codes [3, ..., C] and weights [3], whose sum is 1, -> one code [..., C].

    A Bernoulli mixer's takes the first feature maps of the first code, the next ones of the second, the last ones of
    the third.
    """
    if not mixer.startswith("bernoulli"):
        return np.tensordot(weights, codes, axes=1)
    ends = np.round(np.cumsum(weights) * codes.shape[-1])
    owner = np.searchsorted(ends, np.arange(codes.shape[-1]), side="right")
    return np.take_along_axis(codes, owner.reshape(1, *(1,) * (codes.ndim - 2), -1), axis=0)[0]


def _in_triangle(places: list[tuple[int, int]], decoded: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Images at (row, place in the row) of a triangle, each row centred; the three real images below."""
    tiles, real = ([_grid([image[None]]) for image in part] for part in (decoded, x))
    height, width = tiles[0].shape[:2]
    picture = np.full(
        (height * (TRIANGLE_SIDE + 1) + PAIR_GAP, width * TRIANGLE_SIDE, 3), canvas.BACKGROUND, np.uint8
    )
    for (i, j), tile in zip(places, tiles, strict=True):
        left = (TRIANGLE_SIDE - 1 - i) * width // 2 + j * width
        picture[i * height : (i + 1) * height, left : left + width] = tile
    for number, tile in enumerate(real):
        left = (TRIANGLE_SIDE - 3) * width // 2 + number * width
        picture[-height:, left : left + width] = tile
    return picture


def traversal(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """One test image's code, a row for each of its numbers, which goes from low to high while the others stay."""
    run = opened[0]
    if not run.has_flat_codes:
        raise ConfigError(
            f"A traversal takes flat codes. Received: {run.config.flag('arch')}, codes {run.model.code_shape}"
        )
    sample = run.encode(_test_images(run, min(TRAVERSAL_SAMPLE, len(run.splits.test)), rng))
    mean, reach = sample.mean(axis=0), TRAVERSAL_REACH * sample.std(axis=0)
    size = sample.shape[1]
    codes = np.tile(sample[0], (size, TRAVERSAL_STEPS, 1))
    for number in range(size):
        low, high = mean[number] - reach[number], mean[number] + reach[number]
        codes[number, :, number] = np.linspace(low, high, TRAVERSAL_STEPS)
    decoded = run.decode(codes.reshape(-1, size)).reshape(size, TRAVERSAL_STEPS, *run.model.image_shape)
    labels = [f"z{number + 1}" for number in range(size)]
    picture = canvas.with_labels(_grid(list(decoded)), labels)
    steps = _there_and_back(TRAVERSAL_STEPS)
    return [
        picture,
        *(canvas.with_labels(_grid([row[step : step + 1] for row in decoded]), labels) for step in steps),
    ]


def masks(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """A row for each combination of attributes, a column for each feature map: Bernoulli parameters, then a mask drawn
    of them, in panels of 128 maps (Figure 6, and in its colours: purple 0, yellow 1, from the first parent).
    """
    run = _supervised(opened)
    combinations = run.combinations()
    parameters, drawn = run.mask_parameters(combinations), run.masks(combinations, rng)
    panels = []
    for first in range(0, parameters.shape[1], MAPS_A_PANEL):
        for name, values in (("parameters", parameters), ("a mask", drawn)):
            part = values[:, first : first + MAPS_A_PANEL]
            labels = [f"{name}, maps {first + 1} - {first + part.shape[1]}", *_combination_names(run)]
            panels.append(canvas.with_labels(_mask_rows(part), labels))
    return [canvas.stack(panels, PAIR_GAP)]


def _mask_rows(values: np.ndarray) -> np.ndarray:
    """Values [K, n] in [0, 1] as rows of coloured cells under an empty row, uint8 [H, PANEL_WIDTH, 3]."""
    colours = values[..., None] * np.array(canvas.YELLOW) + (1 - values[..., None]) * np.array(canvas.PURPLE)
    width = PANEL_WIDTH // MAPS_A_PANEL * max(1, MAPS_A_PANEL // values.shape[1])
    cells = np.rint(colours).astype(np.uint8).repeat(MASK_HEIGHT, axis=0).repeat(width, axis=1)
    picture = np.full((MASK_HEIGHT + len(cells), PANEL_WIDTH, 3), canvas.BACKGROUND, np.uint8)
    picture[MASK_HEIGHT:, : cells.shape[1]] = cells
    return picture


def attribute_mixes(opened: list[TrainedRun], rng: np.random.Generator) -> list[np.ndarray]:
    """Pairs of test images that differ in as many attributes as possible, and below them a row for each combination of
    attributes: the mixes of which it was asked.
    """
    run = _supervised(opened)
    known, combinations = run.attributes("test"), run.combinations()
    first = rng.choice(len(known), MIXED_PAIRS, replace=False)
    unlike = (known[first, None] != known[None]).sum(axis=2)
    second = np.argmax(unlike + rng.random(unlike.shape), axis=1)
    real = run.examples("test")[0]
    x1, x2 = (pixels.to_float(real[rows]) for rows in (first, second))
    h1, h2 = (run.codes("test")[rows] for rows in (first, second))
    rows = [x1, x2]
    for combination in combinations:
        mask = run.masks(np.tile(combination, (MIXED_PAIRS, 1)), rng)
        rows.append(run.decode(run.mix_by_mask(h1, h2, mask)))
    return [canvas.with_labels(_grid(rows), ["first image", "second image", *_combination_names(run)])]


def _supervised(opened: list[TrainedRun]) -> TrainedRun:
    run = opened[0]
    if run.config.mixer != "supervised":
        raise ConfigError(
            f"Masks of attributes are those of --mixer=supervised. Received: {run.config.flag('mixer')}"
        )
    return run


def _combination_names(run: TrainedRun) -> list[str]:
    """What each of `combinations` has; "none" where it has nothing."""
    named = [np.array(run.attribute_names)[row.astype(bool)] for row in run.combinations()]
    return [", ".join(names) or "none" for names in named]


def _there_and_back(steps: int = PATH_STEPS) -> list[int]:
    """The points of a path as a GIF shows them, so that it does not jump when it begins again."""
    return [*range(steps), *range(steps - 2, 0, -1)]


def _test_images(run: TrainedRun, count: int, rng: np.random.Generator) -> np.ndarray:
    """Some test images float32 [count, H, W, C] in [-1, 1]."""
    rows = rng.choice(len(run.splits.test), count, replace=False)
    return pixels.to_float(run.splits.test.images[rows])


def _labels(opened: list[TrainedRun]) -> list[str]:
    """Method, weights of its losses, seed and step of each run; with its folder where that does not tell them apart."""
    labels = []
    for run in opened:
        config = run.config
        mixed = f" {config.mixer} k={config.k}" if config.model == "amr" else ""
        weights = f"lambda {config.lambda_:g}" + (f", beta {config.beta:g}" if config.beta else "")
        labels.append(f"{config.model}{mixed}\n{weights}\nseed {config.seed}, step {run.step:,}")
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label}\n{run.path.name[-24:]}" for label, run in zip(labels, opened, strict=True)]


def _factor(x: np.ndarray) -> int:
    return max(1, SHOWN_WIDTH // x.shape[2])


def _grid(rows: list[np.ndarray]) -> np.ndarray:
    return canvas.enlarge(canvas.grid(rows), _factor(rows[0]))


OF_POINTS = {"spiral": point_figures.spiral, "latent": point_figures.latent}
FIGURES = {
    "interpolation": interpolation,
    "triangle": triangle,
    "traversal": traversal,
    "masks": masks,
    "attribute_mixes": attribute_mixes,
    **OF_POINTS,
}
