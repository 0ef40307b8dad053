"""Model card: a Markdown file that describes an exported model."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2

from amr_tf import registry
from amr_tf.runs.best import best_by
from amr_tf.runs.folder import read_rows
from amr_tf.serving import litert

# Descriptions of data sets whose names do not describe the examples.
NAMED_BETTER = {
    "lines": "generated pictures of white lines through the middle, 32 x 32, grey",
    "spiral": "generated points on a spiral in the plane",
    "digits": "scikit-learn's 1,797 handwritten digits of UCI, enlarged from 8 x 8 to 32 x 32, grey",
}


class Result(NamedTuple):
    """A score of the exported weights. `part` is the split, or "" if the split is not recorded separately."""

    name: str
    description: str
    score: float
    data: str
    part: str = ""


def model_card(run, version: int, described: dict[str, Any], converted: litert.Written | None = None) -> str:
    """Renders `card.md` for an export.

    Args:
        run: a `TrainedRun`.
        version: number of the exported version.
        described: descriptions of the signatures by name, from `Signature.describe`.
        converted: sizes and errors of the LiteRT files, or None if these files were not requested.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    return render("card.md", run, version=version, described=described, converted=converted)


def render(template: str, run, **more: Any) -> str:
    """Renders a template with the settings and results of a run.

    Args:
        template: file name of the template in the folder of this module.
        run: a `TrainedRun`.
        more: additional variables for the template.

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
        autoescape=jinja2.select_autoescape(),  # disabled for these templates, because they are not HTML
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(
        run=run,
        config=config,
        results=results,
        data=data,
        counts=", ".join(f"{count:,} {part}" for part, count in results.get("examples", {}).items()),
        versions=", ".join(f"{name} {number}" for name, number in results.get("versions", {}).items()),
        measured=measured(run),
        error=_error,
        settings=settings,
        row=_row,
        shape=shape,
        **more,
    )


def _named(dataset: str) -> str:
    """Returns the name of the data. For the user's own data, only the last part of the path is shown, for privacy."""
    prefix, place = registry.own_data(dataset)
    kinds = {registry.FOLDER: "pictures of the folder", registry.NPZ: "arrays of the file"}
    return f"{kinds[prefix]} {pathlib.PurePath(place).name}" if prefix else dataset


def _row(*cells: Any) -> str:
    """Returns a row of a Markdown table."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _error(error: litert.Error | None) -> str:
    return (
        f"{error.largest:.3g} / {error.mean:.3g} (values to {error.scale:.3g})" if error else "not measured"
    )


def shape(sizes: Sequence[int | None]) -> str:
    """Returns a shape as text. Dimensions of variable size (None) are shown as "any"."""
    return f"[{', '.join('any' if size is None else str(size) for size in sizes)}]"


def measured(run) -> list[Result]:
    """Returns the results of a `TrainedRun` that were measured at the exported step.

    The results are the metrics in results.json, and the accuracy of the probe on the validation and test split. If all
    labels are equal, the reconstruction loss is returned instead of the accuracy.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    results, rows = run.folder.read_results(), read_rows(run.folder.metrics)
    found_results: list[Result] = []
    for name, found in results.get("metrics", {}).items():
        if found.get("step") == run.step and isinstance(found.get("score"), int | float):
            # Runs of older versions of this package can contain metrics that no longer exist.
            metric = registry.load(registry.METRICS, name) if name in registry.METRICS else None
            description = metric.description if metric else ""
            found_results.append(
                Result(name, description, found["score"], _named(str(found.get("data", ""))))
            )
    row = next((row for row in rows if row["step"] == run.step), {})
    column = best_by(results, rows).column if rows else ""
    what = {
        "probe_accuracy": ("accuracy", "of the probe trained along"),
        "recon": ("reconstruction", f"{run.config.recon_loss} loss of the training"),
    }
    for part, name in (("val", "validation"), ("test", "test")):
        if f"{part}_{column}" in row:
            found_results.append(Result(*what[column], row[f"{part}_{column}"], "the run's", name))
    return found_results
