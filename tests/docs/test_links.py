"""Links of the documents lead to files and headings that exist, and the README stays short."""

import pathlib
import re

import pytest

from tests.docs.documents import DOCUMENTS, ROOT

MORE = [ROOT / name for name in ("BUILD_NOTES.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: pathlib.Path) -> set[str]:
    """Lists the names that GitHub and MyST give the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(page: pathlib.Path, text: str) -> list[str]:
    """Lists the links of a page's text that lead nowhere. Web addresses are not looked up."""
    found = []
    for link in _LINK.findall(text):
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        if re.match(r"[a-z]+:", link):
            continue
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(link)
    return found


@pytest.mark.parametrize("page", [*DOCUMENTS, *MORE], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_somewhere(page):
    assert broken(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["docs/gone.md", "docs/data.md#gone", "#gone"])
def test_broken_link_is_seen(link):
    assert broken(ROOT / "README.md", f"[text]({link})") == [link]


def test_readme_is_read_in_minutes():
    size = len((ROOT / "README.md").read_bytes())
    assert 6_000 <= size <= 8_192, size
