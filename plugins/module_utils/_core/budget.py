# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One memory budget for the whole host: who gets how much, adding up to its RAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List

from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import (
    ceiling_bytes,
    largest_factor,
    planned_per_cache_factors,
    wished_event_cache_size,
    wished_factor,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_model import JOINED_EVENT, synapse_peak
from ansible_collections.synapse.tuning.plugins.module_utils._core.postgresql import (
    PostgresqlSizes,
    postgresql_sizes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB, MIB, show_bytes

__all__ = [
    "IDLE_PROCESS",
    "LEAST_PROCESS",
    "LIMIT_STEP",
    "Allocation",
    "Row",
    "SynapseSizes",
    "allocate",
    "give_out",
    "operating_system_bytes",
]

# A Synapse process that one user uses.
IDLE_PROCESS = synapse_peak(users=1, joined=0, malloc_conf=False).expected
_MOST_FOR_USERS = 8 * GIB
# Share of the limit kept free for joins and big responses.
_JOIN_SHARE = {"open": 4, "small": 8, "closed": 16}
# Caches do not all fill at once; the factor is bounded by half of their ceiling,
# and cache_autotuning guards what could come beyond.
TYPICAL_FILL = 0.5
# The allocator keeps about half as much again as the caches hold.
_RETENTION = 1.5

_LEAST_USABLE = 448 * MIB
LEAST_PROCESS = 192 * MIB
LIMIT_STEP = 16 * MIB
_LEAST_SYNAPSE_WISH = GIB
_LEAST_OPERATING_SYSTEM = 96 * MIB
_MOST_OPERATING_SYSTEM = GIB


@dataclass(frozen=True)
class Row:
    """A line of the budget: component, bytes and why."""

    component: str
    bytes: int
    why: str

    def as_data(self) -> Dict[str, Any]:
        return {"component": self.component, "bytes": self.bytes, "why": self.why}


@dataclass(frozen=True)
class SynapseSizes:
    """What one Synapse process gets, in bytes; the factors and cache size without unit."""

    limit: int
    limit_wish: int
    join_headroom: int
    factor: float
    factor_wish: float
    per_cache_factors: Dict[str, float]
    event_cache_size: int
    caches_ceiling: int

    @property
    def events_let_in(self) -> int:
        """State events of the largest room for which half of the headroom for joins is enough."""
        return self.join_headroom // 2 // JOINED_EVENT


@dataclass(frozen=True)
class Allocation:
    """The host's RAM, given out.

    synapse and postgresql have meaning where the topology has the program here.
    """

    usable: int
    synapse: SynapseSizes
    postgresql: PostgresqlSizes
    rows: List[Row]

    @property
    def page_cache(self) -> int:
        """What nobody was given."""
        return self.rows[-1].bytes


def allocate(inputs: Inputs) -> Allocation:
    """Give out the RAM.

    :raises PlanError: where it does not fit, with what does not and what would.
    """
    usable = inputs.ram - inputs.reserved
    if usable < _LEAST_USABLE:
        raise PlanError(
            f"{show_bytes(inputs.ram)} RAM less {show_bytes(inputs.reserved)} for other services leaves"
            f" {show_bytes(max(usable, 0))}, below the floor of {show_bytes(_LEAST_USABLE)}:"
            f" give the host {show_bytes(_LEAST_USABLE + inputs.reserved)}, free what others hold,"
            " or run a lighter homeserver (Dendrite, the Conduit family)"
        )
    return give_out(
        inputs,
        usable=usable,
        synapse=_synapse_sizes(inputs, usable=usable),
        postgresql=postgresql_sizes(inputs, usable=usable),
    )


def give_out(inputs: Inputs, *, usable: int, synapse: SynapseSizes, postgresql: PostgresqlSizes) -> Allocation:
    """The budget in which both have these sizes.

    :raises PlanError: where they pass the RAM.
    """
    rows = [
        Row(
            "operating_system",
            operating_system_bytes(usable),
            "kernel, system services, container engine: 1/8 of RAM, 96 MiB to 1 GiB",
        )
    ]
    if inputs.reserved:
        rows.append(Row("other_services", inputs.reserved, "reserved for what else runs on this host"))
    if inputs.has_synapse:
        rows.append(Row("synapse", synapse.limit, _synapse_why(inputs, synapse)))
        if inputs.workers:
            rows.append(
                Row(
                    "synapse_workers",
                    synapse.limit * inputs.workers,
                    f"{inputs.workers} worker processes of {show_bytes(synapse.limit)}: each has caches of its own",
                )
            )
    if inputs.has_postgresql:
        rows.extend(_postgresql_rows(postgresql))
    given = sum(row.bytes for row in rows)
    if given > inputs.ram:
        raise PlanError(
            f"The plan needs {show_bytes(given)} of {show_bytes(inputs.ram)} RAM:"
            " lower workers or reserved, or give the host more RAM"
        )
    rows.append(Row("page_cache", inputs.ram - given, "the rest: file cache for the database, and slack"))
    return Allocation(usable=usable, synapse=synapse, postgresql=postgresql, rows=rows)


def operating_system_bytes(usable: int) -> int:
    """Kernel, system services and container engine: an eighth, 96 MiB to 1 GiB."""
    return _floor(min(max(usable // 8, _LEAST_OPERATING_SYSTEM), _MOST_OPERATING_SYSTEM), MIB)


def _synapse_sizes(inputs: Inputs, *, usable: int) -> SynapseSizes:
    factor_wish = wished_factor(inputs.users)
    event_cache_size = wished_event_cache_size(inputs.users)
    own = dict(inputs.per_cache_factors)
    join_share = _JOIN_SHARE[inputs.federation]

    def ceiling(factor: float) -> int:
        return ceiling_bytes(
            factor=factor,
            per_cache_factors=planned_per_cache_factors(factor=factor, own=own),
            event_cache_size=event_cache_size,
        )

    for_users = min(synapse_peak(users=inputs.users, joined=0, malloc_conf=False).high, _MOST_FOR_USERS)
    need = for_users + int(_RETENTION * ceiling(factor_wish))
    wish = max(_LEAST_SYNAPSE_WISH, _ceil(need * join_share // (join_share - 1), 256 * MIB))

    pool = usable // 2 if inputs.has_postgresql else usable * 3 // 4
    limit = _floor(min(pool // inputs.processes, wish), LIMIT_STEP)
    if inputs.has_synapse and limit < LEAST_PROCESS:
        raise PlanError(
            f"{inputs.processes} Synapse processes get {show_bytes(limit)} each of the {show_bytes(pool)}"
            f" that this host has for them, and need {show_bytes(LEAST_PROCESS)}:"
            f" run at most {max(pool // LEAST_PROCESS - 1, 0)} workers, or give the host more RAM"
        )
    join_headroom = limit // join_share
    factor = largest_factor(
        room=limit - join_headroom - IDLE_PROCESS,
        wish=factor_wish,
        own=own,
        event_cache_size=event_cache_size,
        fill=TYPICAL_FILL,
    )
    return SynapseSizes(
        limit=limit,
        limit_wish=wish,
        join_headroom=join_headroom,
        factor=factor,
        factor_wish=factor_wish,
        per_cache_factors=planned_per_cache_factors(factor=factor, own=own),
        event_cache_size=event_cache_size,
        caches_ceiling=ceiling(factor),
    )


def _synapse_why(inputs: Inputs, synapse: SynapseSizes) -> str:
    return (
        f"limit of the main process: {show_bytes(IDLE_PROCESS)} idle,"
        f" caches up to {show_bytes(synapse.caches_ceiling)} if all were full,"
        f" {show_bytes(synapse.join_headroom)} for joins and big responses"
        f" (federation {inputs.federation})"
    )


def _postgresql_rows(sizes: PostgresqlSizes) -> List[Row]:
    rows = [
        Row("postgresql_shared", sizes.shared_memory, "shared_buffers, wal_buffers and their bookkeeping"),
        Row(
            "postgresql_connections",
            sizes.connections_memory,
            f"{sizes.pool_connections} busy backends of Synapse's pools at 11.4 MB and a work_mem each, and two others",
        ),
        Row("postgresql_maintenance", sizes.maintenance_memory, "one maintenance_work_mem and the autovacuum workers"),
    ]
    if sizes.parallel_memory:
        rows.append(Row("postgresql_parallel", sizes.parallel_memory, "hash tables of parallel queries, in /dev/shm"))
    rows.append(
        Row(
            "postgresql_headroom",
            sizes.limit - sum(row.bytes for row in rows),
            "the rest of its limit: file cache that counts against it",
        )
    )
    return rows


def _floor(size: int, step: int) -> int:
    return size // step * step


def _ceil(size: int, step: int) -> int:
    return -(-size // step) * step
