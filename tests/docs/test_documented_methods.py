"""Each method and mixer has a page, and its table of losses names what a run logs, no more and no less."""

import re

import pytest

from amr_tf.config import MIXERS, MODELS, Config
from amr_tf.models import model_class
from amr_tf.training import tensorboard
from tests.docs.documents import PAGES, ROOT

METHODS = ROOT / "docs" / "methods"
OURS = "## Ours beside the paper's"


def named(page) -> set[str]:
    """The names in the first column of the tables of losses."""
    text = page.read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def logged(**settings) -> set[str]:
    """The terms of both players of a model with these settings, consistency included where there can be one."""
    kind = model_class(Config(**settings))
    names = {*kind.generator_loss_names, *getattr(kind, "discriminator_loss_names", ())}
    beta = {"consistency"} if settings["model"] in ("amr", "acai_amr") else set()
    supervised = {"consistency_supervised"} if settings.get("mixer") == "supervised" else set()
    return names | beta | supervised


@pytest.mark.parametrize("model", MODELS)
def test_the_page_of_a_method_names_its_losses(model):
    assert named(METHODS / f"{model}.md") == logged(model=model)


def test_the_page_of_supervised_mixing_names_what_it_adds():
    settings = {"model": "amr", "dataset": "shapes", "mixer": "supervised"}
    page = ROOT / "docs" / "mixers" / "supervised.md"
    assert named(page) == logged(**settings) - logged(model="amr")


def test_what_all_methods_log_is_explained():
    shared = set(tensorboard.TAGS) - set().union(*(named(METHODS / f"{model}.md") for model in MODELS))
    shared -= named(ROOT / "docs" / "mixers" / "supervised.md")
    assert named(METHODS / "index.md") == shared | {"recon"}


def test_every_mixer_has_a_page():
    pages = {path.stem for path in (ROOT / "docs" / "mixers").glob("*.md")} - {"index"}
    assert pages == set(MIXERS)
    assert {path.stem for path in METHODS.glob("*.md")} - {"index"} == set(MODELS)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if OURS in page.read_text(encoding="utf-8")], ids=lambda page: page.stem
)
def test_a_page_has_the_numbers_that_were_measured(page):
    """Ours stand in README.md or BUILD_NOTES.md beside the command that measured them."""
    section = page.read_text(encoding="utf-8").partition(OURS)[2].partition("```")[0]
    known = "".join((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "BUILD_NOTES.md"))
    for number in (numbers := re.findall(r"\d+\.\d+", section)):
        shares = number, f"{float(number) / 100:.3f}"  # the notes have scores as shares of 1
        assert any(re.search(rf"(?<![\d.]){re.escape(share)}(?!\d)", known) for share in shares), number
    assert numbers or "<!-- table" in section
