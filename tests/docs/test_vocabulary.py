"""Prose is plain technical English: docstrings, comments, messages, help, presets and pages use the field's words."""

import ast
import pathlib
import re
import tokenize
from collections.abc import Iterator

import pytest

from tests.docs.documents import ROOT

FIRST = re.compile(r"(What|Whether|How|Where|Who|Which)\b")
# What to write in their place: resumes, requested, except, None or missing, separate, the reference implementation.
BANNED = re.compile(
    r"\b(?:is none|(?i:go(?:es|ing)? on|went on|asked[- ]for|but for|written down|mended|told|theirs|ours"
    r"|(?:the )?public (?:code|script)s?))\b"
    r"|\bof (?:its|their) own\b"
)
HERE = pathlib.Path(__file__)
FILES = [
    path
    for folder in ("amr_tf", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if path != HERE
]
PAGES = [
    *(ROOT / "docs").rglob("*.md"), *(ROOT / "flags").rglob("*.flags"), *(ROOT / "amr_tf").rglob("*.md"),
    *ROOT.glob("*.md"),
]  # fmt: skip


def texts(path: pathlib.Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
    with path.open("rb") as file:
        yield from (
            token.string.lstrip("# ")
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        )


def messages(path: pathlib.Path) -> Iterator[str]:
    """Yields the texts of a module: help, messages and parts of both."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.value


def faults(text: str) -> list[str]:
    return [match.group() for match in (FIRST.match(text), BANNED.search(text)) if match]


def test_docstrings_and_comments_are_plain():
    found = {}
    for path in sorted(FILES):
        bad = [(fault, text.splitlines()[0]) for text in texts(path) for fault in faults(text)]
        if bad:
            found[path.relative_to(ROOT).as_posix()] = bad
    assert found == {}


def test_messages_and_pages_are_plain():
    modules = (ROOT / "amr_tf").rglob("*.py")
    texts_of = {path: list(messages(path)) for path in modules} | {
        path: [path.read_text(encoding="utf-8")] for path in PAGES
    }
    found = {
        path.relative_to(ROOT).as_posix(): bad
        for path, parts in texts_of.items()
        if (bad := [match.group() for part in parts if (match := BANNED.search(part))])
    }
    assert found == {}


@pytest.mark.parametrize("text", ["Whether it is open.", "Training goes on.", "A run, but for its seed."])
def test_other_text_is_seen(text):
    assert faults(text)
