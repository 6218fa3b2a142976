# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Random YAML files as people write them, that know which lines each value owns."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

KEYS = ["a", "b", "key", "name", "*star*", "5432", "on", "é", "with space", "caches", "<", "a:b"]
TEXTS = [
    "x",
    "10K",
    "yes",
    "0.5",
    "12:30",
    "a b",
    "it's",
    'say "hi"',
    "a: b",
    "# no",
    "",
    "ünï",
    "null",
    "-c",
    "{x}",
    "C:\\x",
]

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-9, 99999),
    st.sampled_from([0.5, 1.25, 17.0, 1e20, 1e-7]),
    st.sampled_from(TEXTS),
)
# What somebody's program may hand in: a new value for a key.
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)),
    max_leaves=5,
)
mappings = st.dictionaries(
    st.sampled_from(KEYS),
    st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, min_size=1, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=5,
)


@dataclass
class Written:
    """A file's lines, and for each path the first and last line that belong to it (flow: those of all of it)."""

    lines: list = field(default_factory=list)
    owned: dict = field(default_factory=dict)
    flow: set = field(default_factory=set)
    newline: str = "\n"
    final: bool = True
    bom: bool = False

    @property
    def text(self):
        return ("\ufeff" if self.bom else "") + self.newline.join(self.lines) + (self.newline if self.final else "")


def double(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def scalar(draw, value, flow):
    if value is None:
        return draw(st.sampled_from(["null", "~"] if flow else ["null", "~", ""]))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return {1e20: "1.0e+20", 1e-7: "1.0e-07"}.get(value, repr(value))
    if isinstance(value, int):
        return str(value)
    plain = value in ("x", "10K", "a b", "it's", "ünï", "-c", 'say "hi"')
    styles = [double(value), "'" + value.replace("'", "''") + "'"] + ([value] if plain else [])
    return draw(st.sampled_from(styles))


def name(draw, key):
    plain = key in ("a", "b", "key", "name", "é", "with space", "caches", "a:b")
    return draw(st.sampled_from([double(key), "'" + key + "'"] + ([key] if plain and key != "a:b" else [])))


def flowing(draw, value, path, written):
    written.flow.add(path)
    if isinstance(value, dict):
        inner = [f"{name(draw, key)}: {flowing(draw, each, (*path, key), written)}" for key, each in value.items()]
        opening, closing = "{", "}"
    elif isinstance(value, list):
        inner = [flowing(draw, each, (*path, index), written) for index, each in enumerate(value)]
        opening, closing = "[", "]"
    else:
        return scalar(draw, value, True)
    pad = draw(st.sampled_from(["", " "])) if inner else ""
    comma = draw(st.sampled_from(["", ","])) if inner else ""
    if inner and draw(st.integers(0, 4)) == 0:  # over several lines, as in JSON
        remark = draw(st.sampled_from(["", "  # why"]))
        rows = [each + "," for each in inner[:-1]] + [inner[-1] + comma]
        return "\n".join([opening] + [f"        {row}{remark}" for row in rows] + ["      " + closing])
    return opening + pad + ", ".join(inner) + comma + pad + closing


class Writer:
    def __init__(self, draw):
        self.draw = draw
        self.written = Written(
            newline=draw(st.sampled_from(["\n", "\r\n"])), final=draw(st.booleans()), bom=draw(st.booleans())
        )
        self.step = draw(st.sampled_from([2, 2, 4, 3]))
        self.offset = draw(st.sampled_from([0, self.step]))
        self.noise = draw(st.booleans())

    def decorate(self, indent):
        for kind in self.draw(st.lists(st.sampled_from(["blank", "comment", "old"]), max_size=2)) if self.noise else ():
            if kind == "blank":
                self.written.lines.append(self.draw(st.sampled_from(["", " "])))
            else:
                self.written.lines.append(" " * indent + ("# a\tremark" if kind == "comment" else "#a: 1"))

    def tail(self):
        return self.draw(st.sampled_from(["", "", "  # why", " "])) if self.noise else ""

    def mapping(self, data, indent, path, first=None):
        for key, value in data.items():
            if first is None:
                self.decorate(indent)
            lead = " " * indent if first is None else first
            first = None
            self.entry(f"{lead}{name(self.draw, key)}:", value, indent, (*path, key))

    def sequence(self, data, indent, path):
        for index, value in enumerate(data):
            self.decorate(indent)
            here = (*path, index)
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                start = len(self.written.lines)
                self.mapping(value, indent + 2, here, first=" " * indent + "- ")
                self.written.owned[here] = (start, len(self.written.lines) - 1)
            else:
                self.entry(" " * indent + "-", value, indent, here)

    def entry(self, lead, value, indent, path):
        lines = self.written.lines
        start = len(lines)
        if isinstance(value, (dict, list)) and value and self.draw(st.integers(0, 3)):
            lines.append(lead + self.tail())
            if isinstance(value, dict):
                self.mapping(value, indent + self.step, path)
            else:
                self.sequence(value, indent + (self.offset if not lead.endswith("-") else 2), path)
        elif isinstance(value, (dict, list)):
            lines += (lead + " " + flowing(self.draw, value, path, self.written) + self.tail()).split("\n")
        elif value in ("x", "10K", "a b") and self.draw(st.integers(0, 4)) == 0:
            lines.append(lead + " " + self.draw(st.sampled_from(["|-", ">-"])))
            lines.append(" " * (indent + 2) + value)
        elif value is not None and self.draw(st.integers(0, 6)) == 0:
            lines.append(lead + self.tail())
            lines.append(" " * (indent + 1) + scalar(self.draw, value, False) + self.tail())
        else:
            text = scalar(self.draw, value, False)
            lines.append(lead + (" " + text if text else "") + self.tail())
        self.written.owned[path] = (start, len(lines) - 1)


@st.composite
def files(draw):
    """(data, Written)."""
    data = draw(mappings)
    writer = Writer(draw)
    if draw(st.booleans()):
        writer.written.lines.append("---")
    writer.mapping(data, 0, ())
    writer.decorate(0)
    if draw(st.integers(0, 5)) == 0:
        ends = [["", "# vim:ft=yaml"]]
        if writer.written.lines[:1] == ["---"]:  # an empty document has to be opened before it can be closed
            ends += [["..."], ["---", "second: 1"]]
        writer.written.lines += draw(st.sampled_from(ends))
    return data, writer.written


def paths_of(data, path=()):
    """All paths of the data, the root's not included."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from paths_of(value, (*path, key))
