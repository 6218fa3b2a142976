# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text tables: whatever is in the cells, lines keep to the width and lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, paragraph, table, wrap


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("one two", 100, ["one two"]),
        ("caches.per_cache_factors.get_users_in_room", 26, ["caches.per_cache_factors.", "get_users_in_room"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("see background_thread:true,narenas:1", 18, ["see", "background_thread:", "true,narenas:1"]),
        ("  spaces   and\nline ends ", 40, ["spaces and line ends"]),
    ],
)
def test_wrap(text: str, width: int, lines: list[str]) -> None:
    assert wrap(text, width) == lines


@given(st.text(alphabet="ab.,_- \n", max_size=80), st.integers(1, 30))
def test_wrap_keeps_every_character_and_the_width(text: str, width: int) -> None:
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(len(line) <= width for line in lines)


def test_table() -> None:
    columns = (Column("name", 10), Column("MiB", 5, right=True), Column("why"))
    lines = table(columns, [("a", "1", "because it is so"), ("[heading]",), ("a.long.name", "1024", "")], width=24)
    assert lines == [
        "name         MiB  why",
        "----         ---  ---",
        "a              1  becaus",
        "                  e it",
        "                  is so",
        "[heading]",
        "a.long.     1024",
        "name",
    ]


def test_a_table_without_titles_has_no_heading() -> None:
    assert table((Column("", 3), Column()), [("a", "b")], width=20, indent=2) == ["  a  b"]


@given(
    st.lists(st.tuples(*[st.text(alphabet="abc. ", max_size=60)] * 3), max_size=5),
    st.integers(60, 130),
)
def test_a_table_keeps_the_width(rows: list[tuple[str, str, str]], width: int) -> None:
    columns = (Column("first", 20), Column("second", 20), Column("third"))
    lines = table(columns, rows, width=width)
    assert all(len(line) <= width and line == line.rstrip() for line in lines)
    shown = "".join("".join(lines[2:]).split())
    assert sorted(shown) == sorted("".join("".join(row) for row in rows).replace(" ", ""))


def test_paragraph() -> None:
    assert paragraph("one two three", width=9, first="- ", rest="  ") == ["- one two", "  three"]
