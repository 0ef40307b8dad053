"""The presets of the paper's tables: a cell each, with what its header says and a recipe that trains."""

import dataclasses
import math
import re

import numpy as np
import pytest

from amr_tf import sweep
from amr_tf.config import Config, command_line
from amr_tf.data import Arrays, pipeline
from amr_tf.data.catalog import spec_named
from amr_tf.models.build import build_model

FLAGS = command_line.PACKAGE.parent / "flags"
PRESETS = sorted(str(path.relative_to(FLAGS)) for path in FLAGS.rglob("*.flags"))
# `base` is what others include, and the demonstration is what runs without any flag.
COMMANDS = [name for name in PRESETS if not name.startswith("base/") and name != "demo.flags"]

METHODS = {
    "aegan": {"model": "aegan"},
    "amr_mixup_k2": {"model": "amr", "mixer": "mixup", "k": 2},
    "amr_bernoulli_k2": {"model": "amr", "mixer": "bernoulli", "k": 2},
    "amr_mixup_k3": {"model": "amr", "mixer": "mixup", "k": 3},
    "amr_mixup_k4": {"model": "amr", "mixer": "mixup", "k": 4},
    "amr_mixup_k6": {"model": "amr", "mixer": "mixup", "k": 6},
    "amr_mixup_k8": {"model": "amr", "mixer": "mixup", "k": 8},
    "acai_rerun": {"model": "acai_rerun"},
    # As long as ACAI's own 2^24 images, whatever the others train.
    "acai_published": {"model": "acai", "epochs": 256, "steps_per_epoch": 1024},
}
# fmt: off
# Settings of a column, and lambda by row in the order of METHODS: None where the loss has none, 0 for no cell.
COLUMNS = {
    "table1/mnist": ({"dataset": "mnist", "latent": 2}, (5, 10, 10, 20, 0, 0, 0, 2, None)),
    "table1/kmnist": ({"dataset": "kmnist", "latent": 2}, (10, 10, 10, 10, 0, 0, 0, 10, 0)),
    "table1/svhn": ({"dataset": "svhn", "latent": 2}, (5, 10, 10, 10, 0, 0, 0, 2, None)),
    "table2/svhn_256": ({"dataset": "svhn", "latent": 16}, (5, 5, 10, 5, 5, 5, 5, 2, None)),
    "table2/cifar10_256": ({"dataset": "cifar10", "latent": 16}, (50, 50, 50, 50, 50, 50, 50, 20, None)),
    "table2/cifar10_1024": (
        {"dataset": "cifar10", "latent": 64, "epochs": 8000}, (50, 50, 50, 50, 50, 50, 50, 20, None)
    ),
}
# fmt: on
# Cells whose published script has another number than the data set has. Table 2 is as its caption says.
EPOCHS = {
    "table1/kmnist": dict.fromkeys(("amr_mixup_k2", "amr_bernoulli_k2", "amr_mixup_k3", "acai_rerun"), 6000),
    "table1/svhn": dict.fromkeys(("aegan", "amr_bernoulli_k2"), 4500)
    | dict.fromkeys(("amr_mixup_k2", "amr_mixup_k3", "acai_rerun"), 6000),
    "table3/dsprites": {"amr_mixup_k3": 1000},
    "low_data/svhn_1k": {"amr_bernoulli_k2": 4000},
    "low_data/svhn_5k": {"amr_mixup_k3": 7000},
}
# Of most scripts for few examples.
FEW_EPOCHS = {1_000: 6000, 5_000: 6000, 10_000: 6000, 20_000: 4000}


def epochs(column: str, method: str) -> dict[str, int]:
    """The epochs of a cell whose script differs from its data set's, or nothing."""
    own = EPOCHS.get(column, {}).get(method)
    return {"epochs": own} if own else {}


CELLS = {
    f"{column}_{method}.flags": Config(
        **settings | ({"lambda_": lambda_} if lambda_ else {}) | METHODS[method] | epochs(column, method)
    )
    for column, (settings, lambdas) in COLUMNS.items()
    for method, lambda_ in zip(METHODS, lambdas, strict=True)
    if lambda_ != 0
}
DSPRITES = {"dataset": "dsprites", "arch": "burgess", "recon_loss": "bce_sum", "latent": 10, "lambda_": 1.0}
OF_DSPRITES = METHODS | {
    "vae": {"model": "vae", "beta_kl": 10.0},
    "amr_bernoulli_k3": METHODS["amr_bernoulli_k2"] | {"k": 3},
}
TABLE_3 = {
    f"table3/dsprites_{name}.flags": Config(
        **DSPRITES | {"epochs": 500} | OF_DSPRITES[name] | epochs("table3/dsprites", name)
    )
    for name in ("vae", "aegan", "amr_mixup_k2", "amr_mixup_k3", "amr_bernoulli_k2", "amr_bernoulli_k3")
}
LOW_DATA = {
    f"low_data/svhn_{examples // 1000}k_{method}.flags": dataclasses.replace(
        CELLS[f"table1/svhn_{method}.flags"],
        train_examples=examples,
        **{"epochs": FEW_EPOCHS[examples]} | epochs(f"low_data/svhn_{examples // 1000}k", method),
    )
    for examples in (1_000, 5_000, 10_000, 20_000)
    for method in ("aegan", "amr_mixup_k2", "amr_bernoulli_k2", "amr_mixup_k3", "acai_rerun")
}

RECIPE = {"update_g_every": 1, "schedule": "cosine", "steps_per_epoch": 500}
MNIST = RECIPE | {
    "dataset": "mnist",
    "arch": "amr_fixed",
    "latent": 2,
    "lambda_": 3.0,
    "learning_rate": 4e-3,
    "epochs": 5,
}
FAST = {
    f"fast/mnist_{name}.flags": Config(**MNIST | METHODS.get(name, METHODS["acai_rerun"]))
    for name in ("aegan", "amr_mixup_k2", "amr_mixup_k3", "acai")
}
FAST["fast/digits_amr_mixup_k2.flags"] = Config(
    **MNIST | METHODS["amr_mixup_k2"] | {"dataset": "digits", "latent": 16, "depth": 8, "steps_per_epoch": 60}
)
LINES = {
    "dataset": "lines", "arch": "burgess", "latent": 4, "recon_loss": "bce", "learning_rate": 1e-3, "epochs": 3,
    "adam_beta1": 0.9,
}  # fmt: skip
WIDE = LINES | {"depth": 8}
LINES = {
    f"lines/{name}.flags": Config(**RECIPE | settings)
    for name, settings in {
        **{name: LINES | {"model": name} for name in ("ae", "denoising", "dropout", "aae", "vqvae")},
        "vae": LINES | {"model": "vae", "recon_loss": "bce_sum"},
        "aegan": LINES | {"model": "aegan", "lambda_": 100.0},
        "acai": LINES | {"model": "acai", "lambda_": 3.0},
        "acai_rerun": LINES | {"model": "acai_rerun", "lambda_": 3.0},
        **{
            f"amr_{name}": LINES | METHODS[f"amr_{name}"] | {"lambda_": 100.0, "beta": 0.1}
            for name in ("mixup_k2", "mixup_k3", "bernoulli_k2")
        },
        "gaia": WIDE | {"model": "gaia", "arch": "acai", "latent": 16, "latent_width": 2, "recon_loss": "l1"},
        "style": WIDE
        | {
            "model": "amr",
            "arch": "style",
            "mixer": "style",
            "recon_loss": "l2",
            "lambda_": 50.0,
            "beta": 0.1,
        },
    }.items()
}
MNIST_32 = {"dataset": "mnist", "latent": 2}
PLAIN = MNIST_32 | {
    "image_fit": "pad", "adam_beta1": 0.9, "adam_beta2": 0.999, "weight_decay": 0.0, "epochs": 256,
    "steps_per_epoch": 1024,
}  # fmt: skip
COMPARED = {
    f"acai/mnist_{name}.flags": Config(**settings)
    for name, settings in {
        "baseline": PLAIN | {"model": "ae", "arch": "acai", "recon_loss": "l2"},
        "vae": PLAIN | {"model": "vae", "arch": "acai_bounded", "recon_loss": "bce_sum"},
        **{name: MNIST_32 | {"model": name} for name in ("dropout", "denoising", "aae", "vqvae")},
    }.items()
}
FIGURE_6 = {
    "figures/figure6/shapes.flags": Config(
        **RECIPE, dataset="shapes", mixer="supervised", arch="burgess", latent=64, recon_loss="l2", lambda_=20.0,
        beta=1.0, learning_rate=1e-3, epochs=12,
    )
}  # fmt: skip
ZAPPOS, CELEBA = {"dataset": "zappos"}, {"dataset": "celeba"}
SPIRAL = {"dataset": "spiral", "depth": 8, "lambda_": 10.0, "update_g_every": 1, "learning_rate": 2e-3,
          "schedule": "cosine", "batch_size": 128, "epochs": 100}  # fmt: skip
# Rows from the top, panels from the left. A lambda of the baselines is AMR's, since the paper gives none.
FIGURES = {
    "figure6_celeba/celeba": CELEBA | {"mixer": "supervised", "lambda_": 50.0},
    "figure7/row1_aegan": ZAPPOS | {"model": "aegan", "lambda_": 50.0},
    "figure7/row2_acai": ZAPPOS | {"model": "acai_rerun", "lambda_": 50.0},
    "figure7/row3_amr": ZAPPOS | {"lambda_": 50.0, "beta": 50.0},
    "figure8/row1_aegan": ZAPPOS | {"model": "aegan", "mixer": "bernoulli", "lambda_": 50.0},
    "figure8/row2_amr": ZAPPOS | {"mixer": "bernoulli", "lambda_": 50.0, "beta": 50.0},
    "figure9/row1_aegan": CELEBA | {"model": "aegan", "lambda_": 100.0},
    "figure9/row2_acai": CELEBA | {"model": "acai_rerun", "lambda_": 100.0},
    "figure9/row3_amr": CELEBA | {"lambda_": 100.0, "beta": 50.0},
    "figure10/row1_aegan": CELEBA | {"model": "aegan", "mixer": "bernoulli", "lambda_": 50.0},
    "figure10/row2_amr": CELEBA | {"mixer": "bernoulli", "lambda_": 50.0, "beta": 50.0},
    "figure11/amr": ZAPPOS | {"image_size": 128, "mixer": "bernoulli", "lambda_": 50.0, "beta": 1.0},
    "figure12/panel1_beta0": SPIRAL | {"beta": 0.0},
    "figure12/panel2_beta0.1": SPIRAL | {"beta": 0.1},
    "figure12/panel3_beta10": SPIRAL | {"beta": 10.0},
    "figure12/panel4_beta100": SPIRAL | {"beta": 100.0},
    "figure13/row1_beta50": CELEBA | {"lambda_": 50.0, "beta": 50.0},
    "figure13/row2_beta0": CELEBA | {"lambda_": 50.0},
    "latent/k2": SPIRAL | {"latent": 3, "k": 2},
    "latent/k3": SPIRAL | {"latent": 3, "k": 3},
    "latent/k4": SPIRAL | {"latent": 3, "k": 4},
}
FIGURES = {f"figures/{name}.flags": Config(**settings) for name, settings in FIGURES.items()}


def parsed(name: str) -> Config:
    return command_line.parse([f"--flagfile={FLAGS / name}"])[0]


def test_every_cell_of_the_tables_has_its_preset():
    assert len(CELLS) == 17 + 27
    assert [name for name in PRESETS if name.startswith("table")] == sorted(CELLS | TABLE_3)
    assert [name for name in PRESETS if name.startswith("low_data")] == sorted(LOW_DATA)


def test_every_figure_has_its_presets_in_the_order_of_its_rows():
    """Except figure 6 on shapes, whose recipe is not the paper's."""
    found = [name for name in PRESETS if name.startswith("figures/")]
    assert sorted(found) == sorted([*FIGURES, *FIGURE_6])
    folders = {name.split("/")[1] for name in found}
    assert folders == set(sweep.FIGURE_FOLDERS) - {"lines"}
    for folder in folders:
        options = sweep.parse([f"flags/figures/{folder}"])
        named = [job.name.removesuffix("/s0") for job in options.jobs]
        assert named == [name.split("/")[2].removesuffix(".flags") for name in found if f"/{folder}/" in name]
        assert options.figures
        assert len({(job.config.dataset, job.config.image_size) for job in options.jobs}) == 1
        if options.figures[0] == "masks":
            assert all(job.config.model == "amr_supervised" for job in options.jobs)


@pytest.mark.parametrize(
    ("name", "config"), (CELLS | TABLE_3 | LOW_DATA | FAST | LINES | COMPARED | FIGURES | FIGURE_6).items()
)
def test_a_preset_holds_the_settings_that_its_name_says(name, config):
    assert parsed(name) == config


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_parses_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command_line.parse([f"--flagfile=flags/{name}"])
    assert (FLAGS / name).read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", COMMANDS)
def test_header_gives_command_time_and_published_number(name):
    header = [
        line for line in (FLAGS / name).read_text(encoding="utf-8").splitlines() if line.startswith("# ")
    ]
    text = " ".join(line.removeprefix("# ") for line in header)
    if name.startswith("figures/"):
        assert "of Beckham et al. (2019): " in header[0]
        assert re.fullmatch(
            rf"#   python -m amr_tf\.sweep flags/{name.rpartition('/')[0]}( --\S+)*", header[1]
        )
        assert re.search(r"Time: (about )?[\d.]+ minutes on |Time: not measured", text)
        return
    assert re.search(rf"python -m amr_tf\.train .*--flagfile=flags/{re.escape(name)}( |$)", text)
    assert re.search(r"Time: (about )?[\d.]+ (minutes|hours) on |Time: not measured", text)
    if name.startswith("table"):
        assert f": Table {name[5]} of Beckham et al. (2019)." in header[0]
        assert re.search(r"Published: \d\d\.\d\d \+- \d\.\d\d( %|, by a metric) ", text)


# The presets of which each trains other networks by other losses or mixes than the rest. What stays out of it, such as
# lambda, the data set or the width of a layer, changes numbers and no code. Other tests cover the figures.
DECISIVE = ("model", "arch", "mixer", "k", "recon_loss", "gan_loss", "update_g_every", "schedule")
PARSED = [
    (name, parsed(name)) for name in ["demo.flags", *reversed(COMMANDS)] if not name.startswith("figures/")
]
RECIPES = dict({tuple(getattr(row[1], field) for field in DECISIVE): row for row in PARSED}.values())
# At full size colours, depth and the code's size count as well.
LARGEST = {
    name: CELLS[name]
    for name in ("table2/cifar10_1024_amr_mixup_k8.flags", "table2/svhn_256_acai_published.flags")
}


def assert_two_steps_are_finite(config: Config, eagerly: bool):
    """On noise. The first of the two updates the generator."""
    spec, rng = spec_named(config.dataset), np.random.default_rng(0)
    images = rng.integers(256, size=(config.batch_size, *spec.image_shape), dtype=np.uint8)
    noise = Arrays(images, rng.integers(spec.classes, size=config.batch_size), spec)
    model = build_model(config, spec.image_shape, spec.classes)
    model.run_eagerly, model.epoch_length = eagerly, 2
    for x, y in pipeline.batches(noise, config.batch_size, config.seed).take(2):
        logs = model.train_on_batch(x, y, return_dict=True)
        assert logs
        assert all(math.isfinite(value) for value in logs.values()), logs


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_trains_at_a_small_depth(name):
    """Uncompiled, since compiling a step takes longer than taking two, and with a code of 8 pixels' width."""
    small = dataclasses.replace(RECIPES[name], depth=4, latent_width=8, batch_size=8)
    assert_two_steps_are_finite(small, eagerly=True)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        pytest.param(*row, marks=pytest.mark.slow if row[0] in LARGEST else pytest.mark.soak)
        for row in (RECIPES | LARGEST).items()
    ],
)
def test_every_recipe_trains_as_it_is(name, config):
    assert_two_steps_are_finite(config, eagerly=False)
