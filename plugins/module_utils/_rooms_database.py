# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rooms that cost most, asked of Synapse's PostgreSQL.

Counting, filters and ranking are one statement whose answer is the rooms that are shown; no other room comes here.
What is not needed to rank is looked up afterwards for these alone, by their IDs.
"""

# Tables and columns are of this collection, and whatever a user wrote is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, FrozenSet, List, Mapping, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import DatabaseProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import (
    COUNTED,
    Ranking,
    Room,
    glob_as_like,
    sampled,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_answer import Answer, Request
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import Methods
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_sql import (
    COLUMNS_SHOWN,
    Columns,
    has,
    ranking,
    sample,
    state_of_shown,
)
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import psycopg
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql import PsycopgServer
from ansible_collections.synapse.tuning.plugins.module_utils._rooms_lookups import look_up, resolve

__all__ = ["rank"]

_NEEDED = {
    "rooms": {"room_id"},
    "state_groups_state": {"room_id"},
    "events": {"room_id", "stream_ordering", "origin_server_ts"},
}
# Without one of these a figure is missing, and not the answer.
_USEFUL = (
    "current_state_events",
    "devices",
    "event_forward_extremities",
    "event_json",
    "local_current_membership",
    "room_aliases",
    "room_stats_current",
    "room_stats_state",
    "sliding_sync_membership_snapshots",
    "user_ips",
)
_COLUMNS = """
SELECT c.relname, a.attname
FROM unnest(%s::text[]) AS wanted (name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(wanted.name)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
"""
_SIZE = """
SELECT CASE WHEN coalesce(s.last_analyze, s.last_autoanalyze, s.last_vacuum, s.last_autovacuum) IS NOT NULL
            THEN c.reltuples::float8 / nullif(c.relpages, 0) END,
       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint,
       pg_catalog.pg_total_relation_size(c.oid)
FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
WHERE c.oid = pg_catalog.to_regclass(%s)
"""
# A sample has to have seen this many pages, or chance ranks the rooms.
_FEWEST_PAGES = 300
# So many tell within a few per cent how many rows a table has.
_PAGES_TO_GUESS = 1000
# Of each room shown, events are counted up to this number at least before a sample is taken.
_FEWEST_EVENTS = 10_000
_SETTINGS = {
    # Hash tables of 100,000 rooms; what is above goes to the disk, in each of the few processes of one query.
    "work_mem": "16MB",
    "hash_mem_multiplier": "2",
    # Compiling takes longer than it saves here.
    "jit": "off",
    # It would be in /dev/shm, of which a container has 64 MB.
    "enable_parallel_hash": "off",
    # Who waits behind VACUUM FULL makes everybody else wait, too.
    "lock_timeout": "5s",
}
# Of the settings those that this version of PostgreSQL has.
_SET = """
SELECT pg_catalog.set_config(s.name, wanted.value, true)
FROM unnest(%s::text[], %s::text[]) AS wanted (name, value) JOIN pg_catalog.pg_settings s ON s.name = wanted.name
"""


def rank(server: PsycopgServer, request: Request) -> Answer:
    """Rank the rooms, in a transaction that cannot write.

    Raises DatabaseProblem: no database of Synapse's, no right to read it, a query that takes too long.
    """
    settings = {**_SETTINGS, "statement_timeout": f"{request.timeout}s"}
    connection = server.connection
    with server.said("Cannot rank the rooms"):
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION READ ONLY")
                connection.execute(_SET, (list(settings), list(settings.values())))
                return _Ranker(server, request).answer()
        except psycopg.errors.LockNotAvailable:
            raise DatabaseProblem(
                "Cannot rank the rooms: something such as VACUUM FULL holds a table; run again once it is done"
            ) from None
        except psycopg.errors.QueryCanceled:
            raise DatabaseProblem(
                f"Cannot rank the rooms within {request.timeout} seconds: lower sample_above, or raise"
                " statement_timeout"
            ) from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseProblem(
                f"Cannot rank the rooms: {error.diag.message_primary}; log in as Synapse's own role, or one with the"
                " rights of pg_read_all_data"
            ) from None


_EVENTS = """
SELECT w.room_id, (SELECT count(*) FROM (SELECT FROM events e WHERE e.room_id = w.room_id LIMIT %(most)s) AS counted)
FROM unnest(%(shown)s::text[]) AS w (room_id)
"""


@dataclass(frozen=True)
class _Table:
    """rows: as PostgreSQL's planner guesses them. pages: of the table itself. size: bytes with indexes and all."""

    rows: float
    pages: int
    size: int

    def percent(self, sample_above: int) -> float:
        """How much of it to read."""
        if self.rows <= sample_above:
            return 100
        return min(100.0, max(100 * sample_above / self.rows, 100 * _FEWEST_PAGES / max(self.pages, 1)))


@dataclass(frozen=True)
class _Sizes:
    """What the tables weigh, and how much of them is read.

    state, events: the percentage that is read. state_bytes: of state_groups_state. event_bytes: of events and event_json;
    both with indexes. all_events: a guess.
    """

    state: float
    events: float
    state_bytes: int
    event_bytes: int
    all_events: float


class _Ranker:
    """One answer: the statement and the look-ups, as far as the tables are there."""

    def __init__(self, server: PsycopgServer, request: Request) -> None:
        self._connection = server.connection
        self._database = server.database
        self._request = request
        self._warnings: List[str] = []
        self._columns = self._learn_columns()

    def answer(self) -> Answer:
        """Ask all of it."""
        request, columns = self._request, self._columns
        given = request.filters.rooms
        ids = {} if given is None else resolve(self._rows, columns, given)
        filters = request.filters if given is None else replace(request.filters, rooms=tuple(ids.values()))
        state, events = self._table("state_groups_state"), self._table("events")
        bodies = self._table("event_json").size if has(columns, "event_json") else 0
        sizes = _Sizes(
            state=state.percent(request.sample_above),
            events=events.percent(request.sample_above),
            state_bytes=state.size,
            event_bytes=events.size + bodies,
            all_events=max(events.rows, 1),
        )
        by_state = request.order_by in ("state_rows", "state_bytes", "disk")
        by_events = request.order_by in ("events", "disk")
        statement = ranking(
            columns,
            filters,
            order_by=request.order_by,
            state=sizes.state if by_state else None,
            events=sizes.events if by_events else None,
            stats=self._stats() if request.order_by in ("state_events", "members") or filters.min_state_events else "",
        )
        values = {
            "state_scale": 100 / sizes.state,
            "event_scale": 100 / sizes.events,
            "state_size": float(sizes.state_bytes),
            "event_size": float(sizes.event_bytes),
            "limit": request.limit,
            "like": glob_as_like(filters.pattern or ""),
            "rooms": list(filters.rooms or ()),
            "cutoff": filters.cutoff(request.now),
            "min_state_events": filters.min_state_events,
        }
        found = self._rows(statement, values)
        count, matched = found[0][:2]
        rooms = {row[2]: Room(**dict(zip(COLUMNS_SHOWN, row[2:]))) for row in found if row[2] is not None}
        missing: List[str] = []
        if rooms:
            if not by_state:
                rooms = self._with_state(rooms, sizes)
            if not by_events:
                rooms, seen = self._with_events(rooms, sizes)
                sizes = replace(sizes, events=seen)
            rooms, missing = look_up(self._rows, columns, request, rooms)
        # What the statistics rank by may be a little behind what was counted for those shown.
        heaviest = Ranking(request.order_by, request.limit)
        heaviest.extend(rooms.values())
        return Answer(
            rooms=tuple(heaviest.heaviest()),
            count=count,
            matched=matched,
            methods=Methods(state=_method(sizes.state), events=_method(sizes.events)),
            percent=min(sizes.state, sizes.events),
            missing=tuple(sorted(set(missing))),
            absent=self._absent(given or (), ids),
            warnings=tuple(self._warnings),
        )

    def _rows(self, query: str, values: Any = None) -> List[Any]:
        return list(self._connection.execute(query, values).fetchall())

    def _learn_columns(self) -> Columns:
        """The columns of those tables that are there. Raises DatabaseProblem where nothing can be ranked."""
        found: Dict[str, FrozenSet[str]] = {}
        for table, column in self._rows(_COLUMNS, ([*_NEEDED, *_USEFUL],)):
            found[table] = found.get(table, frozenset()) | {column}
        for table, needed in _NEEDED.items():
            lacking = sorted(needed - found.get(table, frozenset()))
            if lacking:
                what = f"table {table}" if table not in found else f"column {table}.{lacking[0]}"
                raise DatabaseProblem(
                    f"The database {self._database} is not Synapse's, it has no {what}: set login_db to Synapse's"
                    " database, or start Synapse, which makes it"
                )
        return found

    def _table(self, name: str) -> _Table:
        """Its rows are guessed from a few pages where it was never analyzed.

        What an index was made of then says little: Synapse makes indexes of tables that are still empty.
        """
        rows_a_page, pages, size = self._rows(_SIZE, (name,))[0]
        if rows_a_page is not None and rows_a_page >= 0:
            return _Table(rows=rows_a_page * pages, pages=pages, size=size)
        percent = 100.0 if pages <= _PAGES_TO_GUESS else 100 * _PAGES_TO_GUESS / pages
        seen = self._rows(f"SELECT count(*) FROM {name}{sample(percent)}")[0][0]
        return _Table(rows=seen * 100 / percent, pages=pages, size=size)

    def _stats(self) -> str:
        """Where state events and members of all rooms come from: Synapse's statistics, unless they are turned off."""
        if has(self._columns, "room_stats_current", "current_state_events", "joined_members"):
            kept = self._rows(
                "SELECT EXISTS (SELECT FROM room_stats_current) OR NOT EXISTS (SELECT FROM current_state_events)"
                if has(self._columns, "current_state_events")
                else "SELECT true"
            )[0][0]
            if kept:
                return "stats"
        if has(self._columns, "current_state_events", "type", "membership"):
            return "current_state"
        raise DatabaseProblem(
            f"The database {self._database} does not say how many state events and members its rooms have: order by"
            " another figure, without min_state_events"
        )

    def _with_state(self, rooms: Mapping[str, Room], sizes: _Sizes) -> Dict[str, Room]:
        found = {
            room_id: figures for room_id, *figures in self._rows(state_of_shown(sizes.state), {"shown": list(rooms)})
        }
        everything = float(sum(size for _seen, size in found.values())) or 1.0
        with_state = {}
        for room_id, room in rooms.items():
            seen, size = found.get(room_id, (0, 0))
            with_state[room_id] = replace(
                room,
                state_rows=round(seen * 100 / sizes.state),
                state_bytes=round(sizes.state_bytes * float(size) / everything),
            )
        return with_state

    def _with_events(self, rooms: Mapping[str, Room], sizes: _Sizes) -> Tuple[Dict[str, Room], float]:
        """Count by the index where that is no more work than a sample, and say what percentage was read at least."""
        most = None if sizes.events >= 100 else max(_FEWEST_EVENTS, self._request.sample_above // len(rooms))
        found = dict(self._rows(_EVENTS, {"shown": list(rooms), "most": most}))
        uncounted = [room_id for room_id, seen in found.items() if most is not None and seen >= most]
        if uncounted:
            query = (
                f"SELECT room_id, count(*) FROM events{sample(sizes.events)} WHERE room_id = ANY(%s) GROUP BY room_id"
            )
            for room_id, seen in self._rows(query, (uncounted,)):
                # It has as many as were counted in any case.
                found[room_id] = max(found[room_id], round(seen * 100 / sizes.events))
        size = sizes.event_bytes / sizes.all_events
        with_events = {
            room_id: replace(room, events=found[room_id], event_bytes=round(found[room_id] * size))
            for room_id, room in rooms.items()
        }
        return with_events, sizes.events if uncounted else 100.0

    def _absent(self, given: Tuple[str, ...], ids: Mapping[str, str]) -> Tuple[str, ...]:
        """What was asked for by ID or alias and is not there, neither in Synapse's list nor with rows left of it."""
        if not given:
            return ()
        there = {
            room_id
            for (room_id,) in self._rows(
                "SELECT w.room_id FROM unnest(%s::text[]) AS w (room_id)"
                " WHERE EXISTS (SELECT FROM rooms r WHERE r.room_id = w.room_id)"
                " OR EXISTS (SELECT FROM events e WHERE e.room_id = w.room_id)",
                (list(ids.values()),),
            )
        }
        return tuple(each for each in given if ids.get(each) not in there)


def _method(percent: float) -> str:
    return COUNTED if percent >= 100 else sampled(percent)
