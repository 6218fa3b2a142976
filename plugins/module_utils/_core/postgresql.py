# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: what it may hold, and the parameters that say so.

Sizes follow pgtune where its rules fit a host that Synapse shares; where they
would overcommit (work_mem with hundreds of connections), the connections are cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.figures import noun
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import Scalar, Setting, Settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import (
    GIB,
    KIB,
    MIB,
    postgresql_size,
)

__all__ = ["MOST_WORK_MEM", "SUPERUSER_RESERVED", "PostgresqlSizes", "postgresql_settings", "postgresql_sizes"]

# More than 32 MB rarely helps Synapse's queries.
MOST_WORK_MEM = 32 * MIB

# Private memory of a busy backend after long use by Synapse: 11.4 MB. After the lab's minutes it is half of that.
_BUSY_BACKEND = 11_400 * KIB
# A connection that looked at every table once: 4.8 MB.
_OTHER_BACKEND = 5 * MIB
_OTHER_BACKENDS = 2
# PostgreSQL's default, which the plan keeps.
_AUTOVACUUM_WORKERS = 3
SUPERUSER_RESERVED = 3
_LIMIT_STEP = 16 * MIB


@dataclass(frozen=True)
class PostgresqlSizes:
    """All memory in bytes; cp_min, cp_max: of each Synapse process's pool."""

    shared_buffers: int
    effective_cache_size: int
    work_mem: int
    maintenance_work_mem: int
    autovacuum_work_mem: int
    wal_buffers: int
    cp_min: int
    cp_max: int
    cp_max_wish: int
    pool_connections: int
    max_connections: int
    max_parallel_workers: int
    parallel_workers_per_gather: int
    parallel_memory: int
    shm_size: int
    limit: int

    @property
    def shared_memory(self) -> int:
        """Within 4 MB of C(postgres -C shared_memory_size) at six sizes of shared_buffers."""
        return int(self.shared_buffers * 1.022) + self.wal_buffers + 7 * MIB + int(0.046 * MIB * self.max_connections)

    @property
    def connections_memory(self) -> int:
        return self.pool_connections * (_BUSY_BACKEND + self.work_mem) + _OTHER_BACKENDS * _OTHER_BACKEND

    @property
    def maintenance_memory(self) -> int:
        return self.maintenance_work_mem + _AUTOVACUUM_WORKERS * self.autovacuum_work_mem

    @property
    def need(self) -> int:
        """What the limit has to hold; what is beyond it is file cache."""
        return self.shared_memory + self.connections_memory + self.maintenance_memory + self.parallel_memory


def postgresql_sizes(
    inputs: Inputs, *, usable: int, learned_work_mem: Optional[int] = None, learned_connections: Optional[int] = None
) -> PostgresqlSizes:
    """Size PostgreSQL for C(usable) bytes, shared with Synapse or its own.

    learned_work_mem, learned_connections: work_mem and max_connections, where a measurement knows better.
    """
    alone = inputs.topology == "dedicated_database"
    if alone:
        share = usable * 3 // 4
        shared_buffers = usable // 4
        maintenance_work_mem = usable // 16
        work_mem = usable // 256
    else:
        share = usable // 4
        # An eighth, less where the rest of PostgreSQL's share would not hold its backends, and no more than users need.
        shared_buffers = min(usable // 8, usable * 3 // 16 - 64 * MIB, _wished_shared_buffers(inputs.users))
        maintenance_work_mem = usable // 32
        work_mem = usable // 512
    share = share // _LIMIT_STEP * _LIMIT_STEP
    if inputs.database_size:
        shared_buffers = min(shared_buffers, max(inputs.database_size, 128 * MIB))
    shared_buffers = _mib(shared_buffers)
    maintenance_work_mem = _mib(min(max(maintenance_work_mem, 16 * MIB), 2 * GIB))
    autovacuum_work_mem = _mib(min(max(maintenance_work_mem // 8, 4 * MIB), 256 * MIB))
    work_mem = min(max(work_mem, 4 * MIB), MOST_WORK_MEM)

    cp_max_wish = _wished_pool(inputs)
    cp_max = cp_max_wish
    if inputs.has_postgresql:
        # About a fifth of the share, more on small hosts. By the work_mem before it is rounded:
        # a step of it must not take a connection from a larger host.
        for_backends = int(share * 0.22) + 18 * MIB
        cp_max = min(cp_max, max(for_backends // (_BUSY_BACKEND + work_mem) // inputs.processes, 2))
    work_mem = learned_work_mem or (_mib(work_mem) if usable >= GIB else 2 * MIB)
    pool_connections = cp_max * inputs.processes
    max_connections = -(-(pool_connections + inputs.extra_connections + SUPERUSER_RESERVED) // 10) * 10
    max_connections = max(max_connections, learned_connections or 0)

    parallel = inputs.cpus >= 4 and usable >= (4 * GIB if alone else 8 * GIB)
    per_gather = 2 if parallel else 0
    max_parallel_workers = min(inputs.cpus, 8) if parallel else 0
    gathers = max_parallel_workers // per_gather if parallel else 0
    # A parallel hash join takes work_mem, twice (hash_mem_multiplier), for each worker and its leader.
    hash_multiplier = 2 if inputs.postgresql_version >= 15 else 1
    hash_memory = work_mem * hash_multiplier * (per_gather + 1) if parallel else 0
    shm_size = max(
        shared_buffers,
        256 * MIB if usable >= 2 * GIB else 0,
        64 * MIB,
        16 * MIB + gathers * hash_memory * 3 // 2 + (min(maintenance_work_mem, GIB) if parallel else 0),
    )
    sizes = {
        "shared_buffers": shared_buffers,
        "effective_cache_size": share,
        "work_mem": work_mem,
        "maintenance_work_mem": maintenance_work_mem,
        "autovacuum_work_mem": autovacuum_work_mem,
        "wal_buffers": _wal_buffers(shared_buffers),
        "cp_min": max(1, cp_max // 2),
        "cp_max": cp_max,
        "cp_max_wish": cp_max_wish,
        "pool_connections": pool_connections,
        "max_connections": max_connections,
        "max_parallel_workers": max_parallel_workers,
        "parallel_workers_per_gather": per_gather,
        "parallel_memory": gathers * hash_memory,
        "shm_size": -(-shm_size // MIB) * MIB,
    }
    need = PostgresqlSizes(limit=0, **sizes).need
    return PostgresqlSizes(limit=max(share, -(-need // _LIMIT_STEP) * _LIMIT_STEP), **sizes)


def postgresql_settings(inputs: Inputs, sizes: PostgresqlSizes) -> Settings:
    """The parameters as they follow C(-c name=); empty where PostgreSQL is not here."""
    if not inputs.has_postgresql:
        return {}
    alone = inputs.topology == "dedicated_database"
    settings: Settings = {}

    def add(name: str, value: Scalar, unit: str, why: str, source: str) -> None:
        settings[name] = Setting(value=value, unit=unit, why=why, source=source)

    def add_size(name: str, size: int, why: str, source: str) -> None:
        add(name, postgresql_size(size), "bytes", why, source)

    add_size(
        "shared_buffers",
        sizes.shared_buffers,
        "1/4 of the RAM that other services leave"
        if alone
        else f"for {noun(inputs.users, 'user')}, 1/8 of the RAM at most: it keeps what it touched, and what does not fit is in"
        " the page cache, which the kernel takes back",
        "pgtune" if alone else "measured on Synapse 1.163.2",
    )
    add_size(
        "effective_cache_size",
        sizes.effective_cache_size,
        "what may be cached: PostgreSQL's share of the RAM. Only the planner reads it, no memory is taken",
        "PostgreSQL documentation",
    )
    add_size(
        "work_mem",
        sizes.work_mem,
        "per sort or hash of each backend: small with the RAM, 32 MB at most as more rarely helps Synapse",
        "pgtune",
    )
    add_size(
        "maintenance_work_mem",
        sizes.maintenance_work_mem,
        f"1/{16 if alone else 32} of the RAM, 16 MB to 2 GB, for VACUUM and CREATE INDEX",
        "pgtune",
    )
    add_size(
        "autovacuum_work_mem",
        sizes.autovacuum_work_mem,
        f"else each of the {_AUTOVACUUM_WORKERS} autovacuum workers may take a whole maintenance_work_mem",
        "PostgreSQL documentation",
    )
    add_size("wal_buffers", sizes.wal_buffers, "3 % of shared_buffers, 16 MB at most", "pgtune")
    add(
        "max_connections",
        sizes.max_connections,
        "connections",
        f"{inputs.processes} x cp_max {sizes.cp_max}, {inputs.extra_connections} for others,"
        f" {SUPERUSER_RESERVED} for the superuser, rounded up to tens",
        "PostgreSQL memory accounting",
    )
    parallel_why = (
        "parallel queries, as the host has the CPUs and the memory in /dev/shm for them"
        if sizes.parallel_workers_per_gather
        else "off: each worker is one more backend, and Synapse's queries are short"
    )
    add("max_parallel_workers_per_gather", sizes.parallel_workers_per_gather, "workers", parallel_why, "pgtune")
    add("max_parallel_maintenance_workers", sizes.parallel_workers_per_gather, "workers", parallel_why, "pgtune")
    if sizes.max_parallel_workers:
        add("max_parallel_workers", sizes.max_parallel_workers, "workers", "one a CPU, 8 at most", "pgtune")
    add("jit", "off", "", "compiling costs short queries more than it returns", "pgtune")
    add(
        "random_page_cost",
        1.1 if inputs.storage == "ssd" else 4,
        "",
        "a random read on SSD costs about what a sequential one does"
        if inputs.storage == "ssd"
        else "a random read on a disk seeks",
        "pgtune",
    )
    add(
        "effective_io_concurrency",
        200 if inputs.storage == "ssd" else 2,
        "requests",
        "requests that the storage serves at once",
        "pgtune",
    )
    return settings


def _wished_shared_buffers(users: int) -> int:
    """64 MB up to 100 users, PostgreSQL's own 128 MB up to 500, doubling with the users from there to 16 GB."""
    if users <= 100:
        return 64 * MIB
    size, mark = 128 * MIB, 500
    while users > mark and size < 16 * GIB:
        size, mark = 2 * size, 2 * mark
    return size


def _wished_pool(inputs: Inputs) -> int:
    """Connections of one Synapse process, by users, at most three a CPU."""
    by_users = 20
    for most, connections in ((10, 4), (50, 5), (200, 8), (1000, 10), (5000, 15)):
        if inputs.users <= most:
            by_users = connections
            break
    return min(by_users, 3 * inputs.cpus)


def _wal_buffers(shared_buffers: int) -> int:
    """3 % of shared_buffers in whole pages of 8 kB; 14 MB and more become PostgreSQL's 16."""
    size = shared_buffers * 3 // 100
    if size >= 14 * MIB:
        return 16 * MIB
    return max(size // (8 * KIB) * 8 * KIB, 32 * KIB)


def _mib(size: int) -> int:
    return size // MIB * MIB
