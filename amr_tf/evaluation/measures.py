"""Metrics of a trained run.

The functions here pass arrays of the run to a metric and save the result in results.json. The module of a metric in
`amr_tf.metrics` is imported only when the metric is computed.
"""

import datetime
import importlib
import math
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from amr_tf import data, registry
from amr_tf.config import aliases
from amr_tf.data import pixels
from amr_tf.data.sources import generated
from amr_tf.evaluation import figures
from amr_tf.runs.folder import RunError, RunFolder
from amr_tf.runtime import files

if TYPE_CHECKING:
    from amr_tf.runs.trained import TrainedRun

PATHS, PATH_STEPS, DICTIONARY = 256, 16, 10_000
JUDGE_EXAMPLES = 10_000  # largest number of training images for the classifiers that score mixes
DRAWN, DRAWN_PATHS = 1_000, 100  # largest numbers of mixes and of paths for the metric `manifold`
STYLE_MIXES = 1_000  # largest number of crossovers for each position of the cut

Rng = np.random.Generator
Examples = tuple[np.ndarray, np.ndarray]
Reason = Callable[["TrainedRun"], str]


class Metric(NamedTuple):
    """A metric of trained runs.

    Attributes:
        description: a noun phrase for the command's help and for model cards.
        compute: function of a run and a random generator that returns the result of the metric.
        reason_not_applicable: function that returns the reason why the metric does not apply to a run, or "" if the
            metric applies.
    """

    description: str
    compute: "Callable[[TrainedRun, Rng], dict[str, Any]]"
    reason_not_applicable: Reason


def evaluate(run: "TrainedRun", name: str, checkpoint: str, seed: int) -> dict[str, Any]:
    """Computes one metric of one run.

    The result also contains the checkpoint, the step, the seed, the name of the data, the duration in seconds and the
    current time. The random numbers depend only on the seed and on the metric's name.

    Raises:
        DataError: the run's data are missing, damaged or do not match the settings.
    """
    data_name = run.data_name  # loads the data, so that the duration excludes the loading
    begin = time.monotonic()
    # A renamed metric uses the random numbers of the metric's former name, so that results stay the same.
    former = {now: then for then, now in aliases.METRICS.items()}.get(name, name)
    rng = np.random.default_rng([seed, *former.encode()])
    found = _finite(registry.load(registry.METRICS, name).compute(run, rng))
    return found | {
        "checkpoint": checkpoint,
        "step": run.step,
        "seed": seed,
        "data": data_name,
        "seconds": round(time.monotonic() - begin, 1),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def check(folder: RunFolder) -> None:
    """Checks that the results of metrics can be saved in the run's results.json.

    Raises:
        RunError: results.json is damaged or does not exist yet, or another process is training the run.
    """
    if not folder.results.exists():
        raise RunError(f"{folder.path} has no results.json yet: train it to the end of an epoch first")
    folder.read_results()
    if is_writable(folder):
        with folder.held():
            pass


def is_writable(folder: RunFolder) -> bool:
    """Returns false if the run folder is read-only. The results of such a run are not saved in results.json."""
    return os.access(folder.path, os.W_OK)


def save(folder: RunFolder, found: dict[str, dict[str, Any]]) -> None:
    """Adds results of metrics, by name, to the run's results.json. Other entries of the file are unchanged.

    Raises:
        RunError: the file is damaged or cannot be written, or another process is training the run.
    """
    with folder.held():
        results = folder.read_results()
        results["metrics"] = results.get("metrics", {}) | found
        files.write_json(folder.results, results)


def _finite(value: Any) -> Any:
    """Replaces NaN and infinity by None, because JSON does not support these values."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _score(metric: str, *arguments: Any, **named: Any) -> dict[str, Any]:
    """Imports the module `amr_tf.metrics.<metric>` and returns the result of the function `score` in this module."""
    return importlib.import_module(f"amr_tf.metrics.{metric}").score(*arguments, **named)


def _codes(run: "TrainedRun", part: str) -> Examples:
    codes = run.codes(part)
    return codes.reshape(len(codes), -1), run.labels(part)


def _pixels(run: "TrainedRun", part: str) -> Examples:
    images, labels = run.examples(part)
    return pixels.to_float(images).reshape(len(images), -1), labels


def _pairs(count: int, rng: Rng) -> np.ndarray:
    """Samples disjoint pairs of `count` examples. Returns the indices of the examples, int [2, count // 2]."""
    return rng.permutation(count)[: count // 2 * 2].reshape(2, -1)


def _convex(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns share * first + (1 - share) * second. The shape of `share` is the first part of the arrays' shape."""
    share = np.expand_dims(share, tuple(range(share.ndim, first.ndim)))
    return share * first + (1 - share) * second


def _probe(examples: "Callable[[TrainedRun, str], Examples]") -> Callable:
    parts = ("train", "validation", "test")
    return lambda run, rng: _score("probe", *(examples(run, part) for part in parts), rng)


def _probe_few(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    return _score("probe_few", _codes(run, "train"), _codes(run, "test"), rng)


def _knn(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    return _score("knn", *(_codes(run, part) for part in ("train", "validation", "test")), rng)


def _clustering(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    return _score("clustering", *_codes(run, "train"), *_codes(run, "test"), rng)


def _reconstruction(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    return _score("reconstruction", pixels.to_float(run.examples("test")[0]), run.decode(run.codes("test")))


def _interpolation(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Scores convex mixes of random pairs of test images. Pairs and weights do not depend on the model or the mixer."""
    real, codes = pixels.to_float(run.examples("test")[0]), run.codes("test")
    first, second = _pairs(len(real), rng)
    share = rng.random(len(first), np.float32)
    mix_codes = _convex(codes[first], codes[second], share)
    mixes = run.decode(mix_codes)
    blends = _convex(real[first], real[second], share)
    return _score("interpolation", mixes, mix_codes, run.encode(mixes), real, codes, blends=blends)


def _attributes(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Scores mixes of random pairs of test images with an independent classifier.

    Each requested attribute comes from the first or the second image with equal probability, as in training.
    """
    images, known, codes = run.examples("test")[0], run.attributes("test"), run.codes("test")
    first, second = _pairs(len(codes), rng)
    requested = np.where(rng.random((len(first), known.shape[1])) < 0.5, known[first], known[second])
    mixes = [
        run.mix_by_mask(codes[first], codes[second], mask)
        for mask in (run.masks(requested, rng), rng.integers(2, size=(len(first), codes.shape[-1])))
    ]
    seen = rng.permutation(len(run.attributes("train")))[:JUDGE_EXAMPLES]
    train = (pixels.to_float(run.examples("train")[0][seen]), run.attributes("train")[seen])
    decoded, at_random = map(run.decode, mixes)
    parameters = run.mask_parameters(run.combinations())
    parents = np.stack([known[first], known[second]], axis=1)
    judged = (pixels.to_float(images), known)
    return _score("attributes", train, judged, requested, parents, decoded, at_random, parameters, rng)


def _lines(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Scores straight paths between the codes of random pairs of test images. The path does not depend on the mixer."""
    test = run.splits.test.images
    codes = run.encode(test[rng.permutation(len(test))[: 2 * PATHS]])[:, None]
    share = np.linspace(0, 1, PATH_STEPS, dtype=np.float32)[None]
    path = _convex(codes[PATHS:], codes[:PATHS], share)
    images = run.decode(path.reshape(-1, *codes.shape[2:]))
    images = images.reshape(PATHS, PATH_STEPS, *run.model.image_shape)
    angles = 2 * np.pi * np.arange(DICTIONARY) / DICTIONARY
    return _score("lines", images, pixels.to_float(generated.render_lines(angles)), angles)


def _mix_quality(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Compares test images with four sets: decoded mixes, reconstructions, pixel blends, and validation images.

    The run's mixer makes the mixes. Interpolation paths by the mixer and in pixel space are scored too.
    """
    real, codes = pixels.to_float(run.examples("test")[0]), run.codes("test")
    held, half = rng.permutation(len(real)), len(real) // 2
    reference, own = held[:half], held[half:]
    _, mixes = run.mixes("test", rng)
    first, second = own[: len(own) // 2], own[len(own) // 2 : len(own) // 2 * 2]
    blends = _convex(real[first], real[second], rng.random(len(first), np.float32))
    other = pixels.to_float(run.examples("validation")[0])
    sets = {"mixes": mixes[own], "reconstructions": run.decode(codes[own]), "blends": blends, "real": other}
    ends = first[:PATHS], second[:PATHS]
    shares = np.tile(np.linspace(0, 1, PATH_STEPS, dtype=np.float32), (len(ends[0]), 1))
    start, end = (np.repeat(real[rows][:, None], PATH_STEPS, axis=1) for rows in ends)
    paths = {
        "mixes": run.model.interpolate(real[ends[0]], real[ends[1]], PATH_STEPS).numpy(),
        "blends": _convex(start, end, shares),
    }
    return _judged(run, real[reference], sets, paths)


def _judged(run: "TrainedRun", real: np.ndarray, sets: dict, paths: dict) -> dict[str, Any]:
    """Scores sets and paths of images in the features of a classifier that is trained on the run's data."""
    metric = importlib.import_module("amr_tf.metrics.mix_quality")
    parts = [run.examples(part) for part in ("train", "test")]
    train, test = (
        (pixels.to_float(images[:JUDGE_EXAMPLES]), labels[:JUDGE_EXAMPLES]) for images, labels in parts
    )
    return metric.score(metric.judge_of(train, test), real, sets, paths)


def _samples(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Compares test images with decoded samples of a Gaussian mixture, which is fitted to the training codes."""
    metric = importlib.import_module("amr_tf.metrics.samples")
    mixture = metric.fitted(run.codes("train"), run.codes("validation"), rng)
    real = pixels.to_float(run.examples("test")[0])
    codes = metric.drawn(mixture, len(real), rng).reshape(-1, *run.model.code_shape)
    found = _judged(run, real, {"samples": run.decode(codes)}, {})
    return found | {"components": mixture.n_components, "covariances": mixture.covariance_type}


def _no_judge(run: "TrainedRun") -> str:
    from amr_tf.metrics.mix_quality import LEAST

    few = min(len(run.labels("test")) // 4, len(run.labels("validation")))
    return (
        _no_images(run)
        or (
            "its judge learns classes, and all labels are equal"
            if len(set(run.labels("train").tolist())) < 2
            else ""
        )
        or (
            f"it compares sets of {LEAST} images, parts of the test and validation split"
            if few < LEAST
            else ""
        )
    )


def _style_rows(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Scores the effect of each row of a style code.

    Crossovers of two test images with different labels are decoded for every position of the cut. Codes with one row
    replaced by the row's mean are decoded too.
    """
    images, labels = run.examples("test")
    images, codes = pixels.to_float(images), run.codes("test")
    first, second = _pairs(len(codes), rng)
    unlike = np.flatnonzero(labels[first] != labels[second])[:STYLE_MIXES]
    first, second = first[unlike], second[unlike]
    count = codes.shape[1]
    cut = np.arange(count + 1)[:, None]
    own = (np.arange(count)[None] < cut)[:, None, :, None]
    crossovers = np.stack([run.decode(np.where(one, codes[first], codes[second])) for one in own])
    shown, mean = codes[:STYLE_MIXES], codes.mean(axis=0)
    without = [run.decode(shown)]
    for row in reversed(range(count)):
        replaced = shown.copy()
        replaced[:, row] = mean[row]
        without.insert(0, run.decode(replaced))
    train, known = run.examples("train")
    seen = rng.permutation(len(train))[:JUDGE_EXAMPLES]
    return _score(
        "style_rows", (pixels.to_float(train[seen]), known[seen]), (images, labels),
        np.stack([labels[first], labels[second]], axis=1), crossovers, figures.COARSE_ROWS, figures.FINE_ROWS,
        images[:STYLE_MIXES], np.stack(without), rng,
    )  # fmt: skip


def _no_rows(run: "TrainedRun") -> str:
    if len(run.model.code_shape) != 2:
        return "codes have no rows: --arch=style"
    labels = run.examples("test")[1]
    return _no_images(run) or ("" if len(np.unique(labels)) > 1 else "it mixes images of different labels")


def _manifold(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Finds, for each image, the nearest image that the data set can contain, and scores the distances.

    The images are mixes by the run's mixer, reconstructions, pixel blends, and points of interpolation paths.
    """
    images, codes = run.examples("test")[0], run.codes("test")
    first, second = _pairs(len(codes), rng)[:, :DRAWN]
    x, y = (pixels.to_float(images[rows]) for rows in (first, second))
    sets = {
        "mixes": run.mixes("test", rng)[1][first],
        "reconstructions": run.decode(codes[first]),
        "blends": _convex(x, y, rng.random(len(x), np.float32)),
    }
    paths = run.model.interpolate(x[:DRAWN_PATHS], y[:DRAWN_PATHS], PATH_STEPS).numpy()
    search = data.nearest_images(run.config)
    distances = {name: search(values).distances for name, values in sets.items()}
    near = search(paths.reshape(-1, *paths.shape[2:]))
    factors = near.factors.reshape(*paths.shape[:2], -1)
    for column in near.circular:
        factors[..., column] = np.unwrap(factors[..., column], axis=1, period=1)
    return _score("manifold", distances, pixels.ROUNDING, factors)


def _not_drawn(run: "TrainedRun") -> str:
    if run.spec.nearest is None:
        return "the nearest possible image is known for drawn data only: --dataset=lines, shapes or dsprites"
    return _no_pairs(run)


def _spiral(run: "TrainedRun", rng: Rng) -> dict[str, Any]:
    """Scores mixes by the run's mixer.

    For comparison, reconstructions, test points and `blends` are scored too. `blends` are convex combinations of two
    test points, computed without a model.
    """
    _, mixes = run.mixes("test", rng)
    real = run.examples("test")[0].reshape(-1, 2)
    first, second = _pairs(len(real), rng)
    others = {
        "reconstructions": run.decode(run.codes("test")).reshape(-1, 2),
        "blends": _convex(real[first], real[second], rng.random(len(first))),
        "real": real,
    }
    return _score("spiral", mixes.reshape(-1, 2), generated.spiral_curve(), **others) | {"k": run.config.k}


def _of_factors(metric: str, description: str, **settings: Any) -> Metric:
    """Returns a metric that compares codes with the ground-truth factors from which the images were generated."""
    return Metric(
        description,
        lambda run, rng: _score(metric, run.ground_truth, run.encode, rng, **settings) | settings,
        _no_factors,
    )


def _no_factors(run: "TrainedRun") -> str:
    if run.spec.ground_truth is None:
        return f"the factors behind the images of {run.config.flag('dataset')} are unknown"
    if not run.has_flat_codes or run.model.code_shape[0] < 2:
        return "it takes flat codes of two numbers or more, which --arch=burgess has"
    return ""


def _no_classes(run: "TrainedRun") -> str:
    known, requested = (set(run.labels(part).tolist()) for part in ("train", "test"))
    if len(known) < 2:
        return "its training examples are all of one label"
    missing = sorted(requested - known)
    return f"its training examples have none of the labels {missing}" if missing else ""


def _too_few(run: "TrainedRun") -> str:
    if reason := _no_classes(run):
        return reason
    alone = min(np.unique(run.labels("train"), return_counts=True)[1]) < 2
    return (
        "every class needs two training examples, of which cross-validation leaves one out" if alone else ""
    )


def _no_pairs(run: "TrainedRun") -> str:
    return "" if len(run.splits.test) > 1 else "it mixes two test examples, of which there is one"


def _no_supervision(run: "TrainedRun") -> str:
    from amr_tf.metrics.attributes import LEAST_EXAMPLES

    if not run.model.needs_attributes:
        return "only supervised mixing makes mixes of requested attributes: --model=amr_supervised"
    if len(run.combinations()) < 2:
        return "its test examples all have the same attributes"
    if len(run.attributes("train")) < LEAST_EXAMPLES:
        return f"its classifier learns from {LEAST_EXAMPLES} training examples or more"
    known = run.attributes("train")
    if known.shape[1] == 1 and 1 in np.bincount(known[:, 0]):
        return "its classifier learns from two training examples or more with and without the attribute"
    return _no_images(run)


def _no_images(run: "TrainedRun") -> str:
    return "points are not images" if run.model.image_shape[0] == 1 else ""


def _only(dataset: str, what: str) -> Reason:
    return lambda run: "" if run.config.dataset == dataset else f"only {what}: --dataset={dataset}"


PROBE = Metric("linear classifier on frozen codes: test accuracy", _probe(_codes), _no_classes)
PROBE_PIXELS = Metric("the same classifier on pixels, the floor for `probe`", _probe(_pixels), _no_classes)
PROBE_FEW = Metric(
    "the same classifier with 10 and 100 labels of each class: test accuracy over draws",
    _probe_few,
    _too_few,
)
KNN = Metric("vote of the nearest codes by cosine: test accuracy", _knn, _no_classes)
CLUSTERING = Metric("k-means on whitened codes: test accuracy (ACAI)", _clustering, _no_classes)
RECONSTRUCTION = Metric("MSE, MAE, PSNR and SSIM on the test split", _reconstruction, _no_images)
INTERPOLATION = Metric(
    "distance of decoded convex mixes from real images, and from their own codes", _interpolation, _no_pairs
)
MIX_QUALITY = Metric(
    "mixes in features of a classifier of real images: KID, density, coverage, path length",
    _mix_quality,
    _no_judge,
)
SAMPLES = Metric("decoded draws of a mixture of Gaussians fitted to the codes: KID", _samples, _no_judge)
ATTRIBUTES = Metric(
    "supervised mixes that show all requested attributes to an independent classifier",
    _attributes,
    _no_supervision,
)
LINES = Metric(
    "mean distance and smoothness of straight paths between lines (ACAI)",
    _lines,
    _only("lines", "lines have an angle"),
)
STYLE_ROWS = Metric(
    "style mixing: changes, class and loss that the rows of a code decide", _style_rows, _no_rows
)
MANIFOLD = Metric(
    "distance of mixes to the nearest possible image of drawn data, and evenness of paths",
    _manifold,
    _not_drawn,
)
SPIRAL = Metric(
    "mean distance of decoded mixes to the spiral, beside reconstructions and blends of points",
    _spiral,
    _only("spiral", "points lie on a spiral"),
)
FACTOR_VAE = _of_factors(
    "factor_vae", "FactorVAE's majority vote (Kim and Mnih 2018), 800 votes of 100 images", preset="paper"
)
FACTOR_VAE_DISENTANGLEMENT_LIB = _of_factors(
    "factor_vae", "the same with the numbers of disentanglement_lib", preset="dlib"
)
AMR_DFV = _of_factors("amr_dfv", "the AMR paper's Table 3: 0.80 at most, and for a collapsed code too")
BETA_VAE = _of_factors("beta_vae", "beta-VAE's classifier of differences (Higgins et al. 2017)")
MIG = _of_factors("mig", "mutual information gap (Chen et al. 2018)")
SAP = _of_factors("sap", "separated attribute predictability (Kumar et al. 2018), continuous")
DCI = _of_factors(
    "dci", "disentanglement, completeness, informativeness (Eastwood and Williams 2018)", preset="dlib"
)
DCI_QUICK = _of_factors("dci", "the same of fewer examples", preset="quick")
MODULARITY = _of_factors("modularity", "modularity (Ridgeway and Mozer 2018)")
