# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rooms may be purged, and what is said of them afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import DISK_NOTE, MEMORY_NOTE
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_selection import purgeable, purged


def room(room_id: str, **known: Any) -> dict[str, Any]:
    return {"room_id": room_id, "active_local_members": 0, "local_members": 0, "known": True, **known}


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({}, None),
        ({"active_local_members": 1, "local_members": 40}, None),
        ({"active_local_members": 2}, "2 active local users are in it, and 1 may be"),
        # Not known who is active: then everybody may be.
        ({"active_local_members": None, "local_members": 2}, "2 local users are in it, and 1 may be"),
        ({"active_local_members": None, "local_members": 1}, None),
        ({"active_local_members": None, "local_members": None}, "it is not known how many local users are in it"),
        ({"canonical_alias": "#kept:x"}, "it is protected by synapse_tuning_rooms_protect"),
        ({"canonical_alias": "#other:x"}, None),
        ({"known": False}, "Synapse does not know it any more, so its admin API cannot purge what is left of it"),
    ],
)
def test_what_may_be_purged(known: dict[str, Any], reason: str | None) -> None:
    given = room("!a:x", **known)
    kept = [] if reason is None else [{"room_id": "!a:x", "reason": reason}]
    assert purgeable([given], protect=["!b:x", "#kept:x"], max_active_local_members=1) == {
        "purge": [given] if reason is None else [],
        "keep": kept,
    }


def test_a_protected_id_and_the_order() -> None:
    rooms = [room("!a:x"), room("!b:x"), room("!c:x")]
    found = purgeable(rooms, protect=["!b:x"], max_active_local_members=0)
    assert [each["room_id"] for each in found["purge"]] == ["!a:x", "!c:x"]
    assert [each["room_id"] for each in found["keep"]] == ["!b:x"]


ESTIMATE = {"disk_note": DISK_NOTE, "memory_note": MEMORY_NOTE}


def test_what_is_said_afterwards() -> None:
    before = {
        "rooms": [room("!a:x", estimate={"rows": 12_000}), room("!b:x", estimate={"rows": 5}), room("!c:x")],
        "absent": ["!gone:x"],
        "estimate": ESTIMATE,
    }
    left = {"rooms": [room("!a:x", estimate={"rows": 100}), room("!b:x", estimate={"rows": 5})]}
    outcomes = [
        {"room_id": "!a:x", "changed": True, "failed": False, "kicked_users": ["@ada:x"]},
        # Of a loop an item that failed may say nothing else.
        {"item": {"room_id": "!b:x"}, "failed": True, "msg": "Synapse says no"},
        {"room_id": "!c:x", "changed": False},
    ]
    keep = [{"room_id": "!d:x", "reason": "it is protected"}]
    result = purged(outcomes, chosen=before, keep=keep, left=left)
    assert (result["purged"], result["kept"], result["absent"]) == (["!a:x"], keep, ["!gone:x"])
    assert result["failed"] == ["!b:x was not purged: Synapse says no"]
    assert result["lines"] == [
        "!d:x is kept: it is protected",
        "!gone:x is not there, it may have been purged before",
        "!a:x is purged, 1 local user was made to leave; about 12,000 rows were to come back, 11,900 did",
        "!c:x had gone already",
        f"The disk: {DISK_NOTE}",
        f"The memory: {MEMORY_NOTE}; synapse_tuning_rooms_restart=true restarts it afterwards",
        "!b:x was not purged: Synapse says no",
    ]


def test_without_figures_and_in_check_mode() -> None:
    before = {"rooms": [room("!a:x", estimate={"rows": None})], "estimate": ESTIMATE}
    outcomes = [{"room_id": "!a:x", "changed": True, "kicked_users": []}]
    known = purged(outcomes, chosen=before, keep=[], left={"rooms": []})
    assert known["lines"][0] == "!a:x is purged, 0 local users were made to leave"
    counted = {**before, "rooms": [room("!a:x", estimate={"rows": 7})]}
    checked = purged(outcomes, chosen=counted, keep=[], left=counted, check_mode=True)
    assert checked["lines"][0] == "!a:x would be purged, which returns about 7 rows"
    assert purged([], chosen={**before, "rooms": []}, keep=[], left={"rooms": []})["lines"] == [
        "No room was to be purged"
    ]
