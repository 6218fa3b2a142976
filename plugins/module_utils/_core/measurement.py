# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse, PostgreSQL and their host held at a moment: the value that measuring makes and planning takes.

Sizes are bytes, times seconds, counters since the start of what counts them. None is what could not be read.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, Iterable, Mapping, Optional, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import MeasurementError
from ansible_collections.synapse.tuning.plugins.module_utils._core.plain_data import ShapeError, from_plain

__all__ = [
    "Autovacuum",
    "Backend",
    "CacheUse",
    "ContainerMemory",
    "Evictions",
    "GarbageCollection",
    "HostMemory",
    "Jemalloc",
    "Measurement",
    "PostgresqlMemory",
    "ProcessMemory",
    "SharedMemory",
    "SynapseMemory",
    "TableVacuum",
    "added",
    "merge",
    "own",
]

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class HostMemory:
    """The machine.

    ram: the smallest of its memory and of the limits that hold for it; total: its memory. oom_kills: since it was booted.
    """

    ram: int
    total: int
    available: Optional[int]
    swap_total: int
    swap_used: int
    cpus: int
    oom_kills: Optional[int]


@dataclass(frozen=True)
class ContainerMemory:
    """A container, as its cgroup has it.

    limit: None for none. current: with all of the page cache; working_set: without what of it the kernel takes first.
    held: anonymous and shared memory, which only swap or a kill gives back; held_peak: the most of it that a sample saw.
    peak: the most of C(current), None where the kernel does not say. limit_hits: how often the limit was reached.
    """

    name: str
    limit: Optional[int]
    current: int
    working_set: int
    held: int
    held_peak: int
    peak: Optional[int]
    swap: Optional[int]
    oom_kills: Optional[int]
    limit_hits: Optional[int]
    restarts: int
    cpu_seconds: Optional[float]

    @property
    def bound(self) -> float:
        """Where it is killed, infinite for nowhere."""
        return math.inf if self.limit is None else self.limit


@dataclass(frozen=True)
class ProcessMemory:
    """A process of Synapse: C(main), or a worker by its name. pid: on the host. rss_peak: the most since its start."""

    name: str
    pid: int
    rss: Optional[int]
    rss_peak: Optional[int]
    pss: Optional[int]
    private: Optional[int]
    swap: Optional[int]
    cpu_seconds: Optional[float]
    uptime: Optional[float]


@dataclass(frozen=True)
class Jemalloc:
    """What the allocator of Synapse's main process says of itself."""

    allocated: Optional[int]
    active: Optional[int]
    resident: Optional[int]
    mapped: Optional[int]
    retained: Optional[int]
    metadata: Optional[int]


@dataclass(frozen=True)
class GarbageCollection:
    """Collections of a generation by Synapse's main process, and the time that they took."""

    generation: int
    collections: int
    seconds: float


@dataclass(frozen=True)
class Evictions:
    """Entries that left a cache: as it was full, as they were old, as they were outdated."""

    size: int = 0
    time: int = 0
    invalidation: int = 0


@dataclass(frozen=True)
class CacheUse:
    """A cache that was used since the start. bytes: only where Synapse tracks its memory."""

    name: str
    size: Optional[int]
    max_size: Optional[int]
    hits: int
    misses: int
    evictions: Evictions = field(default_factory=Evictions)
    bytes: Optional[int] = None

    @property
    def lookups(self) -> int:
        """How often it was asked."""
        return self.hits + self.misses

    @property
    def hit_rate(self) -> Optional[float]:
        """From 0 to 1; None where nobody has asked it."""
        return self.hits / self.lookups if self.lookups else None


@dataclass(frozen=True)
class SynapseMemory:
    """Synapse. container: the main process's. processes: those of workers too, in whatever container of the project."""

    version: Optional[str]
    uptime: Optional[float]
    container: Optional[ContainerMemory]
    processes: Tuple[ProcessMemory, ...]
    jemalloc: Optional[Jemalloc]
    gc: Tuple[GarbageCollection, ...]
    caches: Tuple[CacheUse, ...]

    @property
    def held(self) -> Optional[int]:
        """What its container holds, else the PSS of its processes."""
        return added(each.pss for each in self.processes) if self.container is None else self.container.held


@dataclass(frozen=True)
class Backend:
    """A process of PostgreSQL. pid: as PostgreSQL has it. kind: as C(pg_stat_activity.backend_type), or C(postmaster)."""

    pid: int
    kind: Optional[str]
    database: Optional[str]
    user: Optional[str]
    application: Optional[str]
    state: Optional[str]
    pss: Optional[int]
    private: Optional[int]
    rss: Optional[int]


@dataclass(frozen=True)
class TableVacuum:
    """Rows of a table, and when it was vacuumed last, in UTC; None for never."""

    table: str
    dead: int
    live: int
    last: Optional[str]


@dataclass(frozen=True)
class Autovacuum:
    """running: its workers at this moment. tables: those with the most dead rows."""

    running: int
    dead_tuples: int
    tables: Tuple[TableVacuum, ...]


@dataclass(frozen=True)
class PostgresqlMemory:
    """PostgreSQL. shared: its shared memory, once. blocks, temp files and database_bytes: of Synapse's database."""

    version: Optional[str]
    uptime: Optional[float]
    container: Optional[ContainerMemory]
    shared: Optional[int]
    backends: Tuple[Backend, ...]
    blocks_hit: Optional[int]
    blocks_read: Optional[int]
    temp_files: Optional[int]
    temp_bytes: Optional[int]
    stats_since: Optional[str]
    connections: Optional[int]
    connections_peak: Optional[int]
    max_connections: Optional[int]
    shared_buffers: Optional[int]
    work_mem: Optional[int]
    autovacuum: Optional[Autovacuum]
    database_bytes: Optional[int]

    @property
    def held(self) -> Optional[int]:
        """What its container holds, else its shared memory and what its processes hold each for itself."""
        if self.container is not None:
            return self.container.held
        parts = (self.shared, own(self.backends))
        return None if None in parts else added(parts)

    @property
    def clients(self) -> Tuple[Backend, ...]:
        """Those that serve connections."""
        return tuple(each for each in self.backends if each.kind == "client backend")

    @property
    def hit_rate(self) -> Optional[float]:
        """From 0 to 1, of the blocks that were found in shared buffers; None where none were asked for."""
        if self.blocks_hit is None or self.blocks_read is None or not self.blocks_hit + self.blocks_read:
            return None
        return self.blocks_hit / (self.blocks_hit + self.blocks_read)


@dataclass(frozen=True)
class SharedMemory:
    """The place of dynamic shared memory, C(/dev/shm), as PostgreSQL sees it."""

    size: int
    used: int


@dataclass(frozen=True)
class Measurement:
    """All of it.

    taken_at: in UTC. samples, duration: how many there were over how many seconds; the peaks are the highest of them.
    kernel_oom: one line for each kill by the kernel. missing: why a part is None, of those that are.
    """

    taken_at: str
    samples: int
    duration: float
    host: Optional[HostMemory]
    synapse: SynapseMemory
    postgresql: PostgresqlMemory
    shm: Optional[SharedMemory]
    kernel_oom: Tuple[str, ...]
    missing: Mapping[str, str]
    schema_version: int = SCHEMA_VERSION

    @property
    def held(self) -> Optional[int]:
        """What both hold; where one is not known, the other."""
        return added((self.synapse.held, self.postgresql.held))

    def as_data(self) -> Dict[str, Any]:
        """As JSON has it."""
        data: Dict[str, Any] = _lists(
            {"schema_version": self.schema_version, **asdict(self), "missing": dict(self.missing)}
        )
        return data

    @classmethod
    def from_data(cls, data: Any) -> Measurement:
        """Read what as_data has made; figures that it lacks are None.

        Raises MeasurementError for anything else, in one line that names what is wrong.
        """
        advice = "give what synapse.tuning.memory_info returns as measurement"
        if not isinstance(data, Mapping) or "schema_version" not in data:
            raise MeasurementError(f"this is no measurement: {advice}")
        if data["schema_version"] != SCHEMA_VERSION:
            raise MeasurementError(
                f"the measurement is of schema version {data['schema_version']!r}, and {SCHEMA_VERSION} is read: measure again"
            )
        try:
            return from_plain(cls, data, name="measurement")
        except ShapeError as error:
            raise MeasurementError(f"{error}: {advice}") from None


def added(figures: Iterable[Optional[int]]) -> Optional[int]:
    """The sum of those that are known; None where none is."""
    known = [each for each in figures if each is not None]
    return sum(known) if known else None


def own(processes: Iterable[Union[Backend, ProcessMemory]]) -> Optional[int]:
    """Bytes that these hold each for itself."""
    return added(each.private for each in processes)


def merge(previous: Measurement, current: Measurement) -> Measurement:
    """The current measurement with the peaks of an earlier one, and as many samples as both.

    A container's held_peak is carried on while its limit is what it was then, and connections_peak while max_connections
    is: under another one, what was held then tells nothing of what is needed now.
    """
    synapse, postgresql = current.synapse, current.postgresql
    connections = postgresql.connections_peak
    if previous.postgresql.max_connections == postgresql.max_connections:
        connections = _highest(previous.postgresql.connections_peak, connections)
    return replace(
        current,
        samples=previous.samples + current.samples,
        duration=previous.duration + current.duration,
        synapse=replace(synapse, container=_carried(previous.synapse.container, synapse.container)),
        postgresql=replace(
            postgresql,
            container=_carried(previous.postgresql.container, postgresql.container),
            connections_peak=connections,
        ),
    )


def _carried(previous: Optional[ContainerMemory], current: Optional[ContainerMemory]) -> Optional[ContainerMemory]:
    if previous is None or current is None or previous.limit != current.limit:
        return current
    return replace(current, held_peak=max(previous.held_peak, current.held_peak))


def _highest(*figures: Optional[int]) -> Optional[int]:
    return max((figure for figure in figures if figure is not None), default=None)


def _lists(value: Any) -> Any:
    """The same without tuples, as it comes back from JSON."""
    if isinstance(value, dict):
        return {name: _lists(each) for name, each in value.items()}
    return [_lists(each) for each in value] if isinstance(value, (list, tuple)) else value
