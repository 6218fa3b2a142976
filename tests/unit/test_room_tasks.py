# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's answers mean for a room, and the courses of a task that a real server seldom takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils import _room
from ansible_collections.synapse.tuning.plugins.module_utils._core import room as facts
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import AdminProblem, RoomError
from ansible_collections.synapse.tuning.plugins.module_utils._core.room import Task
from ansible_collections.synapse.tuning.plugins.module_utils._room import Outcome, Request

ROOM = "!room:example.org"
DAY = 24 * 3600 * 1000
NOW = 1_790_000_000.0

# -- pure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "alias"), [("!a:b", False), ("!hash-of-v12_", False), ("#a b:c:8448", True)])
def test_ids_and_aliases(room: str, alias: bool) -> None:
    assert facts.is_alias(room) is alias


@pytest.mark.parametrize("room", ["", "a:b", "#a", "!", "!a/b:c", "@user:b", " !a:b"])
def test_what_is_no_room(room: str) -> None:
    with pytest.raises(RoomError, match="give an ID such as"):
        facts.is_alias(room)


@pytest.mark.parametrize(("age", "milliseconds"), [("90d", 90 * DAY), ("12h", DAY // 2), ("1s", 1000)])
def test_ages(age: str, milliseconds: int) -> None:
    assert facts.age_in_milliseconds(age) == milliseconds


@pytest.mark.parametrize("age", ["", "90", "0d", "-1d", "1.5d", "d", "1 d", "1M"])
def test_an_age_has_a_unit(age: str) -> None:
    with pytest.raises(RoomError, match="such as 90d"):
        facts.age_in_milliseconds(age)


@pytest.mark.parametrize("version", ["1.155.0", "1.155.1rc1", "1.99.0", "0.34", "unknown", ""])
def test_a_synapse_that_deletes_local_events_all_the_same(version: str) -> None:
    with pytest.raises(RoomError, match=r"update Synapse to 1\.156"):
        facts.check_local_events(version, delete_local_events=False)
    facts.check_local_events(version, delete_local_events=True)


@pytest.mark.parametrize("version", ["1.156.0", "1.156.0rc1", "1.163.2", "2.0"])
def test_a_synapse_that_keeps_them(version: str) -> None:
    facts.check_local_events(version, delete_local_events=False)


def task(name: str, status: str, *, at: float = NOW, action: str = "shutdown_and_purge_room") -> dict[str, Any]:
    return {"id": name, "action": action, "status": status, "timestamp_ms": int(at * 1000), "error": None}


@pytest.mark.parametrize(
    ("tasks", "adopted"),
    [
        ([], None),
        ([task("a", "complete"), task("b", "failed"), task("c", "cancelled")], None),
        ([task("later", "scheduled"), task("first", "scheduled", at=NOW - 60)], "first"),
        ([task("queued", "scheduled", at=NOW - 60), task("running", "active")], "running"),
        ([task("history", "active", action="purge_history")], None),
        ([task("own", "active", action="purge_room")], "own"),
        # Synapse's own, once forgotten_room_retention_period is over.
        ([task("in 28 days", "scheduled", at=NOW + 28 * 24 * 3600, action="purge_room")], None),
    ],
)
def test_which_task_is_adopted(tasks: list[dict[str, Any]], adopted: str | None) -> None:
    assert facts.to_adopt(tasks, facts.DELETE, now_ms=NOW * 1000) == adopted


@pytest.mark.parametrize(
    ("times", "old"), [([], False), ([1], False), ([1, 9], False), ([1, 4], True), ([6, 7], False)]
)
def test_one_old_event_always_stays(times: list[int], old: bool) -> None:
    assert facts.too_old([{"origin_server_ts": each} for each in times], before_ms=5) is old


def test_local_members() -> None:
    def member(user: str, membership: str) -> dict[str, Any]:
        return {"type": "m.room.member", "state_key": user, "content": {"membership": membership}}

    state = [
        *(member("@j:here:8448", "join"), member("@i:here:8448", "invite"), member("@k:here:8448", "knock")),
        *(member("@l:here:8448", "leave"), member("@b:here:8448", "ban")),
        *(member("@j:there", "join"), member("@x:nothere:8448", "join")),
        {"type": "m.room.name", "state_key": "@n:here:8448", "content": {"membership": "join"}},
    ]
    assert facts.local_members(state, server="here:8448") == ["@i:here:8448", "@j:here:8448", "@k:here:8448"]


def test_progress_is_one_line_that_changes_seldom() -> None:
    running = Task("x", "active", {"kicked_users": ["a", "b"], "failed_to_kick_users": ["c"]})
    line = "the purge is active, 2 local users made to leave, 1 could not be, 10 s"
    assert {running.progress(action="the purge", seconds=each) for each in (10, 14, 19.9)} == {line}
    assert running.progress(action="the purge", seconds=3599).endswith(", 59 min")
    assert Task("x", "scheduled", {}).progress(action="the purge", seconds=0) == "the purge waits for its turn, 0 s"


# -- a task's course -----------------------------------------------------------------------------


class FakeApi:
    """Answers by (method, path); a list gives one after the other, an exception is raised."""

    url = "http://127.0.0.1:8008"

    def __init__(self, answers: Mapping[str, Any]) -> None:
        self.answers = {name: list(value) if isinstance(value, list) else value for name, value in answers.items()}
        self.sent: list[tuple[str, Any]] = []

    def _answer(self, name: str) -> Any:
        found = self.answers[name]
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if isinstance(found, Exception):
            raise found
        return found

    def get(self, *path: str, **_query: Any) -> Any:
        return self._answer("/".join(path).replace(ROOM, "ROOM"))

    def _send(self, method: str, path: tuple[str, ...], body: Any) -> Any:
        name = f"{method} {'/'.join(path).replace(ROOM, 'ROOM')}"
        self.sent.append((name, body))
        return self._answer(name)

    def post(self, *path: str, body: Any) -> Any:
        return self._send("POST", path, body)

    def put(self, *path: str, body: Any) -> Any:
        return self._send("PUT", path, body)

    def delete(self, *path: str, body: Any) -> Any:
        return self._send("DELETE", path, body)

    def with_patience(self, _seconds: float, *, timeout: float) -> FakeApi:
        return self

    def server_name(self) -> str:
        return "example.org"


KNOWN = {"name": "Big", "joined_local_members": 1, "state_events": 9, "forgotten": False}
GONE = AdminProblem("Room not found", status=404, errcode="M_NOT_FOUND")
UNRECOGNIZED = AdminProblem("update Synapse", status=404, errcode="M_UNRECOGNIZED")
AWAY = AdminProblem("Synapse does not answer at http://127.0.0.1:8008: Connection refused; start it, or correct url")
KICKED = {"kicked_users": ["@a:example.org"], "failed_to_kick_users": [], "local_aliases": [], "new_room_id": None}
STATUS = "v2/rooms/delete_status/id"


def status(name: str, *result: Any) -> dict[str, Any]:
    return {"delete_id": "id", "status": name, "shutdown_room": result[0] if result else KICKED}


def deleting(**answers: Any) -> FakeApi:
    return FakeApi(
        {
            "v1/rooms/ROOM": [KNOWN, GONE],
            "v1/scheduled_tasks": {"scheduled_tasks": []},
            "DELETE v2/rooms/ROOM": {"delete_id": "id"},
            STATUS: [status("active"), status("complete")],
            **answers,
        }
    )


def run(
    api: FakeApi, *, state: str = "absent", tick: Callable[[float], None] = lambda _seconds: None, **given: Any
) -> Outcome:
    time = [NOW]

    def sleep(seconds: float) -> None:
        time[0] += seconds
        tick(time[0] - NOW)

    return _room.manage(api, Request(ROOM, state, **given), sleep=sleep, now=lambda: time[0])  # type: ignore[arg-type]


def test_a_purge() -> None:
    api = deleting()
    done = run(api, block=False, new_room={"message": "bye"})
    assert (done.changed, done.finished, done.exists, done.failure) == (True, True, False, "")
    assert api.sent == [
        ("DELETE v2/rooms/ROOM", {"purge": True, "block": False, "force_purge": False, "message": "bye"})
    ]
    assert done.as_data()["kicked_users"] == ["@a:example.org"]


@pytest.mark.parametrize("state", ["absent", "forgotten"])
def test_a_room_that_is_gone_is_fine(state: str) -> None:
    api = deleting(**{"v1/rooms/ROOM": GONE})
    done = run(api, state=state)
    assert not done.changed and not done.exists and api.sent == []


def test_a_synapse_that_is_away_is_followed_further() -> None:
    api = deleting(**{STATUS: [status("active"), AWAY, AWAY, AdminProblem("failed", status=500), status("complete")]})
    done = run(api)
    assert done.changed and not done.failure and len(api.sent) == 1


def test_a_synapse_that_stays_away() -> None:
    done = run(deleting(**{STATUS: AWAY}), wait_timeout=60)
    assert not done.finished and done.changed and done.exists
    assert "Connection refused" in done.failure and "run again" in done.failure and "60 s" in done.failure


def test_a_token_that_is_taken_away_meanwhile() -> None:
    done = run(deleting(**{STATUS: [status("active"), AdminProblem("give the token", status=401)]}))
    assert done.failure == "give the token" and not done.finished and done.changed


@pytest.mark.parametrize(("room", "failure"), [(GONE, ""), (KNOWN, "does not know the task id any more")])
def test_a_task_that_vanished(room: Any, failure: str) -> None:
    """Where the database was put back; what counts is the room."""
    done = run(deleting(**{STATUS: [status("active"), GONE], "v1/rooms/ROOM": [KNOWN, room]}))
    assert (failure in done.failure) if failure else not done.failure
    assert done.changed and done.exists is (room is KNOWN)


def test_a_failed_task_says_why_and_what_to_do() -> None:
    result = {**KICKED, "failed_to_kick_users": ["@b:example.org"]}
    tasks = {"scheduled_tasks": [{**task("id", "failed"), "error": "400: Users are still joined to this room"}]}
    done = run(deleting(**{STATUS: status("failed", result), "v1/scheduled_tasks": [{"scheduled_tasks": []}, tasks]}))
    assert "(400: Users are still joined to this room)" in done.failure
    assert "@b:example.org could not be made to leave" in done.failure and "force_purge: true" in done.failure
    assert done.as_data()["failed_to_kick_users"] == ["@b:example.org"] and done.finished


REFERRED = 'update or delete on table "rooms" violates foreign key constraint "x" on table "y"\nDETAIL:  Key (room_id)'


def test_a_purge_that_fails_for_what_passes_is_begun_again() -> None:
    """As after a restart; the users have left in the first one, and found a new room."""
    moved = {**KICKED, "new_room_id": "!new:example.org", "local_aliases": ["#a:example.org"]}
    nobody = {"kicked_users": [], "failed_to_kick_users": [], "local_aliases": [], "new_room_id": None}
    failed = {"scheduled_tasks": [{**task("id", "failed"), "error": REFERRED}]}
    api = deleting(
        **{
            STATUS: [status("failed", moved), status("active", nobody), status("complete", nobody)],
            "v1/scheduled_tasks": [{"scheduled_tasks": []}, failed],
        }
    )
    done = run(api, new_room={"new_room_user_id": "@admin:example.org"})
    assert done.changed and not done.exists and not done.failure and not done.adopted
    data = done.as_data()
    assert data["kicked_users"] == ["@a:example.org"] and data["new_room_id"] == "!new:example.org"
    assert data["local_aliases"] == ["#a:example.org"]
    # No second new room.
    assert ["new_room_user_id" in body for _name, body in api.sent] == [True, False]


def test_and_not_for_ever() -> None:
    failed = {"scheduled_tasks": [{**task("id", "failed"), "error": REFERRED}]}
    api = deleting(**{STATUS: status("failed"), "v1/scheduled_tasks": [{"scheduled_tasks": []}, failed]})
    done = run(api)
    assert "background updates" in done.failure and "\n" not in done.failure and len(api.sent) == 9
    assert done.as_data()["kicked_users"] == ["@a:example.org"]


def test_a_room_that_somebody_joined_again_at_once() -> None:
    done = run(deleting(**{"v1/rooms/ROOM": KNOWN}))
    assert "is there again" in done.failure and "block: true" in done.failure


def test_anothers_task_that_does_less_is_followed_by_one_of_our_own() -> None:
    """Another has the users leave, and keeps the room."""
    other = {"scheduled_tasks": [task("other", "active")]}
    api = deleting(
        **{
            "v1/scheduled_tasks": [other, {"scheduled_tasks": []}],
            "v2/rooms/delete_status/other": [status("active"), status("complete")],
            "v1/rooms/ROOM": [KNOWN, KNOWN, GONE],
        }
    )
    done = run(api)
    assert done.changed and not done.adopted and not done.exists and not done.failure
    assert [name for name, _body in api.sent] == ["DELETE v2/rooms/ROOM"]


def test_somebody_was_faster() -> None:
    busy = AdminProblem("Purge already in progress", status=400, errcode="M_UNKNOWN")
    other = {"scheduled_tasks": [task("other", "active")]}
    api = deleting(
        **{
            "v1/scheduled_tasks": [{"scheduled_tasks": []}, other],
            "DELETE v2/rooms/ROOM": busy,
            "v2/rooms/delete_status/other": status("complete"),
        }
    )
    done = run(api)
    assert done.adopted and done.changed and not done.failure


def test_a_synapse_without_the_list_of_tasks() -> None:
    by_room = {"results": [status("complete"), {**status("active"), "delete_id": "other"}]}
    api = deleting(
        **{
            "v1/scheduled_tasks": UNRECOGNIZED,
            "v2/rooms/ROOM/delete_status": by_room,
            "v2/rooms/delete_status/other": status("complete"),
        }
    )
    assert run(api).adopted


@pytest.mark.parametrize("check_mode", [True, False])
def test_a_synapse_too_old_to_delete_in_the_background(check_mode: bool) -> None:
    api = deleting(**{"v1/scheduled_tasks": UNRECOGNIZED, "v2/rooms/ROOM/delete_status": UNRECOGNIZED})
    with pytest.raises(AdminProblem, match="update Synapse"):
        run(api, check_mode=check_mode)
    assert api.sent == []


def test_slices_make_a_whole() -> None:
    api = deleting(**{STATUS: [*[status("active")] * 12, status("complete")]})
    first = run(api, seconds=5)
    assert (first.changed, first.finished) == (True, False) and first.follow and "active" in first.progress
    second = run(api, seconds=60, follow=first.follow)
    assert (second.changed, second.finished, second.follow) == (True, True, None)
    assert len(api.sent) == 1


def test_not_waiting() -> None:
    done = run(deleting(**{STATUS: status("scheduled", None)}), wait=False)
    assert (done.changed, done.finished, done.failure, done.follow) == (True, False, "", None)
    assert done.progress == "the purge waits for its turn, 0 s"


def event(name: str, days: float) -> dict[str, Any]:
    return {"event_id": name, "origin_server_ts": int(NOW * 1000 - days * DAY)}


def trimming(**answers: Any) -> FakeApi:
    return FakeApi(
        {
            "v1/server_version": {"server_version": "1.163.2 (b=main)"},
            "v1/rooms/ROOM": KNOWN,
            "v1/scheduled_tasks": {"scheduled_tasks": []},
            "v1/rooms/ROOM/messages": [{"chunk": [event("$a", 99), event("$b", 98)]}, {"chunk": [event("$c", 91)]}],
            "POST v1/purge_history/ROOM": {"purge_id": "p"},
            "v1/purge_history_status/p": [{"status": "active"}, {"status": "complete"}],
            **answers,
        }
    )


def trim(api: FakeApi, **given: Any) -> Outcome:
    return run(api, state="trimmed", older_than="90d", **given)


def test_trimming() -> None:
    api = trimming()
    done = trim(api)
    assert done.changed and done.finished
    body = {"purge_up_to_ts": int(NOW * 1000) - 90 * DAY, "delete_local_events": False}
    assert api.sent == [("POST v1/purge_history/ROOM", body)]
    assert done.as_data()["diff"]["before"].endswith("events_to_trim: true\n")
    assert done.as_data()["diff"]["after"].endswith("events_to_trim: false\n")


def test_nothing_to_trim() -> None:
    api = trimming(**{"v1/rooms/ROOM/messages": {"chunk": [event("$a", 99), event("$b", 1)]}})
    assert not trim(api).changed and api.sent == []


def test_a_purge_that_found_nothing_has_changed_nothing() -> None:
    """Events that were sent long ago, but received since."""
    chunk = {"chunk": [event("$a", 99), event("$b", 98)]}
    assert not trim(trimming(**{"v1/rooms/ROOM/messages": chunk})).changed
    nothing = AdminProblem("there is no event to be purged", status=404, errcode="M_NOT_FOUND")
    assert not trim(trimming(**{"POST v1/purge_history/ROOM": nothing})).changed


def test_anothers_purge_of_less_is_followed_by_one_of_our_own() -> None:
    other = {"scheduled_tasks": [task("other", "active", action="purge_history")]}
    messages = [[event("$a", 999), event("$b", 998)], [event("$c", 99), event("$d", 98)], [event("$e", 1)]]
    api = trimming(
        **{
            "v1/scheduled_tasks": other,
            "v1/purge_history_status/other": {"status": "complete"},
            "v1/rooms/ROOM/messages": [{"chunk": each} for each in messages],
        }
    )
    done = trim(api)
    assert done.changed and not done.adopted and len(api.sent) == 1


@pytest.mark.parametrize("check_mode", [True, False])
def test_the_trap_before_1_156(check_mode: bool) -> None:
    old = {"v1/server_version": {"server_version": "1.155.0"}}
    api = trimming(**old)
    with pytest.raises(RoomError, match="deletes the messages of this server's own users"):
        trim(api, check_mode=check_mode)
    assert api.sent == []
    assert trim(trimming(**old), delete_local_events=True, check_mode=check_mode).changed


def test_a_failed_trim() -> None:
    said = "400: topological_ordering is greater than forward extremities"
    done = trim(trimming(**{"v1/purge_history_status/p": {"status": "failed", "error": said}}))
    assert said in done.failure and "older older_than" in done.failure


def test_an_alias_would_lead_to_the_new_room() -> None:
    with pytest.raises(RoomError, match="give the ID"):
        _room.manage(FakeApi({}), Request("#a:b", "absent", new_room={"new_room_user_id": "@a:b"}))  # type: ignore[arg-type]
