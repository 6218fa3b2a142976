# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import releases
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError

__all__ = [
    "CACHE_AUTOTUNING",
    "FEDERATION",
    "POSTGRESQL_VERSION",
    "PRESENCE",
    "STORAGE",
    "TOPOLOGIES",
    "Inputs",
]

STORAGE = ("ssd", "hdd")
FEDERATION = ("closed", "small", "open")
# Where PostgreSQL runs: with Synapse; elsewhere, this host has Synapse; here, and Synapse elsewhere.
TOPOLOGIES = ("shared", "dedicated_synapse", "dedicated_database")
CACHE_AUTOTUNING = ("auto", "on", "off")
PRESENCE = ("keep", "off")

POSTGRESQL_VERSION = 17
_OLDEST_POSTGRESQL = 13


@dataclass(frozen=True)
class Inputs:
    """Everything that the plan depends on: equal inputs give equal plans.

    users: people with an account here who use it, at least 1.
    ram: bytes that this host may use.
    cpus: processors that this host may use, at least 1.
    storage: C(ssd) or C(hdd), under the database.
    reserved: bytes for other services on this host.
    topology: one of TOPOLOGIES.
    workers: Synapse worker processes beside the main process.
    federation: how much of the federation users join: C(closed), C(small), C(open).
    synapse_version, postgresql_version: the versions that run, or will run.
    database_size: bytes of the database, 0 where not known.
    cache_autotuning: C(auto), C(on), C(off).
    presence: C(keep) or C(off).
    forgotten_room_retention_period: a duration as Synapse reads it; None leaves it alone.
    per_cache_factors: factors beside the plan's own, by cache name.
    largest_room: state events of the largest room of other servers that users join; None for what the plan lets in.
    extra_connections: database connections for others: bridges, backups, monitoring.
    observed: names of the inputs above that were read off the machine.

    :raises PlanError: naming the input and what it may be.
    """

    users: int
    ram: int
    cpus: int = 2
    storage: str = "ssd"
    reserved: int = 0
    topology: str = "shared"
    workers: int = 0
    federation: str = "open"
    synapse_version: str = releases.NEWEST
    postgresql_version: int = POSTGRESQL_VERSION
    database_size: int = 0
    cache_autotuning: str = "auto"
    presence: str = "keep"
    forgotten_room_retention_period: Optional[str] = None
    per_cache_factors: Mapping[str, float] = field(default_factory=dict)
    largest_room: Optional[int] = None
    extra_connections: int = 20
    observed: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _at_least("users", self.users, 1)
        _at_least("ram", self.ram, 1)
        _at_least("cpus", self.cpus, 1)
        _at_least("reserved", self.reserved, 0)
        _at_least("workers", self.workers, 0)
        _at_least("database_size", self.database_size, 0)
        _at_least("extra_connections", self.extra_connections, 0)
        if self.largest_room is not None:
            _at_least("largest_room", self.largest_room, 0)
        _one_of("storage", self.storage, STORAGE)
        _one_of("topology", self.topology, TOPOLOGIES)
        _one_of("federation", self.federation, FEDERATION)
        _one_of("cache_autotuning", self.cache_autotuning, CACHE_AUTOTUNING)
        _one_of("presence", self.presence, PRESENCE)
        if self.postgresql_version < _OLDEST_POSTGRESQL:
            raise PlanError(
                f"postgresql_version is {self.postgresql_version}: Synapse needs {_OLDEST_POSTGRESQL} or newer,"
                " upgrade PostgreSQL first"
            )
        if releases.parse_version(self.synapse_version) is None:
            raise PlanError(f"synapse_version is {self.synapse_version!r}: write it as {releases.NEWEST}")

    @property
    def has_synapse(self) -> bool:
        return self.topology != "dedicated_database"

    @property
    def has_postgresql(self) -> bool:
        return self.topology != "dedicated_synapse"

    @property
    def processes(self) -> int:
        """Synapse processes: each has caches and a connection pool of its own."""
        return 1 + self.workers

    def as_data(self) -> Dict[str, Any]:
        return {
            "users": self.users,
            "ram": self.ram,
            "cpus": self.cpus,
            "storage": self.storage,
            "reserved": self.reserved,
            "topology": self.topology,
            "workers": self.workers,
            "federation": self.federation,
            "synapse_version": self.synapse_version,
            "postgresql_version": self.postgresql_version,
            "database_size": self.database_size,
            "observed": list(self.observed),
        }


def _at_least(name: str, value: int, smallest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise PlanError(f"{name} is {value!r}: it must be a whole number, at least {smallest}")
    if value < smallest:
        raise PlanError(f"{name} is {value}: it must be at least {smallest}")


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise PlanError(f"{name} is {value!r}: it must be one of {', '.join(choices)}")
