"""BINARY. The training step of two checkouts, in turn: python -m benchmarks.checkouts OTHER [flags of amr_tf.train]

A checkout of an older commit: git worktree add OTHER COMMIT
"""

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

from benchmarks import measure
from benchmarks.measure import Spread

HERE = pathlib.Path(__file__).resolve().parents[1]
WORKER = pathlib.Path(__file__).with_name("checkout_worker.py")


class Checkout:
    """A process that takes training steps with the code of one checkout.

    Raises:
        EOFError: it ended; what it said is on standard error.
    """

    def __init__(self, root: pathlib.Path, flags: list[str]):
        self.process = subprocess.Popen(
            [sys.executable, str(WORKER), *flags],
            cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        # Nothing runs beside the first step of another.
        self.facts = self._answer()

    def seconds(self, steps: int) -> float:
        """Mean time of a step in one call of so many; the most memory so far goes into `facts`."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self._answer()
        self.facts["peak_mb"] = answer["peak_mb"]
        return answer["seconds"]

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise EOFError
        return json.loads(line)

    def end(self) -> None:
        self.process.communicate()


def compare(roots: dict[str, pathlib.Path], flags: list[str], steps: int, repeats: int) -> list[dict]:
    """A row for each checkout; ratios are against the first."""
    checkouts: dict[str, Checkout] = {}
    try:
        for name, root in roots.items():
            measure.say(f"{name}: first steps")
            checkouts[name] = Checkout(root, flags)
        contenders = {name: lambda c=c: c.seconds(steps) for name, c in checkouts.items()}
        seconds = measure.in_turn(contenders, repeats)
    finally:
        for checkout in checkouts.values():
            checkout.end()
    first = next(iter(seconds.values()))
    return [
        {
            "checkout": name, **checkouts[name].facts,
            "ms": [1000 * s for s in seconds[name]],
            "images_per_second": [checkouts[name].facts["batch"] / s for s in seconds[name]],
            "speed": measure.ratio(first, seconds[name]),
        }
        for name in roots
    ]  # fmt: skip


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    options = measure.parser(__doc__.splitlines()[0].removeprefix("BINARY. "))
    options.add_argument("other", type=pathlib.Path, help="folder of the other checkout")
    options.add_argument("--steps", type=measure.positive, default=20, help="of a repeat, in one call (20)")
    args, flags = options.parse_known_args(arguments)
    other = args.other.expanduser().resolve()
    if not (other / "amr_tf").is_dir():
        options.error(f"takes a folder that contains amr_tf/. Received: {args.other}")
    report: dict[str, Any] = {"machine": measure.machine(), "flags": flags}
    try:
        report["steps"] = compare({"other": other, "this": HERE}, flags, args.steps, args.repeats)
    except EOFError:
        print("benchmarks.checkouts: a checkout cannot take these steps", file=sys.stderr)
        return 2
    measure.table(
        "Training steps: median (least-most) of the repeats; 'speed' is against the other checkout",
        ["checkout", "ms", "images/s", "speed", "s to the first step", "peak MB"],
        (
            [
                r["checkout"], *(Spread.of(r[name]).text(d) for name, d in
                                 (("ms", 1), ("images_per_second", 0), ("speed", 2))),
                f"{r['first_step']:.1f}", f"{r['peak_mb']:,.0f}",
            ]
            for r in report["steps"]
        ),
    )  # fmt: skip
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
