# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of the compressor: against the same rules followed step by step, and what must always hold.

That the rules are the compressor's own is shown in tests/stack/test_state_compression.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import (
    Chunk,
    Group,
    RoomModel,
    Run,
    empty_levels,
    estimate,
    runs,
)

SIZES = (3, 2, 2)


class Stored:
    """A room's state groups."""

    def __init__(self, groups: list[Group]) -> None:
        self.groups = {each.id: each for each in groups}
        self.asked = 0

    def state(self, group: int) -> Mapping[int, int]:
        self.asked += 1
        each = self.groups[group]
        return {**(self.state(each.previous) if each.previous is not None else {}), **each.rows}

    def previous(self, group: int) -> int | None:
        return self.groups[group].previous


@st.composite
def histories(draw: st.DrawFn) -> list[Group]:
    """State groups that stand on earlier ones, or on none, as Synapse writes them."""
    groups: list[Group] = []
    for number in range(1, draw(st.integers(1, 40)) + 1):
        rows = draw(st.dictionaries(st.integers(0, 7), st.integers(0, 3), max_size=5))
        earlier = [None, *(each.id for each in groups[-5:])]
        groups.append(Group(number, draw(st.sampled_from(earlier)), rows))
    return groups


def cut(groups: list[Group], size: int) -> list[list[Group]]:
    return [groups[start : start + size] for start in range(0, len(groups), size)]


def step_by_step(groups: list[Group], size: int) -> list[int]:
    """Rows of each chunk afterwards: upstream's description of its algorithm, with nothing left out or remembered."""
    stored = Stored(groups)
    levels = [[each, 0, None] for each in SIZES]
    placed: dict[int, int | None] = {}
    told = []
    for chunk in cut(groups, size):
        after = 0
        for group in chunk:
            base = None
            for level in levels:
                if level[1] < level[0]:
                    base, level[1], level[2] = level[2], level[1] + 1, group.id
                    break
                level[1], level[2] = 1, group.id
            state = stored.state(group.id)
            kept = base == group.previous
            if not kept:
                while base is not None and not set(stored.state(base)) <= set(state):
                    base = placed[base]
            placed[group.id] = base
            if kept:
                after += len(group.rows)
            else:
                below = stored.state(base) if base is not None else {}
                after += sum(1 for key, event in state.items() if below.get(key) != event)
        before = sum(len(group.rows) for group in chunk)
        if after > before:
            levels = [[each, 0, None] for each in SIZES]
        told.append(min(before, after))
    return told


@given(histories(), st.integers(3, 12))
def test_it_is_the_algorithm(groups: list[Group], size: int) -> None:
    model = RoomModel(empty_levels(SIZES), Stored(groups), sizes=SIZES)
    assert [model.chunk(chunk)[1] for chunk in cut(groups, size)] == step_by_step(groups, size)


@given(histories(), st.integers(3, 12), st.integers(0, 30))
def test_what_it_forgets_it_asks_for(groups: list[Group], size: int, remembered: int) -> None:
    stored = Stored(groups)
    model = RoomModel(empty_levels(SIZES), stored, sizes=SIZES, remembered=remembered)
    assert [model.chunk(chunk)[1] for chunk in cut(groups, size)] == step_by_step(groups, size)


@given(histories(), st.integers(3, 12))
def test_never_more_rows_than_before(groups: list[Group], size: int) -> None:
    model = RoomModel(empty_levels(SIZES), Stored(groups), sizes=SIZES)
    for chunk in cut(groups, size):
        before, after = model.chunk(iter(chunk))
        assert before == sum(len(each.rows) for each in chunk) and 0 <= after <= before


def test_full_states_every_few_groups_become_differences() -> None:
    """Synapse's own form: a state of 50 keys, and every tenth group stores all of it."""
    keys = dict.fromkeys(range(50), 0)
    groups = []
    for number in range(1, 41):
        keys = {**keys, 0: number}
        full = number % 10 == 1
        groups.append(Group(number, None if full else number - 1, dict(keys) if full else {0: number}))
    sizes = (20, 10, 5)
    model = RoomModel(empty_levels(sizes), Stored(groups), sizes=sizes)
    # One full state at the beginning of each of the two levels that it takes; the other groups have one row.
    assert model.chunk(groups) == (4 * 50 + 36, 2 * 50 + 38)


@pytest.mark.parametrize("lost", range(20))
def test_a_lost_key_goes_back_to_the_group_before_it(lost: int) -> None:
    """Twenty groups add a key each; the next has all of them but one, and must stand on the last group without it."""
    groups = [Group(number, number - 1 if number else None, {number: 1}) for number in range(20)]
    groups.append(Group(20, None, {key: 1 for key in range(20) if key != lost}))
    model = RoomModel(empty_levels((50,)), Stored(groups), sizes=(50,))
    # Keys after the lost one are a difference again; without any group before it, all are.
    assert model.chunk(groups) == (20 + 19, 20 + 19 - lost)


def chunk(room: str, first: int, rows: int) -> Chunk:
    return Chunk(room, first, first + 9, 10, rows)


def test_all_is_looked_at_below_the_limit() -> None:
    chunks = [chunk("!a", 20, 50), chunk("!b", 1, 30), chunk("!a", 1, 20)]
    looked_at = runs(chunks, most_rows=100)
    assert looked_at == [Run((chunks[2], chunks[0])), Run((chunks[1],))]
    told = estimate(chunks, [(each, each.rows // 2) for each in looked_at])
    assert (told.rows, told.rows_after, told.sampled) == (100, 50, False)
    assert (told.chunks, told.groups, told.rooms) == (3, 30, 2)


CHUNKS = st.lists(
    st.builds(chunk, st.sampled_from(["!a", "!b", "!c"]), st.integers(1, 999), st.integers(0, 500)),
    max_size=60,
    unique_by=lambda each: (each.room, each.first),
)


@given(CHUNKS, st.integers(1, 2000))
def test_a_sample_is_of_these_chunks_and_the_same_again(chunks: list[Chunk], most_rows: int) -> None:
    looked_at = runs(chunks, most_rows=most_rows)
    assert looked_at == runs(chunks[::-1], most_rows=most_rows)
    assert {each for run in looked_at for each in run.chunks} <= set(chunks)
    assert all(len({each.room for each in run.chunks}) == 1 for run in looked_at)
    told = estimate(chunks, [(each, each.rows) for each in looked_at])
    assert told.rows_after == told.rows
    assert estimate(chunks, [(each, 0) for each in looked_at]).rows_after == 0


def test_a_sample_counts_rooms_by_their_rows() -> None:
    chunks = [chunk("!heavy", number * 10, 900) for number in range(100)]
    chunks += [chunk(f"!light{number}", 1, 10) for number in range(1000)]
    looked_at = runs(chunks, most_rows=20_000)
    told = estimate(chunks, [(each, each.rows // 10 if each.room == "!heavy" else each.rows) for each in looked_at])
    assert told.sampled and told.rows_read < 30_000
    assert told.rows_after == pytest.approx(9_000 + 10_000, rel=0.1)


def test_a_run_in_the_middle_of_a_room_says_so() -> None:
    looked_at = runs([chunk("!a", number * 10, 100) for number in range(200)], most_rows=2_000)
    assert {each.begins for each in looked_at if each.chunks[0].first > 0} == {False}
