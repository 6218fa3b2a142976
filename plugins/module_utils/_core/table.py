# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain text tables that fit a width: cells wrap, nothing is cut off."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, List, Sequence

__all__ = ["Column", "paragraph", "table", "wrap"]

_GAP = 2
# Names and values such as a.b.c, x:1,y:2 or /a/b may break after their punctuation.
_BREAKS = re.compile(r"(?<=[.,:;/=_-])")


@dataclass(frozen=True)
class Column:
    """How one column is laid out.

    title: the heading; a table whose titles are all empty has no heading.
    limit: the most characters that it takes; 0 takes what the others leave.
    right: align to the right, for numbers.
    """

    title: str = ""
    limit: int = 0
    right: bool = False


def wrap(text: str, width: int) -> List[str]:
    """Break a text into lines of at most C(width) characters, at least one line.

    Breaks at spaces; a word that is too long breaks after its punctuation, and
    anywhere where it has none.
    """
    lines: List[str] = []
    line = ""
    for word in text.split():
        pieces = _pieces(word, width) if len(word) > width else [word]
        if line and len(line) + 1 + len(pieces[0]) <= width:
            line = f"{line} {pieces[0]}"
        else:
            lines.append(line)
            line = pieces[0]
        for piece in pieces[1:]:
            lines.append(line)
            line = piece
    lines.append(line)
    return [one for one in lines if one] or [""]


def table(columns: Sequence[Column], rows: Iterable[Sequence[str]], *, width: int, indent: int = 0) -> List[str]:
    """Lay rows out in columns.

    Args:
        columns: one a cell; exactly one of them has no limit.
        rows: the cells' texts, one a column; a row of a single cell is a
            heading across all columns.
        width: the longest line, the indent included.
        indent: spaces before each line.

    Returns:
        The lines, without trailing spaces.
    """
    cells = [list(row) for row in rows]
    if any(column.title for column in columns):
        titles = [column.title for column in columns]
        cells = [titles, ["-" * len(title) for title in titles], *cells]
    widths = _widths(columns, [row for row in cells if len(row) == len(columns)], width - indent)
    lines: List[str] = []
    for row in cells:
        if len(row) == 1:
            lines += paragraph(row[0], width=width, first=" " * indent, rest=" " * indent)
            continue
        wrapped = [wrap(cell, size) for cell, size in zip(row, widths)]
        for number in range(max(len(cell) for cell in wrapped)):
            parts = []
            for column, cell, size in zip(columns, wrapped, widths):
                part = cell[number] if number < len(cell) else ""
                parts.append(part.rjust(size) if column.right else part.ljust(size))
            lines.append((" " * indent + (" " * _GAP).join(parts)).rstrip())
    return lines


def paragraph(text: str, *, width: int, first: str = "", rest: str = "") -> List[str]:
    """Wrap a text behind a first prefix (a bullet) and a prefix for the other lines."""
    lines = wrap(text, width - max(len(first), len(rest)))
    return [(first if number == 0 else rest) + line for number, line in enumerate(lines)]


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[str]], width: int) -> List[int]:
    """Each column as wide as its longest cell, up to its limit; the one without a limit gets the rest."""
    widths = [
        min(column.limit, max((len(row[number]) for row in cells), default=1)) for number, column in enumerate(columns)
    ]
    left = width - sum(widths) - _GAP * (len(columns) - 1)
    return [size if column.limit else max(left, 1) for column, size in zip(columns, widths)]


def _pieces(word: str, width: int) -> List[str]:
    pieces: List[str] = []
    piece = ""
    for part in _BREAKS.split(word):
        if len(piece) + len(part) <= width:
            piece += part
            continue
        if piece:
            pieces.append(piece)
        while len(part) > width:
            pieces.append(part[:width])
            part = part[width:]
        piece = part
    if piece:
        pieces.append(piece)
    return pieces
