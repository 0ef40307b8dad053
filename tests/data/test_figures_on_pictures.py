"""The figures on CelebA and Zappos by their commands: tiny archives of the official format, two steps at 64 px."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from amr_tf.evaluation import figures
from amr_tf.plotting import canvas

ROOT = Path(__file__).resolve().parents[2]
# The figures' own networks, data and losses, but for their size.
SMALL = ("--depth=2", "--latent=4", "--latent_width=16", "--batch_size=8", "--epochs=1", "--steps_per_epoch=2",
         "--update_g_every=1", "--image_size=64")  # fmt: skip
TILE = 64 + canvas.GAP


def sweep(figure, out, *flags):
    """The steps of each run and the sizes of the pictures that the command leaves."""
    command = [
        sys.executable,
        "-m",
        "amr_tf.sweep",
        f"flags/figures/{figure}",
        f"--out={out}",
        *SMALL,
        *flags,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {
        path.parents[1].name: json.loads(path.read_bytes())["last"]["step"]
        for path in sorted(out.glob("*/s0/results.json"))
    }
    sizes = {}
    for path in sorted(out.glob("*.png")):
        with Image.open(path) as file:
            sizes[path.stem] = file.size
    return steps, sizes


def path_size(rows):
    """Of a picture of interpolations: so many rows for each of the pairs, one of them the pixels'."""
    width = canvas.LABEL_WIDTH + figures.PATH_STEPS * TILE + canvas.GAP
    return width, figures.PAIRS * (rows * TILE + canvas.GAP) + (figures.PAIRS - 1) * figures.PAIR_GAP


@pytest.mark.soak
def test_faces_with_and_without_consistency(put_in_cache, celeba_files, tmp_path):
    """Figure 13."""
    put_in_cache("celeb_a", celeba_files)
    steps, sizes = sweep("figure13", tmp_path / "out", f"--data_dir={tmp_path / 'data'}")
    assert steps == {"row1_beta50": 2, "row2_beta0": 2}
    assert sizes == {"interpolation": path_size(rows=3)}


@pytest.mark.slow
def test_masks_for_the_attributes_of_faces(put_in_cache, celeba_files, tmp_path):
    """Figure 6, and beside it mixes of pairs for each combination of attributes."""
    put_in_cache("celeb_a", celeba_files)
    steps, sizes = sweep("figure6_celeba", tmp_path / "out", f"--data_dir={tmp_path / 'data'}")
    assert steps == {"celeba": 2}
    assert set(sizes) == {"masks", "attribute_mixes"}
    # 4 combinations of three attributes occur in the test split; above their rows the two parents.
    assert sizes["attribute_mixes"][1] == (2 + 4) * TILE + canvas.GAP
    found = json.loads((tmp_path / "out" / "celeba" / "s0" / "results.json").read_bytes())["metrics"]
    assert found["attributes"]["mixes"] == 4


@pytest.mark.soak
def test_shoes_by_bernoulli_mixing(shoes_folder, tmp_path):
    """Figure 8, from the zip file."""
    steps, sizes = sweep(
        "figure8", tmp_path / "out", f"--data_dir={tmp_path / 'data'}", f"--raw_dir={shoes_folder}"
    )
    assert steps == {"row1_aegan": 2, "row2_amr": 2}
    assert sizes == {"interpolation": path_size(rows=3)}
