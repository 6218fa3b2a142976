# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML text to a tree of nodes that know where in the text they stand.

Built from ruamel.yaml's events and not from its C(compose()): composing replaces
an alias by the node it points at, and the alias' own place in the text is lost.
"""

from __future__ import annotations

import math
import re
from typing import Any, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import YamlProblem
from ansible_collections.synapse.tuning.plugins.module_utils._deps import ruamel_yaml
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_scalars import resolve

__all__ = ["Node", "Tree", "literal", "nest", "parse"]

Key = Any  # a str or an int; whatever a YAML key resolves to


class Node:
    """A scalar, mapping, sequence or alias.

    head: where the node begins, its anchor and tag included.  start: where its
    content begins.  end: the end of its last character (of its last child, for
    a block collection), never of the blank lines and comments that follow.
    All three are offsets into the text; -1 in nodes made by C(literal()).
    """

    __slots__ = ("kind", "head", "start", "end", "anchor", "tag", "style", "value", "pairs", "items", "target")

    def __init__(self, kind: str, *, value: str = "", style: str = "") -> None:
        self.kind = kind
        self.head = self.start = self.end = -1
        self.anchor: Optional[str] = None
        self.tag: Optional[str] = None
        self.style = style  # scalars: plain ' " | >; collections: block, flow
        self.value = value  # scalars: the text as parsed; aliases: the anchor's name
        self.pairs: List[Tuple[Node, Node]] = []
        self.items: List[Node] = []
        self.target: Optional[Node] = None

    def become(self, other: Node) -> None:
        """Take the other's content, so that whoever points here sees it; keep the anchor."""
        for name in ("kind", "tag", "style", "value", "pairs", "items", "target"):
            setattr(self, name, getattr(other, name))

    @property
    def real(self) -> Node:
        """The node that an alias stands for; itself for the others."""
        return self.target if self.target is not None else self

    @property
    def is_merge_key(self) -> bool:
        """True for the C(<<) that PyYAML and Compose merge by."""
        return self.kind == "scalar" and self.style == "plain" and self.value == "<<"

    def is_null(self, version: str) -> bool:
        """True for a scalar that reads as null."""
        return self.kind == "scalar" and resolve(self.value, self.style, self.tag, version) is None

    def walk(self) -> Iterator[Node]:
        """This node and all below it; does not follow aliases."""
        yield self
        for key, value in self.pairs:
            yield from key.walk()
            yield from value.walk()
        for item in self.items:
            yield from item.walk()


class Tree:
    """The documents of one text.

    roots: one node a document (None where nothing is in the text).
    limits: for each, the offsets between which its content may stand.
    """

    def __init__(self, text: str, name: str, version: str) -> None:
        self.text = text
        self.name = name
        self.version = version
        self.roots: List[Optional[Node]] = []
        self.limits: List[Tuple[int, int]] = []

    def fail(self, offset: int, problem: str) -> NoReturn:
        """Raise the YamlProblem for a place in the text."""
        before = self.text[: max(offset, 0)]
        line = len(re.findall(r"\r\n|\r|\n", before)) + 1
        column = len(before) - max(before.rfind("\n"), before.rfind("\r"))
        raise YamlProblem(f"{self.name}:{line}:{column}: {problem}")

    def line_of(self, offset: int) -> int:
        """The line number of an offset, from 1."""
        return len(re.findall(r"\r\n|\r|\n", self.text[:offset])) + 1

    # -- reading -----------------------------------------------------------
    def key_of(self, node: Node) -> Key:
        """What a key node resolves to; a hashable value."""
        real = node.real
        if real.kind == "scalar":
            return resolve(real.value, real.style, real.tag, self.version)
        return repr(self.plain(real))

    def matches(self, node: Node, key: Key) -> bool:
        """True where the key node is this key, by value or as it is spelt (C(on), C(5432))."""
        if node.is_merge_key:
            return False
        found = self.key_of(node)
        if type(found) is type(key) and found == key:
            return True
        return isinstance(key, str) and node.real.kind == "scalar" and node.real.value == key

    def local(self, mapping: Node, key: Key) -> Optional[int]:
        """The index of the pair that the mapping itself has for the key."""
        for index, (name, _value) in enumerate(mapping.pairs):
            if self.matches(name, key):
                return index
        return None

    def merges(self, mapping: Node) -> List[Tuple[int, Node]]:
        """(index of the C(<<) pair, merged mapping), the strongest first."""
        found: List[Tuple[int, Node]] = []
        for index, (name, value) in enumerate(mapping.pairs):
            if name.is_merge_key:
                real = value.real
                sources = real.items if real.kind == "sequence" else [value]
                for source in sources:
                    if source.real.kind != "mapping":
                        self.fail(source.head, "'<<' takes a mapping or a list of mappings; correct the merge")
                    found.append((index, source.real))
        return found

    def lookup(self, mapping: Node, key: Key) -> Tuple[Optional[Node], bool]:
        """(value or None, whether it came by a merge key)."""
        index = self.local(mapping, key)
        if index is not None:
            return mapping.pairs[index][1], False
        for _index, source in self.merges(mapping):
            value, _merged = self.lookup(source, key)
            if value is not None:
                return value, True
        return None, False

    def plain(self, node: Optional[Node]) -> Any:
        """The node as plain Python data, aliases and merges resolved."""
        if node is None:
            return None
        real = node.real
        if real.kind == "scalar":
            return resolve(real.value, real.style, real.tag, self.version)
        if real.kind == "sequence":
            return [self.plain(item) for item in real.items]
        data: Dict[Key, Any] = {}
        for _index, source in reversed(self.merges(real)):
            data.update(self.plain(source))
        for name, value in real.pairs:
            if not name.is_merge_key:
                data[self.key_of(name)] = self.plain(value)
        return data

    def data(self) -> List[Any]:
        """All documents as plain data; an empty document is an empty mapping."""
        documents = [self.plain(root) for root in self.roots] or [None]
        if documents[0] is None:
            documents[0] = {}
        return documents

    def expanded(self, node: Optional[Node]) -> Node:
        """A copy without aliases, merges and anchors, its scalars as they are spelt."""
        real = (node or literal(None)).real
        copy = Node(real.kind, value=real.value, style=real.style)
        copy.start, copy.tag = real.start, real.tag
        copy.items = [self.expanded(item) for item in real.items]
        names: Dict[Key, Node] = {}
        for _index, source in reversed(self.merges(real) if real.kind == "mapping" else []):
            names.update((self.key_of(name), name) for name, _value in self.expanded(source).pairs)
        names.update((self.key_of(name), name) for name, _value in real.pairs if not name.is_merge_key)
        copy.pairs = [(self.expanded(name), self.expanded(self.lookup(real, key)[0])) for key, name in names.items()]
        return copy

    def aliases(self, node: Node) -> List[Node]:
        """The aliases anywhere in the text that point at the node."""
        return [each for root in self.roots if root for each in root.walk() if each.target is node]


_PROPERTY = re.compile(r"!<[^>]*>|[&!][^\s,\[\]{}]*")
_COLON = re.compile(r"\s*:")
_GAP = re.compile(r"(?:[ \t\r\n]|(?:(?<=\s)|^)#[^\r\n]*)*")


class _Builder:
    def __init__(self, tree: Tree, events: Iterator[Any]) -> None:
        self.tree = tree
        self.events = events
        self.anchors: Dict[str, Node] = {}
        self.open: List[Node] = []

    def build(self) -> None:
        for event in self.events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                self.anchors = {}
                root = self.node(next(self.events))
                end = next(self.events)
                self.tree.roots.append(root)
                self.tree.limits.append((event.end_mark.index, end.start_mark.index))

    def node(self, event: Any) -> Node:
        kind = type(event).__name__
        head, end = event.start_mark.index, event.end_mark.index
        if kind == "AliasEvent":
            alias = Node("alias", value=str(event.anchor))
            alias.head, alias.start, alias.end = head, head, end
            alias.target = self.anchors.get(alias.value)
            if alias.target is None:
                self.tree.fail(head, f"the alias '*{alias.value}' has no anchor before it; define or correct it")
            if any(each is alias.target for each in self.open):
                self.tree.fail(head, f"the alias '*{alias.value}' contains itself; remove it")
            return alias
        node = Node({"S": "scalar", "M": "mapping"}[kind[0]] if kind != "SequenceStartEvent" else "sequence")
        node.anchor = str(event.anchor) if event.anchor is not None else None
        node.tag = str(event.tag) if event.tag is not None else None
        node.head = node.start = head
        if node.anchor or node.tag:
            node.start = self.skip_properties(head)
        if node.anchor:
            self.anchors[node.anchor] = node
        if node.kind == "scalar":
            node.value, node.style, node.end = event.value, event.style or "plain", end
            if node.style in "|>":
                node.end = self.block_end(node.start, end)
            node.start = min(node.start, node.end)
            return node
        node.style = "flow" if event.flow_style else "block"
        self.open.append(node)
        closing = self.children(node)
        self.open.pop()
        if node.style == "flow":
            node.end = closing.end_mark.index
        else:
            last = node.pairs[-1] if node.pairs else (node.items[-1:] or [node])
            node.end = max(each.end for each in last)
        return node

    def children(self, node: Node) -> Any:
        while True:
            event = next(self.events)
            if type(event).__name__ in ("MappingEndEvent", "SequenceEndEvent"):
                break
            child = self.node(event)
            if node.kind == "sequence":
                node.items.append(child)
            else:
                node.pairs.append((child, self.value_of(child)))
        self.check_unique(node)
        return event

    def value_of(self, key: Node) -> Node:
        value = self.node(next(self.events))
        if value.kind == "scalar" and value.head == value.end:
            # Nothing after the colon: ruamel.yaml puts it where the next token stands.
            colon = _COLON.match(self.tree.text, key.end)
            value.head = value.start = value.end = colon.end() if colon else key.end
        return value

    def check_unique(self, node: Node) -> None:
        seen: Dict[Tuple[type, Key], Node] = {}
        for name, _value in node.pairs:
            if name.is_merge_key:
                continue
            key = self.tree.key_of(name)
            first = seen.setdefault((type(key), key), name)
            if first is not name:
                line = self.tree.line_of(first.start)
                self.tree.fail(name.start, f"the key '{key}' is there twice (first on line {line}); remove one of them")

    def skip_properties(self, offset: int) -> int:
        text = self.tree.text
        while True:
            found = _PROPERTY.match(text, offset)
            if not found:
                return offset
            gap = _GAP.match(text, found.end())
            offset = gap.end() if gap else found.end()

    def block_end(self, start: int, end: int) -> int:
        """A block scalar's token runs to the next content; '+' keeps the blank lines, the others give them back."""
        text = self.tree.text
        header = re.match(r"[|>][-+0-9]*", text[start:end])
        if header and "+" in header.group():
            return start + len(re.sub(r"(?:\r\n|\r|\n)[ \t]*\Z", "", text[start:end]))
        return start + len(text[start:end].rstrip())


def parse(text: str, *, name: str, version: str) -> Tree:
    """Parse a text (without a byte order mark); raises YamlProblem with file, line and column."""
    buffer = text
    while True:
        try:
            return _parse(text, buffer, name, version)
        except _StrayTab as stray:
            buffer = buffer[: stray.offset] + " " + buffer[stray.offset + 1 :]


class _StrayTab(Exception):
    """A tab between tokens: Compose takes it for a space, and ruamel.yaml does not."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


def _parse(text: str, buffer: str, name: str, version: str) -> Tree:
    tree = Tree(text, name, version)
    yaml = ruamel_yaml.YAML(typ="safe", pure=True)
    try:
        _Builder(tree, iter(yaml.parse(buffer))).build()
    except YamlProblem:
        raise
    except ruamel_yaml.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = mark.index if mark else 0
        line = text[max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1 : offset]
        if version == "1.2" and buffer[offset : offset + 1] == "\t" and line.strip():
            raise _StrayTab(offset) from error
        problem = " ".join(str(error.problem or error.context).split())
        tree.fail(offset, f"{problem}; correct the YAML there")
    except ruamel_yaml.reader.ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        tree.fail(error.position, f"the character U+{code:04X} is not allowed in YAML; remove it")
    except RecursionError:
        tree.fail(0, "nested too deeply; flatten the file")
    except (ruamel_yaml.error.YAMLError, ValueError) as error:
        tree.fail(0, f"{' '.join(str(error).split())}; correct the YAML")
    return tree


def literal(value: Any) -> Node:
    """The node for a plain Python value (scalars, lists, dicts)."""
    if isinstance(value, dict):
        node = Node("mapping", style="block")
        node.pairs = [(literal(key), literal(each)) for key, each in value.items()]
    elif isinstance(value, (list, tuple)):
        node = Node("sequence", style="block")
        node.items = [literal(each) for each in value]
    elif isinstance(value, str):
        node = Node("scalar", value=value, style='"')
    else:
        node = Node("scalar", value=number(value), style="plain")
    return node


def nest(path: Sequence[Any], node: Node) -> Node:
    """The node, wrapped so that it stands at the path; index 0 makes a list."""
    for key in reversed(path):
        wrapper = Node("sequence" if key == 0 and isinstance(key, int) else "mapping", style="block")
        if wrapper.kind == "sequence":
            wrapper.items = [node]
        else:
            wrapper.pairs = [(literal(key), node)]
        node = wrapper
    return node


def number(value: Any) -> str:
    """A null, bool, int or float as every YAML version reads it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return ".nan"
        if value in (float("inf"), float("-inf")):
            return ".inf" if value > 0 else "-.inf"
        mantissa, exponent, power = repr(value).partition("e")
        # YAML 1.1 takes an exponent only after a point, and with a sign.
        return f"{mantissa}.0e{power}" if exponent and "." not in mantissa else repr(value)
    raise TypeError(f"a {type(value).__name__} has no place in YAML")
