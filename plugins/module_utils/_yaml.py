# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit YAML files that belong to somebody else, byte for byte.

ruamel.yaml parses; edits are spliced into the original text, so that comments,
quotes, blank lines, line endings and other documents stay as they were. After
every edit the text is parsed again and compared with the data that was meant.
"""

from __future__ import annotations

import math
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _yaml_edit as edit
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import YamlProblem
from ansible_collections.synapse.tuning.plugins.module_utils._secrets import mask
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_edit import Place
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_render import layout_of
from ansible_collections.synapse.tuning.plugins.module_utils._yaml_tree import Node, Tree, literal, nest, parse

__all__ = ["Document", "Path", "mask", "same"]

Path = Sequence[Any]  # keys (str, or what they resolve to) and list indexes (int)

_BOM = "\ufeff"


def same(one: Any, other: Any) -> bool:
    """Equality as YAML means it: 1 is 1.0, but true is not 1 and "1" is neither."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) or (_is_nan(one) and _is_nan(other))


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


class Document:
    """One YAML file whose first document is a mapping.

    Paths are tuples of keys and list indexes. Reading resolves aliases and merge
    keys; an edit of a value that comes through one is made locally and leaves
    the anchor alone. C(yaml_version): "1.2" reads plain scalars as Compose does,
    "1.1" as Synapse (PyYAML) does.
    """

    def __init__(self, tree: Tree, bom: str) -> None:
        self._tree = tree
        self._bom = bom

    @classmethod
    def parse(cls, text: str, *, name: str, yaml_version: str = "1.2") -> Document:
        """Parse a file's text.

        Raises YamlProblem ("FILE:LINE:COLUMN: problem; what to do") for a syntax error,
        a duplicate key or a document that is not a mapping. An empty one is an empty mapping.
        """
        bom = _BOM if text.startswith(_BOM) else ""
        tree = parse(text[len(bom) :], name=name, version=yaml_version)
        root = tree.roots[0] if tree.roots else None
        if root is not None and root.kind != "mapping" and not root.is_null(yaml_version):
            tree.fail(root.head, "the document is not a mapping; it must hold 'key: value' lines")
        tree.data()
        return cls(tree, bom)

    # -- reading -------------------------------------------------------------
    @property
    def text(self) -> str:
        """The text as it is now."""
        return self._bom + self._tree.text

    @property
    def data(self) -> Any:
        """The first document as plain data."""
        return self._tree.data()[0]

    def get(self, path: Path, default: Any = None) -> Any:
        """The value at the path as plain data, or the default where nothing is."""
        node, _inherited = self._find(path)
        return default if node is None else self._tree.plain(node)

    def has(self, path: Path) -> bool:
        """True where the path leads to a value, null included."""
        return self._find(path)[0] is not None

    def inherited(self, path: Path) -> bool:
        """True where the value reaches this path through a merge key or an alias."""
        node, inherited = self._find(path)
        return node is not None and (inherited or node.kind == "alias")

    def span(self, path: Path) -> Optional[Tuple[int, int]]:
        """(start, end) of the value's source in C(text), without its anchor and tag; None where it is
        missing or inherited."""
        node, inherited = self._find(path)
        if node is None or inherited or node.kind == "alias":
            return None
        return node.start + len(self._bom), node.end + len(self._bom)

    def style(self, path: Path) -> Optional[str]:
        """How the value is written: plain, ', ", | or > for scalars, block or flow for the rest; None if missing."""
        node, _inherited = self._find(path)
        return None if node is None else node.real.style

    def line(self, path: Path) -> Optional[int]:
        """The line, from 1, where the value (or the alias to it) begins; None where it is missing."""
        node, _inherited = self._find(path)
        return None if node is None else self._tree.line_of(node.head)

    def shared(self, path: Path) -> List[int]:
        """The lines of the aliases through which others see what stands at this path: they follow an edit."""
        lines: List[int] = []
        for depth in range(1, len(path) + 1):
            node, inherited = self._find(path[:depth])
            if node is None or inherited or node.kind == "alias":
                break
            lines.extend(self._tree.line_of(alias.head) for alias in self._tree.aliases(node))
        return sorted(set(lines))

    def _find(self, path: Path) -> Tuple[Optional[Node], bool]:
        """(the node or None, whether a merge key or an alias lies on the way to it)."""
        node = self._tree.roots[0] if self._tree.roots else None
        inherited = False
        for key in path:
            if node is None:
                break
            inherited = inherited or node.kind == "alias"
            real = node.real
            if real.kind == "mapping":
                node, merged = self._tree.lookup(real, key)
                inherited = inherited or merged
            elif real.kind == "sequence" and _is_index(key) and -len(real.items) <= key < len(real.items):
                node = real.items[key]
            else:
                node = None
        return node, inherited

    # -- writing ---------------------------------------------------------------
    def set(self, path: Path, value: Any, *, equal: Optional[Callable[[Any, Any], bool]] = None) -> bool:
        """Give the path a value (scalar, list or dict); True where the text changed.

        Missing parents are made; an index one past a list's end appends. Nothing is edited where
        C(equal(current, value)) holds (default: C(same)). A replaced string keeps its quotes; of a
        mapping or list only the entries that differ are touched.
        """
        if not path:
            raise ValueError("the path is empty")
        path = tuple(path)
        node, inherited = self._find(path)
        if node is not None and (equal or same)(self._tree.plain(node), value):
            return False
        if node is not None and not inherited and node.kind == "mapping" and isinstance(value, dict) and value:
            for key, each in value.items():
                self.set((*path, key), each)
            for key in self._tree.plain(node):
                if key not in value:
                    self.remove((*path, key))
        elif (
            node is not None
            and not inherited
            and node.kind == "sequence"
            and value
            and isinstance(value, (list, tuple))
        ):
            for index, each in enumerate(value):
                self.set((*path, index), each)
            for index in range(len(node.items) - 1, len(value) - 1, -1):
                self.remove((*path, index))
        else:
            self._set(path, literal(value))
        return True

    def remove(self, path: Path) -> bool:
        """Remove the entry and the parents it leaves empty; True where the text changed."""
        path = tuple(path)
        if not path or not self.has(path):
            return False
        chain = self._local(path)
        if chain is not None:
            gone = self._drop(chain)
            if not _is_index(path[gone - 1]):
                self.remove(path[:gone])  # what a merge now brings in its place
        return True

    def replace_scalar_source(self, path: Path, source: str, *, expect: Any) -> None:
        """Put C(source) in the place of the value's source (see C(span)); it must then read as C(expect).

        For a value that is edited token by token, such as a command folded over several lines.
        """
        place = self._require(path)
        splices = [(place.value.start, place.value.end, source)]
        place.value.become(literal(expect))
        self._commit(splices, place.value)

    def _require(self, path: Path) -> Place:
        chain = self._local(tuple(path)) if self.has(path) and not self.inherited(path) else None
        if not chain or chain[-1].value.kind == "alias":
            raise YamlProblem(f"{self._tree.name}:1:1: '{_dotted(path)}' has no value of its own; add it first")
        return chain[-1]

    def _place(self, holder: Node, key: Any, flow: bool) -> Optional[Place]:
        """The holder's own entry for the key; None where it has none yet."""
        if holder.kind == "mapping":
            index = self._tree.local(holder, key)
        elif not _is_index(key) or not -len(holder.items) <= key <= len(holder.items):
            self._tree.fail(holder.head, f"'{key}' is no index of this list; correct the path or the file")
        else:
            index = None if key == len(holder.items) else key % len(holder.items)
        return None if index is None else Place(holder, index, flow)

    def _set(self, path: Tuple[Any, ...], new: Node) -> None:
        tree = self._tree
        holder = tree.roots[0] if tree.roots else None
        if holder is None or holder.kind != "mapping":
            self._start(nest(path, new))
            return
        flow = holder.style == "flow"
        for depth, key in enumerate(path):
            rest = path[depth + 1 :]
            place = self._place(holder, key, flow)
            if place is None:
                inherited = tree.lookup(holder, key)[0] if holder.kind == "mapping" else None
                if inherited is None or not rest:
                    self._append(holder, [(key, nest(rest, new))], flow)
                    return
                self._append(holder, [(key, tree.expanded(inherited))], flow)
                self._set(path, new)
                return
            value = place.value
            if not rest:
                self._replace(place, new)
                return
            if value.real.is_null(tree.version):
                self._replace(place, nest(rest, new))
                return
            if value.real.kind == "scalar":
                tree.fail(value.head, f"'{_dotted(path[: depth + 1])}' is not a mapping; make it one or remove it")
            if value.kind == "alias":
                self._localise(place)
                self._set(path, new)
                return
            holder, flow = value, flow or value.style == "flow"

    def _local(self, path: Tuple[Any, ...]) -> Optional[List[Place]]:
        """The places on the way to an existing entry, made local where a merge or an alias brings them.

        None where that has already taken the entry away: a merge is written out without it.
        """
        tree = self._tree
        places: List[Place] = []
        holder = tree.roots[0]
        flow = holder is not None and holder.style == "flow"
        for depth, key in enumerate(path):
            place = self._place(holder, key, flow) if holder else None
            if place is None and holder is not None:
                if depth + 1 == len(path):
                    self._write_out_merges(path)
                    return None
                inherited = tree.lookup(holder, key)[0]
                if inherited is not None:
                    self._append(holder, [(key, tree.expanded(inherited))], flow)
                return self._local(path)
            if place is None:
                return None
            places.append(place)
            if depth + 1 < len(path) and place.value.kind == "alias":
                self._localise(place)
                return self._local(path)
            holder, flow = place.value, flow or place.value.style == "flow"
        return places

    def _localise(self, place: Place) -> None:
        """Make an alias something that can be edited: a mapping that merges it, a copy of a list."""
        alias = place.value
        if alias.real.kind == "sequence":
            self._replace(place, self._tree.expanded(alias))
            return
        mapping, same_alias = Node("mapping", style="block"), Node("alias", value=alias.value)
        same_alias.target = alias.target
        mapping.pairs = [(Node("scalar", value="<<", style="plain"), same_alias)]
        self._replace(place, mapping)

    def _write_out_merges(self, path: Tuple[Any, ...]) -> None:
        """Replace the merges at the path's holder by what they bring, without the path's key."""
        owner = self._local(path[:-1]) or []
        holder, flow = self._holder(owner)
        pairs = [
            (name, self._tree.expanded(self._tree.lookup(holder, name)[0]))
            for name in self._tree.plain(holder)
            if self._tree.local(holder, name) is None and not self._tree.matches(literal(name), path[-1])
        ]
        if pairs:
            self._append(holder, pairs, flow)
        while True:
            owner = (self._local(path[:-1]) or []) if self.has(path[:-1]) else []
            holder, flow = self._holder(owner)
            merges = [index for index, (name, _value) in enumerate(holder.pairs) if name.is_merge_key]
            if not merges:
                return
            emptied = len(holder.pairs) == 1
            self._drop([*owner, Place(holder, merges[0], flow)])
            if emptied:
                return

    def _holder(self, owner: List[Place]) -> Tuple[Node, bool]:
        root = self._tree.roots[0]
        holder = owner[-1].value if owner else root
        flow = bool(owner and owner[-1].flow) or (holder is not None and holder.style == "flow")
        return holder, flow  # type: ignore[return-value]

    # -- committing ------------------------------------------------------------
    def _start(self, new: Node) -> None:
        splices = edit.start_root(self._tree, new, layout_of(self._tree))
        self._tree.roots[:1] = [new]
        self._commit(splices, new)

    def _append(self, holder: Node, entries: List[Tuple[Any, Node]], flow: bool) -> None:
        new = Node(holder.kind, style="block")
        if holder.kind == "mapping":
            new.pairs = [(literal(key), value) for key, value in entries]
        else:
            new.items = [value for _key, value in entries]
        splices = edit.append(self._tree, holder, new, flow=flow, layout=layout_of(self._tree))
        holder.pairs = holder.pairs + new.pairs
        holder.items = holder.items + new.items
        self._commit(splices, holder)

    def _replace(self, place: Place, new: Node) -> None:
        splices = edit.replace(self._tree, place, new, layout_of(self._tree))
        place.value.become(new)
        self._commit(splices, place.value)

    def _drop(self, chain: List[Place]) -> int:
        """Remove the last place's entry, and the holders above that it leaves empty; how long the path to what went is."""
        top = len(chain) - 1
        while top and len(chain[top].holder.pairs or chain[top].holder.items) == 1:
            if self._tree.aliases(chain[top].holder):  # somebody still refers to it
                self._replace(chain[top - 1], Node("mapping", style="flow"))
                return top + 1
            top -= 1
        splices = edit.delete(self._tree, chain[top:])
        holder = chain[top].holder
        del (holder.pairs or holder.items)[chain[top].index]
        self._commit(splices, holder)
        return top + 1

    def _commit(self, splices: List[edit.Splice], node: Node) -> None:
        """Make the splices; the tree, already changed, says what the new text must mean."""
        before = self._tree
        text = edit.join(before.text, splices)
        try:
            after = parse(text, name=before.name, version=before.version)
            if not same(after.data(), before.data()):
                raise YamlProblem("it would change something else")
        except YamlProblem as error:
            self._tree = parse(before.text, name=before.name, version=before.version)
            problem = str(error).replace(f"{before.name}:", "line ", 1)
            before.fail(max(node.head, 0), f"cannot edit this ({problem}); edit it by hand")
        self._tree = after


def _is_index(key: Any) -> bool:
    return isinstance(key, int) and not isinstance(key, bool)


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))
