"""BINARY. Every way to run a step on this machine's GPUs, compared with float32: make gpu-check

Each way is a separate process that trains AMR on generated lines. The file is made to be attached to a bug report.
"""

import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from amr_tf.runtime.errors import printable
from benchmarks import measure

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = [
    "--dataset=lines",
    "--arch=amr_fixed",
    "--epochs=2",
    "--checkpoint_minutes=1000",
    "--update_g_every=1",
]
REFERENCE = "float32"
ONE = "--strategy=none"
WAYS = {
    REFERENCE: [ONE],
    "bfloat16": [ONE, "--mixed_precision=bfloat16"],
    "float16": [ONE, "--mixed_precision=float16"],
    "float32, XLA": [ONE, "--jit_compile"],
    "bfloat16, XLA": [ONE, "--mixed_precision=bfloat16", "--jit_compile"],
    "float16, XLA": [ONE, "--mixed_precision=float16", "--jit_compile"],
    "float32, device_data": [ONE, "--device_data"],
    "float32, mirrored": ["--strategy=mirrored"],
    "bfloat16, mirrored": ["--strategy=mirrored", "--mixed_precision=bfloat16"],
}
# Losses that are compared. The others depend on these.
LOSSES = ("recon", "gan_recon", "gan_mix", "disc_loss", "val_recon")


def train(flags: list[str], limit: float) -> dict[str, Any]:
    """Facts of one run as `gpu_check_worker` writes them, or {"error": its last line}."""
    with tempfile.TemporaryDirectory(prefix="amr_tf_gpu_check_") as folder:
        facts, log = pathlib.Path(folder, "facts.json"), pathlib.Path(folder, "log")
        command = [
            sys.executable,
            "-m",
            "benchmarks.gpu_check_worker",
            str(facts),
            *flags,
            f"--run_dir={folder}/run",
        ]
        try:
            with log.open("wb") as output:
                subprocess.run(
                    command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, check=True, timeout=limit
                )
        except subprocess.TimeoutExpired:
            return {"error": f"not finished after {limit:g} s"}
        except subprocess.CalledProcessError as failed:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return {
                "error": printable(lines[-1]) if lines else f"exit code {failed.returncode}",
                "log": lines[-50:],
            }
        return json.loads(facts.read_text(encoding="utf-8"))


def compared(ways: dict[str, dict[str, Any]]) -> None:
    """Adds `difference` to each way that ran: the largest relative difference of a loss from float32's."""
    reference = ways[REFERENCE].get("last_epoch", {})
    for facts in ways.values():
        row = facts.get("last_epoch", {})
        pairs = [(row[name], reference[name]) for name in LOSSES if name in row and name in reference]
        if pairs:
            facts["difference"] = max(abs(a - b) / max(abs(b), 1e-6) for a, b in pairs)


def line(name: str, facts: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """One row of the table."""
    if "error" in facts:
        return [name, "-", "-", "-", "-", facts["error"]]
    rate = facts["last_epoch"]["images_per_second"]
    first = reference.get("last_epoch", {}).get("images_per_second", math.nan)
    memory = facts["gpu_peak_mb"] or [facts["host_peak_mb"]]
    difference = f"{facts['difference']:.2g}" if "difference" in facts else "-"
    return [name, f"{rate:,.0f}", f"{rate / first:.2f}", f"{max(memory):,.0f}", difference, "ok"]


def show(report: dict[str, Any]) -> None:
    ways = report["ways"]
    gpus = next((facts["gpus"] for facts in ways.values() if "gpus" in facts), [])
    measure.say(f"GPUs: {', '.join(gpus) or 'none, so that this is a check of the check on CPU devices'}")
    measure.table(
        "Second epoch of AMR on lines, batch 64, depth 16",
        ["way", "images/s", "times float32", "peak MB", "largest loss difference", "result"],
        (line(name, facts, ways[REFERENCE]) for name, facts in ways.items()),
    )
    measure.say(
        "Differences: XLA and replicas use other random draws, so they differ more than precision alone."
    )
    measure.say("Memory is that of a GPU, or of the process where there is no GPU.")


def main(arguments: list[str]) -> int:
    """Runs the requested ways and prints the table; returns 1 if one of them failed."""
    options = argparse.ArgumentParser(
        description=__doc__.splitlines()[0].removeprefix("BINARY. "), allow_abbrev=False
    )
    options.add_argument(
        "--json",
        type=measure.new_file,
        default="gpu_check.json",
        help="file for every figure (gpu_check.json)",
    )
    options.add_argument("--steps", type=measure.positive, default=200, help="of an epoch (200)")
    options.add_argument("--limit", type=measure.positive, default=150, help="seconds for each way (150)")
    options.add_argument("--ways", default=None, help=f"names separated by ';' ({'; '.join(WAYS)})")
    options.add_argument(
        "--cpu_devices", type=measure.positive, default=1, help="logical CPU devices of the mirrored ways (1)"
    )
    args, others = options.parse_known_args(arguments)
    names = [name.strip() for name in args.ways.split(";")] if args.ways else list(WAYS)
    if unknown := [name for name in names if name not in WAYS]:
        options.error(f"--ways takes names of the list. Received: {unknown[0]}")
    report: dict[str, Any] = {"machine": measure.machine(), "steps": args.steps, "flags": others, "ways": {}}
    for name in dict.fromkeys([REFERENCE, *names]):
        mirrored = "mirrored" in name
        gpus = len(report["ways"].get(REFERENCE, {}).get("gpus", []))
        if mirrored and max(gpus, args.cpu_devices) < 2:
            continue
        measure.say(f"{name}: training")
        flags = [*FLAGS, f"--steps_per_epoch={args.steps}", *WAYS[name], *others]
        flags += [f"--cpu_devices={args.cpu_devices}"] if mirrored else []
        report["ways"][name] = train(flags, args.limit)
    compared(report["ways"])
    show(report)
    measure.finish(report, pathlib.Path(args.json))
    measure.say(f"written: {args.json}")
    return int(any("error" in facts for facts in report["ways"].values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
