"""The bar of a machine without a network: the README's commands in a network namespace that has none."""

import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from tests.reliability.faults.harness import POINTS, ROOT
from tests.reliability.soak.tally import Outcome, Skipped

ALONE = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$0" "$@"')
FEW_STEPS = "--epochs=1 --steps_per_epoch=4"
SHORT = f"{FEW_STEPS} --train_examples=500"
TIMEOUT = 600.0
# Of each command in the README: what is run in its place, and its exit code. What needs data, a cluster or a server
# that is not there says so in one line.
COMMANDS = {
    "make train$": (f"train --flagfile=flags/demo.flags {SHORT}", 0),
    "make test$": None,  # this is one of the tests
    'make train ARGS="--dataset=mnist --latent=2"': (
        "train --dataset=mnist --latent=2 --data_dir=nowhere",
        2,
    ),
    r"amr_tf\.train --dataset=svhn --mixer=mixup --k=4": (
        "train --dataset=svhn --mixer=mixup --k=4 --data_dir=nowhere",
        2,
    ),
    r"amr_tf\.train --help": ("train --help", 0),
    r"tensorboard\.main --logdir runs --samples_per_plugin images=100": None,  # a server: see the last trial
    r"amr_tf\.sweep flags/figures/figure12 --seeds=1,2,3,4,5 --parallel=2": (
        f"sweep flags/figures/figure12 --seeds=1,2 --parallel=2 {FEW_STEPS}",
        0,
    ),
    r"amr_tf\.sweep flags/figures/latent --parallel=2": (
        f"sweep flags/figures/latent --parallel=2 {FEW_STEPS}",
        0,
    ),
    r"amr_tf\.sweep flags/figures/figure9 --raw_dir=archives": (
        "sweep flags/figures/figure9 --raw_dir=archives --data_dir=nowhere",
        2,
    ),
    r"amr_tf\.sweep flags/table1 --seeds=1,2,3 --raw_dir=archives": (f"sweep recipes --seeds=1,2 {SHORT}", 0),
    r"amr_tf\.sweep flags/table1 .* --executor=slurm": ("sweep recipes --executor=slurm --slurm_gpus=1", 2),
    r"amr_tf\.train --flagfile=flags/demo\.flags --strategy=mirrored --cpu_devices=2 --smoke": (
        "train --flagfile=flags/demo.flags --strategy=mirrored --cpu_devices=2 --smoke",
        0,
    ),
    r"amr_tf\.train --dataset=svhn --strategy=multiworker": None,  # several machines
    r"amr_tf\.evaluate .* --metrics=probe,clustering,reconstruction": (
        "evaluate --run_dir=runs/lines/* --metrics=probe,clustering,reconstruction",
        0,
    ),
    r"amr_tf\.evaluate .* --figures=interpolation --out=figures": (
        "evaluate --run_dir=runs/lines/* --figures=interpolation --out=figures",
        0,
    ),
    r"amr_tf\.report runs --table=1 --out=report": ("report runs --table=1 --out=report", 0),
    r"amr_tf\.export --run_dir=runs/lines/demo": ("export --run_dir=runs/lines/demo --also=onnx,litert", 0),
    r"amr_tf\.serving\.client interpolate a\.png b\.png --out=strip\.png": (
        "serving.client interpolate a.png b.png --out=strip.png",
        2,
    ),
    r"amr_tf\.train --flagfile=flags/figures/figure6/shapes\.flags --run_dir=RUN": (
        f"train --flagfile=flags/figures/figure6/shapes.flags --run_dir=runs/shapes {SHORT}",
        0,
    ),
    r"amr_tf\.evaluate --run_dir=RUN --checkpoint=last --metrics=attributes --figures=masks,attribute_mixes": (
        "evaluate --run_dir=runs/shapes --checkpoint=last --metrics=attributes --figures=masks,attribute_mixes",
        0,
    ),
    r"amr_tf\.train --flagfile=flags/base/folder\.flags --dataset=folder:PATH": (
        f"train --flagfile=flags/base/folder.flags --dataset=folder:pics --batch_size=8 {FEW_STEPS}",
        0,
    ),
    r"amr_tf\.train --flagfile=flags/fast/mnist_amr_mixup_k2\.flags": (
        "train --flagfile=flags/fast/mnist_amr_mixup_k2.flags --data_dir=nowhere",
        2,
    ),
}


def readme_commands() -> list[str]:
    """Each command in a block of the README, on one line."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^    ((?:make (?:train|test)|\.venv/bin/python -m).*)$", text, flags=re.MULTILINE)


class Readme:
    """The first trial makes a working directory. Then a command of the README each; at the end TensorBoard."""

    def __init__(self, folder: pathlib.Path):
        probe = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
        if probe.returncode:
            raise Skipped(f"no network namespaces here: {probe.stderr.strip()}")
        self.folder = folder
        self.commands = [command for command in COMMANDS.values() if command]
        self.asked = len(self.commands) + 2

    def trial(self, number: int) -> Outcome:
        if number == 0:
            self._prepare()
            return Outcome({"commands in the README": len(readme_commands())})
        if number == self.asked - 1:
            return self._tensorboard()
        words, expected = self.commands[number - 1]
        done = self._run(f"amr_tf.{words}")
        assert done.returncode == expected, (words, done.returncode, done.stderr[-500:])
        if expected:
            # A sweep names each run that failed, with the run's own words.
            said = rf"(amr_tf\.{words.split()[0]}|\S+ failed: amr_tf\.train): "
            assert re.match(said, done.stderr), done.stderr
            assert "Traceback" not in done.stderr
        return Outcome({"done" if not expected else "said what is missing": 1})

    def _prepare(self) -> None:
        """A working directory like a fresh checkout's, with recipes and pictures of its own."""
        from tests.reliability.attacks.generated import picture

        shutil.rmtree(self.folder)
        (self.folder / "recipes").mkdir(parents=True)
        (self.folder / "flags").symlink_to(ROOT / "flags")
        lines = [f"--{flag}={value}\n" for flag, value in POINTS.items()]
        (self.folder / "recipes" / "points.flags").write_text("".join(lines))
        (self.folder / "pics").mkdir()
        for number in range(40):
            (self.folder / "pics" / f"{number}.png").write_bytes(picture("PNG", number))
        for name in ("a.png", "b.png"):
            (self.folder / name).write_bytes(picture("PNG", 0))

    def _command(self, words: str) -> list[str]:
        return [*ALONE, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", *words.split()]

    def _run(self, words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self._command(words),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )

    def _tensorboard(self) -> Outcome:
        """It starts and says its address, on this machine alone."""
        command = self._command("tensorboard.main --logdir runs --samples_per_plugin images=100")
        log = self.folder / "tensorboard.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(command, cwd=self.folder, stdout=out, stderr=out)
        try:
            limit = time.monotonic() + 120
            while "http://localhost" not in log.read_text():
                assert process.poll() is None, log.read_text()[-500:]
                assert time.monotonic() < limit, log.read_text()[-500:]
                time.sleep(0.2)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
        return Outcome({"done": 1})

    def close(self) -> None:
        """Nothing runs on."""
