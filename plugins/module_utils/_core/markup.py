# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML and SVG elements, in which a text can't become markup: only what C(element) made is taken as it stands."""

from __future__ import annotations

import html
from typing import Iterable, Optional, Union

__all__ = ["Markup", "element", "escape", "join", "optional"]

# They have no content and no end.
_VOID = frozenset({"br", "meta"})


class Markup(str):
    """A text that is markup already."""


Child = Union[str, Markup, None]


def escape(text: str) -> Markup:
    """A text as content or the value of an attribute.

    Strangers name rooms: what does not print (control characters, turns of the
    direction, halves of characters, which no encoding takes) becomes a space.
    """
    if isinstance(text, Markup):
        return text
    return Markup(html.escape("".join(each if each.isprintable() else " " for each in text)))


def element(tag: str, *children: Child, **attributes: Union[str, int, float, bool, None]) -> Markup:
    """One element.

    Args:
        tag: its name. children: its content, in order; None is none.
        attributes: C(class_) is class, C(data_x) is data-x; None or false leaves one out, true gives it no value.
    """
    said = "".join(
        f" {_attribute(key)}" if value is True else f' {_attribute(key)}="{escape(_number_or_text(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if tag in _VOID:
        return Markup(f"<{tag}{said}>")
    return Markup(f"<{tag}{said}>{join(children)}</{tag}>")


def join(children: Iterable[Child], separator: str = "") -> Markup:
    """Several after one another."""
    return Markup(separator.join(escape(child) for child in children if child is not None))


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _number_or_text(value: Union[str, int, float]) -> str:
    """Coordinates need no more than two places."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def optional(text: Optional[str], tag: str, **attributes: Union[str, int, float, bool, None]) -> Optional[Markup]:
    """An element with this text; None where there is no text."""
    return element(tag, text, **attributes) if text else None
