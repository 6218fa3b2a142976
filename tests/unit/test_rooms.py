# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms: filters, ranking, what a purge returns, and the table."""

from __future__ import annotations

import dataclasses
import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import (
    COUNTED,
    DAY,
    ORDERS,
    ORDERS_OF_THE_API,
    Filters,
    Ranking,
    Room,
    glob_as_like,
    glob_as_pattern,
    sampled,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import Methods, estimate, total
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_sql import has, ranking, sample
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_table import WIDTH, rooms_table

NOW = 1_790_000_000_000
BOTH = Methods(state=COUNTED, events=COUNTED)

figures = st.one_of(st.none(), st.integers(0, 10**6))
rooms = st.lists(
    st.builds(
        Room,
        room_id=st.integers(0, 50).map(lambda n: f"!{n}:x"),
        state_rows=figures,
        state_bytes=figures,
        events=figures,
        event_bytes=figures,
        members=figures,
        local_members=figures,
        state_events=figures,
    ),
    unique_by=lambda room: room.room_id,
)


# --- ranking ------------------------------------------------------------------------------------


@given(rooms=rooms, order_by=st.sampled_from(ORDERS), limit=st.integers(1, 60))
def test_the_ranking_is_the_first_of_all_sorted(rooms: list[Room], order_by: str, limit: int) -> None:
    kept = Ranking(order_by, limit)
    kept.extend(rooms)
    everything = sorted(rooms, key=lambda room: (-(getattr(room, order_by) or 0), room.room_id))
    assert kept.heaviest() == everything[:limit]


def test_a_room_that_comes_twice_counts_once() -> None:
    kept = Ranking("state_events", 2)
    kept.extend(Room(f"!{n % 3}:x", state_events=n % 3) for n in range(30))
    assert [room.room_id for room in kept.heaviest()] == ["!2:x", "!1:x"]


def test_every_order_is_a_figure_of_a_room() -> None:
    assert all(hasattr(Room("!a:x"), order) for order in ORDERS) and set(ORDERS_OF_THE_API) < set(ORDERS)


# --- filters ------------------------------------------------------------------------------------


@given(glob=st.text(st.sampled_from("ab*?:"), min_size=1, max_size=6), text=st.text(st.sampled_from("ab:"), max_size=6))
def test_a_glob_is_what_the_shell_means(glob: str, text: str) -> None:
    assert (glob_as_pattern(glob).fullmatch(text) is not None) == fnmatch.fnmatchcase(text, glob)


def test_a_glob_for_postgresql() -> None:
    assert glob_as_like(r"A*b?_%\Ü") == r"a%b_\_\%\\Ü"


def test_only_the_case_of_ascii_does_not_matter() -> None:
    assert Filters(pattern="*MATRIX.org").listed()(Room("!a:Matrix.ORG"))
    assert not Filters(pattern="ü*").listed()(Room("!a:x", name="Über"))
    # Neither of these is what the other's upper or lower case is in ASCII.
    assert not Filters(pattern="*k").listed()(Room("!a:x", name="\u212a"))


@pytest.mark.parametrize(
    ("filters", "room", "matches"),
    [
        ({}, {}, True),
        ({"pattern": "*:x"}, {}, True),
        ({"pattern": "!a"}, {}, False),
        ({"pattern": "#a*"}, {"canonical_alias": "#alias:x"}, True),
        ({"pattern": "na?e"}, {"name": "name"}, True),
        ({"pattern": "na?e"}, {"name": "renamed"}, False),
        ({"no_local_members": True}, {"local_members": 0}, True),
        ({"no_local_members": True}, {"local_members": 1}, False),
        ({"min_state_events": 5}, {"state_events": 5}, True),
        ({"min_state_events": 5}, {"state_events": 4}, False),
        ({"min_state_events": 5}, {}, False),
        ({"rooms": ("!a:x", "!b:x")}, {}, True),
        ({"rooms": ("!b:x",)}, {}, False),
        ({"rooms": ()}, {}, False),
        ({"pattern": "*", "no_local_members": True}, {"local_members": 1}, False),
    ],
)
def test_what_the_list_says_is_judged(filters: dict[str, object], room: dict[str, object], matches: bool) -> None:
    assert Filters(**filters).listed()(Room("!a:x", **room)) is matches


@pytest.mark.parametrize(
    ("filters", "room", "matches"),
    [
        ({}, {}, True),
        ({"inactive_days": 2}, {"last_activity": NOW - 2 * DAY - 1}, True),
        ({"inactive_days": 2}, {"last_activity": NOW - 2 * DAY}, False),
        ({"inactive_days": 2}, {"last_activity": None}, True),
        ({"tombstoned": True}, {"tombstoned": True}, True),
        ({"tombstoned": True}, {"tombstoned": None}, False),
        ({"tombstoned": True, "inactive_days": 2}, {"tombstoned": True, "last_activity": NOW}, False),
    ],
)
def test_what_a_look_says_is_judged(filters: dict[str, object], room: dict[str, object], matches: bool) -> None:
    assert Filters(**filters).looked_at(NOW)(Room("!a:x", **room)) is matches


@pytest.mark.parametrize(
    "wrong", [{"inactive_days": -1}, {"min_state_events": -1}, {"pattern": ""}, {"rooms": ("a:x",)}]
)
def test_a_filter_that_cannot_be(wrong: dict[str, object]) -> None:
    with pytest.raises(SourceError):
        Filters(**wrong)


def test_what_a_filter_costs() -> None:
    assert not Filters().narrows and Filters(rooms=()).narrows
    assert Filters(pattern="*").cheap and not Filters(pattern="*").costly
    assert Filters(tombstoned=True).costly and Filters(inactive_days=0).costly
    # A new filter has to be among the cheap or the costly ones, or it would be passed over.
    assert {each.name for each in dataclasses.fields(Filters)} == {
        *("pattern", "no_local_members", "min_state_events"),
        *("inactive_days", "tombstoned", "rooms"),
    }


# --- the statement ------------------------------------------------------------------------------


def test_what_users_write_is_never_in_the_statement() -> None:
    columns = {"room_stats_state": frozenset({"name", "canonical_alias"}), "rooms": frozenset({"room_id"})}
    filters = Filters(pattern="'; DROP", rooms=("!'; DROP",), inactive_days=987654, min_state_events=987654)
    text = ranking(columns, filters, order_by="disk", state=100, events=12.5, stats="stats")
    assert "DROP" not in text and "987654" not in text
    assert text.count("TABLESAMPLE") == 1 and "SYSTEM (12.500000000) REPEATABLE" in text


def test_only_what_ranks_is_counted() -> None:
    text = ranking({}, Filters(), order_by="state_rows", state=100, events=None, stats="")
    assert "FROM events" not in text and "TABLESAMPLE" not in text and "stats" not in text


def test_columns_that_are_there() -> None:
    columns = {"a": frozenset({"x", "y"})}
    assert has(columns, "a") and has(columns, "a", "x") and not has(columns, "a", "z") and not has(columns, "b")
    assert sample(100) == ""


# --- the estimate -------------------------------------------------------------------------------


@given(rooms=rooms)
def test_the_sum_is_of_each_or_not_known(rooms: list[Room]) -> None:
    whole, each = total(rooms, BOTH), [estimate(room, BOTH) for room in rooms]
    for figure in ("state_rows", "events", "disk_bytes", "rows"):
        parts = [getattr(one, figure) for one in each]
        known = getattr(whole, figure)
        if figure != "rows":
            assert known == (None if None in parts else sum(parts))
        elif known is not None:
            assert known == sum(parts)
    assert whole.memory_bytes == sum(one.memory_bytes for one in each)


def test_memory_comes_back_after_a_restart_and_for_rooms_of_other_servers() -> None:
    there = Room("!a:x", members=2500, local_members=1)
    data = estimate(there, BOTH).as_data()
    assert (data["memory_bytes"], data["memory_bytes_after_restart"]) == (0, 2500 * 15_000)
    assert "until Synapse is restarted" in data["memory_note"] and "VACUUM FULL" in data["disk_note"]
    assert estimate(Room("!a:x", members=50, local_members=50), BOTH).memory_bytes == 0


def test_the_estimate_says_how_it_is_known() -> None:
    room = Room("!a:x", state_rows=10, events=4, state_bytes=1000, event_bytes=500)
    data = estimate(room, Methods(state=sampled(12.5), events=COUNTED)).as_data()
    assert (data["rows"], data["disk_bytes"]) == (18, 1500)
    assert (data["state_method"], data["events_method"]) == ("sampled 12.5 %", "counted")
    assert data["disk_method"].startswith("rows sampled 12.5 % (events counted);")
    nothing = estimate(Room("!a:x", members=3), Methods()).as_data()
    assert nothing["rows"] is None and nothing["disk_bytes"] is None and nothing["disk_method"] is None


# --- the table ----------------------------------------------------------------------------------

# As Synapse makes them since room version 12.
NEW_ID = "!QNT4jL7h0iquhpeKd0cgtO7o-mBptFmfe6An6WXiGyI"


def test_an_id_can_be_copied_from_the_table() -> None:
    room = Room(
        NEW_ID,
        name="Name",
        canonical_alias="#alias:example.org",
        state_rows=123_456_789,
        state_bytes=1023 * 1024**3,
        events=12_345_678,
        event_bytes=1023 * 1024**3,
        state_events=100_000,
        members=100_000,
        local_members=1_000,
        active_local_members=1_000,
        last_activity=NOW,
        tombstoned=True,
        known=False,
        forward_extremities=11,
    )
    lines = rooms_table([room], methods=BOTH, matched=1, count=100_000)
    assert lines[0] == "1 of 1 that match, of 100,000 rooms"
    assert any(line.startswith(f"{NEW_ID} ") and "123,456,789" in line and "2026-09-21" in line for line in lines)
    text = " ".join(" ".join(lines).split())
    assert (
        "tombstoned, unknown to Synapse, 11" in text and "Purging all of them would free about 148,148,145 rows" in text
    )
    assert max(map(len, lines)) <= WIDTH


def test_what_is_not_known_is_a_question_mark() -> None:
    lines = rooms_table([Room("!a:x", state_events=5)], methods=Methods(), matched=None, count=2)
    assert lines[0] == "1 of 2 rooms"
    (row,) = [line for line in lines if line.startswith("!a:x")]
    assert row.split()[1:] == ["?", "?", "?", "?", "5", "?", "?", "?"]
    assert not any("Purging all" in line for line in lines)


def test_no_room() -> None:
    assert rooms_table([], methods=BOTH, matched=0, count=5) == ["0 of 0 that match, of 5 rooms"]


def test_a_name_steers_no_terminal_and_a_time_may_be_any() -> None:
    room = Room("!a:x", name="\x1b[2J\nowned\u202e" + "x" * 500, last_activity=10**18)
    text = "\n".join(rooms_table([room], methods=BOTH, matched=1, count=1))
    assert "\x1b" not in text and "\u202e" not in text and "x" * 60 not in text
