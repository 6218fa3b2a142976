# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rooms and what they cost: their figures, which of them are asked for, and which cost most."""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, List, Optional, Pattern, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.plain_data import ShapeError, from_plain

__all__ = [
    "COUNTED",
    "DAY",
    "ORDERS",
    "ORDERS_OF_THE_API",
    "Filters",
    "Ranking",
    "Room",
    "glob_as_like",
    "glob_as_pattern",
    "sampled",
]

DAY = 24 * 3600 * 1000
"""Milliseconds."""

ORDERS = ("state_rows", "state_bytes", "events", "state_events", "members", "disk")
ORDERS_OF_THE_API = ("state_events", "members")
"""What the admin API says of each room in its list; the rest only the database knows."""

COUNTED = "counted"


def sampled(percent: float) -> str:
    """How a figure was got that is scaled up from a part of a table's pages."""
    return f"sampled {percent:.3g} %"


@dataclass(frozen=True)
class Room:
    """One room; a figure that the source does not know is None.

    Attributes:
        members: joined users, of all servers.
        local_members: joined users of this server.
        active_local_members: those of them that were seen in the days asked for.
        state_events: current state events.
        state_rows: rows in C(state_groups_state). state_bytes: their share of the table, indexes included.
        events: rows in C(events). event_bytes: their share of C(events) and C(event_json), indexes included.
        last_activity: when this server got the newest event, milliseconds since 1970.
        known: false for rows that are left of a room that Synapse knows no more.
    """

    room_id: str
    name: Optional[str] = None
    canonical_alias: Optional[str] = None
    version: Optional[str] = None
    members: Optional[int] = None
    local_members: Optional[int] = None
    active_local_members: Optional[int] = None
    state_events: Optional[int] = None
    state_rows: Optional[int] = None
    state_bytes: Optional[int] = None
    events: Optional[int] = None
    event_bytes: Optional[int] = None
    last_activity: Optional[int] = None
    forward_extremities: Optional[int] = None
    tombstoned: Optional[bool] = None
    encrypted: Optional[bool] = None
    public: Optional[bool] = None
    known: bool = True

    @property
    def disk(self) -> Optional[int]:
        """Bytes of its state and its events."""
        if self.state_bytes is None or self.event_bytes is None:
            return None
        return self.state_bytes + self.event_bytes

    @property
    def federated(self) -> bool:
        """Whether users of other servers are in it."""
        return (self.members or 0) > (self.local_members or 0)

    @classmethod
    def from_data(cls, data: Any) -> Room:
        """Read one as rooms_info returns it. Raises SourceError for anything else, in one line."""
        try:
            return from_plain(cls, data, name="room")
        except ShapeError as error:
            raise SourceError(f"{error}: give rooms as synapse.tuning.rooms_info returns them") from None


@dataclass(frozen=True)
class Filters:
    """Which rooms are asked for; what is None or false does not matter.

    Attributes:
        pattern: a glob of C(*) and C(?) that the ID, the canonical alias or the name has to match as a whole,
            upper and lower case of ASCII alike.
        no_local_members: no user of this server is joined.
        inactive_days: the newest event is older.
        min_state_events: it has at least as many current state events.
        tombstoned: it was upgraded to another room.
        rooms: IDs and aliases; None for any.
    """

    pattern: Optional[str] = None
    no_local_members: bool = False
    inactive_days: Optional[int] = None
    min_state_events: Optional[int] = None
    tombstoned: bool = False
    rooms: Optional[Tuple[str, ...]] = None

    def __post_init__(self) -> None:
        for name in ("inactive_days", "min_state_events"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise SourceError(f"{name} cannot be {value}: write 0 or more")
        if self.pattern == "":
            raise SourceError("pattern is empty and would match no room: leave it out, or write * for any")
        for room_id in self.rooms or ():
            if not room_id.startswith(("!", "#")):
                raise SourceError(f"{room_id!r} is no room: write its ID, which begins with '!', or an alias, with '#'")

    @property
    def narrows(self) -> bool:
        """Whether they leave out anything."""
        return self.cheap or self.costly or self.rooms is not None

    @property
    def cheap(self) -> bool:
        """Whether any of them is judged by what a list of all rooms says."""
        return self.pattern is not None or self.no_local_members or self.min_state_events is not None

    @property
    def costly(self) -> bool:
        """Whether any of them takes a look at each room."""
        return self.inactive_days is not None or self.tombstoned

    def cutoff(self, now: int) -> Optional[int]:
        """Milliseconds since 1970 that the newest event has to be older than."""
        return None if self.inactive_days is None else now - self.inactive_days * DAY

    def listed(self) -> Callable[[Room], bool]:
        """A judge of what a list of all rooms says; last activity and tombstone are left to C(looked_at)."""
        matcher = None if self.pattern is None else glob_as_pattern(self.pattern)
        wanted = None if self.rooms is None else frozenset(self.rooms)

        def judge(room: Room) -> bool:
            names = (room.room_id, room.canonical_alias, room.name)
            return (
                (wanted is None or room.room_id in wanted)
                and (matcher is None or any(name is not None and matcher.fullmatch(name) for name in names))
                and (not self.no_local_members or not room.local_members)
                and (self.min_state_events is None or (room.state_events or 0) >= self.min_state_events)
            )

        return judge

    def looked_at(self, now: int) -> Callable[[Room], bool]:
        """A judge of the rest. A room without any event has not been active."""
        cutoff = self.cutoff(now)

        def judge(room: Room) -> bool:
            return (cutoff is None or room.last_activity is None or room.last_activity < cutoff) and (
                not self.tombstoned or bool(room.tombstoned)
            )

        return judge


class Ranking:
    """The heaviest rooms of any number of them, in the memory of as many as are kept."""

    def __init__(self, order_by: str, limit: int) -> None:
        """order_by: one of ORDERS; limit: how many to keep, at least 1."""
        self._order_by = order_by
        self._limit = limit
        # The lightest first, as heapq has it.
        self._heap: List[Tuple[_Key, Room]] = []
        self._kept: Dict[str, bool] = {}

    def add(self, room: Room) -> None:
        """Keep it where it is among the heaviest; one that comes twice counts once."""
        if room.room_id in self._kept:
            return
        entry = (_Key(getattr(room, self._order_by) or 0, room.room_id), room)
        if len(self._heap) < self._limit:
            heapq.heappush(self._heap, entry)
        elif self._heap[0][0] < entry[0]:
            del self._kept[heapq.heapreplace(self._heap, entry)[1].room_id]
        else:
            return
        self._kept[room.room_id] = True

    def extend(self, rooms: Iterable[Room]) -> None:
        """Add each."""
        for room in rooms:
            self.add(room)

    def heaviest(self) -> List[Room]:
        """Those kept, the heaviest first; of equal ones the lesser ID first."""
        return [room for _key, room in sorted(self._heap, key=lambda entry: entry[0], reverse=True)]


class _Key:
    """More of the figure is more, and of equal ones the lesser ID: what SQL's ORDER BY figure DESC, room_id says."""

    __slots__ = ("figure", "room_id")

    def __init__(self, figure: int, room_id: str) -> None:
        self.figure = figure
        self.room_id = room_id

    def __lt__(self, other: _Key) -> bool:
        if self.figure != other.figure:
            return self.figure < other.figure
        return self.room_id > other.room_id

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Key) and (self.figure, self.room_id) == (other.figure, other.room_id)

    def __hash__(self) -> int:
        return hash((self.figure, self.room_id))


def glob_as_pattern(glob: str) -> Pattern[str]:
    """A glob for Python's C(fullmatch); the case of ASCII letters does not matter, as with C(glob_as_like)."""
    parts = {"*": ".*", "?": "."}
    return re.compile(
        "".join(parts.get(each) or re.escape(each) for each in _ascii_lower(glob)),
        re.IGNORECASE | re.ASCII | re.DOTALL,
    )


def glob_as_like(glob: str) -> str:
    r"""A glob for PostgreSQL's C(lower(text COLLATE "C") LIKE), which lowers ASCII letters alone."""
    parts = {"*": "%", "?": "_", "%": r"\%", "_": r"\_", "\\": r"\\"}
    return "".join(parts.get(each, each) for each in _ascii_lower(glob))


def _ascii_lower(text: str) -> str:
    return "".join(each.lower() if each.isascii() else each for each in text)
