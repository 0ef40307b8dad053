"""From archives to a trained model with colours and a mix of four, by the command that a user types."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def train(*flags):
    command = [sys.executable, "-m", "amr_tf.train", "--dataset=svhn", "--mixer=mixup", "--k=4", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)


def test_svhn_trains_from_its_archives_through_the_real_builder(put_in_cache, svhn_files, tmp_path):
    put_in_cache("svhn_cropped", svhn_files)
    done = train(
        f"--data_dir={tmp_path / 'data'}", f"--run_dir={tmp_path / 'run'}", "--arch=acai", "--latent_width=16",
        "--depth=2", "--latent=2", "--batch_size=8", "--epochs=1", "--update_g_every=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["examples"] == {"train": 27, "validation": 3, "test": 12}
    assert results["last"]["step"] == 3
    picture = np.asarray(Image.open(tmp_path / "run" / "images" / "epoch_00001_mixes.png"))
    rows = 1 + 3 + 1  # the first parents, three partners each, mixes
    assert picture.shape == (2 * (rows * 34 + 2), 2 * (3 * 34 + 2), 3)


def test_without_archives_one_message_comes_before_tensorflow_does(tmp_path):
    done = train(f"--data_dir={tmp_path / 'nothing'}", f"--raw_dir={tmp_path}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "train_32x32.mat" in done.stderr
    assert "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8" in done.stderr
    assert "Traceback" not in done.stderr
    assert "oneDNN" not in done.stderr


def test_a_data_dir_of_an_unknown_user_is_no_traceback():
    done = train("--data_dir=~nobody-of-that-name/data", "--raw_dir=~nobody-of-that-name/archives")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "amr_tf.train: raw_dir is no folder that can be read: give the one that holds the archives. "
        "Received: ~nobody-of-that-name/archives"
    ]
