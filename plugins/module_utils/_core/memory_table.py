# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as a table for people."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    Backend,
    CacheUse,
    ContainerMemory,
    HostMemory,
    Measurement,
    PostgresqlMemory,
    ProcessMemory,
    SynapseMemory,
    added,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, paragraph, table
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["WIDTH", "memory_table"]

WIDTH = 100
_UNKNOWN = "?"
_CACHES = 10

_PARTS = (
    Column("Part"),
    Column("Held", limit=9, right=True),
    Column("Peak", limit=9, right=True),
    Column("Limit", limit=9, right=True),
    Column("Working set", limit=11, right=True),
    Column("Private", limit=9, right=True),
    Column("PSS", limit=9, right=True),
)
_CACHE_COLUMNS = (
    Column("Cache"),
    Column("Entries", limit=9, right=True),
    Column("At most", limit=9, right=True),
    Column("Hit rate", limit=8, right=True),
    Column("Full", limit=9, right=True),
    Column("Old", limit=9, right=True),
    Column("Outdated", limit=9, right=True),
)


def memory_table(measured: Measurement) -> List[str]:
    """Lay out all of it, in lines of at most WIDTH characters."""
    samples = "one sample" if measured.samples == 1 else f"{measured.samples} samples"
    over = f" over {measured.duration:,.0f} s" if measured.duration else ""
    lines = paragraph(f"Measured {measured.taken_at}, {samples}{over}", width=WIDTH)
    rows = [
        *_synapse_rows(measured.synapse),
        *_postgresql_rows(measured.postgresql),
        _together(measured.synapse, measured.postgresql),
    ]
    lines += ["", *table(_PARTS, rows, width=WIDTH), ""]
    lines += _points(
        "Held is what only swap or a kill gives back; its peak is the highest that a sample saw. PSS counts what"
        " processes share once."
    )
    lines += _points(*_host(measured.host), *_synapse(measured.synapse), *_postgresql(measured.postgresql))
    if measured.shm is not None:
        lines += _points(
            f"Dynamic shared memory (/dev/shm): {show_bytes(measured.shm.used)} of {show_bytes(measured.shm.size)}"
        )
    lines += _caches(measured.synapse.caches)
    for title, each in (("Killed for want of memory", measured.kernel_oom), ("Not known", _why(measured))):
        listed = list(each)
        if listed:
            lines += ["", f"{title}:", *_points(*listed)]
    return lines


def _synapse_rows(synapse: SynapseMemory) -> Iterator[List[str]]:
    yield _container_row("Synapse", synapse.container)
    for each in synapse.processes:
        yield [f"- {each.name}", "", "", "", "", _size(each.private), _size(each.pss)]


def _postgresql_rows(postgresql: PostgresqlMemory) -> Iterator[List[str]]:
    yield _container_row("PostgreSQL", postgresql.container)
    if postgresql.shared is not None:
        yield ["- shared memory", _size(postgresql.shared), "", "", "", "", ""]
    others = tuple(each for each in postgresql.backends if each not in postgresql.clients)
    for name, some in (("client backends", postgresql.clients), ("other processes", others)):
        if some:
            yield [f"- {len(some)} {name}", "", "", "", "", _sum(some, "private"), _sum(some, "pss")]


def _together(synapse: SynapseMemory, postgresql: PostgresqlMemory) -> List[str]:
    containers = [each for each in (synapse.container, postgresql.container) if each is not None]
    sizes = ["", ""]
    if len(containers) == 2:
        sizes = [
            show_bytes(sum(each.held for each in containers)),
            show_bytes(sum(each.held_peak for each in containers)),
        ]
    parts = [_sum([*synapse.processes, *postgresql.backends], figure) for figure in ("private", "pss")]
    return ["Together", *sizes, "", "", *(parts if synapse.processes and postgresql.backends else ["", ""])]


def _container_row(program: str, container: Optional[ContainerMemory]) -> List[str]:
    if container is None:
        return [program, "", "", "", "", "", ""]
    limit = "none" if container.limit is None else show_bytes(container.limit)
    sizes = [show_bytes(container.held), show_bytes(container.held_peak), limit, show_bytes(container.working_set)]
    return [f"{program}, {container.name}", *sizes, "", ""]


def _host(host: Optional[HostMemory]) -> Iterator[str]:
    if host is not None:
        yield (
            f"Host: {_size(host.available)} of {show_bytes(host.total)} available, swap {show_bytes(host.swap_used)} of"
            f" {show_bytes(host.swap_total)}, killed for want of memory since it was booted:"
            f" {_number(host.oom_kills)}"
        )


def _synapse(synapse: SynapseMemory) -> Iterator[str]:
    yield from _troubles("Synapse", synapse.container)
    found = synapse.jemalloc
    if found is not None:
        yield (
            f"jemalloc: {_size(found.allocated)} allocated, {_size(found.active)} active, {_size(found.resident)} resident"
        )
    if synapse.gc:
        each = ", ".join(f"{one.collections:,} of generation {one.generation}" for one in synapse.gc)
        yield f"Garbage collections: {each}, {sum(one.seconds for one in synapse.gc):.1f} s"


def _postgresql(found: PostgresqlMemory) -> Iterator[str]:
    yield from _troubles("PostgreSQL", found.container)
    if found.connections is not None:
        yield (
            f"Connections: {found.connections}, at most {_number(found.connections_peak)}, of"
            f" {_number(found.max_connections)}"
        )
    if found.blocks_hit is not None and found.blocks_read is not None:
        yield (
            f"Blocks found in shared buffers ({_size(found.shared_buffers)}): {_percent(found.hit_rate)}; temporary"
            f" files: {_number(found.temp_files)}, {_size(found.temp_bytes)}; database: {_size(found.database_bytes)}"
        )
    if found.autovacuum is not None:
        yield f"Autovacuum: {found.autovacuum.running} running, {found.autovacuum.dead_tuples:,} dead rows"


def _troubles(program: str, container: Optional[ContainerMemory]) -> Iterator[str]:
    if container is not None and (container.oom_kills or container.limit_hits or container.restarts):
        yield (
            f"{program}: killed for want of memory: {_number(container.oom_kills)}, at its limit:"
            f" {_number(container.limit_hits)}, restarted by the engine: {container.restarts:,}"
        )


def _caches(caches: Iterable[CacheUse]) -> List[str]:
    """Those that are too small first, then the largest."""
    order = sorted(caches, key=lambda each: (-each.evictions.size, -(each.size or 0), each.name))
    if not order:
        return []
    rows = [
        [
            each.name,
            _number(each.size),
            _number(each.max_size),
            _percent(each.hit_rate),
            *(f"{figure:,}" for figure in (each.evictions.size, each.evictions.time, each.evictions.invalidation)),
        ]
        for each in order[:_CACHES]
    ]
    note = f"{len(rows)} of {len(order)} caches that were used; the last columns are why entries left: the cache was full, they"
    return ["", *table(_CACHE_COLUMNS, rows, width=WIDTH), "", *_points(f"{note} were old, they were outdated.")]


def _why(measured: Measurement) -> List[str]:
    """What shares its reason stands together, as without the engine."""
    names: Dict[str, List[str]] = {}
    for name, why in sorted(measured.missing.items()):
        names.setdefault(why, []).append(name)
    return [f"{', '.join(each)}: {why}" for why, each in names.items()]


def _points(*texts: str) -> List[str]:
    return [line for text in texts for line in paragraph(text, width=WIDTH, rest="  ")]


def _sum(processes: Iterable[Union[Backend, ProcessMemory]], figure: str) -> str:
    return _size(added(getattr(each, figure) for each in processes))


def _size(size: Optional[int]) -> str:
    return _UNKNOWN if size is None else show_bytes(size)


def _number(figure: Optional[int]) -> str:
    return _UNKNOWN if figure is None else f"{figure:,}"


def _percent(part: Optional[float]) -> str:
    return "-" if part is None else f"{100 * part:.1f} %"
