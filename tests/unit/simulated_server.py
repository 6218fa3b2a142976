# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server as a model: what it would measure under settings and a load that stays as it is.

A real one takes hours for a round, and never twice has the same load; here rounds are free, and a
load is drawn. It has just what learning goes by: caches of which each entry of a working set is asked
for as often as any other, sorts that need memory, connections, and memory that is held.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core import units
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import (
    base_entries,
    bytes_at_factor_one,
    cache_entries,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement

MIB = 1 << 20
IDLE = 128 * MIB
HOUR = 3600.0


@dataclass(frozen=True)
class Load:
    """What the users do, the same in every round.

    working_sets: entries of each cache that are in use.
    times: that each of them is asked for in an hour, at least twice: what is asked for less often leaves a cache by age.
    fill: what an entry takes, as a share of what the table has for it.
    synapse, postgresql: bytes held beside the caches.
    sort: bytes that a sort needs; sorts: of them, an hour.
    connections: that are wanted at once.
    uptime: seconds from a start to the measurement.
    """

    working_sets: Mapping[str, int] = field(default_factory=dict)
    times: int = 10
    fill: float = 1.0
    synapse: int = 0
    postgresql: int = 128 * MIB
    sort: int = MIB
    sorts: int = 100
    connections: int = 10
    uptime: float = 48 * HOUR


@dataclass(frozen=True)
class Server:
    """What is in effect; a limit of None is none."""

    global_factor: float = 0.5
    per_cache_factors: Mapping[str, float] = field(default_factory=dict)
    event_cache_size: int = 10 * 1024
    synapse_limit: Optional[int] = None
    postgresql_limit: Optional[int] = None
    work_mem: int = 4 * MIB
    max_connections: int = 100

    def applied(self, plan: Mapping[str, Any]) -> Server:
        """The server with the plan in effect; a factor that the plan does not have stays in the file."""
        homeserver = {path: setting["value"] for path, setting in plan["homeserver"].items()}
        factors = {
            path.split(".", 2)[2]: value
            for path, value in homeserver.items()
            if path.startswith("caches.per_cache_factors.")
        }
        compose, postgresql = plan["compose"], plan["postgresql"]
        changes: Dict[str, Any] = {}
        if homeserver:
            changes.update(
                global_factor=homeserver["caches.global_factor"],
                per_cache_factors={**self.per_cache_factors, **factors},
                event_cache_size=units.synapse_bytes(homeserver["event_cache_size"]),
                synapse_limit=units.compose_bytes(compose["synapse"]["memory_limit"]["value"]),
            )
        if postgresql:
            changes.update(
                postgresql_limit=units.compose_bytes(compose["postgresql"]["memory_limit"]["value"]),
                work_mem=units.postgresql_bytes(postgresql["work_mem"]["value"], unit=1024),
                max_connections=postgresql["max_connections"]["value"],
            )
        return replace(self, **changes)

    def measured(self, load: Load) -> Measurement:
        return Measurement.from_data(self.measurement(load))

    def measurement(self, load: Load) -> Dict[str, Any]:
        hours = load.uptime / HOUR
        entries = cache_entries(
            factor=self.global_factor,
            per_cache_factors=self.per_cache_factors,
            event_cache_size=self.event_cache_size,
        )
        bases = base_entries(event_cache_size=self.event_cache_size)
        caches, held = [], IDLE + load.synapse
        for name, wanted in load.working_sets.items():
            most = entries[name]
            size = min(wanted, most)
            lookups = int(wanted * load.times * hours)
            missed = int(lookups * (1 - size / wanted)) if wanted else 0
            caches.append(
                {
                    "name": name,
                    "size": size,
                    "max_size": most,
                    "hits": lookups - missed,
                    "misses": missed + size,
                    "evictions": {"size": missed, "time": 0, "invalidation": 0},
                    "bytes": None,
                }
            )
            held += int(
                load.fill * size * bytes_at_factor_one(name, event_cache_size=self.event_cache_size) / bases[name]
            )
        files = int(load.sorts * hours) if load.sort > self.work_mem else 0
        return {
            "schema_version": 1,
            "taken_at": "2026-11-28T16:40:00Z",
            "samples": 1,
            "duration": 0.0,
            "host": None,
            "synapse": {
                "version": "1.163.2",
                "uptime": load.uptime,
                "container": _container(held, self.synapse_limit),
                "processes": [_main(held, self.synapse_limit, load.uptime)],
                "jemalloc": None,
                "gc": [],
                "caches": caches,
            },
            "postgresql": {
                "version": "17.2",
                "uptime": load.uptime,
                "container": _container(load.postgresql, self.postgresql_limit),
                "shared": None,
                "backends": [],
                "blocks_hit": None,
                "blocks_read": None,
                "temp_files": files,
                "temp_bytes": files * load.sort // 2,
                "stats_since": None,
                "connections": min(load.connections, self.max_connections - 3),
                "connections_peak": min(load.connections, self.max_connections - 3),
                "max_connections": self.max_connections,
                "shared_buffers": None,
                "work_mem": self.work_mem,
                "autovacuum": None,
                "database_bytes": None,
            },
            "shm": None,
            "kernel_oom": [],
            "missing": {},
        }


def _main(held: int, limit: Optional[int], uptime: float) -> Dict[str, Any]:
    """Synapse's process, of which the kernel keeps the peak."""
    peak = min(held, limit) if limit is not None else held
    figures = {"rss": peak, "rss_peak": peak, "pss": peak, "private": peak, "swap": 0}
    return {"name": "main", "pid": 1234, **figures, "cpu_seconds": 0.0, "uptime": uptime}


def _container(held: int, limit: Optional[int]) -> Dict[str, Any]:
    """A new one, as a changed limit makes it: killed where it wants more than its limit."""
    killed = limit is not None and held > limit
    peak = min(held, limit) if limit is not None else held
    return {
        "name": "sample",
        "limit": limit,
        "current": peak,
        "working_set": peak,
        "held": peak,
        "held_peak": peak,
        "peak": peak,
        "swap": 0,
        "oom_kills": int(killed),
        "limit_hits": int(killed),
        "restarts": 0,
        "cpu_seconds": 0.0,
    }
