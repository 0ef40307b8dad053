"""Docstrings and comments are plain technical English: imperative or noun phrase first, the field's words."""

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
    r"\b(?:is none|(?i:go(?:es)? on|went on|asked[- ]for|but for|written down|mended|the public code))\b"
    r"|\bof (?:its|their) own\b"
)
HERE = pathlib.Path(__file__)
FILES = [
    path
    for folder in ("amr_tf", "benchmarks", "tests")
    for path in (ROOT / folder).rglob("*.py")
    if path != HERE
]


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


def faults(text: str) -> list[str]:
    return [match.group() for match in (FIRST.match(text), BANNED.search(text)) if match]


def test_docstrings_and_comments_are_plain():
    found = {}
    for path in sorted(FILES):
        bad = [(fault, text.splitlines()[0]) for text in texts(path) for fault in faults(text)]
        if bad:
            found[path.relative_to(ROOT).as_posix()] = bad
    assert found == {}


@pytest.mark.parametrize("text", ["Whether it is open.", "Training goes on.", "A run, but for its seed."])
def test_other_text_is_seen(text):
    assert faults(text)
