"""Each method and mixer has a page, and its table of losses names exactly what a run logs."""

import re

import pytest

from amr_tf.config import ConfigError
from amr_tf.models.build import build_model
from amr_tf.registry import MIXERS, MODELS
from amr_tf.training import tensorboard
from tests.docs.documents import PAGES, ROOT
from tests.support.config import tiny_config

METHODS = ROOT / "docs" / "methods"
OURS = "## This implementation beside the paper"


def named(page) -> set[str]:
    """The names in the first column of the tables of losses."""
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def logged(model: str) -> set[str]:
    """The losses of both players, including consistency where the method supports it."""
    try:
        config = tiny_config(model=model, beta=1.0)
    except ConfigError:
        config = tiny_config(model=model)
    return set(tensorboard.tags(build_model(config, (1, 1, 2), 10))) - set(tensorboard.TAGS)


@pytest.mark.parametrize("model", MODELS)
def test_page_of_a_method_names_its_losses(model):
    inherited = logged("amr") if model == "amr_supervised" else set()
    assert named(METHODS / f"{model}.md") == logged(model) - inherited


def test_index_of_methods_names_what_every_run_logs():
    assert named(METHODS / "index.md") == {*tensorboard.TAGS, "recon"}


@pytest.mark.parametrize(("folder", "names"), [("methods", MODELS), ("mixers", MIXERS)])
def test_every_method_and_mixer_has_a_page(folder, names):
    assert {path.stem for path in (ROOT / "docs" / folder).glob("*.md")} == {"index", *names}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if OURS in page.read_text(encoding="utf-8")], ids=lambda page: page.stem
)
def test_page_has_the_measured_numbers(page):
    """This implementation's numbers are in docs/results.md with the command that measured them."""
    section = page.read_text(encoding="utf-8").partition(OURS)[2].partition("```")[0]
    known = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    for number in (numbers := re.findall(r"\d+\.\d+", section)):
        shares = number, f"{float(number) / 100:.3f}"  # results.md has scores as shares of 1
        assert any(re.search(rf"(?<![\d.]){re.escape(share)}(?!\d)", known) for share in shares), number
    assert numbers or "<!-- table" in section
