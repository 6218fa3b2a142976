# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an edit goes: from nodes and their places to splices of the text.

Nothing here changes a tree. Every function returns splices, (start, end, text)
with offsets into the tree's text, that do not overlap.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._yaml_render import (
    Layout,
    block,
    column_of,
    inline,
    is_inline,
)
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_tree import Node, Tree

__all__ = ["Place", "Splice", "append", "delete", "join", "replace", "start_root"]

Splice = Tuple[int, int, str]

_NEWLINE = re.compile(r"\r\n|\r|\n")
_COMMA = re.compile(r"(?:\s|(?<=\s)#[^\r\n]*)*,")
_MODELINE = re.compile(r"#.*\b(?:vim?|ex):|#\s*-\*-")


@dataclass(frozen=True)
class Place:
    """A value and what holds it.

    holder: the mapping or sequence.  index: which of its pairs or items.
    flow: the holder stands in flow style (or inside such a one).
    """

    holder: Node
    index: int
    flow: bool

    @property
    def key(self) -> Optional[Node]:
        """The key's node; None in a sequence."""
        return self.holder.pairs[self.index][0] if self.holder.kind == "mapping" else None

    @property
    def value(self) -> Node:
        """The value's node."""
        return self.holder.pairs[self.index][1] if self.holder.kind == "mapping" else self.holder.items[self.index]

    @property
    def end(self) -> int:
        """The end of the entry."""
        return max(self.value.end, self.key.end if self.key else 0)


def join(text: str, splices: List[Splice]) -> str:
    """The text with the splices made."""
    for start, end, new in sorted(splices, reverse=True):
        text = text[:start] + new + text[end:]
    return text


# -- lines -------------------------------------------------------------------
def line_start(text: str, offset: int) -> int:
    """The offset at which the line of this offset starts."""
    return offset - column_of(text, offset)


def line_end(text: str, offset: int) -> int:
    """The offset after the line ending of the line of this offset."""
    found = _NEWLINE.search(text, offset)
    return found.end() if found else len(text)


def _line(text: str, start: int) -> str:
    return text[start : line_end(text, start)]


def _is_blank(text: str, start: int) -> bool:
    return not _line(text, start).strip()


def _previous(text: str, start: int) -> Optional[int]:
    """The start of the line before the one that starts here."""
    if start == 0:
        return None
    back = start - 2 if text[start - 2 : start] == "\r\n" else start - 1
    return line_start(text, back)


def _add_lines(text: str, at: int, lines: List[str], layout: Layout) -> Splice:
    """Put lines at the start of a line, or after a last line that has no line ending."""
    new = layout.newline.join(lines)
    if at == len(text) and text and text[-1] not in "\r\n":
        return at, at, layout.newline + new
    return at, at, new + layout.newline


def _drop_lines(text: str, start: int, end: int) -> Splice:
    """Remove whole lines; at the end of a text without a last line ending, also the one before."""
    if end == len(text) and text[-1:] not in ("\r", "\n") and start > 0:
        start -= 2 if text[start - 2 : start] == "\r\n" else 1
    return start, end, ""


# -- replacing ---------------------------------------------------------------
def _dash(text: str, sequence: Node, item: Node) -> int:
    """The offset of an item's C(-): all of a sequence's stand in one column."""
    column = column_of(text, sequence.start)
    start = line_start(text, item.head)
    while text[start + column : start + column + 1] != "-" or start + column > item.head:
        before = _previous(text, start)
        if before is None:
            break
        start = before
    return start + column


def _after_indicator(tree: Tree, place: Place) -> int:
    """The offset after the colon (or the dash) and the value's anchor, if it has one."""
    text, value = tree.text, place.value
    if place.key is None:
        offset = _dash(text, place.holder, value) + 1
    else:
        found = re.compile(r"\s*:").match(text, place.key.end)
        if not found:
            tree.fail(place.key.start, "this key has no ': VALUE' to edit; write it as 'key: value'")
        offset = found.end()
    if value.anchor:
        return re.compile(r"&[^\s,\[\]{}]*").search(text, value.head).end()  # type: ignore[union-attr]
    return offset


def replace(tree: Tree, place: Place, new: Node, layout: Layout) -> List[Splice]:
    """Put a new value in the place of one that is there."""
    text, old = tree.text, place.value
    if old.kind in ("mapping", "sequence") and old.style == "block":
        return _replace_block(tree, place, new, layout)
    if is_inline(new, place.flow) or (old.kind != "scalar" and old.style == "flow"):
        return [_replace_inline(tree, place, new, layout)]
    # One line becomes a block: what follows the value on its line, a comment, stays.
    after = _after_indicator(tree, place)
    if old.end > old.start and _NEWLINE.search(text, after, old.start):
        start, end = line_start(text, old.start), line_end(text, old.end)
        return [_drop_lines(text, start, end), _add_lines(text, end, _nested(text, place, new, layout), layout)]
    at = line_end(text, old.end)
    cut = min(after, old.start)
    return [(cut, max(cut, old.end), ""), _add_lines(text, at, _nested(text, place, new, layout), layout)]


def _nested(text: str, place: Place, new: Node, layout: Layout) -> List[str]:
    """The lines of a block value below its key."""
    holder_column = column_of(text, (place.key or place.holder).start)
    if place.key is None:
        return block(new, holder_column + 2, layout)
    return block(new, holder_column + (layout.list_offset if new.kind == "sequence" else layout.step), layout)


def _replace_inline(tree: Tree, place: Place, new: Node, layout: Layout) -> Splice:
    text, old = tree.text, place.value
    rendered: Optional[str] = None
    if old.kind == "scalar" and old.style in "|>" and new.kind == "scalar" and new.style != "plain":
        rendered = _block_scalar(text, old, new.value, layout)
    if rendered is None:
        style = old.style if old.kind == "scalar" and old.style in "'\"" else "plain"
        rendered = inline(new, flow=place.flow or not is_inline(new, False), style=style)
    start = old.start
    if old.tag is not None:  # a tag says what the old value was
        start = old.head
        rendered = f"&{old.anchor} {rendered}" if old.anchor else rendered
    if old.end > old.start:
        return start, old.end, rendered
    if place.key is not None and ":" not in text[place.key.end : old.start]:
        if not place.flow:
            _after_indicator(tree, place)
        return place.key.end, old.end, ": " + rendered
    before = "" if text[start - 1 : start] in (" ", "") else " "
    after = " " if text[old.end : old.end + 1] not in ("", " ", "\t", "\r", "\n", ",", "]", "}") else ""
    return start, old.end, before + rendered + after


def _block_scalar(text: str, old: Node, value: str, layout: Layout) -> Optional[str]:
    """A C(|) or C(>) text in the old one's style and indentation; None where that style can't hold it."""
    lines = value[:-1].split("\n") if value.endswith("\n") else value.split("\n")
    unsafe = not all(lines) or any(line != line.strip() or re.search(r"[^ -~\xa0-\ud7ff]", line) for line in lines)
    if unsafe or (old.style == ">" and len(lines) > 1):
        return None
    first = line_end(text, old.start)
    indent = re.compile(r"[ \r\n]*").match(text, first).end()  # type: ignore[union-attr]
    if indent >= old.end:
        return None
    pad = " " * column_of(text, indent)
    head = old.style + ("" if value.endswith("\n") else "-")
    comment = re.sub(r"^[|>][-+0-9]*", "", text[old.start : first].rstrip())
    return head + comment + "".join(layout.newline + pad + line for line in lines)


def _replace_block(tree: Tree, place: Place, new: Node, layout: Layout) -> List[Splice]:
    text, old = tree.text, place.value
    after = _after_indicator(tree, place)
    one_line = is_inline(new, place.flow)
    if not _NEWLINE.search(text, after, old.start):  # "- key: value": the block begins beside its dash
        lines = [inline(new, flow=False)] if one_line else _nested(text, place, new, layout)
        return [(old.start, old.end, layout.newline.join(lines).lstrip(" "))]
    start, end = line_start(text, old.start), line_end(text, old.end)
    if one_line:
        return [(after, after, " " + inline(new, flow=False)), _drop_lines(text, start, end)]
    return [_drop_lines(text, start, end), _add_lines(text, end, _nested(text, place, new, layout), layout)]


# -- adding ------------------------------------------------------------------
def append(tree: Tree, holder: Node, new: Node, *, flow: bool, layout: Layout) -> List[Splice]:
    """Add the pairs (or items) of C(new), a node of the holder's kind, at the holder's end."""
    if flow:
        _quote_as_json(tree, holder, new)
        return _append_flow(tree.text, holder, new, layout)
    text = tree.text
    column = column_of(text, holder.start)
    lines = block(new, column, layout)
    if holder in tree.roots:
        return [_add_section(tree, holder, lines, layout)]
    if holder.kind == "sequence" and _is_unindented(tree, holder, column):
        column += 1  # a comment in this column is about the next key
    at = _after_comments(text, line_end(text, holder.end), column, len(text))
    return [_add_lines(text, at, lines, layout)]


def _is_unindented(tree: Tree, sequence: Node, column: int) -> bool:
    """True for a list whose dashes stand in the column of its key."""
    nodes = (node for root in tree.roots if root for node in root.walk())
    keys = (name for node in nodes for name, value in node.pairs if value is sequence)
    return any(column_of(tree.text, name.start) == column for name in keys)


def _quote_as_json(tree: Tree, holder: Node, new: Node) -> None:
    """Double-quote new keys and strings where the flow may be JSON: all keys of it are quoted so."""
    root = tree.roots[0]
    siblings = holder.pairs or (root.pairs if root is not None and root.style == "flow" else [])
    if not siblings or any(name.style != '"' for name, _value in siblings):
        return
    for node in new.walk():
        if node.kind == "scalar" and node.start < 0 and node.style == '"':
            node.start = 0  # as if it had stood in a file: C(inline) keeps its quotes


def _after_comments(text: str, start: int, column: int, limit: int) -> int:
    """Skip the comments that belong to a section: those indented at least as far as its keys."""
    at = start
    while start < limit:
        line = _line(text, start)
        if line.strip():
            if not line.lstrip(" \t").startswith("#") or len(line) - len(line.lstrip(" \t")) < column:
                break
            at = line_end(text, start)
        start = line_end(text, start)
    return at


def _append_flow(text: str, holder: Node, new: Node, layout: Layout) -> List[Splice]:
    rendered = inline(new, flow=True)[1:-1]
    entries = [each for pair in holder.pairs for each in pair] or holder.items
    if not entries:
        return [(holder.start + 1, holder.end - 1, rendered)]
    last = max(each.end for each in entries[-2:])
    first = entries[0].head
    comma = _COMMA.match(text, last)
    own_lines = _NEWLINE.search(text, holder.start, first) and _NEWLINE.search(text, last, holder.end)
    if not own_lines:
        at = comma.end() if comma else last
        return [(at, at, f" {rendered}," if comma else f", {rendered}")]
    line = " " * column_of(text, first) + rendered + ("," if comma else "")
    at = line_end(text, comma.end() if comma else last)
    return ([] if comma else [(last, last, ",")]) + [_add_lines(text, at, [line], layout)]


def _root_end(tree: Tree, start: int) -> int:
    """Where the first document's sections end: before blank lines, a modeline, C(...) or C(---)."""
    text, limit = tree.text, tree.limits[0][1] if tree.limits else len(tree.text)
    at = _after_comments(text, start, 0, limit)
    last = _previous(text, at)
    if last is not None and last >= start and _MODELINE.match(_line(text, last)):
        at = last
        while at > start and _is_blank(text, _previous(text, at) or 0):
            at = _previous(text, at) or 0
    return at


def _add_section(tree: Tree, root: Node, lines: List[str], layout: Layout) -> Splice:
    text = tree.text
    at = _root_end(tree, line_end(text, root.end))
    apart = any(_is_apart(text[before[1].end : after[0].head]) for before, after in zip(root.pairs, root.pairs[1:]))
    last = _previous(text, at if text[:at].endswith(("\r", "\n")) else len(text) + 1) or 0
    apart = apart or _line(text, last).startswith("#")
    return _add_lines(text, at, [""] * apart + lines, layout)


def _is_apart(gap: str) -> bool:
    """True where a blank line stands between two sections, below the comments that end the first."""
    lines = gap.splitlines()[1:]
    while any(line[:1] in " \t" and line.strip() for line in lines):
        del lines[0]
    return any(not line.strip() for line in lines)


def start_root(tree: Tree, new: Node, layout: Layout) -> List[Splice]:
    """Give a document that holds nothing its first sections."""
    text = tree.text
    if tree.roots and tree.roots[0] is not None and tree.roots[0].end > tree.roots[0].head:
        tree.fail(tree.roots[0].head, "the document is a bare null; remove that word")
    start = tree.limits[0][0] if tree.limits else 0
    at = _root_end(tree, line_end(text, start) if start else 0)
    lines = block(new, 0, layout)
    last = _previous(text, at) if text[:at].endswith(("\r", "\n")) else line_start(text, at)
    comment = at > 0 and last is not None and _line(text, last).startswith("#")
    return [_add_lines(text, at, [""] * comment + lines, layout)]


# -- removing ----------------------------------------------------------------
def delete(tree: Tree, chain: List[Place]) -> List[Splice]:
    """Remove an entry, with the holders that it leaves empty.

    chain: the outermost entry to go first, the one that was asked for last;
    each but the last holds nothing but the next. Comments between them stay.
    """
    text = tree.text
    place = chain[0]
    if place.flow:
        return _delete_flow(text, place)
    head = place.key.head if place.key else _dash(text, place.holder, place.value)
    start = line_start(text, head)
    if text[start:head].strip(" ?"):  # the first key beside its dash: the dash stays
        return [_delete_beside_dash(text, place, head)]
    splices: List[Splice] = []
    for outer, inner in zip(chain, chain[1:]):
        if inner.flow:
            break
        begin = inner.key.head if inner.key else _dash(text, inner.holder, inner.value)
        header = line_end(text, _after_indicator(tree, outer))
        if header < line_start(text, begin):  # comments between
            splices.append((start, header, ""))
            start = line_start(text, begin)
    end = line_end(text, chain[0].end)
    splices.append(_drop_lines(text, start, end))
    return splices if len(splices) > 1 else splices + _collapse(tree, start, end)


def _collapse(tree: Tree, start: int, end: int) -> List[Splice]:
    """An entry between blank lines (or a blank line and the end) takes the one before along, as C(_add_section) put it."""
    text = tree.text
    before = _previous(text, start)
    if before is None or not _is_blank(text, before):
        return []
    closing = end >= len(text) or end >= tree.limits[0][1] or _is_blank(text, end) or _MODELINE.match(_line(text, end))
    if not closing:
        return []
    if end >= len(text) and text[-1] not in "\r\n":  # the line ending before goes with the entry
        start -= 2 if text[start - 2 : start] == "\r\n" else 1
        before_end = before - (2 if text[before - 2 : before] == "\r\n" else 1) if before else 0
        return [(before_end, start, "")]
    return [(before, start, "")]


def _delete_beside_dash(text: str, place: Place, head: int) -> Splice:
    holder, index = place.holder, place.index + 1
    if index >= len(holder.pairs or holder.items):
        return head, place.end, "{}"
    following = holder.pairs[index][0].head if holder.pairs else _dash(text, holder, holder.items[index])
    if "#" in text[place.end : following]:
        return head, place.end, ""
    return head, following, ""


def _delete_flow(text: str, place: Place) -> List[Splice]:
    holder = place.holder
    entries = [(name.head, max(name.end, value.end)) for name, value in holder.pairs]
    entries = entries or [(item.head, item.end) for item in holder.items]
    start, end = entries[place.index]
    is_last = place.index + 1 == len(entries)
    comma = _COMMA.match(text, end)
    after = line_end(text, comma.end() if comma else end)
    own_lines = not text[line_start(text, start) : start].strip() and not re.sub(r"#.*", "", text[end:after]).strip(
        ", \r\n"
    )
    if own_lines and after <= line_start(text, holder.end - 1):
        splices: List[Splice] = [(line_start(text, start), after, "")]
        if is_last and place.index and not comma:
            before = entries[place.index - 1][1]
            found = _COMMA.match(text, before)
            splices += [(found.end() - 1, found.end(), "")] if found else []
        return splices
    if not is_last:
        return [(start, entries[place.index + 1][0], "")]
    if place.index:
        return [(entries[place.index - 1][1], end, "")]
    return [(start, comma.end() if comma else end, "")]
