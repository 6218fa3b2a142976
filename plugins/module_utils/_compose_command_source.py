# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit a command that stands in a YAML scalar without writing the scalar anew.

A folded or quoted command of ten lines keeps its lines, quotes and indentation:
only the words that change are touched. Pure: source text to source text.
"""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._compose_command import (
    Append,
    Edit,
    Remove,
    Replace,
    Word,
    split,
)

__all__ = ["edited_source"]

# What may be spliced into any scalar style without quoting.
_HARMLESS = re.compile(r"[\w=.%/+-]+")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", " ": " ", '"': '"', "/": "/", "\\": "\\"}


def edited_source(source: str, style: str, words: Sequence[str], edits: Sequence[Edit]) -> Optional[str]:
    """The scalar's source after the edits; None where it has to be written anew.

    source: as it stands in the file, with quotes or block header. style: plain,
    ', ", | or >. words: those that the parsed value splits into.
    """
    characters = _characters(source, style)
    if characters is None or not all(_HARMLESS.fullmatch(text) for text in _new_texts(edits)):
        return None
    value, origins = characters
    found = split(value, origins=origins)
    if [word.text for word in found] != list(words) or not found:
        return None
    splices: List[Tuple[int, int, str]] = []
    for edit in edits:
        if isinstance(edit, Replace):
            word = found[edit.word]
            if edit.offset >= len(word.text):
                return None  # an empty value has no place of its own
            splices.append((word.origins[edit.offset], word.origins[-1] + 1, edit.text))
        elif isinstance(edit, Remove):
            splices.append(_removal(found, edit))
    added = [edit.words for edit in edits if isinstance(edit, Append)]
    if added:
        separator = _separator(source, found)
        splices.append((found[-1].end, found[-1].end, "".join(separator + " ".join(each) for each in added)))
    # Stable: an addition at the end of a word that is replaced comes after it.
    for start, end, text in sorted(splices, key=lambda splice: splice[:2], reverse=True):
        source = source[:start] + text + source[end:]
    return source


def _new_texts(edits: Sequence[Edit]) -> List[str]:
    texts = [edit.text for edit in edits if isinstance(edit, Replace)]
    return texts + [word for edit in edits if isinstance(edit, Append) for word in edit.words]


def _characters(source: str, style: str) -> Optional[Tuple[str, List[int]]]:
    """The scalar's characters before folding, with their offsets: folding moves blanks only."""
    if style == "plain":
        return source, list(range(len(source)))
    if style in ("|", ">"):
        header = re.match(r"[|>][^\n]*\n", source)
        if header is None:
            return None
        return source[header.end() :], list(range(header.end(), len(source)))
    if style == "'":
        return _single_quoted(source)
    return _double_quoted(source)


def _single_quoted(source: str) -> Tuple[str, List[int]]:
    offsets: List[int] = []
    index = 1
    while index < len(source) - 1:
        offsets.append(index)
        index += 2 if source[index] == "'" else 1
    return "".join(source[offset] for offset in offsets), offsets


def _double_quoted(source: str) -> Optional[Tuple[str, List[int]]]:
    text: List[str] = []
    offsets: List[int] = []
    index = 1
    while index < len(source) - 1:
        char, step = source[index], 1
        if char == "\\":
            continued = re.compile(r"\\\r?\n[ \t]*").match(source, index)
            if continued:
                index = continued.end()
                continue
            if source[index + 1] not in _ESCAPES:
                return None
            char, step = _ESCAPES[source[index + 1]], 2
        text.append(char)
        # The last character of the escape: a range that ends here ends after it.
        offsets.append(index + step - 1)
        index += step
    return "".join(text), offsets


def _removal(words: Sequence[Word], edit: Remove) -> Tuple[int, int, str]:
    """A flag goes with the blanks before it; the first word with those after it."""
    first, last = edit.words[0], edit.words[-1]
    if first > 0:
        return words[first - 1].end, words[last].end, ""
    return words[first].start, words[last + 1].start if last + 1 < len(words) else words[last].end, ""


def _separator(source: str, words: Sequence[Word]) -> str:
    """What stands before the last line of flags, so that each new one gets its own line; else a blank."""
    for before, after in zip(reversed(words[:-1]), reversed(words[1:])):
        gap = source[before.end : after.start]
        if not gap.strip(" \t\r\n") and "\n" in gap:
            return ("\r\n" if "\r\n" in gap else "\n") + gap.rpartition("\n")[2]
    return " "
