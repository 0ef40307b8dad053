"""What goes with an exported model, for people and for programs: model_card.md and signatures.json."""

import pathlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from amr_tf.config import Config
from amr_tf.metrics import METRICS
from amr_tf.registry import FOLDER
from amr_tf.runs.folder import read_rows

DATA = {
    "lines": "generated pictures of white lines through the middle, 32 x 32, grey",
    "spiral": "generated points on a spiral in the plane",
}
MODELS = {
    "ae": "an autoencoder",
    "aegan": "an autoencoder whose reconstructions a discriminator must take for real (AE+GAN)",
    "amr": "Adversarial Mixup Resynthesis (Beckham et al., NeurIPS 2019)",
    "acai": "ACAI (Berthelot et al., ICLR 2019) as published",
    "acai_amr": "ACAI as the AMR paper reran it",
    "vae": "a beta-VAE (Higgins et al., ICLR 2017); its codes are the means",
}
INTENDED = """\
Research on representations: codes of images for classifiers, clustering and disentanglement, and decoded mixes of two
or more images. Inputs have to look like the data the model was trained on, in the size and the range of values of the
tables below."""
LIMITS = """\
The model was trained on the training split of one data set and measured, if at all, on that data set's test split only.
Codes and mixes of other pictures may mean nothing, and nothing warns of that. Whatever bias the data have the codes
have too. The class of `classify` comes from a linear probe and not from a tuned classifier. Decoded mixes are made up
and show nobody and nothing that exists."""
SCORES = """ The score of `discriminate` compares images for one discriminator and is no
probability of being real."""
SIGNATURES = """\
The first dimension of every input and output counts the examples, of which there may be any number but none. Answers do
not depend on the other examples of a request. `serving_default` is `reconstruct`."""


class Facts(NamedTuple):
    """What is known of the exported weights.

    Attributes:
        run: the run folder's name and the checkpoint that was asked for.
        step: after which the weights were saved.
        results: the run's results.json, {} before the end of its first epoch.
        row: the row of metrics.csv of this step, {} where it has none.
        version: the number the model is exported under.
    """

    config: Config
    run: str
    step: int
    results: dict[str, Any]
    row: dict[str, float]
    version: int

    @classmethod
    def of(cls, run: Any, version: int) -> "Facts":
        """Of a `TrainedRun`.

        Raises:
            RunError: results.json or metrics.csv is damaged.
        """
        rows = read_rows(run.folder.metrics)
        row = next((row for row in rows if row["step"] == run.step), {})
        name = f"{run.path.resolve().name}, --checkpoint={run.checkpoint}"
        return cls(run.config, name, run.step, run.folder.read_results(), row, version)

    @property
    def data(self) -> str:
        """The data set, as a person would call it; a folder by its name alone."""
        dataset = self.config.dataset
        named = self.results.get("data") or dataset
        if dataset.startswith(FOLDER):
            return f"pictures of the folder {pathlib.PurePath(dataset.removeprefix(FOLDER)).name}"
        return DATA.get(dataset, named)


def model_card(facts: Facts, described: dict[str, Any]) -> str:
    """The card as Markdown.

    Args:
        facts: about the exported weights.
        described: what `describe` makes of the signatures.
    """
    config, results = facts.config, facts.results
    mixer = f"`--mixer={config.mixer} --k={config.k}`, " if config.model == "amr" else ""
    versions = ", ".join(f"{name} {number}" for name, number in results.get("versions", {}).items())
    counts = ", ".join(f"{count:,} {part}" for part, count in results.get("examples", {}).items())
    unfinished = "not known: the run had not finished an epoch"
    commit = results.get("commit") or "not known: the run was not started from a git checkout"
    rows = [
        ("model", f"{MODELS[config.model]}, {mixer}`--arch={config.arch}`"),
        ("data set", f"{facts.data} ({counts} examples)" if counts else facts.data),
        ("run", facts.run),
        ("trained for", f"{facts.step:,} steps of {config.batch_size} images"),
        ("commit", commit if results else unfinished),
        ("versions", versions or unfinished),
        ("export", f"version {facts.version}"),
    ]
    settings = {"dataset": facts.data if config.dataset.startswith(FOLDER) else config.dataset}
    settings = config.hyperparameters() | settings
    return "\n\n".join(
        [
            f"# {config.model}, {facts.data}, version {facts.version}",
            _table(("", ""), rows),
            "## Intended use",
            INTENDED,
            "## Limits",
            LIMITS + (SCORES if "discriminate" in described else ""),
            "## Measured",
            _measured(facts),
            "## Signatures",
            SIGNATURES,
            *(_signature(name, one) for name, one in described.items()),
            "## Settings of the training run",
            "\n".join(f"    --{name}={value}" for name, value in settings.items()),
        ]
    ) + "\n"  # fmt: skip


def describe(signatures: dict[str, Any], outputs: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What signatures.json says: each signature with its inputs and outputs, null where a dimension is free.

    Args:
        signatures: `signatures.Signature` by name.
        outputs: the `TensorSpec`s of their outputs by name.
    """
    return {
        name: {
            "description": one.meaning,
            "inputs": {n: _value(v.dtype, v.shape, v.meaning) for n, v in one.inputs.items()},
            "outputs": {n: _value(v.dtype, v.shape, one.outputs[n]) for n, v in outputs[name].items()},
        }
        for name, one in signatures.items()
    }


def _value(dtype, shape, meaning: str) -> dict[str, Any]:
    return {"dtype": dtype.name, "shape": list(shape), "description": meaning}


def _measured(facts: Facts) -> str:
    """Those results alone that are of the exported weights."""
    rows = [
        (name, METRICS.get(name, ""), f"{found['score']:.4g}", str(found.get("data", "")))
        for name, found in facts.results.get("metrics", {}).items()
        if found.get("step") == facts.step and isinstance(found.get("score"), int | float)
    ]
    for part, name in (("val", "validation"), ("test", "test")):
        if f"{part}_probe_accuracy" in facts.row:
            accuracy = f"{facts.row[f'{part}_probe_accuracy']:.4g}"
            rows.append((f"{name} accuracy", "of the probe that was trained along", accuracy, "the run's"))
    if rows:
        return _table(("metric", "what it is", "score", "data"), rows)
    return "Nothing was measured of these weights: `python -m amr_tf.evaluate` measures them."


def _signature(name: str, one: dict[str, Any]) -> str:
    rows = [
        (way, f"`{value}`", found["dtype"], _shape(found["shape"]), found["description"])
        for way in ("inputs", "outputs")
        for value, found in one[way].items()
    ]
    table = _table(("", "name", "type", "shape", ""), [(way[:-1], *more) for way, *more in rows])
    return f"### `{name}`\n\n{one['description']}\n\n{table}"


def _shape(shape: list[int | None]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
