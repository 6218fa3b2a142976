# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement written by hand, of a small server some hours after its start."""

from __future__ import annotations

import copy
from typing import Any

MIB = 1024**2


def _container(name: str, *, limit: int, held: int, held_peak: int) -> dict[str, Any]:
    return {
        "name": name,
        "limit": limit * MIB,
        "current": (held + 90) * MIB,
        "working_set": (held + 30) * MIB,
        "held": held * MIB,
        "held_peak": held_peak * MIB,
        "peak": (held_peak + 100) * MIB,
        "swap": 0,
        "oom_kills": 0,
        "limit_hits": 0,
        "restarts": 0,
        "cpu_seconds": 321.5,
    }


def _cache(name: str, size: int, max_size: int, hits: int, misses: int, by_size: int = 0) -> dict[str, Any]:
    evictions = {"size": by_size, "time": 12, "invalidation": 3}
    return {
        "name": name,
        "size": size,
        "max_size": max_size,
        "hits": hits,
        "misses": misses,
        "evictions": evictions,
        "bytes": None,
    }


def _backend(pid: int, kind: str, private: int) -> dict[str, Any]:
    is_client = kind == "client backend"
    return {
        "pid": pid,
        "kind": kind,
        "database": "synapse" if is_client else "",
        "user": "synapse" if is_client else "",
        "application": "",
        "state": "idle" if is_client else "",
        "pss": (private + 12) * MIB,
        "private": private * MIB,
        "rss": (private + 40) * MIB,
    }


_MEASUREMENT: dict[str, Any] = {
    "schema_version": 1,
    "taken_at": "2026-11-28T16:40:00Z",
    "samples": 1,
    "duration": 0.0,
    "host": {
        "ram": 2048 * MIB,
        "total": 2048 * MIB,
        "available": 1320 * MIB,
        "swap_total": 512 * MIB,
        "swap_used": 0,
        "cpus": 2,
        "oom_kills": 0,
    },
    "synapse": {
        "version": "1.163.2",
        "uptime": 12345.0,
        "container": _container("matrix-synapse-1", limit=1024, held=300, held_peak=420),
        "processes": [
            {
                "name": "main",
                "pid": 1234,
                "rss": 330 * MIB,
                "rss_peak": 430 * MIB,
                "pss": 310 * MIB,
                "private": 300 * MIB,
                "swap": 0,
                "cpu_seconds": 300.0,
                "uptime": 12345.0,
            }
        ],
        "jemalloc": {
            "allocated": 180 * MIB,
            "active": 200 * MIB,
            "resident": 210 * MIB,
            "mapped": 260 * MIB,
            "retained": 90 * MIB,
            "metadata": 9 * MIB,
        },
        "gc": [{"generation": 0, "collections": 800, "seconds": 1.5}],
        "caches": [
            _cache("*getEvent*", 2048, 2048, 9500, 500, 150),
            _cache("get_users_in_room", 120, 50_000, 4000, 120),
            _cache("small", 3, 100, 7, 3),
        ],
    },
    "postgresql": {
        "version": "15.18",
        "uptime": 12400.0,
        "container": _container("matrix-db-1", limit=512, held=180, held_peak=200),
        "shared": 70 * MIB,
        "backends": [
            *(_backend(pid, "client backend", 10) for pid in (11, 12, 13)),
            _backend(14, "checkpointer", 4),
            _backend(15, "autovacuum launcher", 2),
        ],
        "blocks_hit": 990_000,
        "blocks_read": 10_000,
        "temp_files": 0,
        "temp_bytes": 0,
        "stats_since": None,
        "connections": 3,
        "connections_peak": 4,
        "max_connections": 30,
        "shared_buffers": 64 * MIB,
        "work_mem": 4 * MIB,
        "autovacuum": {
            "running": 0,
            "dead_tuples": 120,
            "tables": [{"table": "state_groups_state", "dead": 120, "live": 240_000, "last": None}],
        },
        "database_bytes": 400 * MIB,
    },
    "shm": {"size": 256 * MIB, "used": MIB},
    "kernel_oom": [],
    "missing": {},
}

_ROOM: dict[str, Any] = {
    "room_id": "!heavy:example.org",
    "name": "Heavy",
    "canonical_alias": "#heavy:example.org",
    "version": "10",
    "members": 2000,
    "local_members": 5,
    "active_local_members": 3,
    "state_events": 4000,
    "state_rows": 30_000,
    "state_bytes": 9 * MIB,
    "events": 50_000,
    "event_bytes": 60 * MIB,
    "disk_bytes": 69 * MIB,
    "last_activity": 1_790_000_000_000,
    "forward_extremities": 1,
    "tombstoned": False,
    "encrypted": False,
    "public": True,
    "known": True,
    "estimate": {"memory_bytes_after_restart": 30 * MIB},
}


def sample_measurement(**at: Any) -> dict[str, Any]:
    """A fresh copy in which nothing is wrong. at: values for other paths, C(synapse__container__held=1)."""
    measurement = copy.deepcopy(_MEASUREMENT)
    for path, value in at.items():
        *way, last = path.split("__")
        place = measurement
        for key in way:
            place = place[key]
        place[last] = value
    return measurement


def sample_room(**other: Any) -> dict[str, Any]:
    """A room that people here use."""
    return {**copy.deepcopy(_ROOM), **other}


def thrashing(name: str) -> dict[str, Any]:
    """A cache that does not keep what it is asked for."""
    return _cache(name, 5_000, 5_000, 3000, 7000, 6900)
