"""The site: built with warnings as errors, Python blocks run, pages opened in a real browser."""

import re
import subprocess
import sys

import pytest

from tests.docs.documents import PAGES, ROOT, python_blocks

WIDTHS = (1280, 400)
# Of anything that a browser fetches by itself; links are for readers.
FETCHED = (
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc\s*=\s*["']?\s*(?:https?:)?//"""
    r"""|<link\b[^>]*\bhref\s*=\s*["']?\s*(?:https?:)?//"""
)
FETCHED_BY_STYLE = r"""@import|url\(\s*["']?\s*(?:https?:)?//"""

# The width of the page, and what of its text ends beyond the window and in nothing that scrolls by itself.
BEYOND = """
const scrolls = element => element && element.localName != "article" &&
  (["auto", "scroll"].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
const cut = [...document.querySelectorAll("article *")].filter(
  element => element.getBoundingClientRect().right > window.innerWidth && !scrolls(element));
return [document.documentElement.scrollWidth, cut.map(element => element.localName)]"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    words = ["-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    command = [sys.executable, *words, ROOT / "docs", out / "html", "-d", out / "doctrees"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_no_page_fetches_anything_from_elsewhere(site):
    pages, styles = sorted(site.rglob("*.html")), sorted(site.rglob("*.css"))
    assert len(pages) > len(PAGES)
    assert styles
    for paths, forbidden in ((pages, FETCHED), (styles, FETCHED_BY_STYLE)):
        found = {
            path.name: re.findall(forbidden, path.read_text(encoding="utf-8"), re.IGNORECASE)
            for path in paths
        }
        assert {name: what for name, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "line",
    [
        '<script async src="https://cdn.example/mathjax.js"></script>',
        "<link rel='stylesheet' href='//fonts.example/a.css'>",
        '<img alt="" src = "http://a.example/b.png">',
    ],
)
def test_what_would_be_fetched_is_seen(line):
    assert re.search(FETCHED, line)


def test_equations_are_mathml_and_tables_are_made_of_the_code(site):
    page = (site / "methods" / "amr.html").read_text(encoding="utf-8")
    assert page.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">') == 2
    text = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    assert "<!-- table" not in text
    assert "&lt;!-- table" not in text
    assert "--update_g_every" in (site / "flags.html").read_text(encoding="utf-8")
    assert "mnist_amr_mixup_k2" in (site / "presets.html").read_text(encoding="utf-8")
    assert "98.01\u00a0±\u00a00.10" in (site / "mixers" / "mixup.html").read_text(encoding="utf-8")


# Blocks that need a server are run where there is one: tests/serving/test_running_server.py.
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem)
        for page in [ROOT / "README.md", *PAGES]
        if python_blocks(page) and page.stem != "serving"
    ],
)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """All blocks of a page in their order, as someone would who copies them one after the other."""
    monkeypatch.chdir(tmp_path)
    code = compile("\n".join(python_blocks(page)), str(page), "exec")
    exec(code, {"__name__": "page"})  # noqa: S102 (the project's own pages)


def open_page(browser, address, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(address)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_is_wider_than_the_window(browser, site, width):
    """Wide tables, equations and code scroll by themselves."""
    wide = {}
    for page in sorted(site.rglob("*.html")):
        open_page(browser, page.as_uri(), width)
        right, cut = browser.execute_script(BEYOND)
        if right > width or cut:
            wide[page.relative_to(site).as_posix()] = right, cut
    assert wide == {}


@pytest.mark.parametrize("width", WIDTHS)
def test_equations_are_drawn(browser, site, width):
    """Not as words in a row: limits stand below their sign, and an equation is higher than a line of text."""
    open_page(browser, (site / "methods" / "amr.html").as_uri(), width)
    below, high, visible = browser.execute_script(
        """
        const box = element => element.getBoundingClientRect();
        const equation = document.querySelector("math[display=block]");
        const under = equation.querySelector("munder");
        return [
          box(under.children[1]).top - box(under.children[0]).top,
          box(equation).height,
          box(equation.parentElement).right <= window.innerWidth,
        ]"""
    )
    assert below > 5
    assert high > 20
    assert visible
