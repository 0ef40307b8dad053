"""Figures and metrics of test splits of one, two or three images: each asks only for what it uses."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from amr_tf import evaluate, registry
from amr_tf.config import Config, ConfigError
from amr_tf.evaluation import Request, figures, measures
from amr_tf.runs.trained import TrainedRun
from amr_tf.training import experiment

# The fewest test images that each figure of images can be drawn of, whatever their labels.
LEAST = {
    "interpolation": 2, "triangle": 3, "traversal": 1, "masks": 1, "attribute_mixes": 2, "latent": 1, "samples": 1,
}  # fmt: skip
NEEDS_PAIRS = {"interpolation"}  # metrics
NEEDS_LABELS = {"probe", "clustering"}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A supervised run with flat codes, which every figure of images can show."""
    settings = {
        "dataset": "shapes",
        "model": "amr_supervised",
        "arch": "burgess",
        "latent": 4,
        "batch_size": 8,
    }
    settings |= {"epochs": 1, "steps_per_epoch": 1, "train_examples": 40, "update_g_every": 1}
    folder = experiment.run(Config(run_dir=str(tmp_path_factory.mktemp("runs") / "shapes"), **settings))
    return TrainedRun(folder)


@pytest.fixture
def few(shapes):
    """`few(count, one_label)` is the run with that many test images, and with all labels or one of them."""
    whole = shapes.splits

    def reduced(count, one_label):
        def chosen(part, number):
            rows = np.flatnonzero(part.labels == part.labels[0]) if one_label else np.arange(len(part))
            rows = rows[:number]
            return dataclasses.replace(
                part, images=part.images[rows], labels=part.labels[rows], attributes=part.attributes[rows]
            )

        shapes.splits = whole._replace(train=chosen(whole.train, 40), test=chosen(whole.test, count))
        shapes.codes.cache_clear()
        return shapes

    yield reduced
    shapes.splits = whole
    shapes.codes.cache_clear()


def test_every_figure_of_images_is_tried_here():
    assert set(LEAST) == set(registry.FIGURES) - {"spiral", "style_grid"}  # which has other codes


@pytest.mark.parametrize(
    ("count", "one_label"),
    [
        (1, True),
        (3, True),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((2, True), (2, False), (9, False))),
    ],
)
def test_each_figure_is_drawn_from_the_images_it_uses(few, tmp_path, count, one_label):
    """With fewer it names how many it mixes."""
    run, request = few(count, one_label), Request([], [], [], "best", 0, {}, tmp_path, None, True)
    for name, least in LEAST.items():
        if count < least:
            with pytest.raises(ConfigError, match=f"{name} mixes {least} test images. Received: {count} of"):
                figures.draw(name, [run], request)
            continue
        for path in figures.draw(name, [run], request):
            with Image.open(path) as picture:
                assert np.ptp(np.asarray(picture.convert("L"))) > 0, name


def test_traversal_of_one_image_moves_every_number(few, tmp_path, monkeypatch):
    """The range of a number comes from the training split, since a single code has none."""
    run, decoded = few(1, False), []
    decode = run.decode
    monkeypatch.setattr(run, "decode", lambda codes: decoded.append(codes) or decode(codes))
    figures.draw("traversal", [run], Request([], [], [], "best", 0, {}, tmp_path, None, False))
    codes = decoded[0].reshape(4, -1, 4)
    assert all(np.ptp(codes[number, :, number]) > 0 for number in range(4))


@pytest.mark.parametrize(("count", "one_label"), [(1, True), (2, True), (2, False), (3, False)])
def test_each_metric_is_computed_or_says_why_not(few, count, one_label):
    run = few(count, one_label)
    for name in registry.METRICS.keys() - {"probe_pixels"}:  # `probe`, in minutes
        metric = registry.load(registry.METRICS, name)
        if not metric.reason_not_applicable(run):
            assert measures.evaluate(run, name, "best", 0)["seconds"] >= 0
        else:
            assert name != "reconstruction"
            assert name not in NEEDS_PAIRS or count < 2
            assert name not in NEEDS_LABELS or one_label


def test_a_figure_that_cannot_be_drawn_leaves_the_others(shapes, tmp_path, capsys):
    """Only `spiral` is refused, in a line."""
    command = [
        f"--run_dir={shapes.path}",
        "--figures=spiral,interpolation,masks",
        f"--out={tmp_path / 'out'}",
    ]
    assert evaluate.main(command) == 2
    said = capsys.readouterr()
    assert said.err == "amr_tf.evaluate: Only --dataset=spiral has points. Received: --dataset=shapes\n"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"interpolation.png", "masks.png"}
    assert f"checkpoint of {shapes.path}: step 1, best by validation probe accuracy, epoch 1" in said.out
