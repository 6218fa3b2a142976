# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what Synapse's tables of state hold, in a transaction that cannot write.

Up to a number of rows everything is counted. Above, PostgreSQL's statistics say how many rows there are, and a sample
of the state groups how they are stored.
"""

# Names of tables are of this file; whatever a user gave is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import DatabaseProblem, FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.state import (
    COUNTED,
    STATISTICS,
    Activity,
    Compressor,
    Groups,
    LastRun,
    RoomGroups,
    State,
    TableSize,
    Unreferenced,
    last_run,
    sampled,
    share_of_ids,
)
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import psycopg
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql import PsycopgServer

__all__ = ["Request", "read", "read_last_run"]

_NEEDED = ("state_groups_state", "state_groups", "state_group_edges", "event_to_state_groups")
_TABLES = (*_NEEDED, "events", "event_json")
_COMPRESSOR = ("state_compressor_state", "state_compressor_progress", "state_compressor_total_progress")

# Of a table that was never analyzed, to tell large from small.
_ROWS_PER_PAGE = 50
# Counting the rows of a wide table reads all of it: 512 MiB take a few seconds.
_PAGES_TO_COUNT = 65_536
_PAGES_TO_SAMPLE = 1000
_GROUPS_TO_SAMPLE = 20_000
# Groups on one page are much alike.
_FEWEST_PAGES = 100
# The same part each time, so that a second look at the same data says the same.
_SEED = 4

_SIZES = """
SELECT c.relname, pg_catalog.pg_table_size(c.oid), pg_catalog.pg_indexes_size(c.oid),
       pg_catalog.pg_total_relation_size(c.oid),
       pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint,
       CASE WHEN c.relpages > 0 AND c.reltuples >= 0 THEN c.reltuples::float8 / c.relpages END
FROM unnest(%s::text[]) AS wanted (name)
JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(wanted.name) AND c.relkind = 'r'
"""
_ACTIVITY = """
SELECT coalesce(n_dead_tup, 0), {}, {}
FROM pg_catalog.pg_stat_all_tables WHERE relid = pg_catalog.to_regclass('state_groups_state')
""".format(
    *(
        f"to_char(greatest(last_{what}, last_auto{what}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        for what in ("vacuum", "analyze")
    )
)
_HELD = """
WITH held AS (
    SELECT g.room_id, e.state_group IS NOT NULL AS delta, coalesce(s.rows, 0) AS rows
    FROM state_groups g
    LEFT JOIN (SELECT state_group, count(*) AS rows FROM state_groups_state GROUP BY 1) s ON s.state_group = g.id
    LEFT JOIN (SELECT DISTINCT state_group FROM state_group_edges) e ON e.state_group = g.id
)
"""
# By the indexes, for some of the groups only.
_HELD_BY_SOME = """
WITH held AS MATERIALIZED (
    SELECT g.room_id,
           EXISTS (SELECT FROM state_group_edges e WHERE e.state_group = g.id) AS delta,
           (SELECT count(*) FROM state_groups_state s WHERE s.state_group = g.id) AS rows
    FROM state_groups g TABLESAMPLE SYSTEM (%(percent)s) REPEATABLE (%(seed)s)
)
"""
_GROUPS = """
SELECT count(*), coalesce(sum(rows), 0), count(*) FILTER (WHERE delta),
       coalesce(sum(rows) FILTER (WHERE NOT delta), 0), coalesce(max(rows), 0)
FROM held
"""
_ROOMS = """
SELECT room_id, sum(rows), count(*) FROM held GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(rooms)s
"""
_UNREFERENCED = """
WITH RECURSIVE used (id) AS (
    SELECT state_group FROM event_to_state_groups
    UNION
    SELECT e.prev_state_group FROM used JOIN state_group_edges e ON e.state_group = used.id
), unused AS (
    SELECT g.id FROM state_groups g LEFT JOIN used ON used.id = g.id WHERE used.id IS NULL
)
SELECT (SELECT count(*) FROM unused),
       (SELECT count(*) FROM state_groups_state s JOIN unused ON unused.id = s.state_group)
"""
_PROGRESS = """
SELECT (SELECT min(lowest_uncompressed_group) FROM state_compressor_total_progress),
       (SELECT count(*) FROM state_compressor_progress),
       (SELECT max(last_compressed) FROM state_compressor_progress),
       (SELECT min(id) FROM state_groups), (SELECT max(id) FROM state_groups)
"""
# A login of the compressor's own has its tables in a schema of its own.
_SCHEMA = """
SELECT pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', pg_catalog.current_setting('search_path'), (
    SELECT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relname = 'state_compressor_total_progress' AND c.relkind = 'r' ORDER BY n.nspname LIMIT 1
)), true)
"""
# Of the updates those that Synapse makes in its tables of state.
_UPDATES = "SELECT update_name FROM background_updates WHERE update_name LIKE '%%state%%' ORDER BY 1"


@dataclass(frozen=True)
class Request:
    """What to read.

    sample_above: rows of state_groups_state above which it is sampled; rooms: how many of the largest to name;
    unreferenced: whether to look for state groups that nothing uses; timeout: seconds for one query.
    """

    sample_above: int
    rooms: int
    unreferenced: bool
    timeout: int


def read(server: PsycopgServer, request: Request) -> State:
    """Read everything from one snapshot.

    Raises DatabaseProblem: no database of Synapse's, no right to read it, a lock or a query that takes too long.
    """
    connection = server.connection
    settings = {
        "statement_timeout": f"{request.timeout}s",
        # Who waits behind VACUUM FULL makes everybody else wait, too.
        "lock_timeout": "5s",
        "jit": "off",
    }
    with server.said("Cannot read the tables of state"):
        try:
            with connection.transaction():
                connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                for name, value in settings.items():
                    connection.execute("SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
                connection.execute(_SCHEMA)
                return _Reader(connection, request).state(server.database)
        except psycopg.errors.LockNotAvailable:
            raise DatabaseProblem(
                "Cannot read the tables of state: something such as VACUUM FULL holds one; run again once it is done"
            ) from None
        except psycopg.errors.QueryCanceled:
            raise DatabaseProblem(
                f"Cannot read the tables of state within {request.timeout} seconds: lower sample_above, or raise"
                " statement_timeout"
            ) from None
        except psycopg.errors.InsufficientPrivilege as error:
            raise DatabaseProblem(
                f"Cannot read the tables of state: {error.diag.message_primary}; log in as the tables' owner, or grant"
                " that role pg_read_all_data"
            ) from None


def read_last_run(path: str) -> Optional[LastRun]:
    """Read the compressor's status file; None where there is none yet. Raises FileProblem."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return last_run(stream.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileProblem(f"{path}: cannot be read ({error.strerror}); correct status_file") from None


@dataclass(frozen=True)
class _Extent:
    """How much there is of a table: its pages, and rows on each of them by the statistics, None for none."""

    pages: int
    density: Optional[float]

    @property
    def guess(self) -> float:
        return self.pages * (_ROWS_PER_PAGE if self.density is None else self.density)


class _Reader:
    def __init__(self, connection: Any, request: Request) -> None:
        self._connection = connection
        self._request = request

    def state(self, database: str) -> State:
        sizes = {row[0]: row[1:] for row in self._rows(_SIZES, ([*_TABLES, *_COMPRESSOR, "background_updates"],))}
        missing = [name for name in _NEEDED if name not in sizes]
        if missing:
            raise DatabaseProblem(
                f"The database {database} has no table {missing[0]}: set login_db to Synapse's database, or start"
                " Synapse, which makes it"
            )
        extents = {name: _Extent(pages, density) for name, (_table, _indexes, _all, pages, density) in sizes.items()}
        tables = []
        for name in _TABLES:
            if name in sizes:
                rows, by = self._count(name, extents[name])
                tables.append(TableSize(name, *sizes[name][:3], rows=rows, rows_by=by))
        known = {each.name: each for each in tables}
        groups, rooms = self._groups(known["state_groups_state"], known["state_groups"], extents["state_groups"])
        ran = all(name in sizes for name in _COMPRESSOR)
        return State(
            tables=tuple(tables),
            groups=groups,
            rooms=rooms,
            activity=Activity(*self._rows(_ACTIVITY)[0]),
            unreferenced=self._unreferenced(groups),
            compressor=self._compressor() if ran else None,
            background_updates=self._updates() if "background_updates" in sizes else (),
        )

    def _count(self, name: str, extent: _Extent) -> Tuple[int, str]:
        few = extent.guess <= self._request.sample_above
        if few and (extent.pages <= _PAGES_TO_COUNT or name == "state_groups_state"):
            return int(self._rows(f"SELECT count(*) FROM {name}")[0][0]), COUNTED
        if extent.density is not None:
            return round(extent.guess), STATISTICS
        percent = min(100.0, 100 * _PAGES_TO_SAMPLE / extent.pages)
        (found,) = self._rows(f"SELECT count(*) FROM {name} TABLESAMPLE SYSTEM (%s) REPEATABLE (%s)", (percent, _SEED))
        return round(found[0] * 100 / percent), sampled(percent)

    def _groups(self, state: TableSize, groups: TableSize, extent: _Extent) -> Tuple[Groups, Tuple[RoomGroups, ...]]:
        values: Dict[str, Any] = {"rooms": self._request.rooms}
        if state.rows_by == COUNTED:
            held, scale, by = _HELD, 1.0, COUNTED
        else:
            percent = min(
                100.0, 100 * max(_GROUPS_TO_SAMPLE / max(groups.rows, 1), _FEWEST_PAGES / max(extent.pages, 1))
            )
            held, scale, by = _HELD_BY_SOME, 100 / percent, sampled(percent)
            values.update(percent=percent, seed=_SEED)
        (count, rows, deltas, full_rows, largest) = map(int, self._rows(held + _GROUPS, values)[0])
        rooms = [
            RoomGroups(room_id=room, rows=round(int(held_rows) * scale), state_groups=round(number * scale))
            for room, held_rows, number in (self._rows(held + _ROOMS, values) if self._request.rooms else ())
        ]
        return (
            Groups(
                state_groups=round(count * scale),
                rows=round(rows * scale),
                deltas=round(deltas * scale),
                full=round((count - deltas) * scale),
                full_rows=round(full_rows * scale),
                largest=largest,
                by=by,
            ),
            tuple(rooms),
        )

    def _unreferenced(self, groups: Groups) -> Unreferenced:
        if not self._request.unreferenced:
            return Unreferenced(because="not asked")
        if groups.by != COUNTED:
            return Unreferenced(because="not looked for, as there are too many rows: raise sample_above")
        try:
            # By itself: the rest is known, and worth having, where this takes too long.
            with self._connection.transaction():
                number, rows = self._rows(_UNREFERENCED)[0]
        except psycopg.errors.QueryCanceled:
            return Unreferenced(
                because=f"not found out within {self._request.timeout} seconds: raise statement_timeout"
            )
        return Unreferenced(state_groups=int(number), rows=int(rows))

    def _compressor(self) -> Optional[Compressor]:
        lowest, rooms, highest, oldest, newest = self._rows(_PROGRESS)[0]
        if lowest is None:
            return None
        return Compressor(
            lowest_uncompressed_group=int(lowest),
            newest_group=int(newest or 0),
            rooms=int(rooms),
            newest_compressed_group=None if highest is None else int(highest),
            share_done=share_of_ids(oldest=oldest, newest=newest, lowest_uncompressed=int(lowest)),
        )

    def _updates(self) -> Tuple[str, ...]:
        return tuple(str(name) for (name,) in self._rows(_UPDATES, ()))

    def _rows(self, query: str, values: Any = None) -> List[Any]:
        return list(self._connection.execute(query, values).fetchall())
