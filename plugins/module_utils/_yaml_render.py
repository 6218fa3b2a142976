# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes to YAML text: on one line, or as the lines of a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._yaml_scalars import quote
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_tree import Node, Tree

__all__ = ["Layout", "block", "inline", "is_inline", "layout_of"]


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    step: spaces a level.  list_offset: what a list is indented below its key.
    newline: the file's line ending.
    """

    step: int = 2
    list_offset: int = 2
    newline: str = "\n"


def column_of(text: str, offset: int) -> int:
    """The column of an offset, from 0."""
    return offset - 1 - max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset))


def layout_of(tree: Tree) -> Layout:
    """The layout that the text already uses: its first nested mapping and its first list tell."""
    text = tree.text
    step: Optional[int] = None
    list_offset: Optional[int] = None
    for root in tree.roots:
        for node in root.walk() if root else ():
            if node.kind != "mapping" or node.style != "block":
                continue
            for name, value in node.pairs:
                if value.style != "block" or "\n" not in text[name.end : value.start].replace("\r", "\n"):
                    continue
                offset = column_of(text, value.start) - column_of(text, name.start)
                if value.kind == "sequence" and list_offset is None:
                    list_offset = offset
                elif value.kind == "mapping" and step is None:
                    step = offset
    first = text.find("\n")
    newline = "\r\n" if first > 0 and text[first - 1] == "\r" else "\n" if first >= 0 or "\r" not in text else "\r"
    step = step or 2
    return Layout(step=step, list_offset=step if list_offset is None else list_offset, newline=newline)


def is_inline(node: Node, flow: bool) -> bool:
    """True where the node stands on its key's own line."""
    return flow or node.style == "flow" or node.kind in ("scalar", "alias") or not (node.pairs or node.items)


def inline(node: Node, *, flow: bool, style: str = "plain") -> str:
    """The node on one line.

    flow: it stands inside C({}) or C([]).  style: the quotes for new strings.
    """
    if node.kind == "alias":
        return "*" + node.value
    if node.kind == "scalar":
        return _scalar(node, flow, style)
    if node.kind == "sequence":
        return "[" + ", ".join(inline(item, flow=True) for item in node.items) + "]"
    pairs = (f"{_key(name, True)}: {inline(value, flow=True)}" for name, value in node.pairs)
    return "{" + ", ".join(pairs) + "}"


def block(node: Node, indent: int, layout: Layout) -> List[str]:
    """The node's lines, without line endings, the first indented as the others."""
    pad = " " * indent
    lines: List[str] = []
    if node.kind == "sequence":
        for item in node.items:
            if is_inline(item, False):
                lines.append(f"{pad}- {inline(item, flow=False)}")
            else:
                nested = block(item, indent + 2, layout)
                lines.append(f"{pad}- {nested[0].lstrip(' ')}")
                lines.extend(nested[1:])
        return lines
    for name, value in node.pairs:
        if is_inline(value, False):
            lines.append(f"{pad}{_key(name, False)}: {inline(value, flow=False)}")
        else:
            offset = layout.list_offset if value.kind == "sequence" else layout.step
            lines.append(f"{pad}{_key(name, False)}:")
            lines.extend(block(value, indent + offset, layout))
    return lines


def _key(node: Node, flow: bool) -> str:
    return _scalar(node.real, flow, "plain")


def _scalar(node: Node, flow: bool, style: str) -> str:
    if node.style == "plain":
        # As it was written: "1.10" must not become 1.1. Only text folds over lines or holds a comma.
        simple = "\n" not in node.value and not (flow and set(node.value) & set(",[]{}"))
        return (node.value or "null") if simple else quote(node.value, style='"', flow=flow)
    if node.start >= 0 and node.style in "'\"":
        style = node.style
    return quote(node.value, style=style, flow=flow)
