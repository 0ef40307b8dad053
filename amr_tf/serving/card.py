"""The model card: a description in the folder of an exported model."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

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


class Result(NamedTuple):
    """A number that was measured of the exported weights, with the part of the data if it is named apart."""

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
        described: results of each signature's `describe` by name.
        converted: the files of LiteRT, if there are any.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    return render("card.md", run, version=version, described=described, converted=converted)


def render(template: str, run, **more: Any) -> str:
    """Renders a template of this folder with the facts about a run.

    Args:
        template: name of the file.
        run: a `TrainedRun`.
        more: further variables of the template.

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


def shape(sizes: Sequence[int | None]) -> str:
    """Returns a shape as text, "any" for free sizes."""
    return f"[{', '.join('any' if size is None else str(size) for size in sizes)}]"


def measured(run) -> list[Result]:
    """Returns the results that belong to the exported weights of a `TrainedRun`.

    If all labels are equal, the reconstruction loss replaces the accuracy.

    Raises:
        RunError: results.json or metrics.csv is damaged.
    """
    results, rows = run.folder.read_results(), read_rows(run.folder.metrics)
    found_results: list[Result] = []
    for name, found in results.get("metrics", {}).items():
        if found.get("step") == run.step and isinstance(found.get("score"), int | float):
            # Runs of older versions have metrics that are not known any more.
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
