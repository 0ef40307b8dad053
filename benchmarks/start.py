"""BINARY. From the command to the first training step: python -m benchmarks.start [flags of amr_tf.train]"""

import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import measure
from benchmarks.measure import Spread

ROOT = pathlib.Path(__file__).resolve().parents[1]
# With any flag the command is not the demonstration; all else has the paper's defaults.
DEFAULT_FLAGS = ["--dataset=lines", "--arch=amr"]


def start_once(flags: list[str]) -> dict[str, float]:
    """Seconds of each phase of a fresh process, in their order.

    Raises:
        subprocess.CalledProcessError: the training failed; what it wrote to standard error was shown.
    """
    with tempfile.TemporaryDirectory(prefix="amr_tf_start_") as folder:
        times = pathlib.Path(folder, "times.json")
        command = [sys.executable, "-m", "benchmarks.first_step", str(times)]
        command += [*flags, f"--run_dir={folder}/run"]
        begin = time.time()
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        done = json.loads(times.read_text(encoding="utf-8"))
    clock = itertools.pairwise([begin, *(at for _, at in done)])
    return {what: end - start for (what, _), (start, end) in zip(done, clock, strict=True)}


def main(arguments: list[str]) -> int:
    """Measures and prints what `arguments` ask for; returns the exit code."""
    args, flags = measure.parser(__doc__.removeprefix("BINARY. ")).parse_known_args(arguments)
    flags = DEFAULT_FLAGS + flags
    report: dict[str, Any] = {"machine": measure.machine(), "flags": flags}
    starts = []
    for repeat in range(args.repeats):
        measure.say(f"start {repeat + 1} of {args.repeats}")
        try:
            starts.append(start_once(flags))
        except subprocess.CalledProcessError:
            print("benchmarks.start: the training did not reach its first step", file=sys.stderr)
            return 2
    report["seconds"] = {phase: [start[phase] for start in starts] for phase in starts[0]}
    report["seconds"]["from the command to the first step"] = [sum(start.values()) for start in starts]
    rows = ([phase, Spread.of(seconds).text(2)] for phase, seconds in report["seconds"].items())
    measure.table("Seconds of each phase: median (least-most) of the starts", ["phase", "s"], rows)
    measure.finish(report, args.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
