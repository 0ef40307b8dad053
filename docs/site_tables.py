"""Tables of the site that are made of the code: a page says where with <!-- table: NAME WORDS -->."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Iterable

from sphinx.application import Sphinx

from amr_tf.config import Config, command_line, flag_name
from amr_tf.reporting.published import TABLES

PLACE = re.compile(r"<!-- table: (\w+) ?(.*?) -->")
FLAGS = pathlib.Path(__file__).resolve().parent.parent / "flags"
PLUS_MINUS = "\u00a0±\u00a0"  # not broken at the end of a line
FOLDERS = {
    "table1": "Table 1",
    "table2": "Table 2",
    "table3": "Table 3",
    "low_data": "Few examples",
    "fast": "In minutes",
    "lines": "All methods on lines",
    "acai": "Compared with ACAI",
}


def flags(words: str) -> str:
    """Every flag of training, as `amr_tf.config` declares it: a list, since a table is too wide for a telephone."""
    entries = []
    for field in dataclasses.fields(Config):
        meta = field.metadata
        choices = f" One of: {', '.join(map(str, meta['choices']))}." if meta["choices"] else ""
        more = command_line.other_defaults(field.name)
        mark = " \\*" if meta["runtime"] else ""
        default = f"default `{meta['default']}`" if meta["default"] != "" else "default: empty"
        entries.append(
            f"`--{flag_name(field.name)}`{mark}\n: {plain(meta['help'])}.{plain(choices)} *{default}*{plain(more)}"
        )
    return "\n\n".join(entries)


def presets(words: str) -> str:
    """Every preset below `flags/` with what its first lines say, a table for each folder."""
    parts = []
    for folder, title in FOLDERS.items():
        rows = [(f"`{path.stem}`", *header(path)) for path in sorted((FLAGS / folder).glob("*.flags"))]
        head = ("preset", "what it is", "published", "time")
        parts.append(f"## {title}\n\nIn `flags/{folder}/`:\n\n{table(head, rows)}")
    return "\n\n".join(parts)


def header(path: pathlib.Path) -> tuple[str, str, str]:
    """What a preset is, the number that the paper has for it, and its time, of the comment that it begins with."""
    comment = "\n".join(
        line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")
    )
    what = re.match(r"# (.+?)(: Table|\. |\.?$)", comment, re.MULTILINE)
    number = re.search(r"Published: (\S+ \+- [\d.]+)", comment)
    time = re.search(r"Time: (?:about )?(\S+ \w+)", comment)
    found = [match[1] if match else "" for match in (what, number, time)]
    return plain(found[0]), found[1].replace(" +- ", PLUS_MINUS), found[2].replace(" ", "\u00a0")


def published(rows: str) -> str:
    """The paper's numbers in the rows of its tables that `rows` begins the names of, each with its preset."""
    lines = []
    for name in ("1", "2", "3"):
        for cell in TABLES[name].cells:
            if cell.row.startswith(rows) and cell.published:
                mean, sd, weight = cell.published
                preset = cell.preset.removeprefix("flags/").removesuffix(".flags")
                lines.append(
                    (
                        plain(f"Table {name}, {cell.column}"),
                        plain(cell.row),
                        f"{mean:.2f}{PLUS_MINUS}{sd:.2f}",
                        "" if weight is None else f"{weight:g}",
                        f"`{preset}`",
                    )
                )
    return table(("where", "method", "paper", "lambda", "preset in `flags/`"), lines)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ("---",) * len(head), *rows))


def plain(text: str) -> str:
    """Text in which Markdown sees no markup but flags, which are code."""
    parts = re.split(r"(--[\w=]+)", text)
    escaped = [re.sub(r"([|<>*_$\\`\[\]{}])", r"\\\1", part) for part in parts]
    return "".join(
        f"`{flag}`" if flag.startswith("--") else other for flag, other in zip(parts, escaped, strict=True)
    )


MAKERS: dict[str, Callable[[str], str]] = {"flags": flags, "presets": presets, "published": published}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = PLACE.sub(lambda found: MAKERS[found[1]](found[2]), source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
