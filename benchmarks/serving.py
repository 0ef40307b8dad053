"""BINARY. Speed of an exported model's encoder beside the Keras model's: python -m benchmarks.serving"""

import pathlib
import sys
import tempfile
import time
from typing import Any

import numpy as np

from amr_tf.config import Config
from amr_tf.runtime import startup
from benchmarks import measure
from benchmarks.measure import Spread

IMAGES = 10_000


def arguments_parser():
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    options.add_argument(
        "--batch", default=[1, 64, 256], type=measure.whole_numbers, help="images a call (1,64,256)"
    )
    options.add_argument("--images", type=measure.positive, default=IMAGES, help=f"of a repeat ({IMAGES:,})")
    return options


def seconds(encode, images: np.ndarray, batch: int) -> float:
    """Time to encode all images in calls of one batch each."""
    import tensorflow as tf

    batches = [tf.constant(images[first : first + batch]) for first in range(0, len(images), batch)]
    encode(batches[0]).numpy()
    begin = time.perf_counter()
    for one in batches:
        encode(one).numpy()
    return time.perf_counter() - begin


def measure_all(folder: pathlib.Path, args) -> dict[str, Any]:
    """Times an export of the default networks, and its encoder beside that of the Keras model."""
    import tensorflow as tf

    from amr_tf.runs.trained import TrainedRun
    from amr_tf.serving import saved_model
    from amr_tf.training import experiment

    settings = {"steps_per_epoch": 1, "epochs": 1, "train_examples": 64, "latent": 2}
    experiment.run(Config(run_dir=str(folder / "run"), **settings))
    run = TrainedRun(folder / "run")
    measure.say("export")
    begin = time.perf_counter()
    path = saved_model.export(run, folder / "export")
    report: dict[str, Any] = {"export_seconds": time.perf_counter() - begin, "encode": []}
    served = tf.saved_model.load(str(path)).signatures["encode"]
    keras_encode = tf.function(run.model.encode, reduce_retracing=True)
    images = np.random.default_rng(0).uniform(-1, 1, (args.images, *run.model.image_shape)).astype(np.float32)
    for batch in args.batch:
        measure.say(f"encode, {batch} images a call")
        part = images[: max(batch, args.images // (8 if batch == 1 else 1))]
        contenders = {
            "keras": lambda part=part, batch=batch: seconds(keras_encode, part, batch),
            "saved_model": lambda part=part, batch=batch: seconds(
                lambda x: served(images=x)["codes"], part, batch
            ),
        }
        times = measure.in_turn(contenders, args.repeats)
        rates = {name: [len(part) / s for s in values] for name, values in times.items()}
        relative = measure.ratio(times["keras"], times["saved_model"])
        report["encode"].append({"batch": batch, "images_per_second": rates, "relative_speed": relative})
    return report


def show(report: dict[str, Any]) -> None:
    rows = [
        [str(row["batch"]), *(Spread.of(row["images_per_second"][name]).text(0) for name in ("keras", "saved_model")),
         Spread.of(row["relative_speed"]).text(2)]
        for row in report["encode"]
    ]  # fmt: skip
    columns = ["images a call", "Keras, images/s", "SavedModel, images/s", "SavedModel / Keras"]
    measure.table("encode: median (least-most) of the repeats", columns, rows)
    measure.say(f"export: {report['export_seconds']:.1f} s")


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    args = arguments_parser().parse_args(arguments)
    startup.import_tensorflow()
    report: dict[str, Any] = {"machine": measure.machine()}
    with tempfile.TemporaryDirectory() as folder:
        report |= measure_all(pathlib.Path(folder), args)
    show(report)
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
