# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running PostgreSQL works with: by a login, or by psql in its container."""

from __future__ import annotations

import json
from typing import Any, Collection, Dict, Iterable, Iterator, Mapping, Optional, Protocol

from ansible_collections.synapse.tuning.plugins.module_utils._container_login import made_with
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Database
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import FileEntry, RoleSetting
from ansible_collections.synapse.tuning.plugins.module_utils._core.table_options import reloptions
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found

__all__ = ["InContainer", "Server", "read_database"]

# In one statement: each costs a start of psql in the container.
_STATE = """\
SELECT pg_catalog.json_build_object(
 'database', pg_catalog.current_database(),
 'parameters', (SELECT pg_catalog.json_agg(row_to_json(r)) FROM (
  SELECT name, setting, unit, vartype, context, source, min_val AS minimum, max_val AS maximum,
   coalesce(enumvals, '{}') AS choices, boot_val AS boot, pending_restart, sourcefile FROM pg_catalog.pg_settings) r),
 'role_settings', (SELECT coalesce(pg_catalog.json_agg(row_to_json(r)), '[]') FROM (
  SELECT rolname AS role, datname AS database, unnest(setconfig) AS assignment
  FROM pg_catalog.pg_db_role_setting s
  LEFT JOIN pg_catalog.pg_roles ON pg_roles.oid = s.setrole
  LEFT JOIN pg_catalog.pg_database ON pg_database.oid = s.setdatabase) r),
 'connections', (SELECT coalesce(pg_catalog.json_agg(row_to_json(r)), '[]') FROM (
  SELECT usename AS role, datname AS database, count(*) FROM pg_catalog.pg_stat_activity
  WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND usename IS NOT NULL
  GROUP BY usename, datname) r),
 'tables', (SELECT coalesce(pg_catalog.json_agg(row_to_json(r)), '[]') FROM (
  SELECT relname AS table, coalesce(reloptions, '{}') AS options FROM pg_catalog.pg_class
  WHERE relkind = 'r' AND pg_catalog.pg_table_is_visible(oid) AND relnamespace <> 'pg_catalog'::regnamespace) r)
)::text"""
_FILE_SETTINGS = """\
SELECT coalesce(json_agg(row_to_json(r)), '[]')::text FROM (
 SELECT sourcefile AS file, sourceline AS line, name, setting, error FROM pg_catalog.pg_file_settings WHERE name IS NOT NULL ORDER BY seqno) r"""


class Server(Protocol):
    """A PostgreSQL that answers statements with one text; C(_postgresql.PsycopgServer) is another one."""

    def text(self, statement: str) -> str:
        """The only field of the only row. Raises TuningError."""


class InContainer:
    """A server reached by psql in its container, over the socket that the official image trusts."""

    def __init__(self, engine: Containers, container: Found, database: Optional[str] = None) -> None:
        made = made_with(engine, container)
        self._engine = engine
        self._container = container
        self._user = made.user
        self._database = database or made.database

    def text(self, statement: str) -> str:
        """The only field of the only row."""
        command = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-U", self._user, "-d", self._database, "-c", statement]
        return self._engine.run(self._container.id, command).strip()


def read_database(server: Server, names: Iterable[str], tables: Collection[str] = ()) -> Database:
    """Read the named parameters, what may override them, and the named tables' options.

    Raises TuningError where PostgreSQL does not answer.
    """
    # Beside the planned ones those that others depend on.
    wanted = {*names, "autovacuum", "shared_buffers"}
    state = _json(server, _STATE)
    rows = {row["name"]: row for row in state["parameters"]}
    return Database(
        version=str(rows["server_version"]["setting"]).partition(" ")[0],
        parameters={
            name: Parameter(**{**row, "choices": tuple(row["choices"])}) for name, row in rows.items() if name in wanted
        },
        file_settings=_file_settings(server, wanted),
        role_settings=tuple(_role_settings(state["role_settings"], wanted)),
        connections={(row["role"], row["database"]): int(row["count"]) for row in state["connections"]},
        name=str(state["database"]),
        tables={row["table"]: reloptions(row["options"]) for row in state["tables"] if row["table"] in tables},
    )


def _file_settings(server: Server, wanted: Iterable[str]) -> Optional[Dict[str, FileEntry]]:
    try:
        rows = _json(server, _FILE_SETTINGS)
    except TuningError:  # only a superuser may
        return None
    # Of several lines the last one counts.
    return {row["name"]: FileEntry(**row) for row in rows if row["name"] in wanted}


def _role_settings(rows: Iterable[Mapping[str, Any]], wanted: Collection[str]) -> Iterator[RoleSetting]:
    for row in rows:
        name, _equals, setting = row["assignment"].partition("=")
        if name in wanted:
            yield RoleSetting(role=row["role"], database=row["database"], name=name, value=setting)


def _json(server: Server, statement: str) -> Any:
    try:
        return json.loads(server.text(statement))
    except ValueError as error:
        raise SourceError("PostgreSQL answers something else than rows") from error
