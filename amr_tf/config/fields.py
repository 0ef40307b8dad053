"""Declaration of one setting of a Config (default, help, limits), and validation of its value."""

import dataclasses
import math
import operator
import sys
from collections.abc import Callable, Collection
from typing import Any

from amr_tf.runtime.errors import ConfigError

# Upper limit of all whole numbers, because TensorFlow's default integers have 32 bits.
LARGEST_INT = 2**31 - 1


def option(
    default: Any,
    help: str,
    *,
    choices: Collection[Any] | None = None,
    prefixes: tuple[str, ...] = (),
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    methods: tuple[str, ...] = (),
    runtime: bool = False,
    path: bool = False,
    variable: str = "",
) -> Any:
    """Declares a field of Config. A field that is not given is None until `Config` fills in the default.

    Args:
        default: the value of runs for which no published default is declared.
        help: the description in `--help`, the docs and TensorBoard.
        choices: the accepted values, or a table of the registry, whose keys at the time of the check are accepted.
        prefixes: a value is also accepted if it is one of these prefixes followed by a path, such as "npz:FILE".
        low: inclusive lower bound.
        above: exclusive lower bound.
        high: inclusive upper bound.
        below: exclusive upper bound.
        methods: the values of `--model` that use the setting; all by default. Other methods accept only the default.
        runtime: true if the setting says where and how a run is executed. Such a setting may differ on resume.
        path: true if the value is a path, or "" for no path.
        variable: an environment variable. If it is set, its value replaces the default.
    """
    if methods:
        help = f"{help} (--model={', '.join(methods)})"
    high = LARGEST_INT if type(default) is int else high
    limits = {"low": low, "high": high, "above": above, "below": below}
    return dataclasses.field(
        default=None,
        metadata={
            "default": default, "help": help, "choices": choices, "prefixes": prefixes, "limits": limits,
            "methods": methods, "runtime": runtime, "path": path or bool(prefixes), "variable": variable,
        },
    )  # fmt: skip


def flag_name(field_name: str) -> str:
    """Returns the flag's name for a field. The field `lambda_` is needed because `lambda` is a keyword of Python."""
    return field_name.rstrip("_")


def checked(field: dataclasses.Field, value: Any) -> Any:
    """Validates a value and returns it. For a float field, an int is converted to float.

    Raises:
        ConfigError: the value has another type, is not finite, exceeds a limit or is not among the choices.
    """
    flag, kind = f"--{flag_name(field.name)}", field.type
    received = f"Received: {flag}={_shown(value)}"
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < sys.float_info.max else math.inf
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):  # type: ignore[arg-type]
        raise ConfigError(f"{flag} takes {_KIND_NAMES[kind]}. {received}")
    # flags.txt stores one value per line, and spaces at the ends of a line are lost.
    if kind is str and (not value.isprintable() or value != value.strip()):
        raise ConfigError(f"{flag} takes printable text on one line without spaces at its ends. {received}")
    choices, prefixes = field.metadata["choices"], field.metadata["prefixes"]
    if choices and value not in choices and (value in prefixes or not str(value).startswith(prefixes)):
        names = [*map(str, choices), *(f"{prefix}PATH" for prefix in prefixes)]
        raise ConfigError(f"{flag} takes one of {', '.join(names)}. {received}")
    if kind is float and not math.isfinite(value):
        raise ConfigError(f"{flag} takes a finite number. {received}")
    for name, (accepts, words) in _LIMITS.items():
        limit = field.metadata["limits"][name]
        if limit is not None and not accepts(value, limit):
            raise ConfigError(f"{flag} must be {words} {limit}. {received}")
    return value


def _shown(value: Any) -> str:
    """Formats any value on one short line."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # Python refuses to print integers of thousands of digits.
        text = "a number of thousands of digits"
    return text if len(text) <= 200 else f"{text[:200]}..."


_KIND_NAMES: dict[Any, str] = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}
_LIMITS: dict[str, tuple[Callable[[Any, Any], bool], str]] = {
    "low": (operator.ge, "at least"),
    "high": (operator.le, "at most"),
    "above": (operator.gt, "greater than"),
    "below": (operator.lt, "less than"),
}
