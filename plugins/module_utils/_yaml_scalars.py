# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a YAML scalar means, and how to write one so that it means it everywhere.

Two readings matter: Synapse's PyYAML (YAML 1.1: C(yes) is true, C(1:30) is 90)
and Compose's go-yaml (YAML 1.2 with leftovers: C(0777) is octal).
"""

from __future__ import annotations

import re
from typing import Any, Optional

__all__ = ["quote", "resolve"]

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL_12 = {
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_BOOL_11 = dict(_BOOL_12)
for _word in ("yes", "on"):
    _BOOL_11.update({_word: True, _word.capitalize(): True, _word.upper(): True})
for _word in ("no", "off"):
    _BOOL_11.update({_word: False, _word.capitalize(): False, _word.upper(): False})

_FLOAT_11 = re.compile(
    r"[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
    r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
)
_INT_11 = re.compile(
    r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+"
)
_FLOAT_12 = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INT_12 = re.compile(r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|0[0-7]+|0|[1-9][0-9]*)")
_SPECIAL = re.compile(r"([-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(value: str, style: str, tag: Optional[str], version: str) -> Any:
    """The Python value of a scalar; dates stay text.

    version: "1.1" reads as PyYAML does, "1.2" as Compose does.
    """
    if tag == "tag:yaml.org,2002:str" or (style != "plain" and (tag is None or tag.startswith("!"))):
        return value
    if value in _NULL:
        return None
    booleans = _BOOL_11 if version == "1.1" else _BOOL_12
    if value in booleans:
        return booleans[value]
    special = _SPECIAL.fullmatch(value)
    if special:
        return float(value.replace(".", ""))
    if not re.match(r"[-+.0-9]", value):
        return value
    return _number_11(value) if version == "1.1" else _number_12(value)


def _number_11(value: str) -> Any:
    digits = value.replace("_", "")
    try:
        if _INT_11.fullmatch(value):
            return _sexagesimal(digits, int) if ":" in digits else _integer(digits)
        if _FLOAT_11.fullmatch(value):
            return _sexagesimal(digits, float) if ":" in digits else float(digits)
    except ValueError:  # such as "0_" or "0b_"
        pass
    return value


def _number_12(value: str) -> Any:
    digits = value.replace("_", "")  # go-yaml drops them, whatever 1.2 says
    if _INT_12.fullmatch(digits):
        return _integer(digits.replace("0o", "0"))
    if _FLOAT_12.fullmatch(digits):
        return float(digits)
    return value


def _integer(digits: str) -> int:
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits[:2] in ("0b", "0x"):
        return sign * int(digits, 0)
    return sign * int(digits, 8 if digits.startswith("0") and digits != "0" else 10)


def _sexagesimal(digits: str, kind: Any) -> Any:
    sign = -1 if digits.startswith("-") else 1
    total = kind(0)
    for part in digits.lstrip("+-").split(":"):
        total = total * 60 + kind(part)
    return sign * total


_WORD = re.compile(r"-{0,2}[A-Za-z_/][A-Za-z0-9_./@%+=~-]*(?:[: ,()]+[A-Za-z0-9_./@%+=~()-]+)*")
_SIZE = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[KMGTkmgtbBshdwy]|ms|[kKMGTmgt]i?[bB])")
_AMBIGUOUS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"))
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\x1b": "\\e"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")


def quote(value: str, *, style: str, flow: bool) -> str:
    """A string on one line, in the wanted style ("plain", "'" or '"') where that is safe, else in double quotes."""
    if style == "plain" and _plain_is_safe(value, flow):
        return value
    if style == "'" and "\n" not in value and "\r" not in value and not _UNPRINTABLE.search(value):
        return "'" + value.replace("'", "''") + "'"
    escaped = "".join(_ESCAPES.get(char, char) for char in value)
    return '"' + _UNPRINTABLE.sub(_escape, escaped) + '"'


def _escape(found: Any) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _plain_is_safe(value: str, flow: bool) -> bool:
    """Deliberately narrow: what every reader takes for the same string."""
    if value.lower() in _AMBIGUOUS or (flow and re.search(r"[:,]", value)):
        return False
    if _SIZE.fullmatch(value):
        return True
    return bool(_WORD.fullmatch(value)) and ": " not in value and ":," not in value
