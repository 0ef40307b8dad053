"""BINARY. What a training step costs, beside what the machine can do: python -m benchmarks.train_step [--grid]"""

import argparse
import functools
import itertools
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from amr_tf import registry
from amr_tf.config import Config
from amr_tf.config.rules import CONV_ARCHS
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError
from benchmarks import measure
from benchmarks.measure import Spread

BASE = {"batch": [64], "depth": [16]}
GRID = {"batch": [64, 256], "depth": [16, 64]}
KINDS = {
    "compiled": "the step as a run takes it: the generator's graph on one step in update_g_every",
    "xla": "`compiled` with --jit_compile",
    "both players": "both players' graphs on every step, as a plain program has it: the cost of not skipping",
    "bfloat16": "`compiled` with --mixed_precision=bfloat16",
    "eager": "the same step as `compiled`, not compiled",
}


class Variant(NamedTuple):
    """One way to take a training step."""

    kind: str
    config: Config

    def name(self) -> str:
        return f"k={self.config.k} batch={self.config.batch_size} depth={self.config.depth} {self.kind}"

    def generator_share(self) -> float:
        return 1 / self.config.update_g_every


def arguments_parser() -> argparse.ArgumentParser:
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    numbers = {"type": measure.whole_numbers, "metavar": "N,N"}
    options.add_argument("--k", default=[2, 4, 8], help="codes in a mix (2,4,8)", **numbers)
    options.add_argument("--batch", help="batch sizes (64)", **numbers)
    options.add_argument("--depth", help="feature maps at the first scale (16)", **numbers)
    options.add_argument("--grid", action="store_true", help="batch 64,256 and depth 16,64 unless given")
    options.add_argument("--xla", choices=("both", "off"), default="off", help="with and without XLA (off)")
    options.add_argument("--arch", choices=CONV_ARCHS, help="networks (those of the model's paper)")
    options.add_argument("--model", choices=registry.MODELS, default="amr")
    options.add_argument("--mixer", choices=registry.MIXERS, default="mixup")
    options.add_argument("--latent", type=measure.positive, default=16)
    options.add_argument("--colours", type=int, choices=(1, 3), default=1)
    options.add_argument(
        "--steps", type=measure.positive, default=20,
        help="of a repeat at batch 64 and depth 16, fewer where a step does more (20)",
    )  # fmt: skip
    return options


def variants(args: argparse.Namespace, batch: int, depth: int, all_kinds: bool) -> Iterator[Variant]:
    """Lists the variants to measure: every k, with XLA where requested; `all_kinds` adds other ways for the first k."""
    settings = {"model": args.model, "mixer": args.mixer, "latent": args.latent}
    settings |= {"batch_size": batch, "depth": depth} | ({"arch": args.arch} if args.arch else {})
    for k in args.k:
        yield Variant("compiled", Config(k=k, **settings))
        if args.xla == "both":
            yield Variant("xla", Config(k=k, jit_compile=True, **settings))
    if all_kinds:
        config = Config(k=args.k[0], **settings)
        if config.update_g_every > 1:
            yield Variant("both players", Config(k=args.k[0], **settings | {"update_g_every": 1}))
        yield Variant("bfloat16", Config(k=args.k[0], mixed_precision="bfloat16", **settings))
        yield Variant("eager", config)


def measure_group(group: list[Variant], args: argparse.Namespace) -> tuple[list[dict], dict[str, Any]]:
    """Steps of one batch size and depth in turn with what bounds them; returns a row for each step and the limits."""
    from benchmarks import convolutions, steps

    config = group[0].config
    step_count = measure.steps_for(config.batch_size * config.depth**2, args.steps, config.update_g_every)
    contenders: dict[Any, Callable[[], float]] = {}
    counts, lengths = {}, {}
    for variant in group:
        measure.say(f"{variant.name()}: first steps")
        step = steps.Step(variant.config, args.colours, eager=variant.kind == "eager")
        if not counts:
            graph = convolutions.traced_step(step.model, step.x, step.y)
        counts[variant] = convolutions.per_step(graph, variant.generator_share())
        lengths[variant] = config.update_g_every if variant.kind == "eager" else step_count
        contenders[variant] = functools.partial(step.seconds, lengths[variant])
    measure.say("the convolutions alone: first runs")
    contenders["convolutions"] = convolutions.Alone(counts[group[0]]).seconds
    contenders["matrix product"] = convolutions.MatrixProduct().seconds
    seconds = measure.in_turn(contenders, args.repeats)
    flops = {variant: convolutions.flops(count) for variant, count in counts.items()}
    rows = [
        {"steps_per_repeat": lengths[variant]}
        | row(variant, seconds[variant], flops[variant], seconds[group[0]])
        for variant in group
    ]
    product_flops = convolutions.MatrixProduct.flops
    return rows, limits(config, seconds, seconds[group[0]], flops[group[0]], product_flops)


def row(variant: Variant, seconds: list[float], flops: float, of_first: list[float]) -> dict[str, Any]:
    """One step's figures, repeat by repeat; `of_first` are the seconds of the first variant of its group."""
    config = variant.config
    return {
        "step": variant.kind, "k": config.k, "batch": config.batch_size, "depth": config.depth,
        "xla": config.jit_compile, "update_g_every": config.update_g_every,
        "ms": [1000 * s for s in seconds],
        "images_per_second": [config.batch_size / s for s in seconds],
        "gflop_per_step": flops / 1e9,
        "gflop_per_second": [flops / 1e9 / s for s in seconds],
        "times_the_first": measure.ratio(seconds, of_first),
    }  # fmt: skip


def limits(
    config: Config, seconds: dict, step: list[float], flops: float, product_flops: float
) -> dict[str, Any]:
    """Measures the convolutions of the compiled step alone and a matrix product."""
    alone, product = seconds["convolutions"], seconds["matrix product"]
    product_rate = [product_flops / 1e9 / s for s in product]
    alone_rate = [flops / 1e9 / s for s in alone]
    step_rate = [flops / 1e9 / s for s in step]
    return {
        "batch": config.batch_size,
        "depth": config.depth,
        "gflop_per_step": flops / 1e9,
        "convolutions_ms": [1000 * s for s in alone],
        "convolutions_gflop_per_second": alone_rate,
        "matrix_product_gflop_per_second": product_rate,
        "convolutions_share_of_step": measure.ratio(alone, step),
        "step_share_of_matrix_product": measure.ratio(step_rate, product_rate),
        "convolutions_share_of_matrix_product": measure.ratio(alone_rate, product_rate),
    }


def show(report: dict[str, Any]) -> None:
    """Both tables, and what the names in them mean."""
    measure.table(
        "Training steps: median (least-most) of the repeats; 'times the first' is against the first of its group",
        ["step", "k", "batch", "depth", "ms", "images/s", "GFLOP", "GFLOP/s", "times the first"],
        (
            [
                r["step"], *(str(r[name]) for name in ("k", "batch", "depth")),
                Spread.of(r["ms"]).text(), Spread.of(r["images_per_second"]).text(0), f"{r['gflop_per_step']:.2f}",
                Spread.of(r["gflop_per_second"]).text(), Spread.of(r["times_the_first"]).text(2),
            ]
            for r in report["steps"]
        ),
    )  # fmt: skip
    for kind in dict.fromkeys(r["step"] for r in report["steps"]):
        measure.say(f"  {kind}: {KINDS[kind]}")
    columns = {
        "convolutions_ms": "conv. alone, ms", "convolutions_gflop_per_second": "conv. GFLOP/s",
        "matrix_product_gflop_per_second": "matrix GFLOP/s", "convolutions_share_of_step": "conv./step",
        "step_share_of_matrix_product": "step/matrix", "convolutions_share_of_matrix_product": "conv./matrix",
    }  # fmt: skip
    measure.table(
        "Limits: the convolutions of the first step of each group, alone; a float32 matrix product",
        ["batch", "depth", *columns.values()],
        (
            [str(r["batch"]), str(r["depth"]), *(Spread.of(r[name]).text(2) for name in columns)]
            for r in report["limits"]
        ),
    )


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    args = arguments_parser().parse_args(arguments)
    lists = GRID if args.grid else BASE
    sizes = list(itertools.product(args.batch or lists["batch"], args.depth or lists["depth"]))
    try:
        # The slow ways take most of the time, so they are measured with the first batch size only.
        groups = [
            list(variants(args, batch, depth, all_kinds=batch == sizes[0][0])) for batch, depth in sizes
        ]
        for group in groups:
            group[0].config.check_networks(32)
    except UserError as error:
        print(f"benchmarks.train_step: {error}", file=sys.stderr)
        return 2
    startup.import_tensorflow()
    report: dict[str, Any] = {"machine": measure.machine(), "steps": [], "limits": []}
    # Every variant is a separate model; TensorFlow would warn of one function that is traced again and again.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    from benchmarks import steps

    report["machine"]["gpus"] = steps.gpu_names()
    for group in groups:
        rows, bounds = measure_group(group, args)
        report["steps"] += rows
        report["limits"].append(bounds)
    show(report)
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
