"""Commands and Python blocks of README.md and of the pages of the site."""

import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [ROOT / "README.md", *(ROOT / name / "README.md" for name in ("benchmarks", "runs")), *PAGES]
_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Placeholders: such a line shows the form of a command.
_FORM = re.compile(r"<\w+>|\[\w")
_INLINE = re.compile(r"`((?:python -m amr_tf\.|amr-tf )\w+ [^`]+)`")
_INDENTED = re.compile(r"(?:^ {4}.*\n|(?<=\n)\n(?= {4}))+", re.MULTILINE)


def python_blocks(page: pathlib.Path) -> list[str]:
    """The blocks marked as Python, in their order: later ones may use what earlier ones define."""
    return [
        code for language, code in _FENCED.findall(page.read_text(encoding="utf-8")) if language == "python"
    ]


def commands(page: pathlib.Path) -> list[str]:
    """Lists calls of `make`, `amr-tf` or a Python module: lines of blocks with their continuations, and inline code."""
    text = page.read_text(encoding="utf-8")
    blocks = [code for language, code in _FENCED.findall(text) if language == "bash"]
    blocks += _INDENTED.findall(_FENCED.sub("", text))
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines += _INLINE.findall(text)
    typed = [line for line in lines if re.match(r"make\b|amr-tf |([\w./=$]+ )*[\w./]*python -m ", line)]
    return [line for line in typed if not _FORM.search(line)]


def words(command: str) -> tuple[str, list[str]]:
    """`make` or the called module, and its arguments up to a pipe."""
    found = shlex.split(command.partition(" | ")[0], comments=True)
    if found[0] == "make":
        return "make", found[1:]
    if found[0] == "amr-tf":
        return f"amr_tf.{found[1]}", found[2:]
    start = found.index("-m")
    return found[start + 1], found[start + 2 :]
