# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of PostgreSQL's parameters, read as PostgreSQL reads them.

What a value means depends on its parameter's row in C(pg_settings): there C(32768) and
C(256MB) are the same C(shared_buffers), and C(on) and C(true) are the same C(jit).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError

__all__ = ["LISTS", "Parameter", "Value", "as_text", "elements", "read", "same", "show"]

Value = Union[bool, int, float, str, Tuple[str, ...]]

# Parameters whose elements PostgreSQL quotes one by one: a value in one piece would become one element.
LISTS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)

_NUMBER = re.compile(
    r"\s*(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))\s*(?P<unit>[A-Za-z]*)\s*"
)
_UNIT = re.compile(r"(?P<count>\d*)(?P<unit>[A-Za-z]+)")
# Largest first, in bytes and in microseconds.
_MEMORY = (("TB", 1024**4), ("GB", 1024**3), ("MB", 1024**2), ("kB", 1024), ("B", 1))
_TIME = (
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("min", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1000),
    ("us", 1),
)
_TRUE, _FALSE = ("on", "true", "yes", "1"), ("off", "false", "no", "0")
# Words that PostgreSQL shows by another name than they were given.
_ALIASES = {("wal_compression", "on"): "pglz"}


@dataclass(frozen=True)
class Parameter:
    """One row of C(pg_settings).

    unit: such as C(8kB) or C(ms), None where the value has none; vartype: C(bool), C(integer),
    C(real), C(string) or C(enum); minimum, maximum: inclusive, in that unit; choices: of an
    enum; setting: what the reading session has; boot: the value that no file gives;
    pending_restart: a file has another value that waits for a restart; sourcefile: the file that
    setting is from, None where it is from none.
    """

    name: str
    setting: Optional[str]
    unit: Optional[str]
    vartype: str
    context: str
    source: str
    minimum: Optional[str] = None
    maximum: Optional[str] = None
    choices: Tuple[str, ...] = ()
    boot: Optional[str] = None
    pending_restart: bool = False
    sourcefile: Optional[str] = None


def as_text(value: Any) -> str:
    """A value of YAML or JSON as PostgreSQL's files have it; raises ParameterError for a mapping."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, (int, float, str)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(as_text(each) for each in value)
    raise ParameterError(f"{value!r} is no value of a parameter: give a number, a text, a switch or a list of texts")


def elements(name: str, text: str) -> Tuple[str, ...]:
    """The parts that ALTER SYSTEM has to quote one by one; one part for all but lists."""
    if name.lower() not in LISTS:
        return (text,)
    return tuple(part.strip().strip('"') for part in text.split(","))


def read(parameter: Parameter, text: str) -> Value:
    """What PostgreSQL understands, in the parameter's own unit.

    Raises ParameterError for what it would refuse: one line that names parameter and value.
    """
    if "\n" in text or "\0" in text:
        raise ParameterError(f"{parameter.name} cannot be set to a text of several lines: write it in one")
    if parameter.vartype == "bool":
        return _read_bool(parameter, text)
    if parameter.vartype == "enum":
        return _read_enum(parameter, text)
    if parameter.vartype in ("integer", "real"):
        return _read_number(parameter, text)
    parts = elements(parameter.name, text)
    return parts if parameter.name.lower() in LISTS else text


def same(parameter: Parameter, one: Optional[str], other: Optional[str], *, shown: bool = False) -> bool:
    """Whether both mean the same; what PostgreSQL would refuse equals nothing.

    None: no value. shown: one is from pg_settings, which prints six digits of a real.
    """
    if one is None or other is None:
        return one is other
    try:
        first, second = read(parameter, one), read(parameter, other)
    except ParameterError:
        return False
    if shown and isinstance(first, float) and isinstance(second, float):
        return f"{first:g}" == f"{second:g}"
    return first == second


def show(parameter: Parameter, setting: Optional[str]) -> Optional[str]:
    """A setting in the parameter's own unit, written for people: 16384 of 8kB is C(128MB)."""
    if setting is None or not parameter.unit or parameter.vartype != "integer" or not setting.isdigit():
        return setting
    base, table = _base(parameter.unit)
    size = int(setting) * base
    for unit, factor in table:
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return setting


def _read_bool(parameter: Parameter, text: str) -> bool:
    word = text.strip().lower()
    matches = {name in _TRUE for name in _TRUE + _FALSE if word and name.startswith(word)}
    # PostgreSQL takes unambiguous beginnings, such as "tr"; "o" could be on or off.
    if len(matches) == 1:
        return matches.pop()
    raise ParameterError(f"{parameter.name} cannot be {text!r}: write on or off")


def _read_enum(parameter: Parameter, text: str) -> str:
    word = text.lower()
    choices = {choice.lower(): choice for choice in parameter.choices}
    if word not in choices:
        # Words that PostgreSQL takes without listing them.
        for words, switch in ((_TRUE, "on"), (_FALSE, "off")):
            if word in words and switch in choices:
                word = switch
        if word == "debug" and "debug2" in choices:
            word = "debug2"
    if word not in choices:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: write one of {', '.join(parameter.choices)}")
    return _ALIASES.get((parameter.name, word), word)


def _read_number(parameter: Parameter, text: str) -> Union[int, float]:
    found = _NUMBER.fullmatch(text)
    if not found:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: {_wanted(parameter)}")
    number = _number(found.group("number"), whole=parameter.vartype == "integer")
    if number is None:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: {_wanted(parameter)}")
    if found.group("unit"):
        number = _convert(parameter, number, found.group("unit"), text)
    try:
        value: Union[int, float] = round(number) if parameter.vartype == "integer" else float(number)
    except OverflowError:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: {_wanted(parameter)}") from None
    if (parameter.minimum is not None and value < float(parameter.minimum)) or (
        parameter.maximum is not None and value > float(parameter.maximum)
    ):
        low, high = show(parameter, parameter.minimum), show(parameter, parameter.maximum)
        raise ParameterError(f"{parameter.name} cannot be {text!r}: PostgreSQL takes {low} to {high}")
    return value


def _number(text: str, *, whole: bool) -> Optional[Union[int, float]]:
    """As C's strtol (integers) and strtod do: a leading 0 makes an integer octal."""
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    if digits[:2].lower() == "0x":
        return sign * int(digits, 16)
    if whole and digits.isdigit():
        if len(digits) > 1 and digits.startswith("0"):
            return sign * int(digits, 8) if set(digits) <= set("01234567") else None
        return sign * int(digits)
    return float(text)


def _convert(parameter: Parameter, number: Union[int, float], unit: str, text: str) -> float:
    """To the parameter's unit; a fraction is rounded to the next smaller unit, as PostgreSQL does."""
    if not parameter.unit:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: it takes a number without a unit")
    base, table = _base(parameter.unit)
    names = [name for name, _factor in table]
    if unit not in names:
        raise ParameterError(f"{parameter.name} cannot be {text!r}: its units are {', '.join(reversed(names))}")
    index = names.index(unit)
    value = number * (table[index][1] / base)
    if index + 1 < len(table):
        smaller = table[index + 1][1] / base
        try:
            value = round(value / smaller) * smaller
        except OverflowError:
            return float("inf")
    return value


def _base(unit: str) -> Tuple[int, Tuple[Tuple[str, int], ...]]:
    """The size of C(8kB) or C(ms) in bytes or microseconds, and the units of its kind."""
    found = _UNIT.fullmatch(unit)
    if found:
        count = int(found.group("count") or 1)
        for table in (_MEMORY, _TIME):
            factor = dict(table).get(found.group("unit"))
            if factor is not None:
                return count * factor, table
    raise ParameterError(f"PostgreSQL measures in {unit!r}, which this collection does not know: update it")


def _wanted(parameter: Parameter) -> str:
    if not parameter.unit:
        return "write a number"
    _size, table = _base(parameter.unit)
    return "write a number with a unit, such as " + ("64MB" if table is _MEMORY else "10s")
