# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dataclasses from what JSON and YAML have: the way back from C(dataclasses.asdict)."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Mapping, Type, TypeVar, Union, get_type_hints

__all__ = ["ShapeError", "from_plain"]

_T = TypeVar("_T")
_KINDS = {bool: "true or false", int: "a whole number from 0 to 2^64", float: "a number from 0 to 2^64", str: "a text"}
# What is beyond it was never counted, and could not be calculated with.
_MOST = 2**64


class ShapeError(ValueError):
    """A value that is not of the type; names its place in one line."""


def from_plain(kind: Type[_T], data: Any, *, name: str) -> _T:
    """Make a dataclass of plain data.

    Its fields may be bool, int, float and str (numbers from 0 to 2^64), Any, other dataclasses, C(Tuple[X, ...]),
    C(Mapping[str, X]) and C(Optional) of them. What the data lacks has its default, or is None where it may be; what they have beside is
    passed over, as later versions may add to them.

    name: of the data, for the errors. Raises ShapeError.
    """
    value: _T = _value(kind, data, name)
    return value


def _value(kind: Any, data: Any, name: str) -> Any:
    origin: Any = getattr(kind, "__origin__", None)
    arguments: Any = getattr(kind, "__args__", None)
    if origin is Union:
        return None if data is None else _value(arguments[0], data, name)
    if origin is tuple:
        if not isinstance(data, (list, tuple)):
            raise ShapeError(f"{name} must be a list")
        return tuple(_value(arguments[0], each, f"{name}[{number}]") for number, each in enumerate(data))
    if origin is not None:
        return {str(key): _value(arguments[1], each, f"{name}.{key}") for key, each in _mapping(data, name).items()}
    if kind is Any:
        return data
    if is_dataclass(kind):
        return _dataclass(kind, _mapping(data, name), name)
    return _scalar(kind, data, name)


def _dataclass(kind: Any, data: Mapping[Any, Any], name: str) -> Any:
    values = {}
    for hint, each in zip(_hints(kind), fields(kind)):
        if each.name in data:
            values[each.name] = _value(hint, data[each.name], f"{name}.{each.name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            if getattr(hint, "__origin__", None) is not Union:
                raise ShapeError(f"{name} has no {each.name}")
            values[each.name] = None
    return kind(**values)


def _hints(kind: Any) -> Any:
    hints = get_type_hints(kind)
    return [hints[each.name] for each in fields(kind)]


def _scalar(kind: Any, data: Any, name: str) -> Any:
    fits = isinstance(data, (int, float) if kind is float else kind) and isinstance(data, bool) == (kind is bool)
    # NaN is in no order.
    if not fits or (kind in (int, float) and not 0 <= data <= _MOST):
        raise ShapeError(f"{name} must be {_KINDS[kind]}, and is {data!r:.60}")
    # A text may be one of Ansible's own subclasses.
    return kind(data)


def _mapping(data: Any, name: str) -> Mapping[Any, Any]:
    if not isinstance(data, Mapping):
        raise ShapeError(f"{name} must be a mapping")
    return data
