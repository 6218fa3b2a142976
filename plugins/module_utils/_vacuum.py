# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""VACUUM and pg_repack for one table: each in a session of its own, and nothing begun that has no room."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Any, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import CompressionProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.compressor_output import last_lines
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._core.vacuum import bytes_needed
from ansible_collections.synapse.tuning.plugins.module_utils._deps_postgresql import psycopg
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Engine
from ansible_collections.synapse.tuning.plugins.module_utils._free_space import Disk, Location
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql import PsycopgServer, connect

__all__ = ["Repack", "check_room", "vacuum_analyze", "vacuum_full"]

# An index that says which row is which, as pg_repack has to know.
_UNIQUE = """
SELECT 1 FROM pg_catalog.pg_index i
WHERE i.indrelid = %s::pg_catalog.regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND NOT EXISTS (
        SELECT 1 FROM unnest(i.indkey) k LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k
        WHERE a.attnotnull IS NOT TRUE
    )
"""
_TRIES = 3
_PAUSE = 2


def check_room(place: Location, disk: Disk, *, size: int) -> None:
    """Raises CompressionProblem where a second copy of the table has no room, or nobody can tell."""
    if disk.free is None:
        raise CompressionProblem(
            "how much is free on PostgreSQL's disk cannot be found out from here; set"
            " free_space_check to false where you know that the table and its indexes"
            f" ({show_bytes(size)}) fit in again, or vacuum to analyze"
        )
    needed = bytes_needed(size=size, largest_wal=place.largest_wal, wal=place.wal_beside)
    if disk.free < needed:
        raise CompressionProblem(
            f"{disk.path} has {show_bytes(disk.free)} free, and writing state_groups_state anew takes up to"
            f" {show_bytes(needed)} while the old one is there; nothing is lost: make room, or set"
            " vacuum to analyze, which needs none"
        )


def vacuum_analyze(login: Login, table: str) -> None:
    """Make the place of removed rows free for new ones, and renew the statistics. Nobody is kept out."""
    with connect(login) as server:
        _settings(server, lock_timeout="0")
        with server.said("VACUUM failed, nothing is lost"):
            server.connection.execute(f"VACUUM (ANALYZE) {table}")


def vacuum_full(login: Login, table: str, *, lock_timeout: int) -> None:
    """Write the table anew without gaps. It is locked meanwhile, and PostgreSQL keeps the old one until it is done.

    lock_timeout: seconds to wait for the lock, with everybody else behind; tried more than once.
    Raises CompressionProblem without the lock or without room, DatabaseProblem else.
    """
    with connect(login) as server:
        _settings(server, lock_timeout=f"{lock_timeout}s")
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_PAUSE)
            with server.said("VACUUM FULL failed, nothing is lost"):
                try:
                    server.connection.execute(f"VACUUM (FULL, ANALYZE) {table}")
                    return
                except psycopg.errors.LockNotAvailable:
                    continue
                except psycopg.errors.DiskFull as error:
                    raise CompressionProblem(
                        f"VACUUM FULL had no room: {error.diag.message_primary}; nothing is lost, {table} is as it was"
                        " before: make room and run again, or set vacuum to analyze"
                    ) from None
    raise CompressionProblem(
        f"VACUUM FULL did not get the table within {lock_timeout} s, {_TRIES} times, since Synapse works with it;"
        " nothing is lost: run again at a quieter hour, or raise lock_timeout"
    )


def _settings(server: PsycopgServer, *, lock_timeout: str) -> None:
    with server.said("PostgreSQL does not take settings of this session"):
        server.connection.execute("SET statement_timeout = 0")
        server.connection.execute(f"SET lock_timeout = '{lock_timeout}'")


@dataclass(frozen=True)
class Repack:
    """pg_repack: its client is in the database's container, or on this host where the server is in none."""

    login: Login
    major: int
    engine: Optional[Engine] = None
    container: Optional[str] = None

    def check(self, server: PsycopgServer, table: str) -> None:
        """Raises CompressionProblem that says how to get what is missing."""
        with server.said("PostgreSQL does not say which indexes the table has"):
            if not server.connection.execute(_UNIQUE, (table,)).fetchall():
                raise CompressionProblem(
                    f"pg_repack needs a unique index, and {table} has none, as Synapse makes it; nothing was done:"
                    f" set vacuum to full, or 'CREATE UNIQUE INDEX CONCURRENTLY ON {table} (state_group, type,"
                    " state_key)', which is no index of Synapse's and takes its place on the disk"
                )
        where = "in the database's container" if self.container else "on this host"
        try:
            self._call(["pg_repack", "--version"], timeout=60)
        except (SourceError, OSError) as error:
            raise CompressionProblem(
                f"pg_repack is not installed {where}, nothing was done; install the package"
                f" postgresql-{self.major}-repack of Debian or of apt.postgresql.org there (for a container: in an image"
                " made from the one that it has), or set vacuum to full"
            ) from error
        with server.said("PostgreSQL does not say which extensions it has"):
            rows = server.connection.execute("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'pg_repack'")
            if not rows.fetchall():
                raise CompressionProblem(
                    f"the database {server.database} does not have the extension pg_repack, nothing was done;"
                    " 'CREATE EXTENSION pg_repack' as a superuser there, or set vacuum to full"
                )

    def run(self, table: str, *, lock_timeout: int, timeout: float) -> None:
        """Rewrite the table; it is locked for moments only."""
        command = ["pg_repack", "--table", table, "--wait-timeout", str(lock_timeout), "--no-kill-backend"]
        command += ["--dbname", self.login.database or "", "--username", self.login.user or ""]
        # In its container as the compressor: where PostgreSQL trusts it.
        host = "127.0.0.1" if self.container else self.login.host
        command += [*(["--host", host] if host else []), "--port", str(self.login.port or 5432), "--no-password"]
        try:
            self._call(command, timeout=timeout)
        except (SourceError, OSError, subprocess.TimeoutExpired) as error:
            raise CompressionProblem(
                f"pg_repack failed, nothing is lost: {error}; 'DROP EXTENSION pg_repack CASCADE' and 'CREATE EXTENSION"
                " pg_repack' remove what it left behind"
            ) from None

    def _call(self, command: List[str], *, timeout: float) -> None:
        if self.engine is not None and self.container is not None:
            self.engine.run(self.container, command)
            return
        program = shutil.which(command[0])
        if program is None:
            raise SourceError("it is not on the PATH")
        environment: Mapping[str, Any] = os.environ
        with tempfile.TemporaryDirectory(prefix="synapse-tuning-") as directory:
            if self.login.password:
                # By a file: others may see a process's arguments, and root's its environment.
                path = os.path.join(directory, "pgpass")
                with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                    password = self.login.password.replace("\\", "\\\\").replace(":", "\\:")
                    file.write(f"*:*:*:*:{password}\n")
                environment = {**os.environ, "PGPASSFILE": path}
            # Adapters have no module whose run_command they could call.
            run = subprocess.run(  # noqa: S603  # pylint: disable=ansible-bad-function
                [program, *command[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=dict(environment),
                timeout=timeout,
                check=False,
            )
        if run.returncode != 0:
            raise SourceError(last_lines(run.stderr + run.stdout))
