"""What each metric needs of a trained run, and where its result is written down."""

import datetime
import math
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from amr_tf.data import pixels
from amr_tf.data.sources import generated
from amr_tf.metrics import (
    amr_dfv,
    attributes,
    beta_vae,
    clustering,
    dci,
    factor_vae,
    interpolation,
    lines,
    mig,
    modularity,
    probe,
    reconstruction,
    sap,
    spiral,
)
from amr_tf.runs.folder import RunError, RunFolder
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files

PATHS, PATH_STEPS, DICTIONARY = 256, 16, 10_000
JUDGE_EXAMPLES = 10_000  # real images that the classifier of attributes learns from

Rng = np.random.Generator
Examples = tuple[np.ndarray, np.ndarray]


class Metric(NamedTuple):
    """How a metric is computed on a run, and why not on some."""

    compute: Callable[[TrainedRun, Rng], dict[str, Any]]
    obstacle: Callable[[TrainedRun], str] = lambda run: ""


def evaluate(run: TrainedRun, name: str, checkpoint: str, seed: int) -> dict[str, Any]:
    """One metric of one run, with how it came about: checkpoint, step, seed, data, seconds and time.

    What it draws depends on the seed and its own name only, not on which others are asked for.

    Raises:
        DataError: the run's data are gone.
    """
    data_name = run.data_name  # opened before the clock starts
    begin = time.monotonic()
    rng = np.random.default_rng([seed, *name.encode()])
    found = _finite(METRICS[name].compute(run, rng))
    return found | {
        "checkpoint": checkpoint,
        "step": run.step,
        "seed": seed,
        "data": data_name,
        "seconds": round(time.monotonic() - begin, 1),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def check(folder: RunFolder) -> None:
    """Refuses a run whose results.json could not take a metric.

    Raises:
        RunError: the file is damaged, cannot be written to, or is not there yet.
    """
    if not folder.results.exists():
        raise RunError(f"{folder.path} has no results.json yet: train it to the end of an epoch first")
    folder.read_results()
    if not os.access(folder.path, os.W_OK):
        raise RunError(f"No permission to write to {folder.path}: set it right")


def write_down(folder: RunFolder, found: dict[str, dict[str, Any]]) -> None:
    """Merges metrics by name into the run's results.json; all else in it stays.

    Raises:
        RunError: the file is damaged, cannot be written, or a process is training the run.
    """
    with folder.held():
        results = folder.read_results()
        results["metrics"] = results.get("metrics", {}) | found
        files.write_json(folder.results, results)


def _finite(value: Any) -> Any:
    """Numbers that JSON does not have become None."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _codes(run: TrainedRun, part: str) -> Examples:
    codes = run.codes(part)
    return codes.reshape(len(codes), -1), run.examples(part)[1]


def _pixels(run: TrainedRun, part: str) -> Examples:
    images, labels = run.examples(part)
    return _as_float(images).reshape(len(images), -1), labels


def _as_float(images: np.ndarray) -> np.ndarray:
    return pixels.to_float(images) if images.dtype == np.uint8 else images


def _probe(examples: Callable[[TrainedRun, str], Examples]) -> Callable:
    def compute(run: TrainedRun, rng: Rng) -> dict[str, Any]:
        train, validation, test = (examples(run, part) for part in ("train", "validation", "test"))
        return probe.score(train, validation, test, rng)

    return compute


def _clustering(run: TrainedRun, rng: Rng) -> dict[str, Any]:
    return clustering.score(*_codes(run, "train"), *_codes(run, "test"), rng)


def _reconstruction(run: TrainedRun, rng: Rng) -> dict[str, Any]:
    return reconstruction.score(_as_float(run.examples("test")[0]), run.decode(run.codes("test")))


def _interpolation(run: TrainedRun, rng: Rng) -> dict[str, Any]:
    """Convex mixes of random pairs of test images, whatever mixer the run was trained with: the same for all."""
    real, codes = _as_float(run.examples("test")[0]), run.codes("test")
    first, second = rng.permutation(len(real))[: len(real) // 2 * 2].reshape(2, -1)
    share = rng.random((len(first), *(1,) * (codes.ndim - 1)), np.float32)
    mix_codes = share * codes[first] + (1 - share) * codes[second]
    mixes = run.decode(mix_codes)
    share = share.reshape(-1, 1, 1, 1)
    blends = share * real[first] + (1 - share) * real[second]
    return interpolation.score(mixes, mix_codes, run.encode(mixes), real, codes, blends=blends)


def attribute_mixes(run: TrainedRun, rng: Rng, part: str = "test") -> dict[str, Any]:
    """Supervised mixes of random pairs of a split, asked for attributes as in training, judged from outside."""
    images, known, codes = run.examples(part)[0], run.attributes(part), run.codes(part)
    first, second = rng.permutation(len(codes))[: len(codes) // 2 * 2].reshape(2, -1)
    requested = np.where(rng.random((len(first), known.shape[1])) < 0.5, known[first], known[second])
    mixes = [
        run.mix_by_mask(codes[first], codes[second], mask)
        for mask in (run.masks(requested, rng), rng.integers(2, size=(len(first), codes.shape[-1])))
    ]
    seen = rng.permutation(len(run.attributes("train")))[:JUDGE_EXAMPLES]
    train = (_as_float(run.examples("train")[0][seen]), run.attributes("train")[seen])
    asked, drawn = map(run.decode, mixes)
    parameters = run.mask_parameters(run.combinations())
    parents = np.stack([known[first], known[second]], axis=1)
    return attributes.score(
        train, (_as_float(images), known), requested, parents, asked, drawn, parameters, rng
    )


def _lines(run: TrainedRun, rng: Rng) -> dict[str, Any]:
    test = run.splits.test.images
    ends = rng.permutation(len(test))[: 2 * PATHS]
    codes = run.encode(test[ends])[:, None]
    share = np.linspace(0, 1, PATH_STEPS, dtype=np.float32).reshape(1, -1, *(1,) * (codes.ndim - 2))
    path = (1 - share) * codes[:PATHS] + share * codes[PATHS:]
    images = run.decode(path.reshape(-1, *codes.shape[2:]))
    images = images.reshape(PATHS, PATH_STEPS, *run.splits.test.spec.image_shape)
    angles = 2 * np.pi * np.arange(DICTIONARY) / DICTIONARY
    return lines.score(images, pixels.to_float(generated.render_lines(angles)), angles)


def _spiral(run: TrainedRun, rng: Rng) -> dict[str, Any]:
    """Mixes as the run makes them; `blends` are straight mixes of two points, which no model made."""
    _, mixes = run.mixes("test", rng)
    real = run.examples("test")[0].reshape(-1, 2)
    first, second = rng.permutation(len(real))[: len(real) // 2 * 2].reshape(2, -1)
    share = rng.random((len(first), 1))
    others = {
        "reconstructions": run.decode(run.codes("test")).reshape(-1, 2),
        "blends": share * real[first] + (1 - share) * real[second],
        "real": real,
    }
    return spiral.score(mixes.reshape(-1, 2), generated.spiral_curve(), **others) | {"k": run.config.k}


def _of_factors(score: Callable, **settings: Any) -> Metric:
    """A metric that compares codes with the factors that made the images."""

    def compute(run: TrainedRun, rng: Rng) -> dict[str, Any]:
        return score(run.ground_truth, run.encode, rng, **settings) | settings

    return Metric(compute, _no_factors)


def _no_factors(run: TrainedRun) -> str:
    if run.config.dataset != "dsprites":
        return "the factors behind the images are known for --dataset=dsprites only"
    if not run.has_flat_codes or run.model.code_shape[0] < 2:
        return "it takes flat codes of two numbers or more, which --arch=burgess has"
    return ""


def _no_classes(run: TrainedRun) -> str:
    known, asked = (set(run.labels(part).tolist()) for part in ("train", "test"))
    if len(known) < 2:
        return "its training examples are all of one label"
    missing = sorted(asked - known)
    return f"its training examples have none of the labels {missing}" if missing else ""


def _no_pairs(run: TrainedRun) -> str:
    return "" if len(run.splits.test) > 1 else "it mixes two test examples, of which there is one"


def _no_supervision(run: TrainedRun) -> str:
    if run.config.mixer != "supervised":
        return "only --mixer=supervised makes mixes of asked-for attributes"
    if len(run.combinations()) < 2:
        return "its test examples all have the same attributes, so that there is nothing to ask for"
    if len(run.attributes("train")) < attributes.LEAST_EXAMPLES:
        return f"its judge learns from {attributes.LEAST_EXAMPLES} training examples or more"
    return _no_images(run)


def _no_images(run: TrainedRun) -> str:
    return "points are no images" if run.config.dataset == "spiral" else ""


def _no_lines(run: TrainedRun) -> str:
    return "" if run.config.dataset == "lines" else "only lines have an angle: --dataset=lines"


def _no_spiral(run: TrainedRun) -> str:
    return "" if run.config.dataset == "spiral" else "only points lie on a spiral: --dataset=spiral"


METRICS = {
    "probe": Metric(_probe(_codes), _no_classes),
    "probe_pixels": Metric(_probe(_pixels), _no_classes),
    "clustering": Metric(_clustering, _no_classes),
    "reconstruction": Metric(_reconstruction, _no_images),
    "interpolation": Metric(_interpolation, _no_pairs),
    "attributes": Metric(attribute_mixes, _no_supervision),
    "lines": Metric(_lines, _no_lines),
    "spiral": Metric(_spiral, _no_spiral),
    "factor_vae": _of_factors(factor_vae.score, preset="paper"),
    "factor_vae_dlib": _of_factors(factor_vae.score, preset="dlib"),
    "amr_dfv": _of_factors(amr_dfv.score),
    "beta_vae": _of_factors(beta_vae.score),
    "mig": _of_factors(mig.score),
    "sap": _of_factors(sap.score),
    "dci": _of_factors(dci.score, preset="dlib"),
    "dci_quick": _of_factors(dci.score, preset="quick"),
    "modularity": _of_factors(modularity.score),
}
