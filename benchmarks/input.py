"""BINARY. What the batches cost, alone and in a training step: python -m benchmarks.input"""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from amr_tf.config import Config
from amr_tf.data import Arrays
from amr_tf.data.catalog import DatasetSpec
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError
from benchmarks import measure
from benchmarks.measure import Spread

EXAMPLES = 50_000


def arguments_parser() -> argparse.ArgumentParser:
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    numbers = {"type": measure.whole_numbers, "metavar": "N,N"}
    options.add_argument("--batch", default=[64, 256], help="batch sizes (64,256)", **numbers)
    options.add_argument("--colours", default=[1, 3], help="colours of the images (1,3)", **numbers)
    options.add_argument("--depth", type=measure.positive, default=16, help="of the networks (16)")
    options.add_argument("--batches", type=measure.positive, default=200, help="of a repeat, alone (200)")
    options.add_argument("--steps", type=measure.positive, default=20, help="of a repeat at batch 64 (20)")
    options.add_argument("--examples", type=measure.positive, default=EXAMPLES, help=f"images ({EXAMPLES:,})")
    return options


def images(examples: int, colours: int) -> Arrays:
    """Random bytes, 32 pixels wide."""
    rng = np.random.default_rng(0)
    spec = DatasetSpec("random", 32, colours)
    pixels = rng.integers(256, size=(examples, *spec.image_shape), dtype=np.uint8)
    return Arrays(pixels, rng.integers(spec.classes, size=examples), spec)


def seconds_a_batch(batches: Iterator, count: int) -> float:
    """Mean time of a batch that nobody works with."""
    # Batches that were fetched ahead while others were measured are used up first.
    for _ in range(count // 4):
        next(batches)
    begin = time.perf_counter()
    for _ in range(count):
        next(batches)
    return (time.perf_counter() - begin) / count


def measure_alone(sets: dict[int, Arrays], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Every batch size and number of colours in turn."""
    from amr_tf.data import pipeline

    cases = list(itertools.product(args.batch, args.colours))
    iterators = {(size, c): iter(pipeline.batches(sets[c], size, seed=0)) for size, c in cases}
    contenders = {case: lambda it=it: seconds_a_batch(it, args.batches) for case, it in iterators.items()}
    measure.say("batches alone")
    return [
        {
            "batch": size, "colours": colours,
            "ms_per_batch": [1000 * s for s in seconds],
            "batches_per_second": [1 / s for s in seconds],
            "images_per_second": [size / s for s in seconds],
        }
        for (size, colours), seconds in measure.in_turn(contenders, args.repeats).items()
    ]  # fmt: skip


def measure_in_step(arrays: Arrays, config: Config, args: argparse.Namespace) -> dict[str, Any]:
    """One compiled step, fed in turn by the pipeline and by a batch in memory."""
    from amr_tf.data import pipeline
    from benchmarks import steps

    batch, colours = config.batch_size, arrays.spec.channels
    measure.say(f"training step, batch={batch} colours={colours}: first steps")
    step = steps.Step(config, colours)
    count = measure.steps_for(batch * args.depth**2, args.steps, config.update_g_every)
    batches = iter(pipeline.batches(arrays, batch, seed=0))
    step.seconds(1, batches)
    fed = {"memory": lambda: step.seconds(count), "pipeline": lambda: step.seconds(count, batches)}
    seconds = measure.in_turn(fed, args.repeats)
    cost = measure.ratio(seconds["pipeline"], seconds["memory"])
    return {
        "batch": batch, "colours": colours, "depth": args.depth, "steps": count,
        "ms_from_memory": [1000 * s for s in seconds["memory"]],
        "ms_from_pipeline": [1000 * s for s in seconds["pipeline"]],
        "cost_percent": [100 * (c - 1) for c in cost],
    }  # fmt: skip


def show(report: dict[str, Any]) -> None:
    for name, title in (
        ("alone", "Batches that nobody works with: median (least-most) of the repeats"),
        ("in_step", "A compiled step fed by one batch in memory and by the pipeline, in turn"),
    ):
        rows = report[name]
        columns = [name.replace("_", " ") for name in rows[0]]
        measure.table(title, columns, ([cell(value) for value in row.values()] for row in rows))


def cell(value: int | list[float]) -> str:
    """A setting, or the median and the spread of a measurement."""
    return Spread.of(value).text(2) if isinstance(value, list) else str(value)


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    options = arguments_parser()
    args = options.parse_args(arguments)
    if args.examples < max(args.batch):
        options.error(f"a batch needs {max(args.batch)} examples. Received: --examples={args.examples}")
    try:
        configs = {size: Config(batch_size=size, depth=args.depth) for size in args.batch}
    except UserError as error:
        options.error(str(error))
    startup.import_tensorflow()
    report: dict[str, Any] = {"machine": measure.machine()}
    from benchmarks import steps

    report["machine"]["gpus"] = steps.gpu_names()
    sets = {colours: images(args.examples, colours) for colours in args.colours}
    report["alone"] = measure_alone(sets, args)
    cases = itertools.product(args.batch, args.colours)
    report["in_step"] = [measure_in_step(sets[colours], configs[size], args) for size, colours in cases]
    show(report)
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
