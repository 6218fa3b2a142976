# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan written by hand, with the figures for 5 users on 2 GiB: what the file modules are tested with."""

from __future__ import annotations

import copy
from typing import Any

GIB = 1024**3


def _settings(**values: Any) -> dict[str, Any]:
    return {
        name: {"value": value, "unit": "", "why": "for the test", "source": "sample"} for name, value in values.items()
    }


SYNAPSE_ENVIRONMENT = {
    "SYNAPSE_CACHE_FACTOR": "0.2",
    "MALLOC_CONF": "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:1",
    "PYTHONMALLOC": None,
}
PARAMETERS: dict[str, Any] = {
    "shared_buffers": "256MB",
    "effective_cache_size": "512MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
    "wal_buffers": "7864kB",
    "max_connections": 30,
    "max_parallel_workers_per_gather": 0,
    "jit": "off",
    "random_page_cost": 1.1,
}
_PLAN: dict[str, Any] = {
    "schema_version": 1,
    "host": {
        "users": 5,
        "ram": 2 * GIB,
        "cpus": 2,
        "storage": "ssd",
        "reserved": 0,
        "topology": "shared",
        "workers": 0,
        "federation": "open",
        "synapse_version": "1.163.2",
        "postgresql_version": 17,
        "database_size": 0,
    },
    "homeserver": _settings(
        **{
            "event_cache_size": "10K",
            "caches.global_factor": 0.2,
            "caches.per_cache_factors.get_users_in_room": 0.5,
            "caches.per_cache_factors.*getEvent*": 0.3,
            "caches.cache_autotuning": None,
            "database.args.cp_min": 2,
            "database.args.cp_max": 4,
            "limit_remote_rooms.enabled": True,
            "limit_remote_rooms.complexity": 17.0,
            "forget_rooms_on_leave": True,
        }
    ),
    "postgresql": _settings(**PARAMETERS),
    "tables": {},
    "compose": {
        "synapse": {
            **_settings(memory_limit="1G", memory_reservation="512M"),
            "environment": _settings(**SYNAPSE_ENVIRONMENT),
        },
        "postgresql": _settings(memory_limit="512M", memory_reservation="256M", shm_size="256m"),
    },
    "deployment": _settings(
        synapse_image="matrixdotorg/synapse:v1.163.2",
        postgresql_image="postgres:17-alpine",
        POSTGRES_INITDB_ARGS="--encoding=UTF-8 --lc-collate=C --lc-ctype=C",
    ),
    "compressor": _settings(schedule="weekly", chunk_size=500, number_of_chunks=100),
    "budget": [{"component": "operating_system", "bytes": 256 * 1024**2, "why": "for the test"}],
    "warnings": [],
    "advice": [],
}


def sample_plan(*, synapse: bool = True, postgresql: bool = True) -> dict[str, Any]:
    """Return a fresh copy, without the part of a program that runs elsewhere."""
    plan = copy.deepcopy(_PLAN)
    if not synapse:
        plan["homeserver"], plan["compose"]["synapse"] = {}, {}
        plan["host"]["topology"] = "dedicated_database"
    if not postgresql:
        plan["postgresql"], plan["compose"]["postgresql"], plan["tables"] = {}, {}, {}
        plan["host"]["topology"] = "dedicated_synapse"
    return plan
