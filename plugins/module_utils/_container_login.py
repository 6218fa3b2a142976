# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to the PostgreSQL in a container of this host, at the container's own address: it needs no published port.

The password stays in memory; it is in no argument, file or message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._docker import (
    Containers,
    Engine,
    Found,
    address,
    network_mode,
)
from ansible_collections.synapse.tuning.plugins.module_utils._find_containers import find_database
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

__all__ = ["MadeWith", "Place", "login_inside", "made_with"]


@dataclass(frozen=True)
class Place:
    """Which container: by its name, or the one of a Compose project's service, None to find that by its image."""

    container: Optional[str] = None
    project_dir: Optional[str] = None
    db_service: Optional[str] = None
    docker_host: Optional[str] = None


@dataclass(frozen=True)
class MadeWith:
    """The superuser and the database that the official image's variables have had made."""

    user: str
    database: str


def login_inside(place: Place, given: Login, *, connect: Callable[..., Containers] = Engine) -> Login:
    """Where PostgreSQL listens in its container, and the superuser and the database that it was made with.

    given: what of it is not None is taken instead. connect: makes the container engine; tests have another.
    Raises SourceError and ServiceError: no engine, no such container, one that does not run or has no address.
    """
    engine = connect(host=place.docker_host, timeout=given.connect_timeout)
    there = engine.all()
    container = find_database(there, name=place.container, project_dir=place.project_dir, service=place.db_service)
    made = made_with(engine, container)
    user = given.user or made.user
    password = given.password
    # Nobody else's password is to be tried with this name.
    if password is None and given.passfile is None and user == made.user:
        password = _said(engine, container, "POSTGRES_PASSWORD")
    port = container.environment.get("PGPORT", "")
    return replace(
        given,
        host=given.host or _host(container, there),
        port=given.port or (int(port) if port.isdigit() else 5432),
        user=user,
        password=password,
        database=given.database or made.database,
    )


def made_with(engine: Containers, container: Found) -> MadeWith:
    """Raises SourceError for a container that does not run."""
    if not container.running:
        raise SourceError(f"the container {container.name} does not run; start it")
    user = _said(engine, container, "POSTGRES_USER") or "postgres"
    return MadeWith(user=user, database=_said(engine, container, "POSTGRES_DB") or user)


def _said(engine: Containers, container: Found, name: str) -> Optional[str]:
    """A variable of the official image's, which may also be given by a file that is there inside."""
    value = container.environment.get(name)
    path = container.environment.get(f"{name}_FILE")
    if not value and path:
        # As the image's shell reads it.
        value = engine.run(container.id, ["cat", path]).rstrip("\n")
    return value or None


def _host(container: Found, there: Sequence[Found]) -> str:
    found = address(container, there)
    if found is None:
        raise SourceError(
            f"the container {container.name} has no address that this host reaches (network mode"
            f" {network_mode(container) or 'unknown'}); publish its port and give login_host and login_port"
        )
    return found
