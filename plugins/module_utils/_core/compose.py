# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's keys in a compose file: limits, shared memory, environment."""

from __future__ import annotations

from typing import Any, Dict

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import Allocation
from ansible_collections.synapse.tuning.plugins.module_utils._core.homeserver import autotunes
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.prediction import gives_back
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import Setting, Settings, as_data
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import compose_size, show_bytes

__all__ = ["compose_section", "deployment_settings"]

_MALLOC_CONF = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:1"


def compose_section(inputs: Inputs, allocation: Allocation) -> Dict[str, Any]:
    """C(synapse) and C(postgresql), each empty where the program is not on this host."""
    return {
        "synapse": _synapse(inputs, allocation) if inputs.has_synapse else {},
        "postgresql": _postgresql(allocation) if inputs.has_postgresql else {},
    }


def deployment_settings(inputs: Inputs) -> Settings:
    """What only a new deployment gets: images, and how its database is made."""
    return {
        "synapse_image": Setting(
            value=f"matrixdotorg/synapse:v{inputs.synapse_version}",
            unit="",
            why="pinned: a release is an upgrade that you decide on",
            source="Synapse releases",
        ),
        "postgresql_image": Setting(
            value=f"postgres:{inputs.postgresql_version}-alpine",
            unit="",
            why="pinned to the major version: the data on disk belongs to it",
            source="PostgreSQL releases",
        ),
        "POSTGRES_INITDB_ARGS": Setting(
            value="--encoding=UTF-8 --lc-collate=C --lc-ctype=C",
            unit="",
            why="Synapse refuses to start on a database of another encoding or locale",
            source="Synapse installation guide",
        ),
    }


def _synapse(inputs: Inputs, allocation: Allocation) -> Dict[str, Any]:
    synapse = allocation.synapse
    bounded = synapse.limit < synapse.limit_wish
    environment: Settings = {
        "SYNAPSE_CACHE_FACTOR": Setting(
            value=f"{synapse.factor:g}",
            unit="times each cache's base size",
            why="without effect since Synapse 1.60, caches.global_factor is the lever; written so that both agree",
            source="seen on a running Synapse 1.163.2",
        ),
    }
    if gives_back(allocation):
        environment["MALLOC_CONF"] = Setting(
            value=_MALLOC_CONF,
            unit="",
            why="jemalloc gives memory back sooner: 126 to 118 MB idle, 164 to 155 MB after a large join, CPU -3 %",
            source="measured on Synapse 1.163.2",
        )
    environment["PYTHONMALLOC"] = Setting(
        value="malloc" if autotunes(inputs, allocation) else None,
        unit="",
        why=(
            "cache_autotuning sees only what jemalloc allocates: 86 of 129 MB with it, 30 MB without"
            if autotunes(inputs, allocation)
            else "only cache_autotuning needs it, and it costs CPU"
        ),
        source="measured on Synapse 1.163.2",
    )
    return {
        **as_data(
            {
                "memory_limit": Setting(
                    value=compose_size(synapse.limit).upper(),
                    unit="bytes",
                    why="Synapse's share of the budget: the kernel ends it here, not PostgreSQL or the host",
                    source="memory budget",
                    wish=compose_size(synapse.limit_wish).upper() if bounded else None,
                ),
                "memory_reservation": Setting(
                    value=compose_size(synapse.limit // 2).upper(),
                    unit="bytes",
                    why="half of the limit, kept for it when the host runs short",
                    source="memory budget",
                ),
            }
        ),
        "environment": as_data(environment),
    }


def _postgresql(allocation: Allocation) -> Dict[str, Any]:
    sizes = allocation.postgresql
    return as_data(
        {
            "memory_limit": Setting(
                value=compose_size(sizes.limit).upper(),
                unit="bytes",
                why="shared memory, backends, maintenance and file cache of PostgreSQL",
                source="memory budget",
            ),
            "memory_reservation": Setting(
                value=compose_size(sizes.limit // 2).upper(),
                unit="bytes",
                why="half of the limit, kept for it when the host runs short",
                source="memory budget",
            ),
            "shm_size": Setting(
                value=compose_size(sizes.shm_size),
                unit="bytes",
                why=(
                    "at least shared_buffers, and what parallel hash joins can ask for"
                    f" ({show_bytes(sizes.parallel_memory)}): Docker's 64 MB fail them. A ceiling, no memory is taken"
                    if sizes.parallel_memory
                    else "at least shared_buffers; Docker's 64 MB fail parallel queries. A ceiling, no memory is taken"
                ),
                source="measured on PostgreSQL 15",
            ),
        }
    )
