"""From words on a command line to a Config, and where each of its values came from.

Presets may be named from any folder: a nested `--flagfile` is looked for beside the file that names it, then in
the working directory, then where this project keeps `flags/`.
"""

import dataclasses
import os
import pathlib
import re
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

from absl import flags

from amr_tf.config import PUBLISHED_DEFAULTS, Config, ConfigError, flag_name
from amr_tf.runtime import files
from amr_tf.runtime.errors import one_line

PACKAGE = pathlib.Path(__file__).resolve().parents[1]
# In a checkout `flags/` lies beside the package; a wheel carries it inside.
PRESET_ROOTS = (PACKAGE.parent, PACKAGE)
DEFAULT, FLAG = "default", "flag"
OWN_FIRST_LINE = "# Starts this run again: python -m amr_tf.train --flagfile=<this file>"  # of flags.txt
# Flags of earlier versions, as old flags.txt files contain them: without effect.
REMOVED = ("--lambdas=",)
_FLAGFILE = re.compile(r"--?flagfile(?:=(.*))?")
# absl's own flag that lets unknown flags pass: a misspelt one would be ignored silently.
_UNDEFOK = re.compile(r"--?undefok(?:=.*)?")


def parse(arguments: list[str]) -> tuple[Config, dict[str, str]]:
    """Reads `arguments` (without the program's name). Later flags win, those of preset files included.

    Returns:
        The Config and, by field name, the source of each value: "default", "flag" or "preset <file>".

    Raises:
        ConfigError: an unknown flag, a stray word, a missing preset, an impossible value or combination.
    """
    return _parse(_segments(arguments))


def parse_file(path: pathlib.Path) -> tuple[Config, dict[str, str]]:
    """Reads a file of flags, wherever it lies: no flag could name every path. Returns and raises what `parse` does."""
    path = path.resolve()
    return _parse(_segments(_read_words(path), f"preset {path.name}", path.parent, (path,)))


def _parse(segments: Iterable[tuple[str, list[str]]]) -> tuple[Config, dict[str, str]]:
    fields = {flag_name(field.name): field for field in dataclasses.fields(Config)}
    values = flags.FlagValues()
    for flag, field in fields.items():
        kind = _Switch if field.type is bool else _Text
        flags.DEFINE_flag(kind(flag), values)
    sources = {field.name: DEFAULT for field in fields.values()}
    for source, words in segments:
        try:
            stray = values(["amr_tf", *(word for word in words if word not in REMOVED)])[1:]
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
    return config, sources


class _Text(flags.Flag):
    """--name=value, kept as text: what is wrong with it, Config says."""

    def __init__(self, name: str):
        super().__init__(flags.ArgumentParser(), None, name, None, "")


class _Switch(flags.BooleanFlag):
    """--name, --noname or --name=true; other text is kept for Config to refuse."""

    def __init__(self, name: str):
        super().__init__(name, None, "")
        self.parser = _SwitchParser()


class _SwitchParser(flags.BooleanParser):
    def parse(self, argument):
        try:
            return super().parse(argument)
        except ValueError:
            return argument


def _typed(kind: Any, text: str | None) -> Any:
    """`text` as a `kind`. What cannot be one stays text: Config refuses it and says why."""
    try:
        return text if text is None or kind is bool else kind(text)
    except ValueError:
        return text


def _segments(
    arguments: list[str], source: str = FLAG, folder: pathlib.Path | None = None, open_files: tuple = ()
) -> Iterator[tuple[str, list[str]]]:
    """Splits the words at each `--flagfile` into (source, words) runs, in the order in which they apply."""
    for word in arguments:
        if not word.isprintable():
            raise ConfigError(f"Flags are printable text on one line. Received: {word!r} ({source})")
        if _UNDEFOK.fullmatch(word):
            raise ConfigError(f"No flag may go unknown. Received: {word} ({source}; --help lists the flags)")
    words: list[str] = []
    remaining = iter(arguments)
    for word in remaining:
        match = _FLAGFILE.fullmatch(word)
        if not match:
            words.append(word)
            continue
        yield source, words
        words = []
        name = match.group(1) if match.group(1) is not None else next(remaining, "")
        path = find_preset(name, folder)
        if path in open_files:
            raise ConfigError(f"A preset cannot include itself. Received: --flagfile={name} in {path}")
        yield from _segments(_read_words(path), f"preset {name}", path.parent, (*open_files, path))
    yield source, words


def find_preset(name: str, folder: pathlib.Path | None = None) -> pathlib.Path:
    """The preset file called `name`, seen from `folder` (that of the file that includes it) first.

    Raises:
        ConfigError: no such file.
    """
    for place in (folder or pathlib.Path(), pathlib.Path(), *PRESET_ROOTS):
        # Unlike pathlib's, these two take any text for a name: too long, of an unknown user, out of bounds.
        path = os.path.join(place, os.path.expanduser(name))
        if os.path.isfile(path):
            return pathlib.Path(path).resolve()
    raise ConfigError(f"--flagfile names no readable file. Received: --flagfile={name}")


def _read_words(path: pathlib.Path) -> list[str]:
    try:
        lines = [line.strip() for line in files.regular(path).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"A preset is a text file of flags. Received: {path}: {error}") from None
    return [line for line in lines if line and not line.startswith(("#", "//"))]


def read_own(values: flags.FlagValues, program: str, arguments: list[str]) -> list[str]:
    """Gives the flags of a binary that trains nothing itself their values; returns the words that are no flags.

    Raises:
        ConfigError: an unknown flag, a value that is none, or a flag file that is no text.
    """
    try:
        return values([program, *arguments])[1:]
    except (flags.Error, ValueError) as error:
        raise ConfigError(f"{one_line(error)} (--help lists the flags)") from None


def describe(config: Config, sources: dict[str, str]) -> list[tuple[str, str, str]]:
    """(flag, value, source) of every setting, as printed at the start of a run."""
    return [(f"--{flag_name(name)}", str(getattr(config, name)), source) for name, source in sources.items()]


def flagfile_text(config: Config, sources: dict[str, str]) -> str:
    """The resolved settings as a flag file that starts the same run again, grouped by source."""
    lines = [OWN_FIRST_LINE]
    for source in dict.fromkeys(sources.values()):
        lines += ["", f"# source: {source}"]
        lines += [config.flag(name) for name in sources if sources[name] == source]
    return "\n".join(lines) + "\n"


def help_text(program: str, purpose: str) -> str:
    """What `--help` prints: every field of Config with its choices and its default, or published defaults."""
    lines = [f"{program}: {purpose}", "", "Flags (--name=value; --flagfile=FILE reads a preset):", ""]
    for field in dataclasses.fields(Config):
        meta = field.metadata
        choices = f" One of: {', '.join(map(str, meta['choices']))}." if meta["choices"] else ""
        text = f"{meta['help']}.{choices} Default: {meta['default']!r}{other_defaults(field.name)}."
        lines += [f"--{flag_name(field.name)}"]
        lines += textwrap.wrap(text, 100, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def other_defaults(name: str) -> str:
    """The published defaults of a field, each with the flags that bring it, in brackets; empty where it has none."""
    others = [
        f"{row.values[name]!r} with "
        + " ".join(f"--{flag_name(k)}={v}" for k, v in row.where.items() if v is not None)
        for row in PUBLISHED_DEFAULTS
        if name in row.values
    ]
    return f" ({'; '.join(others)})" if others else ""
