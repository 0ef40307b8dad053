"""BINARY. Time until the probe reaches an accuracy, of finished runs: python -m benchmarks.time_to_accuracy RUNS..."""

import math
import sys
from typing import Any

from amr_tf.reporting import groups, reading
from amr_tf.reporting.reading import Run
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError
from benchmarks import measure
from benchmarks.measure import Spread

GOALS = (80.0, 90.0, 95.0, 97.0)


def reached(run: Run, goal: float) -> tuple[float, float] | None:
    """Finds the first epoch whose validation accuracy is at least `goal` %.

    Returns:
        Seconds of training steps and number of training images up to the end of that epoch; None where no epoch
        reaches it, or where the time of an epoch is unknown. Start, evaluation and saving are not counted.
    """
    seconds, images, before = 0.0, 0.0, 0.0
    for row in run.rows:
        epoch_images = (row["step"] - before) * run.config.batch_size
        rate = row.get("images_per_second", math.nan)
        if not rate > 0:
            return None
        seconds, images, before = seconds + epoch_images / rate, images + epoch_images, row["step"]
        if 100 * row.get("val_probe_accuracy", math.nan) >= goal:
            return seconds, images
    return None


def rows(found: list[groups.Group], goals: list[float]) -> list[dict[str, Any]]:
    """Collects, for each group of runs and goal, the seconds and images of the runs that reach it."""
    return [
        {
            "group": group.label,
            "goal": goal,
            "runs": len(group.runs),
            "seconds": [pair[0] for pair in pairs],
            "images": [pair[1] for pair in pairs],
        }
        for group in found
        for goal in goals
        if (pairs := [pair for run in group.runs if (pair := reached(run, goal))])
    ]


def matrix_rate(repeats: int) -> list[float]:
    """GFLOP/s of a float32 matrix product on this machine, repeat by repeat."""
    from benchmarks.convolutions import MatrixProduct

    product = MatrixProduct()
    return [product.flops / 1e9 / product.seconds() for _ in range(repeats)]


def show(report: dict[str, Any]) -> None:
    measure.table(
        "Training until the validation accuracy of the probe: median (least-most) of the seeds that reach it",
        ["runs", "goal, %", "seeds", "seconds", "images", "TFLOP of matrix products"],
        (
            [
                row["group"], f"{row['goal']:g}", f"{len(row['seconds'])} of {row['runs']}",
                Spread.of(row["seconds"]).text(0), Spread.of(row["images"]).text(0),
                f"{Spread.of(row['seconds']).median * Spread.of(report['matrix_gflop_per_second']).median / 1000:,.0f}",
            ]
            for row in report["goals"]
        ),
    )  # fmt: skip
    rate = Spread.of(report["matrix_gflop_per_second"])
    measure.say(f"a 2048 x 2048 matrix product on this machine: {rate.text(0)} GFLOP/s")
    measure.say(
        "The last column is the seconds times this rate. It compares machines if the runs were trained here."
    )


def main(arguments: list[str]) -> int:
    """Reads the runs, measures the machine and prints the table; returns the exit code."""
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    options.add_argument("runs", nargs="+", help="run folders, folders of them, or patterns")
    options.add_argument(
        "--goals", type=measure.whole_numbers, default=list(GOALS), metavar="N,N",
        help="validation accuracies in %% (80,90,95,97)",
    )  # fmt: skip
    args = options.parse_args(arguments)
    try:
        runs = [reading.read(folder) for folder in reading.find(args.runs)]
        report: dict[str, Any] = {"machine": measure.machine()}
    except UserError as error:
        print(f"benchmarks.time_to_accuracy: {error}", file=sys.stderr)
        return 2
    report["goals"] = rows(groups.group(runs), args.goals)
    if not report["goals"]:
        print(
            f"benchmarks.time_to_accuracy: no run reaches {min(args.goals):g} %. Received: {args.runs}",
            file=sys.stderr,
        )
        return 2
    startup.import_tensorflow()
    report["matrix_gflop_per_second"] = matrix_rate(args.repeats)
    show(report)
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
