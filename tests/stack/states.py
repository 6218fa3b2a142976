# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A room's state at events, as it is stored, without Synapse and its caches."""

from __future__ import annotations

import random
import urllib.parse
from collections.abc import Collection

from client import Client
from deployment import Deployment

__all__ = ["State", "asked", "sample", "stored"]

State = dict[tuple[str, str], str]
"""Type and state key, to the id of the event that set it."""


def sample(project: Deployment, room: str, count: int, *, seed: int) -> list[str]:
    """Return ids of that many events of a room, of all its history; the same for the same history and seed."""
    rows = project.sql(
        "SELECT event_id FROM events JOIN event_to_state_groups USING (event_id)"
        f" WHERE room_id = '{room}' ORDER BY stream_ordering"
    )
    return random.Random(seed).sample([event for (event,) in rows], count)


def stored(project: Deployment, events: Collection[str]) -> dict[str, State]:
    """Return the whole state at each event: its state group's, and what that one's predecessors say besides."""
    found: dict[str, State] = {event: {} for event in events}
    listed = ", ".join(f"'{event}'" for event in events)
    for event, kind, key, source in project.sql(
        "WITH RECURSIVE chain(event, id, distance) AS ("
        f" SELECT event_id, state_group, 0 FROM event_to_state_groups WHERE event_id IN ({listed})"
        " UNION ALL"
        " SELECT event, prev_state_group, distance + 1 FROM chain JOIN state_group_edges ON state_group = id"
        ") SELECT DISTINCT ON (event, type, state_key) event, type, state_key, event_id"
        " FROM chain JOIN state_groups_state ON state_group = id ORDER BY event, type, state_key, distance"
    ):
        found[event][kind, key] = source
    return found


def asked(user: Client, room: str, event: str) -> State:
    """Return the state at an event as Synapse tells a member of the room."""
    path = f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/context/{urllib.parse.quote(event)}"
    answer = user.call("GET", path, limit=0)
    return {(each["type"], each["state_key"]): each["event_id"] for each in answer["state"]}
