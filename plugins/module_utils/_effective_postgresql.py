# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running PostgreSQL works with: by a login, or by psql in its container."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional, Protocol, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    Database,
    FileSetting,
    Parameter,
    RoleSetting,
)
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import PSYCOPG, psycopg
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found

__all__ = ["ByLogin", "InContainer", "Login", "Server", "read_database"]

_PARAMETERS = """\
SELECT coalesce(json_agg(row_to_json(r)), '[]')::text FROM (
 SELECT name, setting, unit, source, sourcefile, pending_restart FROM pg_catalog.pg_settings) r"""
_FILE_SETTINGS = """\
SELECT coalesce(json_agg(row_to_json(r)), '[]')::text FROM (
 SELECT name, setting, sourcefile, error FROM pg_catalog.pg_file_settings WHERE name IS NOT NULL ORDER BY seqno) r"""
_ROLE_SETTINGS = """\
SELECT coalesce(json_agg(row_to_json(r)), '[]')::text FROM (
 SELECT rolname AS role, datname AS database, unnest(setconfig) AS assignment
 FROM pg_catalog.pg_db_role_setting s
 LEFT JOIN pg_catalog.pg_roles ON pg_roles.oid = s.setrole
 LEFT JOIN pg_catalog.pg_database ON pg_database.oid = s.setdatabase) r"""
_CONNECTIONS = """\
SELECT coalesce(json_agg(row_to_json(r)), '[]')::text FROM (
 SELECT usename AS role, datname AS database, count(*) FROM pg_catalog.pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND usename IS NOT NULL
 GROUP BY usename, datname) r"""


class Server(Protocol):
    """A PostgreSQL that answers statements with one text."""

    def text(self, statement: str) -> str:
        """The only field of the only row. Raises SourceError."""


@dataclass(frozen=True)
class Login:
    """Where and as whom to log in; None is libpq's default."""

    host: Optional[str] = None
    port: Optional[int] = None
    user: Optional[str] = None
    password: Optional[str] = None
    db: Optional[str] = None


class ByLogin:
    """A server reached by psycopg; each statement has a transaction of its own."""

    def __init__(self, login: Login, *, timeout: float) -> None:
        if PSYCOPG.missing:
            raise SourceError(f"the library {PSYCOPG.name} is missing, needed {PSYCOPG.reason}")
        given = {
            "host": login.host,
            "port": login.port,
            "user": login.user,
            "password": login.password,
            "dbname": login.db or "postgres",
            "connect_timeout": int(timeout),
            "application_name": "synapse.tuning",
        }
        try:
            self._connection = psycopg.connect(
                autocommit=True, **{name: value for name, value in given.items() if value is not None}
            )
        except psycopg.Error as error:
            raise SourceError(f"PostgreSQL refuses the login: {_line(error)}; correct login_*") from error

    def text(self, statement: str) -> str:
        """The only field of the only row."""
        try:
            return str(self._connection.execute(statement).fetchone()[0])
        except psycopg.Error as error:
            raise SourceError(f"PostgreSQL does not answer: {_line(error)}") from error


class InContainer:
    """A server reached by psql in its container, over the socket that the official image trusts."""

    def __init__(self, engine: Containers, container: Found) -> None:
        if not container.running:
            raise SourceError(f"the container {container.name} does not run; start it")
        variables = container.environment
        self._engine = engine
        self._container = container
        self._user = variables.get("POSTGRES_USER") or "postgres"
        self._database = variables.get("POSTGRES_DB") or self._user

    def text(self, statement: str) -> str:
        """The only field of the only row."""
        command = ["psql", "-XAtqw", "-v", "ON_ERROR_STOP=1", "-U", self._user, "-d", self._database, "-c", statement]
        return self._engine.run(self._container.id, command).strip()


def read_database(server: Server, names: Iterable[str]) -> Database:
    """Read the named parameters and what may override them. Raises SourceError where PostgreSQL does not answer."""
    wanted = {*names, "shared_buffers"}
    rows = {row["name"]: row for row in _rows(server, _PARAMETERS)}
    return Database(
        version=str(rows["server_version"]["setting"]).partition(" ")[0],
        parameters={
            name: Parameter(
                setting=row["setting"] or "",
                unit=row["unit"],
                source=row["source"],
                sourcefile=row["sourcefile"],
                pending_restart=bool(row["pending_restart"]),
            )
            for name, row in rows.items()
            if name in wanted
        },
        file_settings=_file_settings(server, wanted),
        role_settings=tuple(_role_settings(server, wanted)),
        connections=_connections(server),
    )


def _file_settings(server: Server, wanted: Iterable[str]) -> Optional[Dict[str, FileSetting]]:
    try:
        rows = _rows(server, _FILE_SETTINGS)
    except SourceError:  # only a superuser may
        return None
    # Of several lines the last one counts.
    return {
        row["name"]: FileSetting(setting=row["setting"], sourcefile=row["sourcefile"] or "", error=row["error"])
        for row in rows
        if row["name"] in wanted
    }


def _role_settings(server: Server, wanted: Iterable[str]) -> List[RoleSetting]:
    found = []
    for row in _rows(server, _ROLE_SETTINGS):
        name, _equals, setting = row["assignment"].partition("=")
        if name in wanted:
            found.append(RoleSetting(role=row["role"], database=row["database"], name=name, setting=setting))
    return found


def _connections(server: Server) -> Dict[Tuple[str, str], int]:
    return {(row["role"], row["database"]): int(row["count"]) for row in _rows(server, _CONNECTIONS)}


def _rows(server: Server, statement: str) -> List[Dict[str, Any]]:
    try:
        return list(json.loads(server.text(statement)))
    except ValueError as error:
        raise SourceError("PostgreSQL answers something else than rows") from error


def _line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
