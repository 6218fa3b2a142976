# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's answers about a room mean: which task is under way, how far it is, what to do where it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import RoomError
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import synapse_milliseconds

__all__ = [
    "DELETE",
    "HISTORY",
    "Task",
    "advice",
    "age_in_milliseconds",
    "check_local_events",
    "is_alias",
    "local_members",
    "to_adopt",
    "too_old",
]

DELETE = ("shutdown_and_purge_room", "purge_room")
"""The actions of Synapse's tasks that delete a room; the second is its own, for rooms that all have forgotten."""

HISTORY = ("purge_history",)

_PASSING = ("foreign key constraint", "deadlock detected", "could not serialize")
_WAITING = ("scheduled", "active")
_ALIAS = re.compile(r"#[^\x00]+:[^\x00]+")
_ID = re.compile(r"![^\x00\s/]+")
_AGE = re.compile(r"[1-9]\d*[smhdwy]")
_VERSION = re.compile(r"(\d+)\.(\d+)")
# A task for later, as Synapse's own for rooms that were forgotten, is not waited for.
_SOON = 60 * 1000
# Before it, local events were deleted whatever was asked for (#19850).
_KEEPS_LOCAL_EVENTS = (1, 156)


@dataclass(frozen=True)
class Task:
    """A task of Synapse's, as far as it is.

    status: C(scheduled), C(active), C(complete), C(failed) or C(cancelled). result: who was made to leave; empty
    before it starts, and for the purge of a history. error: why it failed, None where that is not known.
    """

    id: str
    status: str
    result: Mapping[str, Any]
    error: Optional[str] = None

    @property
    def waiting(self) -> bool:
        """Whether it has still to be done."""
        return self.status in _WAITING

    def names(self, key: str) -> List[str]:
        """Of the result, C(kicked_users), C(failed_to_kick_users) or C(local_aliases)."""
        found = self.result.get(key)
        return [str(each) for each in found] if isinstance(found, list) else []

    @property
    def may_pass(self) -> bool:
        """Whether it failed for what passes by itself.

        After a start Synapse looks rooms over in which something has just happened, as a deletion's last leave; until it
        has, their rows are referred to.
        """
        error = self.error or ""
        return self.status == "failed" and any(sign in error for sign in _PASSING)

    def after(self, earlier: Mapping[str, Any]) -> Task:
        """With what an earlier task, whose result is given, has done for the same end."""
        lists = {
            key: list(dict.fromkeys([*(earlier.get(key) or ()), *self.names(key)]))
            for key in ("kicked_users", "local_aliases")
        }
        new_room = self.result.get("new_room_id") or earlier.get("new_room_id")
        return replace(self, result={**self.result, **lists, "new_room_id": new_room})

    def progress(self, *, action: str, seconds: float) -> str:
        """One line for people. Without the seconds a line that stays the same is not shown again."""
        if self.status == "scheduled":
            return f"{action} waits for its turn, {_minutes(seconds)}"
        left = len(self.names("kicked_users"))
        failed = len(self.names("failed_to_kick_users"))
        parts = [
            f"{action} is {self.status}",
            f"{left} local users made to leave" if left else "",
            f"{failed} could not be" if failed else "",
            _minutes(seconds),
        ]
        return ", ".join(part for part in parts if part)


def is_alias(room: str) -> bool:
    """Whether it is an alias, and not an ID. Raises RoomError for what is neither."""
    if _ALIAS.fullmatch(room):
        return True
    if _ID.fullmatch(room):
        return False
    raise RoomError(f"room is {room!r}: give an ID such as !abc:example.org, or an alias such as #room:example.org")


def age_in_milliseconds(age: str) -> int:
    """Read C(90d), C(12h) and so on. Raises RoomError.

    A bare number is refused: Synapse would take milliseconds, people mean days.
    """
    if not _AGE.fullmatch(age):
        raise RoomError(f"older_than is {age!r}: give a number with s, m, h, d, w or y, such as 90d")
    return synapse_milliseconds(age)


def check_local_events(version: str, *, delete_local_events: bool) -> None:
    """Raise RoomError where this Synapse would delete local events though it was told not to."""
    if not delete_local_events and _number(version) < _KEEPS_LOCAL_EVENTS:
        raise RoomError(
            f"Synapse {version} deletes the messages of this server's own users even where delete_local_events is false:"
            " update Synapse to 1.156 or later, or give delete_local_events: true where they may go"
        )


def _number(version: str) -> Tuple[int, int]:
    found = _VERSION.match(version)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def to_adopt(tasks: Iterable[Mapping[str, Any]], actions: Sequence[str], *, now_ms: float) -> Optional[str]:
    """The ID of the task that is under way or next, by what C(v1/scheduled_tasks) says of a room; None for none."""
    waiting = [
        each
        for each in tasks
        if each.get("action") in actions
        and (
            each.get("status") == "active"
            or (each.get("status") == "scheduled" and int(each.get("timestamp_ms") or 0) <= now_ms + _SOON)
        )
    ]
    waiting.sort(key=lambda each: (each.get("status") != "active", int(each.get("timestamp_ms") or 0)))
    return str(waiting[0]["id"]) if waiting else None


def too_old(events: Sequence[Mapping[str, Any]], *, before_ms: int) -> bool:
    """Whether a purge up to that time would remove any of these, the oldest that the room has.

    One such event may always stay: Synapse purges up to the last one before the time, and keeps that.
    """
    return sum(int(each.get("origin_server_ts") or 0) < before_ms for each in events) > 1


def local_members(state: Iterable[Mapping[str, Any]], *, server: str) -> List[str]:
    """The users of this server who are joined, invited or knocking, by the room's state."""
    return sorted(
        str(each["state_key"])
        for each in state
        if each.get("type") == "m.room.member"
        and str(each.get("state_key", "")).partition(":")[2] == server
        and (each.get("content") or {}).get("membership") in ("join", "invite", "knock")
    )


def advice(task: Task, *, force_purge: bool) -> str:
    """What to do about a task that did not succeed."""
    error = task.error or ""
    if "still joined" in error:
        failed = task.names("failed_to_kick_users")
        who = f" ({', '.join(failed[:5])} could not be made to leave)" if failed else ""
        return f"somebody did not leave, or joined again{who}: run again, or purge all the same with force_purge: true"
    if "forward extremities" in error:
        return "the room has no event that is new enough to stay: give an older older_than"
    if task.may_pass:
        return "Synapse is busy with the same rows, as after a start: wait for its background updates, and run again"
    if task.status == "cancelled":
        return "somebody cancelled it: run again"
    if force_purge:
        return "see Synapse's log, and run again"
    return "see Synapse's log, and run again, what was begun is taken up"


def _minutes(seconds: float) -> str:
    """How long it has taken, coarser the longer: each new text is a line on the screen."""
    if seconds < 60:
        return f"{int(seconds / 10) * 10} s"
    return f"{int(seconds / 60)} min"
