# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Only rooms that were named or confirmed are purged, and never a protected one."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_selection import select

COUNTS = st.one_of(st.none(), st.integers(0, 4))
ROOMS = st.lists(
    st.fixed_dictionaries(
        {
            "room_id": st.sampled_from(["!a:x", "!b:x", "!c:x", "!d:x"]),
            "canonical_alias": st.sampled_from([None, "#a:x", "#b:x"]),
            "active_local_members": COUNTS,
            "local_members": COUNTS,
        }
    ),
    unique_by=lambda room: room["room_id"],
)


def room(room_id: str = "!a:x", **figures: Any) -> dict[str, Any]:
    return {"room_id": room_id, "canonical_alias": None, "active_local_members": 0, "local_members": 0, **figures}


@given(
    named=ROOMS,
    matched=ROOMS,
    protect=st.lists(st.sampled_from(["!a:x", "!b:x", "#a:x", "#b:x"])),
    most=st.integers(0, 3),
    confirmed=st.booleans(),
)
def test_nothing_is_purged_that_must_stay(
    named: list[dict[str, Any]], matched: list[dict[str, Any]], protect: list[str], most: int, confirmed: bool
) -> None:
    found = select(named, matched, protect=protect, max_active=most, confirmed=confirmed)
    ids = [each["room_id"] for each in found.purge]
    assert len(ids) == len(set(ids))
    allowed = {each["room_id"] for each in named} | ({each["room_id"] for each in matched} if confirmed else set())
    assert set(ids) <= allowed and not set(ids) & set(protect)
    for each in found.purge:
        assert each["canonical_alias"] not in protect
        active = each["active_local_members"]
        assert (each["local_members"] if active is None else active) <= most
    everything = {each["room_id"] for each in [*named, *matched]}
    assert len(everything) == len(ids) + len(found.refused) + len(found.kept) + found.unconfirmed


def test_reasons() -> None:
    named = [
        room("!a:x"),
        room("!b:x", active_local_members=3),
        room("!c:x", active_local_members=None, local_members=1),
    ]
    found = select(named, [], protect=["!a:x"], max_active=2, confirmed=False)
    assert [each["room_id"] for each in found.purge] == ["!c:x"]
    assert found.refused == (
        "!a:x: it is protected",
        "!b:x: 3 users of this server are active in it, more than 2",
    )
    unknown = select(
        [room(active_local_members=None, local_members=None)], [], protect=[], max_active=9, confirmed=True
    )
    assert not unknown.purge and "not known how many" in unknown.refused[0]


def test_a_filter_waits_to_be_confirmed() -> None:
    matched = [room("!a:x"), room("!b:x", active_local_members=1)]
    waiting = select([], matched, protect=[], max_active=0, confirmed=False)
    assert (len(waiting.purge), waiting.unconfirmed, len(waiting.kept)) == (0, 1, 1)
    assert len(select([], matched, protect=[], max_active=0, confirmed=True).purge) == 1
