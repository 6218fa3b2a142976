# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is free where PostgreSQL keeps a table: asked in its container, or of this host's file system."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql import PsycopgServer

__all__ = ["Disk", "Location", "disk", "location"]

_LOCATION = """
SELECT pg_catalog.current_setting('data_directory', true),
       nullif(pg_catalog.pg_tablespace_location(coalesce(nullif(c.reltablespace, 0), d.dattablespace)), ''),
       extract(epoch FROM pg_catalog.pg_postmaster_start_time())::bigint,
       pg_catalog.current_setting('wal_level') <> 'minimal',
       s.setting::bigint * 1024 * 1024
FROM pg_catalog.pg_class c, pg_catalog.pg_database d, pg_catalog.pg_settings s
WHERE c.oid = %s::pg_catalog.regclass AND d.datname = pg_catalog.current_database() AND s.name = 'max_wal_size'
"""


@dataclass(frozen=True)
class Location:
    """Where a table is, as the server sees it.

    data_directory: None where the role may not see it.  tablespace: its directory, None for the data directory.
    started: the server's start, in seconds since 1970.  logs_all: whether a new copy goes through the write-ahead log.
    largest_wal: max_wal_size, in bytes.
    """

    data_directory: Optional[str]
    tablespace: Optional[str]
    started: int
    logs_all: bool
    largest_wal: int

    @property
    def path(self) -> Optional[str]:
        """The table's directory."""
        return self.tablespace or self.data_directory

    @property
    def wal_beside(self) -> bool:
        """Whether the write-ahead log grows on the same disk, as far as one can tell."""
        return self.logs_all and self.tablespace is None


@dataclass(frozen=True)
class Disk:
    """A directory, and the bytes that are free for its owner there; None where nobody could be asked."""

    path: Optional[str]
    free: Optional[int]


def location(server: PsycopgServer, table: str) -> Location:
    """Ask the server. Raises DatabaseProblem."""
    with server.said("PostgreSQL does not say where it keeps its tables"):
        return Location(*server.connection.execute(_LOCATION, (table,)).fetchone())


def disk(place: Location, *, engine: Optional[Containers], container: Optional[str]) -> Disk:
    """What is free there; a server of this host is known by its postmaster.pid."""
    if place.path is None:
        return Disk(None, None)
    if engine is not None and container is not None:
        try:
            # Both of coreutils and of busybox.
            lines = engine.run(container, ["df", "-P", "-k", place.path]).splitlines()
            return Disk(place.path, int(lines[-1].split()[3]) * 1024)
        except (SourceError, IndexError, ValueError):
            return Disk(place.path, None)
    if not _is_here(place):
        return Disk(place.path, None)
    try:
        found = os.statvfs(place.path)
    except OSError:
        return Disk(place.path, None)
    return Disk(place.path, found.f_bavail * found.f_frsize)


def _is_here(place: Location) -> bool:
    """Whether the data directory of that name is this server's and not one of another server."""
    try:
        with open(os.path.join(place.data_directory or "", "postmaster.pid"), encoding="utf-8") as file:
            started = int(file.read().splitlines()[2])
    except (OSError, ValueError, IndexError):
        return False
    # Both are rounded, and the server notes the one a moment after the other.
    return abs(started - place.started) <= 5
