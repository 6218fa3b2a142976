# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""state_groups_state in a running PostgreSQL: its size, what is left to compress, and the state groups themselves."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import (
    Chunk,
    CompressionProblem,
    Estimate,
    Group,
    Level,
    RoomModel,
    Run,
    empty_levels,
    estimate,
    runs,
)
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql import PsycopgServer, connect

__all__ = ["Size", "StateDatabase", "opened"]

TABLE = "state_groups_state"
# One run of the compressor at a time on a database: "compress", as a number.
_LOCK = 0x636F6D7072657373

_PENDING = """
    SELECT g.room_id, g.id, (row_number() OVER (PARTITION BY g.room_id ORDER BY g.id) - 1) / %(size)s AS chunk
    FROM state_groups g {join} WHERE {pending}
"""
# The compressor takes the room that has the lowest state group left, so chunks come in the order of their first ones.
_CHUNKS = """
WITH pending AS ({pending}), picked AS (
    SELECT room_id, min(id) AS first, max(id) AS last, count(*) AS groups
    FROM pending GROUP BY room_id, chunk ORDER BY min(id) LIMIT %(chunks)s
)
SELECT p.room_id, p.first, p.last, p.groups, (
    SELECT count(*) FROM state_groups g JOIN state_groups_state s ON s.state_group = g.id
    WHERE g.room_id = p.room_id AND g.id BETWEEN p.first AND p.last
) FROM picked p ORDER BY p.first
"""
# Keys and events as numbers: they are compared with each other and never shown.
_ROWS = """
SELECT g.id, e.prev_state_group, hashtextextended(s.type || chr(1) || s.state_key, 0), hashtextextended(s.event_id, 0)
FROM state_groups g
LEFT JOIN state_group_edges e ON e.state_group = g.id
LEFT JOIN state_groups_state s ON s.state_group = g.id
WHERE g.room_id = %s AND g.id BETWEEN %s AND %s ORDER BY g.id
"""
_STATE = """
WITH RECURSIVE chain(id, depth) AS (
    VALUES (%s::bigint, 0)
    UNION ALL
    SELECT e.prev_state_group, c.depth + 1 FROM chain c JOIN state_group_edges e ON e.state_group = c.id
), named AS (
    SELECT hashtextextended(s.type || chr(1) || s.state_key, 0) AS name, hashtextextended(s.event_id, 0) AS event, depth
    FROM chain c JOIN state_groups_state s ON s.state_group = c.id
)
SELECT DISTINCT ON (name) name, event FROM named ORDER BY name, depth
"""
_BEFORE = "SELECT max(id) FROM state_groups WHERE room_id = %s AND id < %s"
_LEVELS = (
    "SELECT max_size, current_length, current_head FROM state_compressor_state WHERE room_id = %s ORDER BY level_num"
)
# As the compressor itself looks for it.
_NEXT = """
SELECT g.id FROM state_groups g LEFT JOIN state_compressor_progress p ON p.room_id = g.room_id
WHERE (p.last_compressed IS NULL OR g.id > p.last_compressed)
    AND g.id >= (SELECT lowest_uncompressed_group FROM state_compressor_total_progress)
ORDER BY g.id LIMIT 1
"""
_PASSED = """
SELECT count(*) FILTER (WHERE g.id <= p.last_compressed), count(*)
FROM state_groups g LEFT JOIN state_compressor_progress p ON p.room_id = g.room_id
"""
# Counting this many is done in a second.
_COUNTED_GROUPS = 2_000_000
_JOIN = "LEFT JOIN state_compressor_progress p ON p.room_id = g.room_id"
_NOT_DONE = "(p.last_compressed IS NULL OR g.id > p.last_compressed)"
_SIZE = """
SELECT greatest(c.reltuples, 0)::bigint, pg_catalog.pg_table_size(c.oid), pg_catalog.pg_indexes_size(c.oid)
FROM pg_catalog.pg_class c WHERE c.oid = %s::pg_catalog.regclass
"""


@dataclass(frozen=True)
class Size:
    """Of the table: rows, and whether they were counted or are PostgreSQL's estimate; bytes of it and its indexes."""

    rows: int
    counted: bool
    table_bytes: int
    index_bytes: int

    @property
    def bytes(self) -> int:
        """All that it takes on the disk."""
        return self.table_bytes + self.index_bytes

    def as_data(self) -> Dict[str, Any]:
        """For a result."""
        return {
            "rows": self.rows,
            "counted": self.counted,
            "bytes": self.bytes,
            "table_bytes": self.table_bytes,
            "index_bytes": self.index_bytes,
        }


@contextlib.contextmanager
def opened(login: Login) -> Iterator[StateDatabase]:
    """A session on Synapse's database. Raises DatabaseProblem, and CompressionProblem where it is another one's."""
    with connect(login) as server:
        with server.said("PostgreSQL does not take settings of this session"):
            # Somebody may have set them for the role, and these statements take what they take.
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
                server.connection.execute(f"SET {name} = 0")
        database = StateDatabase(server)
        database.check()
        yield database


class StateDatabase:
    """Raises DatabaseProblem in PostgreSQL's words."""

    def __init__(self, server: PsycopgServer) -> None:
        self.server = server

    def check(self) -> None:
        """Raises CompressionProblem where this is no database of Synapse's."""
        missing = self._value(
            "SELECT string_agg(n, ', ') FROM unnest(%s::text[]) n WHERE to_regclass(n) IS NULL",
            ["state_groups", "state_group_edges", TABLE],
        )
        if missing:
            raise CompressionProblem(
                f"the database {self.server.database} has no table {missing}; give Synapse's database as login_db,"
                " and start Synapse once where it is new"
            )

    def lock(self) -> bool:
        """Take the compressor's lock until the session ends; False where another run has it."""
        return bool(self._value("SELECT pg_catalog.pg_try_advisory_lock(%s)", _LOCK))

    def size(self, *, count_up_to: int) -> Size:
        """Rows are counted where PostgreSQL believes that there are no more than count_up_to."""
        believed, table_bytes, index_bytes = self._rows(_SIZE, TABLE)[0]
        # A table that was never analyzed is believed to be empty: a row takes 100 bytes at least.
        believed = believed or table_bytes // 100
        counted = believed <= count_up_to
        rows = int(self._value(f"SELECT count(*) FROM {TABLE}")) if counted else int(believed)  # noqa: S608
        return Size(rows=rows, counted=counted, table_bytes=int(table_bytes), index_bytes=int(index_bytes))

    def file(self) -> int:
        """The number of the table's file, another one each time that it is written anew."""
        return int(self._value("SELECT pg_catalog.pg_relation_filenode(%s::pg_catalog.regclass)", TABLE))

    def qualified(self) -> str:
        """The table's name with its schema."""
        return str(
            self._value(
                "SELECT format('%%I.%%I', n.nspname, c.relname) FROM pg_catalog.pg_class c"
                " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s::pg_catalog.regclass",
                TABLE,
            )
        )

    def row_width(self) -> int:
        """Bytes of a row's columns, on the average, as of the last ANALYZE; 0 where there was none."""
        return int(
            self._value(
                "SELECT coalesce(sum(avg_width), 0) FROM pg_catalog.pg_stats"
                " WHERE tablename = %s AND schemaname = ANY (current_schemas(false))",
                TABLE,
            )
        )

    def next_group(self) -> Optional[int]:
        """The lowest state group that the compressor has not been at; None where nothing is left for it."""
        if not self._started():
            return self._integer("SELECT min(id) FROM state_groups")
        return self._integer(_NEXT)

    def percent(self) -> float:
        """How much of the state groups the compressor is through with; 100 where nothing is left for it."""
        upcoming = self.next_group()
        if upcoming is None:
            return 100.0
        if not self._started():
            return 0.0
        first, last = self._rows("SELECT min(id), max(id) FROM state_groups")[0]
        groups = last - first + 1
        if groups <= _COUNTED_GROUPS:
            passed, groups = self._rows(_PASSED)[0]
        else:
            # Less than it is, since other rooms may be further on.
            passed = upcoming - first
        return round(min(99.9, 100 * passed / groups), 1)

    def chunks(self, *, size: int, number: int) -> List[Chunk]:
        """What the compressor will take, in its order."""
        started = self._started()
        pending = _PENDING.format(join=_JOIN if started else "", pending=_NOT_DONE if started else "true")
        rows = self._rows(_CHUNKS.format(pending=pending), {"size": size, "chunks": number})
        return [Chunk(*row) for row in rows]

    def estimate(self, *, size: int, number: int, levels: Sequence[int], most_rows: int) -> Estimate:
        """What a run will leave; reads no more than about most_rows rows, and remembers a bounded part of them."""
        with self.server.said("PostgreSQL did not say what can be compressed"):
            with self.server.connection.transaction():
                # All of it as it was at one moment.
                self.server.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                chunks = self.chunks(size=size, number=number)
                looked_at = [(run, self._after(run, levels)) for run in runs(chunks, most_rows=most_rows)]
        return estimate(chunks, looked_at)

    def _after(self, run: Run, sizes: Sequence[int]) -> int:
        model = RoomModel(self._levels(run, sizes), self, sizes=sizes)
        return sum(model.chunk(self._groups(chunk))[1] for chunk in run.chunks)

    def _levels(self, run: Run, sizes: Sequence[int]) -> Tuple[Level, ...]:
        if run.begins:
            saved = self._rows(_LEVELS, run.room) if self._started() else []
            return tuple(Level(*row) for row in saved) or empty_levels(sizes)
        # In the middle of a room: as if each level had just begun, with the group before.
        head = self._rows(_BEFORE, run.room, run.chunks[0].first)[0][0]
        return tuple(Level(each, 1, head) for each in sizes) if head is not None else empty_levels(sizes)

    def _groups(self, chunk: Chunk) -> Iterator[Group]:
        """One after the other, from a cursor on the server."""
        current: Optional[int] = None
        previous: Optional[int] = None
        rows: Dict[int, int] = {}
        with self.server.connection.cursor(name="synapse_tuning_groups", binary=True) as cursor:
            cursor.itersize = 5000
            cursor.execute(_ROWS, (chunk.room, chunk.first, chunk.last))
            for group, before, name, event in cursor:
                if group != current:
                    if current is not None:
                        yield Group(current, previous, rows)
                    current, previous, rows = group, before, {}
                if name is not None:
                    rows[name] = event
        if current is not None:
            yield Group(current, previous, rows)

    def state(self, group: int) -> Mapping[int, int]:
        """The whole state of a group."""
        return dict(self.server.connection.execute(_STATE, (group,), binary=True).fetchall())

    def previous(self, group: int) -> Optional[int]:
        """The group that it stands on."""
        return self._integer("SELECT prev_state_group FROM state_group_edges WHERE state_group = %s", group)

    def _started(self) -> bool:
        """Whether the compressor's tables are there."""
        return (
            self._value(
                "SELECT count(to_regclass(n)) FROM unnest(%s::text[]) n",
                ["state_compressor_state", "state_compressor_progress", "state_compressor_total_progress"],
            )
            == 3
        )

    def _rows(self, query: str, *values: Any) -> List[Any]:
        given = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
        with self.server.said("PostgreSQL does not answer"):
            return list(self.server.connection.execute(query, given or None).fetchall())

    def _value(self, query: str, *values: Any) -> Any:
        return self._rows(query, *values)[0][0]

    def _integer(self, query: str, *values: Any) -> Optional[int]:
        rows = self._rows(query, *values)
        return None if not rows or rows[0][0] is None else int(rows[0][0])
