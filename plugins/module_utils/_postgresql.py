# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running PostgreSQL, by psycopg 3: read what it says about itself, and set parameters."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import DatabaseProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter, elements
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import (
    FileEntry,
    RoleSetting,
    ServerState,
    command_line_parameters,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.table_options import OptionChange, reloptions
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import PSYCOPG, psycopg
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

__all__ = ["PsycopgServer", "connect"]

# Of this collection's runs, one at a time changes a server: "synapse.tuning", as a number.
_LOCK = 0x73796E74756E65
_LOCK_WAIT = "10s"
_RELOAD_WAIT = 10

_SETTINGS = """
SELECT name, setting, unit, vartype, context, source, min_val, max_val, enumvals, boot_val, pending_restart
FROM pg_catalog.pg_settings
"""
_ENTRIES = "SELECT sourcefile, sourceline, name, setting, error FROM pg_catalog.pg_file_settings ORDER BY seqno"
_ROLE_SETTINGS = """
SELECT r.rolname, d.datname, s.setconfig
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
ORDER BY 1 NULLS FIRST, 2 NULLS FIRST
"""

# What libpq says, and what to do about it; the first that fits.
_ADVICE = (
    ("password authentication failed", "check login_user and its password"),
    ("no password supplied", "give login_password, or a passfile that only its owner can read"),
    ("Peer authentication failed", "become that system user, or set login_host and login_password"),
    ("no pg_hba.conf entry", "allow this login in pg_hba.conf, or choose another login_host"),
    ("Connection refused", "start PostgreSQL, or correct login_host and login_port"),
    ("No such file or directory", "start PostgreSQL, or correct login_unix_socket, login_host and login_port"),
    ("could not translate host name", "correct login_host"),
    ("failed to resolve host", "correct login_host"),
    ("timeout expired", "correct login_host and login_port, or raise connect_timeout"),
    ("is starting up", "wait until it is up and run again"),
    ("is shutting down", "wait until it is up and run again"),
    ("too many clients", "raise max_connections, or close connections, and run again"),
    ("connection slots", "raise max_connections, or close connections, and run again"),
    ("SSL", "correct sslmode and ca_cert"),
    ("certificate", "correct sslmode and ca_cert"),
    ("does not exist", "correct login_user and login_db"),
)


@contextlib.contextmanager
def connect(login: Login) -> Iterator[PsycopgServer]:
    """A session on the server; raises DatabaseProblem, never with the password in it."""
    if PSYCOPG.missing:
        raise DatabaseProblem(f"the library {PSYCOPG.name} is missing, needed {PSYCOPG.reason}")
    _check_passfile(login.passfile)
    try:
        # A database in SQL_ASCII would answer in bytes without the encoding.
        connection = psycopg.connect(
            **login.keywords(), autocommit=True, client_encoding="utf8", application_name="synapse.tuning"
        )
    except psycopg.Error as error:
        text = _one_line(str(error), login.password)
        advice = next((advice for sign, advice in _ADVICE if sign in text), "correct the login options")
        raise DatabaseProblem(f"Cannot log in to PostgreSQL: {text}; {advice}") from None
    try:
        yield PsycopgServer(connection, login.password)
    finally:
        connection.close()


class PsycopgServer:
    """A session. Whatever PostgreSQL refuses is a DatabaseProblem in PostgreSQL's words."""

    def __init__(self, connection: Any, password: Optional[str]) -> None:
        self._connection = connection
        self._password = password

    @property
    def closed(self) -> bool:
        """Whether the session was lost."""
        return bool(self._connection.closed)

    @property
    def connection(self) -> Any:
        """psycopg's own connection, for adapters that read other things than parameters; use it within C(said)."""
        return self._connection

    @property
    def database(self) -> str:
        """The database of this session."""
        return str(self._connection.info.dbname)

    def text(self, statement: str) -> str:
        """The only field of the only row."""
        with self.said("PostgreSQL does not answer"):
            return str(self._rows(statement)[0][0])

    def lock(self) -> None:
        """Keep other runs out until the session ends, or give up after a while."""
        with self.said("Another run is changing this server's parameters, run again once it is done"):
            with self._connection.transaction():
                self._connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
                self._connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_LOCK,))

    def state(self) -> ServerState:
        """All that the planning needs, read in one go.

        Where the role is no superuser, only what it can see: nothing of the files.
        """
        with self.said("PostgreSQL did not say what it is set to"):
            superuser = self._connection.info.parameter_status("is_superuser") == "on"
            user = self._rows("SELECT current_user")[0][0]
            settings = self._rows(_SETTINGS)
            entries = self._rows(_ENTRIES) if superuser else []
            role_settings = self._rows(_ROLE_SETTINGS)
            options = (
                self._rows("SELECT pg_catalog.pg_read_file('postmaster.opts', 0, 65536, true)") if superuser else []
            )
        parameters = {row[0].lower(): _parameter(row) for row in settings}
        directory = parameters["data_directory"].setting if "data_directory" in parameters else None
        return ServerState(
            version=self._connection.info.server_version,
            superuser=superuser,
            user=user,
            parameters=parameters,
            entries=tuple(FileEntry(*row) for row in entries),
            auto_conf=f"{directory or ''}/postgresql.auto.conf",
            role_settings=tuple(_role_settings(role_settings)),
            command_line=command_line_parameters((options[0][0] or "") if options else ""),
        )

    def table_options(self, tables: Sequence[str]) -> Dict[str, Dict[str, str]]:
        """The tables' own options; one that is not there is left out."""
        found = {}
        for table in tables:
            with self.said(f"Cannot look up the table {table}"):
                rows = self._rows(
                    "SELECT relkind, reloptions FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass(%s)",
                    (_table(table).as_string(self._connection),),
                )
            if not rows:
                continue
            if rows[0][0] not in ("r", b"r"):
                raise DatabaseProblem(f"{table} in the database {self.database} is no ordinary table: remove it")
            found[table] = reloptions(rows[0][1])
        return found

    def try_options(self, changes: Sequence[OptionChange]) -> None:
        """Have PostgreSQL judge the values, on an empty temporary table that is never committed."""
        given = {change.option: change.planned for change in changes if change.planned is not None}
        for option, value in given.items():
            with self.said(f"{option} cannot be {value!r}"):
                with self._connection.transaction(force_rollback=True):
                    self._connection.execute(
                        psycopg.sql.SQL("CREATE TEMPORARY TABLE synapse_tuning_trial () WITH ({} = {})").format(
                            psycopg.sql.Identifier(option), psycopg.sql.Literal(value)
                        )
                    )

    def set_parameter(self, name: str, value: Optional[str]) -> None:
        """ALTER SYSTEM SET, or RESET for None."""
        identifier = psycopg.sql.Identifier(*name.split("."))
        if value is None:
            statement = psycopg.sql.SQL("ALTER SYSTEM RESET {}").format(identifier)
        else:
            parts = psycopg.sql.SQL(", ").join(map(psycopg.sql.Literal, elements(name, value)))
            statement = psycopg.sql.SQL("ALTER SYSTEM SET {} = {}").format(identifier, parts)
        with self.said(f"PostgreSQL refused {name} = {value!r}"):
            self._connection.execute(statement)

    def set_options(self, changes: Sequence[OptionChange]) -> None:
        """ALTER TABLE SET and RESET: all of them, or none."""
        with self.said("PostgreSQL refused a table's settings"), self._connection.transaction():
            # VACUUM holds the same lock, sometimes for hours.
            self._connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
            for change in changes:
                option = psycopg.sql.Identifier(change.option)
                if change.planned is None:
                    action = psycopg.sql.SQL("RESET ({})").format(option)
                else:
                    action = psycopg.sql.SQL("SET ({} = {})").format(option, psycopg.sql.Literal(change.planned))
                self._connection.execute(psycopg.sql.SQL("ALTER TABLE {} {}").format(_table(change.table), action))

    def reload(self) -> None:
        """Have PostgreSQL read its files again, and wait until this session has, too."""
        with self.said("PostgreSQL did not reload"):
            before = self._rows("SELECT pg_catalog.pg_conf_load_time()")
            self._connection.execute("SELECT pg_catalog.pg_reload_conf()")
            deadline = time.monotonic() + _RELOAD_WAIT
            while time.monotonic() < deadline:
                if self._rows("SELECT pg_catalog.pg_conf_load_time()") != before:
                    return
                time.sleep(0.02)
        raise DatabaseProblem(f"PostgreSQL did not reload within {_RELOAD_WAIT} seconds: see its log, and run again")

    def _rows(self, query: str, values: Tuple[Any, ...] = ()) -> List[Any]:
        return list(self._connection.execute(query, values or None).fetchall())

    @contextlib.contextmanager
    def said(self, what: str) -> Iterator[None]:
        """Turn psycopg's errors into one line, without secrets."""
        try:
            yield
        except psycopg.Error as error:
            diagnosis = error.diag
            said = ", ".join(filter(None, (diagnosis.message_primary, diagnosis.message_detail))) or str(error)
            advice = "; PostgreSQL ended the connection, see its log and run again" if self._connection.closed else ""
            raise DatabaseProblem(f"{what}: {_one_line(said, self._password)}{advice}") from None


def _table(name: str) -> Any:
    return psycopg.sql.Identifier(*name.split("."))


def _parameter(row: Sequence[Any]) -> Parameter:
    name, setting, unit, vartype, context, source, minimum, maximum, choices, boot, pending_restart = row
    return Parameter(
        name=name,
        setting=setting,
        unit=unit,
        vartype=vartype,
        context=context,
        source=source,
        minimum=minimum,
        maximum=maximum,
        choices=tuple(choices or ()),
        boot=boot,
        pending_restart=pending_restart,
    )


def _role_settings(rows: Sequence[Any]) -> Iterator[RoleSetting]:
    for role, database, settings in rows:
        for setting in settings or ():
            name, _equals, value = setting.partition("=")
            yield RoleSetting(role=role, database=database, name=name, value=value)


def _check_passfile(path: Optional[str]) -> None:
    """libpq passes over a passfile that is not as it should be, and then misses the password."""
    if path is None:
        return
    try:
        mode = os.stat(path).st_mode
        with open(path, "rb"):
            pass
    except OSError as error:
        raise DatabaseProblem(f"{path}: the passfile cannot be read ({error.strerror}); correct passfile") from None
    if mode & 0o077:
        raise DatabaseProblem(f"{path}: others can read the passfile, and then libpq ignores it; chmod 0600 it")


def _one_line(text: str, password: Optional[str]) -> str:
    line = " ".join(text.split())
    if line.startswith("connection failed: "):
        line = line[len("connection failed: ") :]
    return line.replace(password, "********") if password else line
