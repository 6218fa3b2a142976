# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What others set on a host, by their own formulas: the article, MDAD and pgtune.

Each is written down as its peer has it, slips included: a comparison with a better version of it would be another one.
Parameters of PostgreSQL are in the notation of its command line.
"""

from __future__ import annotations

from typing import Optional

__all__ = [
    "ARTICLE_POSTGRESQL",
    "mdad_autotuning",
    "mdad_postgresql",
    "pgtune_web",
]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
# In kB, which both sets of formulas count in.
MIB_KB = 1024
GIB_KB = 1024 * MIB_KB

ARTICLE_POSTGRESQL = {
    "shared_buffers": "256MB",
    "effective_cache_size": "512MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "64MB",
}

_WEB_CONNECTIONS = 200
# pgtune's, of a server that nobody told about processors.
_WORKERS_UNKNOWN = 8
_IO_CONCURRENCY = {"hdd": 2, "ssd": 200, "san": 300, "nvme": 1000}


def pgtune_web(
    ram: int,
    *,
    cpus: Optional[int],
    connections: int = _WEB_CONNECTIONS,
    storage: str = "ssd",
    fits_in_ram: bool = False,
    version: int = 15,
) -> dict[str, str]:
    """What pgtune writes for the database type C(web) on Linux.

    ram: bytes; cpus: None where not told; storage: hdd, ssd, san or nvme; fits_in_ram: the database is much smaller
    than RAM; version: PostgreSQL's, at least 13.
    """
    total = ram // KIB
    shared_buffers = total // 4
    maintenance = min(total // 16, 8 * GIB_KB)
    parallel = cpus if cpus is not None and cpus >= 4 else None
    work_mem = (total - shared_buffers) / ((connections + (parallel or _WORKERS_UNKNOWN)) * 3)
    work_mem = int(work_mem * 1.3) if fits_in_ram else int(work_mem)
    found = {
        "max_connections": str(connections),
        "shared_buffers": _size(shared_buffers),
        "effective_cache_size": _size(total * 3 // 4),
        "maintenance_work_mem": _size(maintenance),
        "checkpoint_completion_target": "0.9",
        "wal_buffers": _size(_pgtune_wal_buffers(shared_buffers)),
        "default_statistics_target": "100",
        "random_page_cost": "4" if storage == "hdd" else "1.1",
        "effective_io_concurrency": str(_IO_CONCURRENCY[storage]),
        "work_mem": _size(max(work_mem, 4 * MIB_KB)),
        "huge_pages": "try" if shared_buffers >= 2 * GIB_KB else "off",
        "jit": "off",
        "wal_compression": "lz4" if version >= 15 else "on",
        "min_wal_size": _size(GIB_KB),
        "max_wal_size": _size(4 * GIB_KB),
    }
    if cpus is not None and cpus >= 16:
        found["autovacuum_max_workers"] = "5" if cpus >= 32 else "4"
    if maintenance >= 2 * GIB_KB:
        found["autovacuum_work_mem"] = _size(2 * GIB_KB)
    if parallel is not None:
        half = str(min(-(-parallel // 2), 4))
        found["max_worker_processes"] = found["max_parallel_workers"] = str(parallel)
        found["max_parallel_workers_per_gather"] = found["max_parallel_maintenance_workers"] = half
    return found


def _pgtune_wal_buffers(shared_buffers: int) -> int:
    """3 % of shared_buffers, in kB: at most 16 MB, which it also is from 14 MB on."""
    found = shared_buffers * 3 // 100
    return 16 * MIB_KB if found > 14 * MIB_KB else max(found, 32)


def mdad_postgresql(ram: int, *, cpus: int) -> dict[str, str]:
    """What MDAD starts PostgreSQL with on an SSD: whole MB, and work_mem in kB."""
    total = ram // MIB * MIB_KB
    shared_buffers = total // 4
    # Where 3 % are below 16 MB, its fallback is all of shared_buffers.
    wal_buffers = 16 * MIB_KB if shared_buffers * 3 / 100 >= 16 * MIB_KB else shared_buffers
    half = min(-(-cpus // 2), 4)
    work_mem = int((total - shared_buffers) / (_WEB_CONNECTIONS * 3) / half)
    return {
        "max_connections": str(_WEB_CONNECTIONS),
        "shared_buffers": _megabytes(shared_buffers),
        "effective_cache_size": _megabytes(total * 3 // 4),
        "maintenance_work_mem": _megabytes(min(total // 16, 2 * GIB_KB)),
        "checkpoint_completion_target": "0.9",
        "wal_buffers": _megabytes(wal_buffers),
        "default_statistics_target": "100",
        "random_page_cost": "1.1",
        "effective_io_concurrency": "200",
        "work_mem": f"{max(work_mem, 64)}kB",
        "huge_pages": "off" if total < 32 * GIB_KB else "try",
        "min_wal_size": _megabytes(GIB_KB),
        "max_wal_size": _megabytes(4 * GIB_KB),
        "max_worker_processes": str(cpus),
        "max_parallel_workers": str(cpus),
        "max_parallel_workers_per_gather": str(half),
        "max_parallel_maintenance_workers": str(half),
    }


def mdad_autotuning(ram: int) -> dict[str, object]:
    """Synapse's C(cache_autotuning) as MDAD has it, in bytes."""
    total = ram // MIB * MIB
    return {
        "max_cache_memory_usage": min(total // 8, 2 * GIB),
        "target_cache_memory_usage": min(total // 16, GIB),
        "min_cache_ttl": "30s",
    }


def _size(kilobytes: int) -> str:
    for unit, size in (("GB", GIB_KB), ("MB", MIB_KB)):
        if kilobytes % size == 0:
            return f"{kilobytes // size}{unit}"
    return f"{kilobytes}kB"


def _megabytes(kilobytes: int) -> str:
    return f"{kilobytes // MIB_KB}MB"
