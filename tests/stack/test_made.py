# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made database holds what it promises, and the compressor makes it smaller without changing any room's state."""

from __future__ import annotations

import json
import random
from typing import Any

import images
import play
import pytest
import states
from made import Made

pytestmark = pytest.mark.slow


def _rows(made: Made) -> int:
    return int(made.project.sql("SELECT count(*) FROM state_groups_state")[0][0])


def test_it_is_as_large_as_promised(made: Made) -> None:
    sizes = {
        room: (int(members), int(rows))
        for room, members, rows in made.project.sql(
            "SELECT room_id, (SELECT count(*) FROM room_memberships m JOIN current_state_events USING (event_id)"
            "  WHERE m.room_id = rooms.room_id AND m.membership = 'join'),"
            " (SELECT count(*) FROM state_groups_state s WHERE s.room_id = rooms.room_id) FROM rooms"
        )
    }
    assert len(sizes) >= 20
    assert {room["room_id"]: room["members"] for room in made.rooms} == {
        room: members for room, (members, _rows) in sizes.items()
    }
    members, rows = sizes[made.heavy]
    assert members >= 2000 and rows >= 200_000
    assert sum(rows for _members, rows in sizes.values()) == made.manifest["rows"]
    # A long tail: most rooms are small.
    assert sorted(rows for _members, rows in sizes.values())[len(sizes) // 2] < 500


def test_synapse_and_its_users_find_their_rooms(made: Made) -> None:
    admin = made.user("admin")
    listed = admin.call("GET", "/_synapse/admin/v1/rooms", order_by="joined_members", limit=100)["rooms"]
    assert listed[0]["room_id"] == made.heavy and listed[0]["name"] == "The heavy room"
    # What Synapse counts by and by was up to date when the database was kept.
    assert {room["room_id"]: room["joined_members"] for room in listed} == {
        room["room_id"]: room["members"] for room in made.rooms
    }
    alice = made.user("alice")
    assert made.heavy in alice.sync()["rooms"]["join"]
    bob = made.user("bob")
    since = bob.sync()["next_batch"]
    alice.send(made.heavy, "to two thousand")
    (event,) = [
        event
        for event in bob.sync(since, wait=10)["rooms"]["join"][made.heavy]["timeline"]["events"]
        if event["type"] == "m.room.message"
    ]
    assert event["content"]["body"] == "to two thousand"
    assert made.project.login("alice").user_id == alice.user_id


def test_each_shape_is_there(made: Made) -> None:
    for tombstoned in made.shaped("tombstoned"):
        assert ("m.room.tombstone", "") in _current(made, tombstoned["room_id"])
    for encrypted in made.shaped("encrypted"):
        assert ("m.room.encryption", "") in _current(made, encrypted["room_id"])
    for named in made.shaped("alias"):
        assert ("m.room.canonical_alias", "") in _current(made, named["room_id"])
    for left in made.shaped("left"):
        details = made.user("admin").call("GET", f"/_synapse/admin/v1/rooms/{left['room_id']}")
        assert details["joined_local_members"] == 0
    for old in made.shaped("old"):
        newest = made.project.sql(
            f"SELECT origin_server_ts FROM events WHERE room_id = '{old['room_id']}' ORDER BY stream_ordering DESC LIMIT 1"
        )
        assert int(newest[0][0]) < 1_600_000_000_000
    assert all(made.shaped(shape) for shape in ("tombstoned", "encrypted", "alias", "left", "old", "private", "direct"))


def _current(made: Made, room: str) -> set[tuple[str, str]]:
    rows = made.project.sql(f"SELECT type, state_key FROM current_state_events WHERE room_id = '{room}'")
    return {(row[0], row[1]) for row in rows}


def test_compressing_saves_a_third_and_changes_no_state(made: Made) -> None:
    events = states.sample(made.project, made.heavy, 40, seed=4)
    for room in made.rooms[1:]:
        events += states.sample(made.project, room["room_id"], 3, seed=4)
    before = states.stored(made.project, events)
    assert max(len(state) for state in before.values()) > 2000
    rows = _rows(made)
    admin = made.user("admin")
    with play.Syncing(made.user("alice")) as syncing:
        database = made.project.container("db")
        made.project.engine.docker(
            *("run", "--rm", "--network", f"container:{database}", images.COMPRESSOR.tag, "synapse_auto_compressor"),
            *("-p", "postgresql://synapse@127.0.0.1/synapse", "-c", "500", "-n", "100"),
        )
        admin.send(made.heavy, "after it")
    assert syncing.outages == []
    assert _rows(made) <= rows * 0.7
    assert states.stored(made.project, events) == before
    # And what Synapse makes of it, from tables that it has not in its caches.
    made.project.compose("restart", "synapse")
    made.project.wait()
    late = [event for event in events[:40] if ("m.room.member", admin.user_id) in before[event]]
    for event in random.Random(4).sample(late, 5):
        assert states.asked(admin, made.heavy, event) == before[event]


def test_it_can_be_had_again(made: Made) -> None:
    made.restore()
    assert _rows(made) == made.manifest["rows"]
    assert made.heavy in made.user("alice").sync()["rooms"]["join"]


def _module(made: Made, name: str, **options: Any) -> dict[str, Any]:
    """What a module returns that asks the deployment as its administrator."""
    token = {} if name != "room" else {"access_token": made.user("admin").token}
    said, _errors = play.module(made.project, name, **{"project_dir": str(made.project.directory), **token, **options})
    answer: dict[str, Any] = json.loads(said)
    assert not answer.get("failed"), answer
    return answer


_TABLES = ("state_groups_state", "events", "event_json")


def _counted(made: Made, table: str) -> dict[str, int]:
    """How many rows each room has in a table."""
    rows = made.project.sql(f"SELECT room_id, count(*) FROM {table} GROUP BY room_id")
    return {room: int(count) for room, count in rows}


def test_the_ranking_is_the_truth(made: Made) -> None:
    answer = _module(made, "rooms_info", limit=100)
    counted = _counted(made, "state_groups_state")
    assert [(room["room_id"], room["state_rows"]) for room in answer["rooms"]] == sorted(
        counted.items(), key=lambda each: (-each[1], each[0])
    )
    assert answer["rooms"][0]["room_id"] == made.heavy
    events = _counted(made, "events")
    assert {room["room_id"]: room["events"] for room in answer["rooms"]} == events
    # And of pages by chance the heaviest is still the heaviest, at about what it has.
    sampled = _module(made, "rooms_info", limit=1, sample_above=50_000)
    assert sampled["sampled"] and sampled["rooms"][0]["room_id"] == made.heavy
    assert sampled["rooms"][0]["state_rows"] == pytest.approx(counted[made.heavy], rel=0.25)


def test_purging_the_heaviest_returns_what_was_estimated(made: Made) -> None:
    estimate = _module(made, "rooms_info", limit=1, sample_above=50_000)["rooms"][0]["estimate"]["rows"]
    before = {table: _counted(made, table) for table in _TABLES}
    bystander = made.user("bob")
    with play.Syncing(bystander) as syncing:
        answer = _module(made, "room", room=made.heavy)
        room = bystander.create_room()
        bystander.send(room, "after it")
    after = {table: _counted(made, table) for table in _TABLES}
    # Everybody here was made to leave, and whoever else is on the server noticed nothing.
    assert answer["changed"] and len(answer["kicked_users"]) >= 2000 and answer["failed_to_kick_users"] == []
    assert syncing.outages == [] and syncing.texts == ["after it"]
    returned = sum(before[table][made.heavy] - after[table].get(made.heavy, 0) for table in _TABLES)
    assert returned == pytest.approx(estimate, rel=0.25)
    # Nobody else lost a row of state.
    assert [
        room for room, rows in before["state_groups_state"].items() if after["state_groups_state"].get(room) != rows
    ] == [made.heavy]
    assert not _module(made, "room", room=made.heavy)["changed"]
