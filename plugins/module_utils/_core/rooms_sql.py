# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statement that ranks rooms in PostgreSQL, of the tables and columns that are there."""

# Tables and columns are of this collection, and whatever a user wrote is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from typing import FrozenSet, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Filters

__all__ = ["COLUMNS_SHOWN", "Columns", "has", "last_activity", "ranking", "sample", "state_of_shown"]

Columns = Mapping[str, FrozenSet[str]]
"""The columns of each table that is there."""

COLUMNS_SHOWN = ("room_id", "known", "state_rows", "state_bytes", "events", "event_bytes")
"""The statement's columns behind the two counts."""

# The same pages each time, as long as nothing is written: two runs give one answer.
_SEED = 4

_ORDERS = {
    "state_rows": "state_rows",
    "state_bytes": "state_bytes",
    "events": "events",
    "disk": "state_bytes + event_bytes",
    "state_events": "state_events",
    "members": "members",
}


def has(columns: Columns, table: str, *names: str) -> bool:
    """Whether the table is there, with these columns."""
    return table in columns and columns[table].issuperset(names)


def sample(percent: float) -> str:
    """What has PostgreSQL read a part of a table's pages only; nothing for all of it."""
    return "" if percent >= 100 else f" TABLESAMPLE SYSTEM ({percent:.9f}) REPEATABLE ({_SEED})"


def ranking(
    columns: Columns, filters: Filters, *, order_by: str, state: Optional[float], events: Optional[float], stats: str
) -> str:
    """The statement.

    Args:
        order_by: one of C(ORDERS).
        state, events: the percentage of state_groups_state and events to read; None for not at all.
        stats: where state events and members come from, C(stats), C(current_state), or nothing where nobody needs them.

    Returns:
        A statement with the parameters state_scale, state_size, event_scale, event_size, limit, and those of the
        filters. Its rows have the number of rooms, the number of those that match, and C(COLUMNS_SHOWN) of one of the
        heaviest; these are null where none matches.
    """
    parts: List[str] = []
    joined = ["rooms"]
    if state is not None:
        parts.append(
            "state AS (SELECT room_id, count(*) AS seen, sum(pg_catalog.pg_column_size(s.*))::float8 AS size"
            f" FROM state_groups_state s{sample(state)} GROUP BY room_id)"
        )
        joined.append("FULL JOIN state USING (room_id)")
    if events is not None:
        parts.append(f"happened AS (SELECT room_id, count(*) AS seen FROM events{sample(events)} GROUP BY room_id)")
        joined.append("FULL JOIN happened USING (room_id)")
    if stats:
        parts.append(f"stats AS ({_STATS[stats]})")
        joined.append("LEFT JOIN stats USING (room_id)")
    figures = [
        "room_id",
        "rooms.room_id IS NOT NULL AS known",
        *(_NO_STATE if state is None else _STATE),
        *(_NO_EVENTS if events is None else _EVENTS),
        *(["stats.state_events", "stats.members"] if stats else []),
    ]
    parts.append(f"figures AS MATERIALIZED (SELECT {', '.join(figures)} FROM {' '.join(joined)})")
    names = has(columns, "room_stats_state", "name", "canonical_alias") and filters.pattern is not None
    parts.append(
        "matching AS MATERIALIZED (SELECT figures.* FROM figures"
        f"{' LEFT JOIN room_stats_state names USING (room_id)' if names else ''}"
        f" WHERE {' AND '.join(_conditions(columns, filters, names=names)) or 'true'})"
        if filters.narrows
        else "matching AS (SELECT * FROM figures)"
    )
    return f"""
WITH {", ".join(parts)}
SELECT totals.*, heaviest.*
FROM (SELECT (SELECT count(*) FROM figures) AS count, (SELECT count(*) FROM matching) AS matched) AS totals
LEFT JOIN (
    SELECT {", ".join(COLUMNS_SHOWN)} FROM matching
    ORDER BY {_ORDERS[order_by]} DESC NULLS LAST, room_id COLLATE "C" LIMIT %(limit)s
) AS heaviest ON true
"""


_STATE = (
    "coalesce(round(state.seen * %(state_scale)s), 0)::bigint AS state_rows",
    "coalesce(round(%(state_size)s * state.size / nullif(sum(state.size) OVER (), 0)), 0)::bigint AS state_bytes",
)
_NO_STATE = ("NULL::bigint AS state_rows", "NULL::bigint AS state_bytes")
_EVENTS = (
    "coalesce(round(happened.seen * %(event_scale)s), 0)::bigint AS events",
    "coalesce(round(%(event_size)s * happened.seen / nullif(sum(happened.seen) OVER (), 0)), 0)::bigint AS event_bytes",
)
_NO_EVENTS = ("NULL::bigint AS events", "NULL::bigint AS event_bytes")
_STATS = {
    "stats": "SELECT room_id, current_state_events AS state_events, joined_members AS members FROM room_stats_current",
    "current_state": (
        "SELECT room_id, count(*) AS state_events, count(*) FILTER (WHERE type = 'm.room.member' AND membership = 'join')"
        " AS members FROM current_state_events GROUP BY room_id"
    ),
}


def last_activity(columns: Columns) -> str:
    """When the newest event of C(figures.room_id) came, as an expression. Servers may write any origin_server_ts."""
    came = (
        "coalesce(e.received_ts, e.origin_server_ts)" if has(columns, "events", "received_ts") else "origin_server_ts"
    )
    return (
        f"(SELECT {came} FROM events e WHERE e.room_id = figures.room_id AND e.stream_ordering IS NOT NULL"
        " ORDER BY e.stream_ordering DESC LIMIT 1)"
    )


def state_of_shown(percent: float) -> str:
    """Rows and bytes of state of the rooms in the parameter C(shown), and with a null ID of all the others."""
    return (
        "SELECT CASE WHEN s.room_id = ANY(%(shown)s) THEN s.room_id END AS wanted, count(*),"
        f" sum(pg_catalog.pg_column_size(s.*)) FROM state_groups_state s{sample(percent)} GROUP BY 1"
    )


def _conditions(columns: Columns, filters: Filters, *, names: bool) -> List[str]:
    conditions: List[str] = []
    if filters.rooms is not None:
        conditions.append("room_id = ANY(%(rooms)s)")
    if filters.pattern is not None:
        # In this collation only ASCII letters have a lower case, as in glob_as_pattern.
        texts = ["room_id", *(["names.canonical_alias", "names.name"] if names else [])]
        likes = [f'lower({text} COLLATE "C") LIKE %(like)s' for text in texts]
        conditions.append(f"({' OR '.join(likes)})")
    if filters.no_local_members:
        conditions.append(_no_local_members(columns))
    if filters.min_state_events is not None:
        conditions.append("coalesce(state_events, 0) >= %(min_state_events)s")
    if filters.tombstoned:
        conditions.append(f"room_id IN ({' UNION '.join(_tombstones(columns)) or 'SELECT NULL::text WHERE false'})")
    if filters.inactive_days is not None:
        # Looks into an index once a room; PostgreSQL judges the dearest condition last.
        conditions.append(f"coalesce({last_activity(columns)}, 0) < %(cutoff)s")
    return conditions


def _no_local_members(columns: Columns) -> str:
    if has(columns, "local_current_membership", "room_id", "membership"):
        return (
            "NOT EXISTS (SELECT FROM local_current_membership l"
            " WHERE l.room_id = figures.room_id AND l.membership = 'join')"
        )
    return (
        "NOT EXISTS (SELECT FROM room_stats_current l WHERE l.room_id = figures.room_id AND l.local_users_in_room > 0)"
    )


def _tombstones(columns: Columns) -> List[str]:
    """Where a room's tombstone is seen; the current state is forgotten when the last local user leaves."""
    places = []
    if has(columns, "current_state_events", "room_id", "type", "state_key"):
        places.append("SELECT room_id FROM current_state_events WHERE type = 'm.room.tombstone' AND state_key = ''")
    if has(columns, "sliding_sync_membership_snapshots", "room_id", "tombstone_successor_room_id"):
        places.append(
            "SELECT room_id FROM sliding_sync_membership_snapshots WHERE tombstone_successor_room_id IS NOT NULL"
        )
    return places
