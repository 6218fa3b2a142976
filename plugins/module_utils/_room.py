# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leave, forget, purge or trim one room through Synapse's admin API, and follow the task that does it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import AdminApi
from ansible_collections.synapse.tuning.plugins.module_utils._core import room as facts
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import AdminProblem, RoomError
from ansible_collections.synapse.tuning.plugins.module_utils._core.room import Task

__all__ = ["Outcome", "Request", "manage"]

_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 2.0
_PATIENCE = 1.0
_ATTEMPTS = 8
_LONGEST_WAIT = 10.0
_ANSWER = 10.0
_NOTHING, _PERHAPS, _SOMETHING = "nothing", "perhaps", "something"
_NOT_FORGOTTEN = (
    "Some who had left the room by themselves have not forgotten it, and Synapse lets nobody do so for them;"
    " state=absent removes the room all the same",
)
_ENDED = ("complete", "failed", "cancelled")
_SAID = ("name", "canonical_alias", "joined_members", "joined_local_members", "state_events")
_VERB = {"absent": "the purge", "forgotten": "leaving and forgetting", "trimmed": "the purge of the history"}


@dataclass(frozen=True)
class Request:
    """What is to be of a room.

    room: its ID or an alias. state: C(absent), C(forgotten) or C(trimmed). older_than: C(90d) and so on, for
    C(trimmed). new_room: of the body of the DELETE C(new_room_user_id), C(room_name) and C(message), those given.
    wait_timeout: seconds for the whole. seconds: for this call, 0 to the end. follow: what the call before
    returned by that name.
    """

    room: str
    state: str
    block: bool = False
    force_purge: bool = False
    new_room: Mapping[str, str] = field(default_factory=dict)
    older_than: Optional[str] = None
    delete_local_events: bool = False
    wait: bool = True
    wait_timeout: float = 3600
    seconds: float = 0
    check_mode: bool = False
    follow: Optional[Mapping[str, Any]] = None


@dataclass(frozen=True)
class Outcome:
    """What has become of it.

    failure: what went wrong and what to do, empty for nothing; the rest says how far it came all the same.
    before, after: what is known of the room. follow: what the next call needs, where there is more to do.
    """

    room_id: str
    changed: bool = False
    finished: bool = True
    progress: str = ""
    failure: str = ""
    exists: bool = False
    adopted: bool = False
    task: Optional[Task] = None
    forgotten: Optional[bool] = None
    warnings: Sequence[str] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    follow: Optional[Mapping[str, Any]] = None

    def as_data(self) -> Dict[str, Any]:
        """The module's result."""
        task = self.task or Task("", "", {})
        return {
            "changed": self.changed,
            "room_id": self.room_id,
            "exists": self.exists,
            "room": {name: value for name, value in self.before.items() if name in _SAID},
            "forgotten": self.forgotten,
            "finished": self.finished,
            "progress": self.progress,
            "task_id": task.id,
            "status": task.status,
            "adopted": self.adopted,
            "kicked_users": task.names("kicked_users"),
            "failed_to_kick_users": task.names("failed_to_kick_users"),
            "local_aliases": task.names("local_aliases"),
            "new_room_id": task.result.get("new_room_id"),
            "error": task.error,
            "diff": {"before": _lines(self.before), "after": _lines(self.after)},
            **({"follow": dict(self.follow)} if self.follow else {}),
        }


def manage(
    api: AdminApi,
    request: Request,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> Outcome:
    """Bring the room into the state, or follow the task that does.

    Raises RoomError, AdminProblem and UnitError where nothing was begun; what fails later is in the outcome.
    """
    return _Manager(api, request, sleep=sleep, now=now).run()


@dataclass
class _Course:
    """What is known from call to call; goes through C(follow), so all of it is JSON."""

    room_id: str
    started: float
    before: Dict[str, Any]
    task_id: str = ""
    adopted: bool = False
    changed: bool = False
    # Of the history: the oldest event before, and the time up to which it is purged.
    oldest: str = ""
    before_ms: int = 0
    # Of earlier tasks for the same end: what they have done, and how many failed for what passes.
    result: Dict[str, Any] = field(default_factory=dict)
    failed: int = 0


class _Manager:
    def __init__(
        self, api: AdminApi, request: Request, *, sleep: Callable[[float], None], now: Callable[[], float]
    ) -> None:
        self._api = api
        self._request = request
        self._sleep = sleep
        self._now = now
        self._since = now()

    def run(self) -> Outcome:
        request = self._request
        if request.follow:
            given = {name: value for name, value in request.follow.items() if name != "url"}
            return self._follow(_Course(**given))
        room_id = self._resolve()
        before_ms = 0
        if request.state == "trimmed":
            age = facts.age_in_milliseconds(request.older_than or "")
            facts.check_local_events(self._version(), delete_local_events=request.delete_local_events)
            before_ms = int(self._since * 1000) - age
        course = _Course(room_id, self._since, _facts(self._room(room_id)), before_ms=before_ms)
        return self._trim(course) if request.state == "trimmed" else self._delete(course)

    # -- what is there -------------------------------------------------------------------
    def _resolve(self) -> str:
        room = self._request.room
        if not facts.is_alias(room):
            return room
        if self._request.new_room:
            # The alias goes over to the new room, which a second run would then delete.
            raise RoomError(
                f"{room} would lead to the new room afterwards: give the ID of the room with new_room_user_id"
            )
        found = self._api.room_of(room)
        if found is None:
            raise RoomError(
                f"the alias {room} leads to no room: correct it, or give the room's ID, as an alias goes with its room"
            )
        return found

    def _version(self) -> str:
        return str(self._api.get("v1", "server_version").get("server_version", "")).partition(" ")[0]

    def _room(self, room_id: str) -> Optional[Dict[str, Any]]:
        try:
            return self._api.get("v1", "rooms", room_id)
        except AdminProblem as problem:
            if problem.status == 404 and problem.errcode == "M_NOT_FOUND":
                return None
            raise

    def _under_way(self, room_id: str, actions: Sequence[str]) -> Optional[str]:
        """The task that another has begun."""
        try:
            tasks = self._api.get("v1", "scheduled_tasks", resource_id=room_id)["scheduled_tasks"]
            return facts.to_adopt(tasks, actions, now_ms=self._now() * 1000)
        except AdminProblem as problem:
            if problem.errcode != "M_UNRECOGNIZED":
                raise
        if actions != facts.DELETE:
            return None
        # An older Synapse tells of a room's active tasks only.
        try:
            results = self._api.get("v2", "rooms", room_id, "delete_status")["results"]
        except AdminProblem as problem:
            if problem.status == 404 and problem.errcode == "M_NOT_FOUND":
                return None
            raise
        return next((str(each["delete_id"]) for each in results if each.get("status") not in _ENDED), None)

    # -- absent, forgotten ---------------------------------------------------------------
    def _delete(self, course: _Course) -> Outcome:
        request, room_id = self._request, course.room_id
        task_id = self._under_way(room_id, facts.DELETE)
        if task_id:
            if request.check_mode:
                return self._planned(course, changed=bool(course.before["exists"]), adopted=True)
            course.task_id, course.adopted = task_id, True
            return self._follow(course)
        needed = self._to_delete(room_id, course.before)
        if needed == _NOTHING or (needed == _PERHAPS and request.check_mode):
            blocking = self._to_block(room_id)
            if blocking and not request.check_mode:
                self._api.put("v1", "rooms", room_id, "block", body={"block": True})
            after = {**course.before, **({"blocked": True} if blocking else {})}
            return self._outcome(course, changed=blocking, after=after)
        if request.check_mode:
            return self._planned(course, changed=True)
        self._start_delete(course)
        return self._follow(course)

    def _to_delete(self, room_id: str, room: Mapping[str, Any]) -> str:
        """Whether there is anything to do."""
        if not room["exists"]:
            return _NOTHING
        if self._request.state == "absent":
            return _SOMETHING
        if room["forgotten"]:
            return _NOTHING
        state = self._api.get("v1", "rooms", room_id, "state", type="m.room.member")["state"]
        if facts.local_members(state, server=self._api.server_name()):
            return _SOMETHING
        if state:
            return _NOTHING
        # Nobody of this server is joined, so Synapse keeps no state. It does not tell whether those who have not
        # forgotten are invited or have left. Of a room that never had a state here they can only be invited.
        return _PERHAPS if room["state_events"] else _SOMETHING

    def _start_delete(self, course: _Course) -> None:
        request = self._request
        # Another's task, or one that failed, has perhaps made the new room.
        new_room = {} if course.result.get("new_room_id") else request.new_room
        body: Dict[str, Any] = {"purge": request.state == "absent", "block": request.block, **new_room}
        if request.state == "absent":
            body["force_purge"] = request.force_purge
        try:
            course.task_id = str(self._api.delete("v2", "rooms", course.room_id, body=body)["delete_id"])
            course.adopted, course.changed = False, True
        except AdminProblem as problem:
            other = self._under_way(course.room_id, facts.DELETE) if problem.status == 400 else None
            if other is None:
                raise
            course.task_id, course.adopted = other, True  # somebody was faster

    def _to_block(self, room_id: str) -> bool:
        return self._request.block and not self._api.get("v1", "rooms", room_id, "block").get("block")

    # -- trimmed ---------------------------------------------------------------------------
    def _trim(self, course: _Course) -> Outcome:
        request, room_id = self._request, course.room_id
        if not course.before["exists"]:
            raise RoomError(f"Synapse knows no room {room_id}: correct room")
        course.task_id = self._under_way(room_id, facts.HISTORY) or ""
        course.adopted = bool(course.task_id)
        oldest = self._oldest(room_id)
        course.oldest = str(oldest[0].get("event_id", "")) if oldest else ""
        course.before["events_to_trim"] = facts.too_old(oldest, before_ms=course.before_ms)
        if not course.task_id and not course.before["events_to_trim"]:
            return self._outcome(course)
        if request.check_mode:
            return self._planned(course, changed=True, adopted=course.adopted)
        if not course.adopted and not self._start_trim(course):
            return self._outcome(course)
        return self._follow(course)

    def _start_trim(self, course: _Course) -> bool:
        """False where no event was received before that time, whenever it was sent."""
        body = {"purge_up_to_ts": course.before_ms, "delete_local_events": self._request.delete_local_events}
        try:
            course.task_id = str(self._api.post("v1", "purge_history", course.room_id, body=body)["purge_id"])
        except AdminProblem as problem:
            if problem.status != 404 or problem.errcode != "M_NOT_FOUND":
                raise
            return False
        course.adopted, course.changed = False, True
        return True

    def _oldest(self, room_id: str) -> List[Dict[str, Any]]:
        """The two oldest events that Synapse would show. Forwards, as looking back fetches from other servers."""
        return list(self._api.get("v1", "rooms", room_id, "messages", dir="f", limit=2)["chunk"])

    # -- the task --------------------------------------------------------------------------
    def _follow(self, course: _Course) -> Outcome:
        """Ask how far the task is until it ends, or the slice or the time is over."""
        request = self._request
        # Synapse's absence is shown as progress.
        self._api = self._api.with_patience(_PATIENCE, timeout=_ANSWER)
        pause = _FIRST_PAUSE
        while True:
            problem: Optional[AdminProblem] = None
            task: Optional[Task] = None
            try:
                task = self._look(course)
                if task is None:
                    return self._vanished(course)
                if not task.waiting:
                    ended = self._ended(course, task)
                    if ended is not None:
                        return ended
                    continue  # another task has been started
            except AdminProblem as error:
                # What was begun goes on, whether or not Synapse answers; but what is refused stays so.
                if 400 <= error.status < 500 and error.status != 429:
                    return self._outcome(course, changed=course.changed, finished=False, failure=str(error))
                problem = error
            spent = self._now() - course.started
            progress = self._progress(task and task.after(course.result), problem, spent)
            if not request.wait or spent >= request.wait_timeout:
                late = request.wait and (
                    f"{course.room_id}: {progress}; not done within {request.wait_timeout:g} s, Synapse goes on: run again"
                    " to wait for it, or raise wait_timeout"
                )
                return self._outcome(
                    course, task, changed=course.changed, finished=False, progress=progress, failure=late or ""
                )
            if request.seconds and self._now() - self._since >= request.seconds:
                follow = {**course.__dict__, "url": self._api.url}
                return self._outcome(
                    course, task, changed=course.changed, finished=False, progress=progress, follow=follow
                )
            self._sleep(pause)
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _progress(self, task: Optional[Task], problem: Optional[AdminProblem], spent: float) -> str:
        if task is None:
            return f"{_VERB[self._request.state]} was begun, but {problem}"
        return task.progress(action=_VERB[self._request.state], seconds=spent)

    def _look(self, course: _Course) -> Optional[Task]:
        """The task as it is now; None where Synapse does not know it any more."""
        try:
            if self._request.state == "trimmed":
                found = self._api.get("v1", "purge_history_status", course.task_id)
                return Task(course.task_id, str(found["status"]), {}, found.get("error"))
            found = self._api.get("v2", "rooms", "delete_status", course.task_id)
        except AdminProblem as problem:
            if problem.status == 404 and problem.errcode == "M_NOT_FOUND":
                return None
            raise
        return Task(course.task_id, str(found["status"]), found.get("shutdown_room") or {})

    def _ended(self, course: _Course, task: Task) -> Optional[Outcome]:
        """What a task has come to; None where another has to be begun."""
        if task.status != "complete":
            task = replace(task, error=task.error or self._error_of(course))
            if self._begun_again(course, task):
                return None
            task = task.after(course.result)
            said = " ".join((task.error or "Synapse does not say why").split())
            failure = (
                f"{course.room_id}: {_VERB[self._request.state]} {task.status} ({said}):"
                f" {facts.advice(task, force_purge=self._request.force_purge)}"
            )
            return self._outcome(course, task, changed=course.changed, failure=failure)
        if self._request.state == "trimmed":
            return self._trimmed(course, task)
        return self._deleted(course, task)

    def _begun_again(self, course: _Course, task: Task) -> bool:
        """Whether a deletion that failed for what passes by itself was begun anew, after a while."""
        request = self._request
        if request.state == "trimmed" or not request.wait or not task.may_pass or course.failed >= _ATTEMPTS:
            return False
        self._sleep(min(2.0**course.failed, _LONGEST_WAIT))
        course.failed += 1
        self._another(course, task)
        return True

    def _another(self, course: _Course, task: Optional[Task]) -> None:
        """Follow the next task for the room, or start one."""
        if task is not None:
            course.result = dict(task.after(course.result).result)
        other = self._under_way(course.room_id, facts.DELETE)
        if other:
            course.task_id, course.adopted = other, True
        else:
            self._start_delete(course)

    def _error_of(self, course: _Course) -> Optional[str]:
        """Why a task failed: the status does not say it, the list of tasks does."""
        try:
            tasks = self._api.get("v1", "scheduled_tasks", resource_id=course.room_id)["scheduled_tasks"]
        except AdminProblem:
            return None
        return next((str(each["error"]) for each in tasks if each["id"] == course.task_id and each.get("error")), None)

    def _trimmed(self, course: _Course, task: Optional[Task]) -> Optional[Outcome]:
        oldest = self._oldest(course.room_id)
        # Another's task was perhaps to remove less.
        if course.adopted and facts.too_old(oldest, before_ms=course.before_ms) and self._start_trim(course):
            return None
        now = str(oldest[0].get("event_id", "")) if oldest else ""
        return self._outcome(
            course, task, changed=now != course.oldest, after={**course.before, "events_to_trim": False}
        )

    def _deleted(self, course: _Course, task: Optional[Task]) -> Optional[Outcome]:
        request = self._request
        room = self._room(course.room_id)
        # Another's task was perhaps to do less.
        if course.adopted and self._to_delete(course.room_id, _facts(room)) == _SOMETHING:
            self._another(course, task)
            return None
        task = task.after(course.result) if task else None
        blocking = self._to_block(course.room_id)
        if blocking:
            self._api.put("v1", "rooms", course.room_id, "block", body={"block": True})
        kicked = bool(task and task.names("kicked_users"))
        after = _facts(room)
        done = self._outcome(
            course,
            task,
            exists=after["exists"],
            changed=blocking or kicked or (bool(course.before["exists"]) and room is None),
            after={**after, **({"blocked": True} if request.block else {})},
            forgotten=after.get("forgotten"),
            warnings=_NOT_FORGOTTEN if request.state == "forgotten" and after.get("forgotten") is False else (),
        )
        if room is not None and request.state == "absent":
            return replace(
                done,
                failure=f"{course.room_id}: it was purged, but is there again, as somebody was invited or joined"
                " meanwhile: run again with block: true",
            )
        failed = task.names("failed_to_kick_users") if task else []
        if failed and request.state == "forgotten":
            return replace(
                done,
                failure=f"{course.room_id}: {', '.join(failed[:5])} could not be made to leave: see Synapse's log, and run"
                " again",
            )
        return done

    def _vanished(self, course: _Course) -> Outcome:
        """Synapse forgets tasks, after a week or with a database that was put back: look at the room instead."""
        course.adopted = False
        if self._request.state == "trimmed":
            left = facts.too_old(self._oldest(course.room_id), before_ms=course.before_ms)
        else:
            left = self._to_delete(course.room_id, _facts(self._room(course.room_id))) == _SOMETHING
        done = None if left else self._ended(course, Task("", "complete", {}))
        return done or self._outcome(
            course,
            changed=course.changed,
            failure=f"{course.room_id}: Synapse does not know the task {course.task_id} any more, and there is still"
            " something to do: run again",
        )

    # -- results -----------------------------------------------------------------------------
    def _planned(self, course: _Course, *, changed: bool, adopted: bool = False) -> Outcome:
        """What a run would do."""
        request = self._request
        after = dict(course.before)
        if request.state == "absent":
            after = {"exists": False}
        elif request.state == "forgotten":
            after["forgotten"] = True
        else:
            after["events_to_trim"] = False
        if request.block:
            after["blocked"] = True
        return self._outcome(course, changed=changed, after=after, adopted=adopted)

    def _outcome(self, course: _Course, task: Optional[Task] = None, **given: Any) -> Outcome:
        given.setdefault("adopted", course.adopted)
        given.setdefault("exists", bool(course.before["exists"]))
        given.setdefault("after", course.before)
        given.setdefault("forgotten", course.before.get("forgotten"))
        return Outcome(room_id=course.room_id, task=task, before=course.before, **given)


def _facts(room: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """Of what Synapse says of a room, what the result and the diff show."""
    if room is None:
        return {"exists": False}
    return {"exists": True, "forgotten": room.get("forgotten"), **{name: room.get(name) for name in _SAID}}


def _lines(known: Mapping[str, Any]) -> str:
    shown = ("exists", "forgotten", "events_to_trim", "blocked")
    return "".join(f"{name}: {json.dumps(known[name])}\n" for name in shown if known.get(name) is not None)
