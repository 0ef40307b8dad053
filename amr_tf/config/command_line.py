"""Parsing of command lines, presets and flags.txt into a Config and the source of each value.

A nested `--flagfile` is searched in the folder of the file that names it, then in the working directory, then in the
folder that contains this project's `flags/`. Presets can therefore be named from any working directory.
"""

import codecs
import contextlib
import dataclasses
import itertools
import os
import pathlib
import re
import textwrap
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from absl import flags

from amr_tf.config import PUBLISHED_DEFAULTS, Config, ConfigError, aliases, flag_name
from amr_tf.runtime import files
from amr_tf.runtime.errors import one_line

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
PRESET_ROOTS = (PACKAGE.parent, PACKAGE)  # parents of `flags/` in a checkout and in a wheel
DEMO = "--flagfile=flags/demo.flags"  # replaces an empty command line
DEFAULT, FLAG = "default", "flag"
ABSL_FLAGS = {"flagfile", "undefok"}  # flags that absl adds to every `FlagValues`
OWN_NAME, CHECKPOINTS = "flags.txt", "checkpoints"  # a file and a folder in every run folder
RUN_DIR = re.compile(r"--?run_dir(=|$)")
OWN_FIRST_LINE = "# Starts this run again: python -m amr_tf.train --flagfile=<this file>"  # of flags.txt


def parse(arguments: list[str]) -> tuple[Config, dict[str, str]]:
    """Parses `arguments` (without the program's name). If a flag or a preset repeats a flag, the last value wins.

    Returns:
        The Config, and a dict from field names to the source of each value: "default", "flag", "preset <file>" or the
        name of an environment variable.

    Raises:
        ConfigError: an unknown flag, a word that is not a flag, a missing preset, an invalid value or combination, or a
            path that cannot be used, such as the address of remote storage.
    """
    config, sources = _parse(_segments(arguments))
    for name, source in sources.items():
        if source != DEFAULT:
            config.place(name)
    return config, sources


def parse_file(path: pathlib.Path) -> tuple[Config, dict[str, str]]:
    """Parses a file of flags. Returns and raises as `parse` does.

    Unlike `--flagfile`, this function accepts every path. Paths in the file are not checked, because the paths of an
    old run may not exist on this machine.
    """
    path = path.resolve()
    return _parse(_segments(_read_words(path), f"preset {path.name}", path.parent, (path,)))


def _parse(segments: Iterable[tuple[str, list[str]]]) -> tuple[Config, dict[str, str]]:
    fields = {flag_name(field.name): field for field in dataclasses.fields(Config)}
    values = flags.FlagValues()
    for flag, field in fields.items():
        # Values stay text here. `Config` validates them.
        switch = field.type is bool  # --name and --noname
        flags.DEFINE_flag(flags.Flag(flags.ArgumentParser(), None, flag, None, "", boolean=switch), values)
    sources = {field.name: DEFAULT for field in fields.values()}
    removed = {f"--{name}=" for name in aliases.REMOVED}
    for source, words in segments:
        _check_words(words, source)
        try:
            stray = values(["amr_tf", *(word for word in words if word not in removed)])[1:]
        except flags.Error as error:
            raise ConfigError(f"{error} ({source}; --help lists the flags)") from None
        if stray:
            raise ConfigError(f"Flags are written --name=value. Received: {stray[0]!r} ({source})")
        for flag, field in fields.items():
            if values[flag].present:
                values[flag].present = 0
                sources[field.name] = source
    config = Config(**{field.name: _typed(field.type, values[flag].value) for flag, field in fields.items()})
    config.check_networks(config.image_width)
    for name, source in sources.items():
        if source == DEFAULT and not (origin := config.origin(name)).startswith("--"):
            sources[name] = origin
    return config, sources


def _typed(kind: Any, text: str | None) -> Any:
    """Converts `text` to a type. Invalid text is returned unchanged, and `Config` raises an error for it."""
    convert = flags.BooleanParser().parse if kind is bool else kind
    try:
        return text if text is None else convert(text)
    except ValueError:
        return text


def _check_words(words: list[str], source: str) -> None:
    for word in words:
        if not word.isprintable():
            raise ConfigError(f"Flags are printable text on one line. Received: {word!r} ({source})")
        # absl's --undefok, which makes absl ignore unknown flags, would hide misspelt flags.
        if re.fullmatch(r"--?undefok(=.*)?", word):
            raise ConfigError(f"Unknown flags fail. Received: {word} ({source}; --help lists the flags)")


def _segments(
    arguments: list[str],
    source: str = FLAG,
    folder: pathlib.Path | None = None,
    open_files: tuple = (),
    own_folder: bool = True,
) -> Iterator[tuple[str, list[str]]]:
    """Yields (source, words) in the order in which the words apply. Each `--flagfile` is replaced by its words.

    Args:
        arguments: the words of a command line or of a file.
        source: the name of the command line or file in error messages.
        folder: the folder of the file; None for a command line.
        open_files: the chain of files whose `--flagfile` led to these words, to detect cycles.
        own_folder: if true, the flags.txt of a run folder sets `--run_dir` to that folder, unless the words contain
            `--run_dir`.
    """
    own_folder = own_folder and not any(RUN_DIR.match(word) for word in arguments)
    words: list[str] = []
    remaining = iter(arguments)
    for word in remaining:
        match = re.fullmatch(r"--?flagfile(?:=(.*))?", word, re.DOTALL)
        if not match:
            words.append(word)
            continue
        yield source, words
        words = []
        name = match.group(1) if match.group(1) is not None else next(remaining, "")
        if not name.isprintable():
            raise ConfigError(f"Flags are printable text on one line. Received: {word!r} ({source})")
        found = _find(name, folder)
        path = found.resolve()
        if path in open_files:
            raise ConfigError(f"A preset cannot include itself. Received: --flagfile={name} in {path}")
        included = _read_words(path)
        if _is_of_a_run(path):
            included = [word for word in included if not RUN_DIR.match(word)]
            included += [f"--run_dir={found.parent}"] if own_folder else []
        yield from _segments(included, f"preset {name}", path.parent, (*open_files, path), own_folder)
    yield source, words


def _is_of_a_run(path: pathlib.Path) -> bool:
    """Returns true for a flags.txt in its run folder, and false for a copy in another folder."""
    with open(files.regular(path), "rb") as file:
        own = file.readline(1000).rstrip() == OWN_FIRST_LINE.encode()
    return own and path.name == OWN_NAME and path.with_name(CHECKPOINTS).is_dir()


def find_preset(name: str, folder: pathlib.Path | None = None) -> pathlib.Path:
    """Returns the resolved path of the preset file `name`.

    Args:
        name: the value of `--flagfile`.
        folder: folder of the file that contains the `--flagfile`. It is searched first.

    Raises:
        ConfigError: the file does not exist, or `name` is not a local path.
    """
    return _find(name, folder).resolve()


def _find(name: str, folder: pathlib.Path | None) -> pathlib.Path:
    preset = files.user_path(name, "--flagfile=")
    paths = [place / preset for place in (folder or pathlib.Path(), pathlib.Path(), *PRESET_ROOTS)]
    for path in paths:
        if os.path.isfile(path):  # pathlib's raises an error for some texts, such as too long names
            return path
    kind = "a folder" if any(map(os.path.isdir, paths)) else "not a regular file"
    there = f"It is {kind}. " if name and any(map(os.path.exists, paths)) else ""
    raise ConfigError(f"--flagfile names no readable file. {there}Received: --flagfile={name}")


def _read_words(path: pathlib.Path) -> list[str]:
    """Reads the flags of a UTF-8 file. A byte-order mark and all kinds of line ends are accepted."""
    try:
        content = files.regular(path).read_bytes()
        if encoding := _wide_encoding(content):
            convert = f"Convert it: iconv -f {encoding} -t UTF-8"
            raise ConfigError(f"A preset is a text file in UTF-8. Received: {path} in {encoding}. {convert}")
        # In concatenated files, a byte-order mark can also begin a later line.
        lines = [line.lstrip("\ufeff").strip() for line in content.decode().splitlines()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"A preset is a text file of flags, in UTF-8. Received: {path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"A preset is a text file of flags. Received: {path}: {error}") from None
    words = [line for line in lines if line and not line.startswith(("#", "//"))]
    return words


def _wide_encoding(content: bytes) -> str:
    """Returns "UTF-16" or "UTF-32" if the content is text in that encoding, otherwise "".

    The encoding is detected by a byte-order mark. Without a mark, it is detected by zero bytes and printable text.
    """
    marks = {
        "UTF-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
        "UTF-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    }
    for encoding, known in marks.items():  # UTF-32's little-endian mark begins with UTF-16's
        if content.startswith(known):
            return encoding
    if b"\0" not in content:
        return ""
    for encoding, order in itertools.product(marks, ("LE", "BE")):
        with contextlib.suppress(UnicodeDecodeError):
            if all(
                line.isprintable() for line in content.decode(f"{encoding}-{order}").expandtabs().splitlines()
            ):
                return encoding
    return ""


def read_own(values: flags.FlagValues, program: str, arguments: list[str]) -> list[str]:
    """Parses the flags of a command other than training into `values`; returns the words that are not flags.

    Raises:
        ConfigError: an unknown flag, an invalid value or path, or a flag file that is not text.
    """
    words = [word for _, words in _segments(arguments) for word in words]
    try:
        stray = values([program, *words])[1:]
    except (flags.Error, ValueError) as error:
        raise ConfigError(f"{one_line(error)} (--help lists the flags)") from None
    for name in values:
        flag = values[name]
        if isinstance(flag.parser, PathParser) and flag.value is not None:
            found = [files.user_path(text, f"--{name}=") for text in _listed(flag.value) if text]
            flag.value = found if isinstance(flag.value, list) else next(iter(found), None)
    return stray


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def known(flag: str, words: Iterable[str], names: Collection[str]) -> list[str]:
    """Checks the names in the list of a flag, and returns each name once. Old names of metrics become present names.

    Raises:
        ConfigError: a word that is not among the names.
    """
    words = [aliases.METRICS.get(word, word) for word in words]
    for word in words:
        if word not in names:
            raise ConfigError(f"--{flag} takes {', '.join(names)}. Received: {word!r}")
    return list(dict.fromkeys(words))


class PathParser(flags.ArgumentParser):
    """Parser of flags that take a path.

    `read_own` converts the value of such a flag to a `pathlib.Path`, or to None if the value is empty.
    """

    syntactic_help = "a path"

    def flag_type(self) -> str:
        return "path"


def define_path(name: str, help: str, flag_values: flags.FlagValues, several: bool = False) -> None:
    """Declares a flag that takes a path (default None) or, with `several`, a list of paths (default [])."""
    text: flags.ArgumentSerializer[Any] = flags.ArgumentSerializer()
    if several:
        flags.DEFINE_multi(PathParser(), text, name, [], help, flag_values)
    else:
        flags.DEFINE(PathParser(), name, None, help, flag_values, text)


def own_help(usage: str, values: flags.FlagValues) -> str:
    """Returns the help text of a command other than training."""
    texts = {}
    for name in sorted(set(values) - ABSL_FLAGS):
        default = f". Default: {values[name].default_as_str}" if values[name].default else ""
        texts[name] = f"{values[name].help}{default}."
    return "\n".join([usage, "", *_help("--flagfile=FILE reads them from a file", texts)])


def _help(more: str, texts: dict[str, str]) -> list[str]:
    lines = [f"Flags (--name=value; {more}):", ""]
    for flag, text in texts.items():
        lines += [f"--{flag}", *textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ")]
    return lines


def describe(config: Config, sources: dict[str, str]) -> list[tuple[str, str, str]]:
    """Returns (flag, value, source) of every setting, as printed at the start of a run."""
    return [(f"--{flag_name(name)}", str(getattr(config, name)), source) for name, source in sources.items()]


def flagfile_text(config: Config, sources: dict[str, str]) -> str:
    """Returns the content of a flag file that starts the same run again. Its flags are grouped by source."""
    config, lines = config.anchored(), [OWN_FIRST_LINE]
    for source in dict.fromkeys(sources.values()):
        lines += ["", f"# source: {source}"]
        lines += [config.flag(name) for name in sources if sources[name] == source]
    return "\n".join(lines) + "\n"


def train_help() -> str:
    """Returns the help text of the training command: every field of Config with its choices and defaults."""
    texts = {}
    for field in dataclasses.fields(Config):
        meta = field.metadata
        choices = f" One of: {', '.join(map(str, meta['choices']))}." if meta["choices"] else ""
        default = f"{meta['default']!r}{other_defaults(field.name)}"
        texts[flag_name(field.name)] = f"{meta['help']}.{choices} Default: {default}."
    return "\n".join(_help("--flagfile=FILE reads a preset", texts))


def other_defaults(name: str) -> str:
    """Returns a text in brackets with the published defaults of a field and the flags that select them.

    The text is "" if the field has no published default.
    """
    models: dict[tuple[str, str], list[str]] = {}  # models with the same value and other conditions
    for where, values in PUBLISHED_DEFAULTS:
        if name in values:
            rest = " ".join(
                f"--{flag_name(other)}={value}" for other, value in where.items() if other != "model"
            )
            models.setdefault((repr(values[name]), rest), []).append(where.get("model", ""))
    others = [
        " ".join(filter(None, (value, "with", named[0] and f"--model={' or '.join(named)}", rest)))
        for (value, rest), named in models.items()
    ]
    return f" ({'; '.join(others)})" if others else ""
