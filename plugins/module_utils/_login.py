# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to log in to PostgreSQL. On its own: who gets no login does without psycopg, a third of what it would import."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Optional, TypeVar

__all__ = ["Login", "logged_in"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Login:
    """How to reach a server; None leaves it to libpq, that is to PGHOST, PGPORT, PGPASSWORD and so on."""

    host: Optional[str] = None
    port: Optional[int] = None
    user: Optional[str] = None
    password: Optional[str] = field(default=None, repr=False)
    database: Optional[str] = None
    passfile: Optional[str] = None
    sslmode: Optional[str] = None
    sslrootcert: Optional[str] = None
    connect_timeout: int = 10

    def keywords(self) -> Dict[str, Any]:
        """What libpq calls them."""
        given = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "dbname": self.database,
            "passfile": self.passfile,
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            "connect_timeout": self.connect_timeout,
        }
        return {name: value for name, value in given.items() if value is not None}


def logged_in(login: Login, ask: Callable[[Any], _T]) -> _T:
    """What C(ask) returns of a session, a PsycopgServer. Raises DatabaseProblem, never with the password in it."""
    from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql

    with _postgresql.connect(login) as server:
        return ask(server)
