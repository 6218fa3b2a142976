# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements: any that there can be, and one of a server that is at its limits."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core import measurement as measured
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement

MIB = 1 << 20

_TEXTS = st.text(max_size=20)
_FIGURES = st.integers(0, 1 << 50)
_SECONDS = st.floats(0, 1e9, allow_nan=False)


def _maybe(strategy: Any) -> Any:
    return st.none() | strategy


def _figures(*names: str) -> dict[str, Any]:
    return {name: _maybe(_FIGURES) for name in names}


_CONTAINERS = st.builds(
    measured.ContainerMemory,
    name=_TEXTS,
    current=_FIGURES,
    working_set=_FIGURES,
    held=_FIGURES,
    held_peak=_FIGURES,
    restarts=_FIGURES,
    cpu_seconds=_maybe(_SECONDS),
    **_figures("limit", "peak", "swap", "oom_kills", "limit_hits"),
)
_PROCESSES = st.builds(
    measured.ProcessMemory,
    name=_TEXTS,
    pid=_FIGURES,
    cpu_seconds=_maybe(_SECONDS),
    uptime=_maybe(_SECONDS),
    **_figures("rss", "rss_peak", "pss", "private", "swap"),
)
_CACHES = st.builds(
    measured.CacheUse,
    name=_TEXTS,
    hits=_FIGURES,
    misses=_FIGURES,
    evictions=st.builds(measured.Evictions, size=_FIGURES, time=_FIGURES, invalidation=_FIGURES),
    **_figures("size", "max_size", "bytes"),
)
_SYNAPSES = st.builds(
    measured.SynapseMemory,
    version=_maybe(_TEXTS),
    uptime=_maybe(_SECONDS),
    container=_maybe(_CONTAINERS),
    processes=st.lists(_PROCESSES, max_size=2).map(tuple),
    jemalloc=_maybe(
        st.builds(measured.Jemalloc, **_figures("allocated", "active", "resident", "mapped", "retained", "metadata"))
    ),
    gc=st.lists(
        st.builds(measured.GarbageCollection, generation=_FIGURES, collections=_FIGURES, seconds=_SECONDS), max_size=2
    ).map(tuple),
    caches=st.lists(_CACHES, max_size=2).map(tuple),
)
_BACKENDS = st.builds(
    measured.Backend,
    pid=_FIGURES,
    **{name: _maybe(_TEXTS) for name in ("kind", "database", "user", "application", "state")},
    **_figures("pss", "private", "rss"),
)
_TABLES = st.builds(measured.TableVacuum, table=_TEXTS, dead=_FIGURES, live=_FIGURES, last=_maybe(_TEXTS))
_POSTGRESQLS = st.builds(
    measured.PostgresqlMemory,
    version=_maybe(_TEXTS),
    uptime=_maybe(_SECONDS),
    container=_maybe(_CONTAINERS),
    backends=st.lists(_BACKENDS, max_size=2).map(tuple),
    stats_since=_maybe(_TEXTS),
    autovacuum=_maybe(
        st.builds(
            measured.Autovacuum,
            running=_FIGURES,
            dead_tuples=_FIGURES,
            tables=st.lists(_TABLES, max_size=2).map(tuple),
        )
    ),
    **_figures("shared", "blocks_hit", "blocks_read", "temp_files", "temp_bytes", "connections", "connections_peak"),
    **_figures("max_connections", "shared_buffers", "work_mem", "database_bytes"),
)
_HOSTS = st.builds(
    measured.HostMemory,
    ram=_FIGURES,
    total=_FIGURES,
    swap_total=_FIGURES,
    swap_used=_FIGURES,
    cpus=_FIGURES,
    **_figures("available", "oom_kills"),
)

MEASUREMENTS = st.builds(
    Measurement,
    taken_at=_TEXTS,
    samples=st.integers(1, 1000),
    duration=_SECONDS,
    host=_maybe(_HOSTS),
    synapse=_SYNAPSES,
    postgresql=_POSTGRESQLS,
    shm=_maybe(st.builds(measured.SharedMemory, size=_FIGURES, used=_FIGURES)),
    kernel_oom=st.lists(_TEXTS, max_size=2).map(tuple),
    missing=st.dictionaries(_TEXTS, _TEXTS, max_size=2),
    schema_version=st.just(1),
)


def container(name: str = "matrix-synapse-1", **changes: Any) -> measured.ContainerMemory:
    """A container at its limit."""
    figures = {
        "limit": 512 * MIB,
        "current": 500 * MIB,
        "working_set": 480 * MIB,
        "held": 400 * MIB,
        "held_peak": 450 * MIB,
        "peak": 512 * MIB,
        "swap": 0,
        "oom_kills": 2,
        "limit_hits": 1234,
        "restarts": 3,
        "cpu_seconds": 12.5,
    }
    return measured.ContainerMemory(name=name, **{**figures, **changes})  # type: ignore[arg-type]


def at_its_limits() -> Measurement:
    """A server that has trouble of each kind."""
    return Measurement(
        taken_at="2026-11-28T16:40:00Z",
        samples=61,
        duration=60.2,
        host=measured.HostMemory(
            ram=2048 * MIB,
            total=2048 * MIB,
            available=100 * MIB,
            swap_total=1024 * MIB,
            swap_used=300 * MIB,
            cpus=2,
            oom_kills=2,
        ),
        synapse=measured.SynapseMemory(
            version="1.163.2",
            uptime=3600.0,
            container=container(),
            processes=(
                measured.ProcessMemory("main", 4711, 450 * MIB, 460 * MIB, 430 * MIB, 400 * MIB, 0, 99.5, 3600.0),
                measured.ProcessMemory("federation_sender1", 4712, None, None, None, None, None, None, None),
            ),
            jemalloc=measured.Jemalloc(200 * MIB, 210 * MIB, 260 * MIB, 300 * MIB, None, 8 * MIB),
            gc=(measured.GarbageCollection(0, 1000, 1.5), measured.GarbageCollection(2, 3, 0.25)),
            caches=(
                measured.CacheUse("get_users_in_room", 80, 50_000, 900, 100),
                measured.CacheUse("*getEvent*", 5120, 5120, 600, 400, measured.Evictions(300, 7, 1)),
                measured.CacheUse("never_asked", 0, 100, 0, 0),
            ),
        ),
        postgresql=measured.PostgresqlMemory(
            version="15.18",
            uptime=7200.0,
            container=container("matrix-db-1", limit=None, oom_kills=0, limit_hits=0, restarts=0),
            shared=130 * MIB,
            backends=(
                measured.Backend(1, "postmaster", None, None, None, None, 5 * MIB, 3 * MIB, 30 * MIB),
                measured.Backend(70, "client backend", "synapse", "synapse", "", "idle", 12 * MIB, 11 * MIB, 60 * MIB),
                measured.Backend(71, "client backend", "synapse", "synapse", "", "idle", 8 * MIB, 7 * MIB, 40 * MIB),
            ),
            blocks_hit=990,
            blocks_read=10,
            temp_files=4,
            temp_bytes=64 * MIB,
            stats_since=None,
            connections=2,
            connections_peak=9,
            max_connections=100,
            shared_buffers=128 * MIB,
            work_mem=4 * MIB,
            autovacuum=measured.Autovacuum(1, 5000, (measured.TableVacuum("state_groups_state", 4000, 9, None),)),
            database_bytes=1024 * MIB,
        ),
        shm=measured.SharedMemory(64 * MIB, 1 * MIB),
        kernel_oom=("2026-11-28T16:40:00Z python (pid 4711) of matrix-synapse-1 was killed at its limit",),
        missing={"jemalloc": "Synapse runs without jemalloc"},
    )
