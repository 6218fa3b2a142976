# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms with the most state, by Synapse's admin API alone.

Not by C(v1/statistics/database/rooms): that fails on a database that was never analyzed, and on SQLite.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Iterator, List, Mapping, Optional, Protocol, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import AdminProblem, SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import ORDERS_OF_THE_API, Ranking, Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_answer import Answer, Request

__all__ = ["Api", "rank"]

# An answer of some 600 kB. Synapse sorts all rooms for each of them.
_PAGE = 1000
_SERVER_ORDERS = {"state_events": "state_events", "members": "joined_members"}
_NOT_KNOWN = ("active_local_members", "event_bytes", "events", "state_bytes", "state_rows")


class Api(Protocol):
    """What is asked of the admin API; C(_admin_api.AdminApi) is the real one."""

    def get(self, *path: str, **query: Any) -> Dict[str, Any]:
        """Read."""

    def room_of(self, alias: str) -> Optional[str]:
        """The ID of an alias."""


def rank(api: Api, request: Request) -> Answer:
    """Rank the rooms; nothing is written.

    Raises AdminProblem, and SourceError for what the API cannot rank by.
    """
    if request.order_by not in ORDERS_OF_THE_API:
        raise SourceError(
            f"The admin API does not say the {request.order_by} of rooms: order_by {' or '.join(ORDERS_OF_THE_API)}, or"
            " give a login to Synapse's database"
        )
    if request.filters.rooms is not None:
        return _rank_named(api, request)
    return _rank_looked_at(api, request) if request.filters.costly else _rank_listed(api, request)


def _rank_listed(api: Api, request: Request) -> Answer:
    """By what the list says, in the memory of one page and of the rooms that are shown."""
    heaviest = Ranking(request.order_by, request.limit)
    judge = request.filters.listed()
    count = matched = 0
    for count, rooms in _pages(api, request):
        matching = [room for room in rooms if judge(room)]
        matched += len(matching)
        heaviest.extend(matching)
        if not request.filters.cheap:
            # The first page holds the heaviest.
            matched = count
            break
    found = [_looked_at(api, room) for room in heaviest.heaviest()]
    return _answer(found, count=count, matched=matched)


def _rank_looked_at(api: Api, request: Request) -> Answer:
    """Where the filters take a request a room: the heaviest first, until there are as many as are wanted."""
    judge, look = request.filters.listed(), request.filters.looked_at(request.now)
    found: Dict[str, Room] = {}
    count = 0
    for count, rooms in _pages(api, request):
        for room in rooms:
            if room.room_id in found or not judge(room):
                continue
            known = _looked_at(api, room)
            if request.filters.tombstoned and known.tombstoned is None:
                raise SourceError(
                    "this Synapse does not say over the admin API which rooms are tombstoned: update it, or give a login"
                    " to its database"
                )
            if look(known):
                found[known.room_id] = known
            if len(found) == request.limit:
                return _answer(list(found.values()), count=count, matched=None)
    return _answer(list(found.values()), count=count, matched=len(found))


def _rank_named(api: Api, request: Request) -> Answer:
    """Only the rooms that were named, each by its ID."""
    heaviest = Ranking(request.order_by, request.limit)
    judge, look = replace(request.filters, rooms=None).listed(), request.filters.looked_at(request.now)
    absent: List[str] = []
    matched: Dict[str, bool] = {}
    for given in request.filters.rooms or ():
        room_id = api.room_of(given) if given.startswith("#") else given
        room = None if room_id is None else _one(api, room_id)
        if room is None:
            absent.append(given)
        elif judge(room) and look(room):
            heaviest.add(room)
            matched[room.room_id] = True
    count = int(api.get("v1", "rooms", limit=1).get("total_rooms") or 0)
    return _answer(heaviest.heaviest(), count=count, matched=len(matched), absent=tuple(absent))


def _pages(api: Api, request: Request) -> Iterator[Tuple[int, List[Room]]]:
    """The number of all rooms with each page of them, the heaviest first.

    Rooms that come or go meanwhile may be seen twice or not at all: pages are counted from the first room.
    """
    start: Any = None
    fewest = request.filters.min_state_events or 0
    size = _PAGE if request.filters.narrows else request.limit
    while True:
        answer = api.get(
            "v1", "rooms", **{"from": start}, limit=size, order_by=_SERVER_ORDERS[request.order_by], dir="f"
        )
        rooms = [_room(each) for each in answer.get("rooms") or ()]
        yield int(answer.get("total_rooms") or 0), rooms
        after = answer.get("next_batch")
        if after is None or after == start:
            return
        if request.order_by == "state_events" and rooms and (rooms[-1].state_events or 0) < fewest:
            # All that follow have fewer still.
            return
        start = after


def _looked_at(api: Api, room: Room) -> Room:
    """The room with what the list does not say; as it was where it has gone since."""
    return _one(api, room.room_id) or room


def _one(api: Api, room_id: str) -> Optional[Room]:
    """One room; None where there is none."""
    try:
        room = _room(api.get("v1", "rooms", room_id))
    except AdminProblem as problem:
        if problem.status == 404 and problem.errcode == "M_NOT_FOUND":
            return None
        raise
    try:
        extremities = api.get("v1", "rooms", room_id, "forward_extremities").get("results") or []
    except AdminProblem as problem:
        if problem.status != 404:
            raise
        return room
    came = [each["received_ts"] for each in extremities if isinstance(each.get("received_ts"), int)]
    return replace(room, forward_extremities=len(extremities), last_activity=max(came) if came else None)


def _room(data: Mapping[str, Any]) -> Room:
    return Room(
        room_id=str(data["room_id"]),
        name=data.get("name"),
        canonical_alias=data.get("canonical_alias"),
        version=data.get("version"),
        members=data.get("joined_members"),
        local_members=data.get("joined_local_members"),
        state_events=data.get("state_events"),
        tombstoned=data.get("tombstoned"),
        encrypted=bool(data.get("encryption")),
        public=data.get("public"),
    )


def _answer(rooms: List[Room], *, count: int, matched: Optional[int], absent: Tuple[str, ...] = ()) -> Answer:
    missing = [*_NOT_KNOWN, *(["tombstoned"] if any(room.tombstoned is None for room in rooms) else [])]
    return Answer(rooms=tuple(rooms), count=count, matched=matched, missing=tuple(missing), absent=absent)
