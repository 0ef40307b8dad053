"""BINARY. Where the time of a training step goes: python -m benchmarks.profile [flags of amr_tf.train]"""

import collections
import pathlib
import re
import sys
import tempfile
from typing import Any

from amr_tf.config import command_line
from amr_tf.runtime import startup
from amr_tf.runtime.errors import UserError
from benchmarks import measure

# An operation's event is called `its/name:Kind`, unlike what runs operations.
OPERATION = re.compile(r"^[^:]+:(\w+)$")


def operations(folder: pathlib.Path) -> collections.Counter:
    """Seconds of each kind of operation, summed over threads, in the profile that TensorFlow wrote to a folder."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    seconds: collections.Counter = collections.Counter()
    for path in folder.rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace()
        space.ParseFromString(path.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    found = OPERATION.match(plane.event_metadata[event.metadata_id].name)
                    if found:
                        seconds[found[1]] += event.duration_ps / 1e12
    return seconds


def profile(config, colours: int, steps: int) -> dict[str, float]:
    """Milliseconds of a step by kind of operation, largest first."""
    import tensorflow as tf

    from benchmarks.steps import Step

    measure.say("first steps")
    step = Step(config, colours)
    with tempfile.TemporaryDirectory(prefix="amr_tf_profile_") as folder:
        with tf.profiler.experimental.Profile(folder):
            step.seconds(steps)
        seconds = operations(pathlib.Path(folder))
    return {kind: 1000 * spent / steps for kind, spent in seconds.most_common()}


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    options = measure.parser(__doc__.removeprefix("BINARY. "))
    options.add_argument("--rows", type=measure.positive, default=15, help="kinds of operation to show (15)")
    options.add_argument("--steps", type=measure.positive, default=10, help="profiled, in one call (10)")
    args, flags = options.parse_known_args(arguments)
    try:
        config, _ = command_line.parse(["--dataset=lines", "--arch=amr", *flags])
    except UserError as error:
        print(f"benchmarks.profile: {error}", file=sys.stderr)
        return 2
    startup.import_tensorflow()
    report: dict[str, Any] = {"machine": measure.machine(), "flags": flags}
    report["ms"] = profile(config, 1, args.steps)
    total = sum(report["ms"].values())
    shown = list(report["ms"].items())[: args.rows]
    shown += [("all others", total - sum(ms for _, ms in shown)), ("together", total)]
    measure.table(
        "A training step by kind of operation; operations run side by side, so the sum is not the time it takes",
        ["operation", "ms", "share"],
        ([kind, f"{ms:.2f}", f"{ms / total:.1%}"] for kind, ms in shown),
    )
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
