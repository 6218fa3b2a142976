# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running PostgreSQL says of its memory, and which of its processes holds what."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Autovacuum, Backend, TableVacuum
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_process import (
    postgresql_kind,
    postgresql_session,
)
from ansible_collections.synapse.tuning.plugins.module_utils._effective_postgresql import Server
from ansible_collections.synapse.tuning.plugins.module_utils._procfs import Running

__all__ = ["CLIENT", "Said", "ask", "backends", "count_connections", "of_same_server"]

CLIENT = "client backend"
_MOMENT = "AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'"
# In one statement: each costs a start of psql in the container.
_STATE = """\
SELECT pg_catalog.json_build_object(
 'version', pg_catalog.current_setting('server_version'),
 'uptime', extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_postmaster_start_time()),
 'max_connections', pg_catalog.current_setting('max_connections')::int,
 'shared_buffers', pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')),
 'work_mem', pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')),
 'database_bytes', pg_catalog.pg_database_size(pg_catalog.current_database()),
 'statistics', (SELECT row_to_json(r) FROM (
  SELECT blks_hit, blks_read, temp_files, temp_bytes, pg_catalog.to_char(stats_reset {_MOMENT}) AS since
  FROM pg_catalog.pg_stat_database WHERE datname = pg_catalog.current_database()) r),
 'backends', (SELECT coalesce(pg_catalog.json_agg(row_to_json(r)), '[]') FROM (
  SELECT pid, backend_type AS kind, datname AS database, usename AS user, application_name AS application, state
  FROM pg_catalog.pg_stat_activity WHERE pid <> pg_catalog.pg_backend_pid() ORDER BY pid) r),
 'dead_tuples', (SELECT coalesce(sum(n_dead_tup), 0) FROM pg_catalog.pg_stat_user_tables),
 'tables', (SELECT coalesce(pg_catalog.json_agg(row_to_json(r)), '[]') FROM (
  SELECT relname AS table, n_dead_tup AS dead, n_live_tup AS live,
   pg_catalog.to_char(greatest(last_vacuum, last_autovacuum) {_MOMENT}) AS last
  FROM pg_catalog.pg_stat_user_tables ORDER BY n_dead_tup DESC, n_live_tup DESC, relname LIMIT 5) r)
)::text""".replace("{_MOMENT}", _MOMENT)


@dataclass(frozen=True)
class Said:
    """Its answer, by the names of C(PostgresqlMemory). sessions: the rows of pg_stat_activity, without our own."""

    figures: Mapping[str, Any]
    sessions: Tuple[Mapping[str, Any], ...]


def ask(server: Server) -> Said:
    """Ask all of it at once. Raises TuningError where PostgreSQL does not answer."""
    try:
        state = json.loads(server.text(_STATE))
    except ValueError as error:
        raise SourceError("PostgreSQL answers something else than rows") from error
    statistics = state["statistics"]
    sessions = tuple(state["backends"])
    return Said(
        figures={
            "version": str(state["version"]).partition(" ")[0],
            "uptime": max(float(state["uptime"]), 0.0),
            "blocks_hit": int(statistics["blks_hit"]),
            "blocks_read": int(statistics["blks_read"]),
            "temp_files": int(statistics["temp_files"]),
            "temp_bytes": int(statistics["temp_bytes"]),
            "stats_since": statistics["since"],
            **{name: int(state[name]) for name in ("max_connections", "shared_buffers", "work_mem", "database_bytes")},
            "autovacuum": Autovacuum(
                running=sum(each["kind"] == "autovacuum worker" for each in sessions),
                dead_tuples=int(state["dead_tuples"]),
                tables=tuple(TableVacuum(**each) for each in state["tables"]),
            ),
        },
        sessions=sessions,
    )


def of_same_server(said: Optional[Said], processes: Sequence[Running]) -> List[Running]:
    """The processes without those of other servers on the same host, where the one that has answered can be told apart."""
    sessions = {each["pid"] for each in said.sessions} if said else set()
    servers = {each.figures.parent for each in processes if each.figures.inner_pid in sessions}
    return [each for each in processes if not servers or each.figures.parent in servers or each.pid in servers]


def backends(said: Optional[Said], processes: Sequence[Running]) -> Tuple[Backend, ...]:
    """PostgreSQL's rows with what the processes hold, and the processes that it has no rows for.

    said: None where it does not answer; then the processes' own titles tell what they are.
    """
    holding = {each.figures.inner_pid: each for each in processes}
    found = []
    for session in () if said is None else said.sessions:
        process = holding.pop(session["pid"], None)
        kind = session["kind"]
        if kind is None:
            # A role that may not see others' is told no more than their database.
            kind = postgresql_kind(process.arguments) if process else CLIENT if session["database"] else None
        found.append(_backend({**session, "kind": kind}, process))
    for process in holding.values():
        kind = postgresql_kind(process.arguments)
        # A client that PostgreSQL has no row for has gone since, or was our own.
        if kind is not None and (said is None or kind not in (CLIENT, "parallel worker", "autovacuum worker")):
            user, database = postgresql_session(process.arguments) or (None, None)
            session = {"pid": process.figures.inner_pid or process.pid, "kind": kind, "user": user}
            found.append(_backend({**session, "database": database, "application": None, "state": None}, process))
    return tuple(sorted(found, key=lambda each: each.pid))


def count_connections(titles: Iterable[Sequence[str]]) -> int:
    """How many clients there are by the processes' titles, which asks PostgreSQL nothing."""
    return sum(postgresql_kind(each) == CLIENT for each in titles)


def _backend(session: Mapping[str, Any], process: Optional[Running]) -> Backend:
    held: List[Optional[int]] = [None, None, None]
    if process is not None:
        held = [process.figures.pss, process.figures.private, process.figures.rss]
    return Backend(**session, pss=held[0], private=held[1], rss=held[2])
