"""The model card: a description in the folder of an exported model."""

import pathlib
from typing import Any

import jinja2

from amr_tf import registry
from amr_tf.runs.best import best_by
from amr_tf.runs.folder import read_rows
from amr_tf.serving import litert

# Data sets whose name alone would not say what the pictures are.
NAMED_BETTER = {
    "lines": "generated pictures of white lines through the middle, 32 x 32, grey",
    "spiral": "generated points on a spiral in the plane",
    "digits": "scikit-learn's 1,797 handwritten digits of UCI, enlarged from 8 x 8 to 32 x 32, grey",
}


def model_card(run, version: int, described: dict[str, Any], converted: litert.Written | None = None) -> str:
    """Renders `card.md` for an export.

    Args:
        run: a `TrainedRun`.
        version: number of the exported version.
        described: results of each signature's `describe` by name.
        converted: the files of LiteRT, if there are any.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    config, results = run.config, run.folder.read_results()
    settings = config.hyperparameters()
    data = _named(config.dataset)
    if data != config.dataset:
        settings["dataset"] = data
    else:
        data = NAMED_BETTER.get(config.dataset) or results.get("data") or config.dataset
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=jinja2.select_autoescape(),  # off: the page is not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("card.md").render(
        run=run,
        config=config,
        version=version,
        results=results,
        data=data,
        counts=", ".join(f"{count:,} {part}" for part, count in results.get("examples", {}).items()),
        versions=", ".join(f"{name} {number}" for name, number in results.get("versions", {}).items()),
        measured=_measured(run, results, read_rows(run.folder.metrics)),
        described=described,
        converted=converted,
        error=_error,
        settings=settings,
        row=_row,
        shape=_shape,
    )


def _named(dataset: str) -> str:
    """Names the user's own data by the last part of their path: a card does not show paths of a machine."""
    prefix, place = registry.own_data(dataset)
    kinds = {registry.FOLDER: "pictures of the folder", registry.NPZ: "arrays of the file"}
    return f"{kinds[prefix]} {pathlib.PurePath(place).name}" if prefix else dataset


def _row(*cells: Any) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _error(error: litert.Error | None) -> str:
    return (
        f"{error.largest:.3g} / {error.mean:.3g} (values to {error.scale:.3g})" if error else "not measured"
    )


def _shape(sizes: list[int | None]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in sizes)}]"


def _measured(run, results: dict[str, Any], rows: list[dict[str, float]]) -> list[tuple[str, ...]]:
    """Name, description, score and data of each result that belongs to the exported weights.

    If all labels are equal, the reconstruction loss replaces the accuracy.
    """
    measured: list[tuple[str, ...]] = []
    for name, found in results.get("metrics", {}).items():
        if found.get("step") == run.step and isinstance(found.get("score"), int | float):
            # Runs of older versions have metrics that are not known any more.
            metric = registry.load(registry.METRICS, name) if name in registry.METRICS else None
            description = metric.description if metric else ""
            measured.append((name, description, f"{found['score']:.4g}", _named(str(found.get("data", "")))))
    row = next((row for row in rows if row["step"] == run.step), {})
    column = best_by(results, rows).column if rows else ""
    what = {
        "probe_accuracy": ("accuracy", "of the probe trained along"),
        "recon": ("reconstruction", f"{run.config.recon_loss} loss of the training"),
    }
    for part, name in (("val", "validation"), ("test", "test")):
        if f"{part}_{column}" in row:
            measure, description = what[column]
            measured.append((f"{name} {measure}", description, f"{row[f'{part}_{column}']:.4g}", "the run's"))
    return measured
