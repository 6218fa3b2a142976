# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan's memory budget against what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterator, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    Measurement,
    PostgresqlMemory,
    SynapseMemory,
    added,
    own,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["EVERYTHING_ELSE", "PAGE_CACHE", "Use", "budget_use"]

EVERYTHING_ELSE = "operating_system"
PAGE_CACHE = "page_cache"
_OTHER_SERVICES = "other_services"
# The RAM of one host, as two sources know it, differs by what the kernel takes for itself.
_SAME_HOST = 1.15
_SERVES = ("client backend", "parallel worker")


@dataclass(frozen=True)
class Use:
    """One row of the budget and what became of it, in bytes; None for what is not known.

    Attributes:
        component: the row's name, as the plan has it.
        label: for people.
        planned: what the plan gives it.
        held: what it holds now.
        peak: the most that it was seen to hold.
        limit: where its container is killed, infinite for nowhere.
        note: what to know of these figures, empty for nothing.
        part: whether it is a part of the row before.
        bounded: whether more than planned is too much; of the page cache it is not.
    """

    component: str
    label: str
    planned: Optional[float]
    held: Optional[float]
    peak: Optional[float] = None
    limit: Optional[float] = None
    note: str = ""
    part: bool = False
    bounded: bool = True

    @property
    def is_contained(self) -> bool:
        """Whether it is a container, so that a peak and a limit could be known."""
        return not self.part and self.component not in (EVERYTHING_ELSE, PAGE_CACHE)

    @property
    def over(self) -> float:
        """How many bytes more than planned."""
        if not self.bounded or self.planned is None or self.held is None:
            return 0
        return max(self.held - self.planned, 0)


def budget_use(measured: Measurement, plan: Optional[KnownPlan]) -> List[Use]:
    """The rows, Synapse's and PostgreSQL's first. Without a plan those of which something is known."""
    planned = {} if plan is None else plan.planned
    rows = [
        *_synapse(measured.synapse, planned),
        *_postgresql(measured.postgresql, None if measured.shm is None else measured.shm.used, planned),
        *_rest(measured, planned, None if plan is None else plan.host.ram),
    ]
    known = {row.component for row in rows} | {_OTHER_SERVICES}
    # What a plan of another version has besides is not measured apart.
    rows += [
        Use(name, name.replace("_", " "), size, None, part=name.startswith(("postgresql_", "synapse_")))
        for name, size in planned.items()
        if name not in known
    ]
    return [row for row in rows if row.planned is not None or row.held is not None]


def _synapse(measured: SynapseMemory, planned: Mapping[str, int]) -> Iterator[Use]:
    container = measured.container
    peak, limit = (None, None) if container is None else (container.held_peak, container.bound)
    if "synapse_workers" not in planned:
        yield Use("synapse", "Synapse", planned.get("synapse"), measured.held, peak, limit)
        return
    # Each process has a row and, where the processes are told apart, its own figures.
    main = [each.pss for each in measured.processes if each.name == "main"]
    others = [each.pss for each in measured.processes if each.name != "main"]
    apart = "" if main and others else "its processes were not told apart"
    yield Use("synapse", "Synapse, main process", planned.get("synapse"), added(main), None, limit, apart)
    yield Use("synapse_workers", "Synapse's workers", planned["synapse_workers"], added(others), None, None, apart)


def _postgresql(measured: PostgresqlMemory, shm: Optional[int], planned: Mapping[str, int]) -> Iterator[Use]:
    """shm: bytes in use of /dev/shm."""
    container = measured.container
    serving = [each for each in measured.backends if each.kind in _SERVES]
    others = [each for each in measured.backends if each.kind not in _SERVES]
    mine = {name: size for name, size in planned.items() if name.startswith("postgresql_")}
    yield Use(
        "postgresql",
        "PostgreSQL",
        sum(mine.values()) if mine else None,
        measured.held,
        None if container is None else container.held_peak,
        None if container is None else container.bound,
    )
    parts: Sequence[Tuple[str, str, Optional[int], str]] = (
        ("shared", "shared memory", measured.shared, ""),
        ("connections", "connections", own(serving), "what the backends hold each for itself"),
        ("maintenance", "maintenance", own(others), "autovacuum and the background processes"),
        ("parallel", "parallel queries", shm, "in /dev/shm"),
        (
            "headroom",
            "headroom",
            None if container is None else max(container.working_set - container.held, 0),
            "file cache in use, which the kernel takes back where memory is short",
        ),
    )
    for name, label, size, note in parts:
        component = f"postgresql_{name}"
        if component in mine or not planned:
            bounded = name != "headroom"
            yield Use(component, label, mine.get(component), size, note=note, part=True, bounded=bounded)


def _rest(measured: Measurement, planned: Mapping[str, int], ram: Optional[int]) -> Iterator[Use]:
    """What else the host holds, and what it has left. ram: that the plan is for."""
    host, both = measured.host, measured.held
    total, available = (None, None) if host is None else (host.total, host.available)
    given = [planned[name] for name in (EVERYTHING_ELSE, _OTHER_SERVICES) if name in planned]
    others: Optional[int] = None
    note = "system, container engine and other services: what is neither available nor held by Synapse and PostgreSQL"
    if total is not None and ram is not None and not total / _SAME_HOST <= ram <= total * _SAME_HOST:
        note = f"not comparable: the plan is for {show_bytes(ram)}, this host has {show_bytes(total)}"
        available = None
    elif total is not None and available is not None and both is not None:
        others = max(total - available - both, 0)
    yield Use(EVERYTHING_ELSE, "Everything else", added(given), others, note=note)
    yield Use(
        PAGE_CACHE,
        "Page cache and free",
        planned.get(PAGE_CACHE),
        available,
        note="available on the host: the more, the better" if available is not None else note,
        bounded=False,
    )
