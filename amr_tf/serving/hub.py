"""Export of a run as a model repository for the Hugging Face Hub: Keras models, a model card and a figure."""

import math
import pathlib
import shutil
from typing import Any

import keras

from amr_tf.registry import own_data
from amr_tf.runs.trained import TrainedRun
from amr_tf.runtime import files
from amr_tf.serving import archives, card

FOLDER = "hub"
FIGURE = "interpolations.png"
LARGE = 10 * 2**20  # size in bytes above which the Hub accepts a file only through Git LFS
# Names of data sets on the Hub, for data sets that the Hub provides unchanged.
DATASETS = {
    "mnist": "ylecun/mnist",
    "fashion_mnist": "zalando-datasets/fashion_mnist",
    "svhn": "ufldl-stanford/svhn",
    "cifar10": "uoft-cs/cifar10",
}


def write(folder: pathlib.Path, run: TrainedRun, version: int) -> None:
    """Writes the folder `<folder>/hub` with Keras models in the unzipped folders `encoder/`, `decoder/` and `probe/`.

    `keras.saving.load_model` loads these models with any backend and without this package. The probe is omitted if the
    data have only one class. The figure shows validation images. So the figure is omitted for the user's own data.

    Args:
        folder: of the exported version.
        run: the run and its checkpoint.
        version: number of the exported version.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    target = folder / FOLDER
    target.mkdir()
    networks = [archives.encoder_of(run.model), archives.decoder_of(run.model)]
    if run.model.classes > 1:
        networks.append(archives.probe_of(run.model))
    for network in networks:
        keras.saving.save_model(network, target / network.name, zipped=False)
    figure = _figure(run)
    if figure:
        shutil.copyfile(figure, target / FIGURE)
    if any(path.stat().st_size > LARGE for path in target.rglob("*.h5")):
        files.write(target / ".gitattributes", "*.h5 filter=lfs diff=lfs merge=lfs -text\n")
    facts = {"figure": FIGURE if figure else "", "number": _number, **_metadata(run)}
    files.write(
        target / "README.md",
        card.render("hub.md", run, version=version, described={}, converted=None, **facts),
    )


def _figure(run: TrainedRun) -> pathlib.Path | None:
    """Returns the path of the last image of interpolations.

    Returns None if there is no such image, or if the image would show the user's own data.
    """
    found = sorted(run.folder.images.glob(f"epoch_*_{FIGURE}"))
    return found[-1] if found and not own_data(run.config.dataset)[0] else None


def _metadata(run: TrainedRun) -> dict[str, Any]:
    """Returns the variables for the YAML header of the model card."""
    dataset, kind = run.config.dataset, own_data(run.config.dataset)[0].rstrip(":")
    points = run.model.image_shape[0] == 1
    return {
        "name": f"{run.config.model}-{kind or dataset}".replace("_", "-"),
        "known": DATASETS.get(dataset, ""),
        "dataset_type": DATASETS.get(dataset) or kind or dataset,
        "points": points,
        "image_shape": card.shape((None, *run.model.image_shape)),
        "code_shape": card.shape((None, *run.model.code_shape)),
        "task": "feature-extraction" if points else "image-feature-extraction",
        "tags": ["autoencoder", "representation-learning", run.config.model.replace("_", "-")],
        "types": sorted({result.name for result in card.measured(run)}),
        "probe": run.model.classes > 1,
    }


def _number(score: float) -> str:
    """Returns a number as YAML text with four significant digits.

    YAML 1.1 recognises a float only if a decimal point is present, also before an exponent. NaN and infinity are
    returned as quoted strings.
    """
    text = repr(float(f"{score:.4g}"))
    if not math.isfinite(score):
        return f'"{text}"'
    return text if "." in text else text.replace("e", ".0e")
