"""The bar of a machine without a network: commands of every binary in a network namespace that has none."""

import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

from tests.reliability.attacks.generated import picture
from tests.reliability.faults.harness import POINTS, ROOT
from tests.reliability.soak.tally import Bar, Outcome, Skipped

ALONE = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$0" "$@"')
FEW_STEPS = "--epochs=1 --steps_per_epoch=4"
SHORT = f"{FEW_STEPS} --train_examples=500"
RUN = "--run_dir=runs/lines/*"
TIMEOUT = 600.0
# Exit code 2 means that the data, cluster or server is missing, which the command reports on one line.
COMMANDS = [
    ("train --help", 0),
    (f"train --flagfile=flags/demo.flags {SHORT}", 0),
    ("train --flagfile=flags/demo.flags --strategy=mirrored --cpu_devices=2 --smoke", 0),
    ("train --dataset=mnist --latent=2 --data_dir=nowhere", 2),
    ("train --dataset=svhn --mixer=mixup --k=4 --data_dir=nowhere", 2),
    (f"train --flagfile=flags/figures/figure6/shapes.flags --run_dir=runs/shapes {SHORT}", 0),
    (f"train --flagfile=flags/base/folder.flags --dataset=folder:pics --batch_size=8 {FEW_STEPS}", 0),
    (f"sweep flags/figures/figure12 --seeds=1,2 --parallel=2 {FEW_STEPS}", 0),
    ("sweep flags/figures/figure9 --raw_dir=archives --data_dir=nowhere", 2),
    (f"sweep recipes --seeds=1,2 {SHORT}", 0),
    ("sweep recipes --executor=slurm --slurm_gpus=1", 2),
    (f"evaluate {RUN} --metrics=probe,clustering,reconstruction", 0),
    (f"evaluate {RUN} --figures=interpolation --out=figures", 0),
    (
        "evaluate --run_dir=runs/shapes --checkpoint=last --metrics=attributes --figures=masks,attribute_mixes",
        0,
    ),
    ("report runs --table=1 --out=report", 0),
    ("export --run_dir=runs/lines/demo --also=onnx,litert", 0),
    ("serving.client interpolate a.png b.png --out=strip.png", 2),
]


class Offline(Bar):
    """The first trial makes a working directory, the last one starts TensorBoard, the others run a command each."""

    asked = len(COMMANDS) + 2

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder)
        probe = subprocess.run([*ALONE, "true"], capture_output=True, text=True, check=False)
        if probe.returncode:
            raise Skipped(f"no network namespaces here: {probe.stderr.strip()}")

    def trial(self, number: int) -> Outcome:
        if number == 0:
            self._prepare()
            return Outcome()
        if number == self.asked - 1:
            return self._tensorboard()
        words, expected = COMMANDS[number - 1]
        command = self._command(f"amr_tf.{words}")
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
        assert done.returncode == expected, (words, done.returncode, done.stderr[-500:])
        if expected:
            # A sweep names each run that failed, with the run's own words.
            said = rf"(amr_tf\.{words.split()[0]}|\S+ failed: amr_tf\.train): "
            assert re.match(said, done.stderr), done.stderr
            assert "Traceback" not in done.stderr
        return Outcome({"done" if not expected else "said what is missing": 1})

    def _prepare(self) -> None:
        """Makes a working directory like that of a fresh checkout, with recipes and pictures."""
        shutil.rmtree(self.folder)
        for name in ("recipes", "pics"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "flags").symlink_to(ROOT / "flags")
        lines = [f"--{flag}={value}\n" for flag, value in POINTS.items()]
        (self.folder / "recipes" / "points.flags").write_text("".join(lines))
        for name in ("a", "b", *(f"pics/{number}" for number in range(40))):
            (self.folder / f"{name}.png").write_bytes(picture("PNG", sum(name.encode())))

    def _command(self, words: str) -> list[str]:
        return [*ALONE, "env", f"PYTHONPATH={ROOT}", sys.executable, "-m", *words.split()]

    def _tensorboard(self) -> Outcome:
        """TensorBoard starts and prints its address, on this machine alone."""
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
