# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's PostgreSQL says of a few rooms, each figure by an index on their IDs."""

# Tables and columns are of this collection, and whatever a user wrote is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import DAY, Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_answer import Request
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_sql import Columns, has, last_activity

__all__ = ["Rows", "look_up", "resolve"]

Rows = Callable[[str, Any], List[Any]]
"""Asks a query with its parameters for its rows."""


def resolve(rows: Rows, columns: Columns, given: Sequence[str]) -> Dict[str, str]:
    """The IDs of rooms by what was given, an ID or an alias of this server's directory; others are left out.

    A room's own word for its canonical alias is not asked: any room may claim one.
    """
    found = {each: each for each in given if each.startswith("!")}
    aliases = [each for each in given if each.startswith("#")]
    if aliases and has(columns, "room_aliases", "room_alias", "room_id"):
        found.update(rows("SELECT room_alias, room_id FROM room_aliases WHERE room_alias = ANY(%s)", (aliases,)))
    return found


def look_up(
    rows: Rows, columns: Columns, request: Request, rooms: Mapping[str, Room]
) -> Tuple[Dict[str, Room], List[str]]:
    """The rooms by their IDs with what is known of them, and the names of figures that could not be."""
    found = dict(rooms)
    missing: List[str] = []
    shown = {"shown": list(rooms)}

    def add(query: str, names: Sequence[str], **values: Any) -> None:
        for room_id, *figures in rows(query, {**shown, **values}):
            found[room_id] = replace(found[room_id], **dict(zip(names, figures)))

    for table, names, query in _OF_ONE_ROW:
        there = [(figure, text) for figure, text, column in names if has(columns, table, "room_id", column)]
        missing += [figure for figure, _text, column in names if not has(columns, table, "room_id", column)]
        if there:
            add(query.format(", ".join(text for _figure, text in there)), [figure for figure, _text in there])
    if has(columns, "current_state_events", "room_id", "type", "membership"):
        add(_CURRENT_STATE, ("state_events", "members", "tombstoned"))
    else:
        missing += ["state_events", "members", "tombstoned"]
    if has(columns, "sliding_sync_membership_snapshots", "room_id", "tombstone_successor_room_id"):
        add(_LEFT_TOMBSTONES, ("tombstoned",))
    if has(columns, "event_forward_extremities", "room_id"):
        add(_EXTREMITIES, ("forward_extremities",))
    else:
        missing.append("forward_extremities")
    add(
        f"SELECT room_id, {last_activity(columns)} FROM unnest(%(shown)s::text[]) AS figures (room_id)",
        ("last_activity",),
    )
    if has(columns, "local_current_membership", "room_id", "user_id", "membership"):
        add(_LOCAL.format("true"), ("local_members",))
        seen = _seen(columns)
        if seen:
            since = request.now - request.active_days * DAY
            add(_LOCAL.format(seen), ("active_local_members",), since=since)
        else:
            missing.append("active_local_members")
    else:
        missing += ["local_members", "active_local_members"]
    return found, missing


# Table, (figure, expression, column), query. A room without a row keeps what it has.
_OF_ONE_ROW: Tuple[Tuple[str, Tuple[Tuple[str, str, str], ...], str], ...] = (
    (
        "rooms",
        (("public", "coalesce(is_public, false)", "is_public"), ("version", "room_version", "room_version")),
        "SELECT room_id, {0} FROM rooms WHERE room_id = ANY(%(shown)s)",
    ),
    (
        "room_stats_state",
        (
            ("name", "name", "name"),
            ("canonical_alias", "canonical_alias", "canonical_alias"),
            ("encrypted", "encryption IS NOT NULL", "encryption"),
        ),
        "SELECT room_id, {0} FROM room_stats_state WHERE room_id = ANY(%(shown)s)",
    ),
)
_CURRENT_STATE = """
SELECT w.room_id, count(c.room_id), count(*) FILTER (WHERE c.type = 'm.room.member' AND c.membership = 'join'),
       coalesce(bool_or(c.type = 'm.room.tombstone' AND c.state_key = ''), false)
FROM unnest(%(shown)s::text[]) AS w (room_id) LEFT JOIN current_state_events c ON c.room_id = w.room_id
GROUP BY w.room_id
"""
# The current state is forgotten when the last local user leaves; what that user saw is not.
_LEFT_TOMBSTONES = """
SELECT DISTINCT room_id, true FROM sliding_sync_membership_snapshots
WHERE room_id = ANY(%(shown)s) AND tombstone_successor_room_id IS NOT NULL
"""
_EXTREMITIES = """
SELECT w.room_id, count(x.room_id)
FROM unnest(%(shown)s::text[]) AS w (room_id) LEFT JOIN event_forward_extremities x ON x.room_id = w.room_id
GROUP BY w.room_id
"""
_LOCAL = """
SELECT w.room_id, count(m.user_id) FILTER (WHERE {0}) FROM unnest(%(shown)s::text[]) AS w (room_id)
LEFT JOIN local_current_membership m ON m.room_id = w.room_id AND m.membership = 'join'
GROUP BY w.room_id
"""


def _seen(columns: Columns) -> str:
    """Whether the user of C(m) was here since; the addresses are forgotten after a while, the devices' times are not."""
    places = [
        f"EXISTS (SELECT FROM {table} a WHERE a.user_id = m.user_id AND a.last_seen >= %(since)s)"
        for table in ("user_ips", "devices")
        if has(columns, table, "user_id", "last_seen")
    ]
    return " OR ".join(places)
