"""Run folders with the files that a run writes, numbers chosen by the test."""

import io
import json
import os

from PIL import Image

from amr_tf.config import Config
from amr_tf.reporting import groups, reading
from amr_tf.runs.best import best_by, best_row
from amr_tf.runs.folder import write_rows


def write_run(folder, accuracies, metrics=None, picture=True, when=None, about=None, tests=None, **settings):
    """A run whose validation accuracies by epoch, in shares of 1, are these; test is lower by 0.01 if not given.

    Epochs end at step 10, 20, ... and the last one written is the run's last, unless `settings` name more.
    """
    config = Config(**{"epochs": len(accuracies)} | settings)
    tests = tests or [value - 0.01 for value in accuracies]
    rows = [
        {
            "epoch": number + 1, "step": 10 * (number + 1), "val_probe_accuracy": value, "val_recon": 1 / (number + 1),
            "test_probe_accuracy": tests[number], "test_recon": 2 / (number + 1), "images_per_second": 32.0,
        }
        for number, value in enumerate(accuracies)
    ]  # fmt: skip
    (folder / "images").mkdir(parents=True)
    by = best_by(about or {}, rows)
    results = {
        "best": best_row(rows, by),
        "best_by": by.name,
        "last": rows[-1],
        "config": config.hyperparameters(),
    }
    results |= {"device": ["a CPU, 2 cores"], "commit": "c0ffee" * 5, "versions": {"keras": "3.15.1"}}
    results |= {"metrics": metrics or {}} | (about or {})
    (folder / "flags.txt").write_text("# Starts this run again\n")
    (folder / "results.json").write_text(json.dumps(results))
    write_rows(folder / "metrics.csv", rows)
    if picture:
        content = io.BytesIO()
        Image.new("RGB", (30, 20), (255, 0, 0)).save(content, "PNG")
        (folder / "images" / f"epoch_{len(rows):05d}_interpolations.png").write_bytes(content.getvalue())
    if when is not None:
        os.utime(folder / "metrics.csv", (when, when))
    return folder


def grouped(*folders):
    return groups.group([reading.read(folder) for folder in folders])
