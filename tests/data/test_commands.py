"""From archives and folders of pictures to trained models and figures, by the commands that a user types."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from amr_tf.evaluation import figures
from amr_tf.plotting import canvas

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--latent=4", "--latent_width=16", "--depth=2", "--batch_size=8", "--epochs=1", "--update_g_every=1")
SVHN = ("--dataset=svhn", "--mixer=mixup", "--k=4", "--arch=acai", *TINY)
TILE = 64 + canvas.GAP


def run(module, *flags):
    command = [sys.executable, "-m", f"amr_tf.{module}", *map(str, flags)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)


def results_of(folder):
    return json.loads((folder / "results.json").read_bytes())


def train(tmp_path, *flags):
    """Output and results of a short training."""
    done = run("train", *flags, f"--run_dir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    return done.stdout, results_of(tmp_path / "run")


def train_resnet(tmp_path, *flags):
    """Output and results of two steps at 64 px."""
    out, results = train(tmp_path, *flags, "--arch=resnet", "--steps_per_epoch=2", *TINY)
    assert results["last"]["step"] == 2
    return out, results


def sweep(figure, tmp_path, *flags):
    """The steps of each run and the heights of the pictures of a figure at 64 px."""
    out = tmp_path / "out"
    small = ("--steps_per_epoch=2", "--image_size=64", f"--data_dir={tmp_path / 'data'}", *TINY)
    done = run("sweep", f"flags/figures/{figure}", f"--out={out}", *small, *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    found = out.glob("*/s0/results.json")
    steps = {path.parents[1].name: results_of(path.parent)["last"]["step"] for path in found}
    heights = {}
    for path in sorted(out.glob("*.png")):
        with Image.open(path) as picture:
            heights[path.stem] = picture.height
    return steps, heights


def path_height(rows):
    """Height of a picture of interpolations with so many rows for each pair, one of them the pixels'."""
    return figures.PAIRS * (rows * TILE + canvas.GAP) + (figures.PAIRS - 1) * figures.PAIR_GAP


def test_train_svhn_from_its_archives(put_in_cache, svhn_files, tmp_path):
    """With colours and a mix of four."""
    put_in_cache("svhn_cropped", svhn_files)
    _, results = train(tmp_path, *SVHN, f"--data_dir={tmp_path / 'data'}")
    assert results["examples"] == {"train": 27, "validation": 3, "test": 12}
    assert results["last"]["step"] == 3
    picture = np.asarray(Image.open(tmp_path / "run" / "images" / "epoch_00001_mixes.png"))
    rows = 1 + 3 + 1  # the first parents, three partners each, mixes
    assert picture.shape == (2 * (rows * 34 + 2), 2 * (3 * 34 + 2), 3)


def test_train_without_archives_stops_before_tensorflow_loads(tmp_path):
    done = run("train", *SVHN, f"--data_dir={tmp_path / 'nothing'}", f"--raw_dir={tmp_path}")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "train_32x32.mat" in done.stderr
    assert "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8" in done.stderr
    assert "Traceback" not in done.stderr
    assert "oneDNN" not in done.stderr


def test_train_places_of_an_unknown_user_are_one_line():
    home = "~nobody-of-that-name"
    done = run("train", *SVHN, f"--data_dir={home}/data", f"--raw_dir={home}/archives")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("amr_tf.train: --data_dir begins with a home folder that is unknown here")
    assert f"Received: --data_dir={home}/data" in line


def mixed_pictures(top):
    """200 pictures of mixed sizes, modes and formats in two classes; every tenth is on its side."""
    rng = np.random.default_rng(0)
    kinds = ["RGB.jpg", "L.png", "RGBA.png", "P.gif", "CMYK.jpg", "RGB.webp", "1.bmp"]
    for number in range(200):
        mode, suffix = kinds[number % len(kinds)].split(".")
        height, width = rng.integers(20, 200, 2)
        image = Image.fromarray(rng.integers(256, size=(height, width, 3), dtype=np.uint8))
        if mode == "RGBA":
            image.putalpha(128)
        folder = top / ("left", "right")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if number % 10 == 0 else 1
        options = {"exif": exif} if suffix in ("jpg", "png", "webp") else {}
        image.convert(mode).save(folder / f"{number}.{suffix}", **options)


@pytest.mark.slow
def test_train_folder_of_mixed_pictures_reports_changes(tmp_path):
    """The run is evaluated afterwards from its run folder alone."""
    mixed_pictures(tmp_path / "pics")
    out, results = train_resnet(tmp_path, f"--dataset=folder:{tmp_path / 'pics'}")
    assert f"reading 200 pictures in {tmp_path / 'pics'}\nclasses: 2 (left, right)\nas 64 x 64 RGB: " in out
    for said in ("made smaller; ", "enlarged; ", "cut to a square; ", "turned upright by their EXIF data; ",
                 "29 with transparent parts, which are white now; ", "28 converted from 1; 28 converted from CMYK; ",
                 "29 converted from L; ", "29 converted from RGBA\n"):  # fmt: skip
        assert said in out
    assert sum(results["examples"].values()) == 200
    done = run("evaluate", f"--run_dir={tmp_path / 'run'}", "--metrics=reconstruction", "--checkpoint=last")
    assert done.returncode == 0, done.stderr
    assert results_of(tmp_path / "run")["metrics"]["reconstruction"]["mse"] > 0


def test_train_unusable_folder_is_one_line_before_tensorflow(tmp_path):
    mixed_pictures(tmp_path / "pics")
    (tmp_path / "pics" / "empty").mkdir()
    done = run("train", f"--dataset=folder:{tmp_path / 'pics'}")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"amr_tf.train: No pictures in {tmp_path / 'pics' / 'empty'}: add PNG")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("figure", "runs"),
    [
        ("figure8", {"row1_aegan", "row2_amr"}),
        pytest.param("figure13", {"row1_beta50", "row2_beta0"}, marks=pytest.mark.soak),
    ],
)
def test_sweep_figures_of_pictures(put_in_cache, celeba_files, shoes_folder, tmp_path, figure, runs):
    """Shoes by Bernoulli mixing, and faces with and without consistency."""
    put_in_cache("celeb_a", celeba_files)
    steps, heights = sweep(figure, tmp_path, *[f"--raw_dir={shoes_folder}"] * (figure == "figure8"))
    assert steps == dict.fromkeys(runs, 2)
    assert heights == {"interpolation": path_height(rows=3)}


@pytest.mark.slow
def test_sweep_figure6_of_celeba_attributes(put_in_cache, celeba_files, tmp_path):
    """Masks for attributes, and mixes of pairs for each combination of attributes."""
    put_in_cache("celeb_a", celeba_files)
    steps, heights = sweep("figure6_celeba", tmp_path)
    assert steps == {"celeba": 2}
    assert set(heights) == {"masks", "attribute_mixes"}
    # 4 combinations of three attributes occur in the test split; above their rows the two parents.
    assert heights["attribute_mixes"] == (2 + 4) * TILE + canvas.GAP
    found = results_of(tmp_path / "out" / "celeba" / "s0")["metrics"]
    assert found["attributes"]["mixes"] == 4
