# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory limits, from the most that a container was seen to hold.

A limit is raised at 85 % of it, to where the peak is 75 %, and after a kill doubled, for then the peak
is not known. The memory comes from what nobody was given, at most half of it: the rest stays page cache.
Synapse's is lowered after a day in which it needed less, to where the peak is two thirds and a join
as large as before fits; from there it is raised again at 75 %. A limit does not change what a program holds,
so none of these steps calls for another.

PostgreSQL's is never lowered below the plan's: the rest of it is its file cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import (
    IDLE_PROCESS,
    LEAST_PROCESS,
    LIMIT_STEP,
    TYPICAL_FILL,
    SynapseSizes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import (
    DAY,
    Lessons,
    is_longer_than,
    show_duration,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    ContainerMemory,
    PostgresqlMemory,
    SynapseMemory,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["Held", "is_near", "keep_or_raise", "lower", "postgresql_held", "synapse_held"]

_RAISE_AT = 0.85
_RAISED_TO = 0.75
# A raised limit goes back to the plan's where the peak is below this share of the plan's.
_BACK_AT = 0.6
_LOWERED_TO = 2 / 3
_WORTH_LOWERING = 0.75


@dataclass(frozen=True)
class Held:
    """What one container, or one process with a limit of its own, was seen to hold, in bytes.

    limit: None where it has none. oom_kills: since the container was made, which a new limit does anew.
    since_start: whether the peak is that of the whole uptime, and not of some samples alone.
    """

    peak: int
    limit: Optional[int]
    oom_kills: int
    uptime: Optional[float]
    since_start: bool


def synapse_held(measured: SynapseMemory) -> Optional[Held]:
    """By the samples, and by what the kernel keeps of the processes, whichever is more; None where neither was read."""
    container = measured.container
    main = [process.rss_peak for process in measured.processes if process.name == "main" and process.rss_peak]
    return _held(container, max(main, default=0), measured.uptime)


def postgresql_held(measured: PostgresqlMemory) -> Optional[Held]:
    """By the samples alone: the sum of its processes would count their shared memory many times."""
    return _held(measured.container, 0, measured.uptime)


def _held(container: Optional[ContainerMemory], kernels: int, uptime: Optional[float]) -> Optional[Held]:
    if container is None:
        return None
    peak = max(container.held_peak or 0, kernels)
    return Held(peak, container.limit, container.oom_kills or 0, uptime, kernels > 0) if peak else None


def is_near(held: Held, limit: int) -> bool:
    """Whether the peak leaves too little of this limit."""
    return held.peak > _RAISE_AT * limit


def keep_or_raise(lever: str, held: Held, *, base: int, most: int, lessons: Lessons) -> int:
    """The limit, at least C(base) and at most C(most)."""
    effective = held.limit or base
    seen = f"it held {show_bytes(held.peak)} at its peak"
    if held.oom_kills:
        wanted = max(2 * effective, base)
        why = f"the kernel ended processes in it {held.oom_kills} times at {show_bytes(effective)}"
    elif is_near(held, effective) and is_near(held, base):
        wanted = _steps(held.peak / _RAISED_TO)
        why = f"{seen}, {100 * held.peak / effective:.0f} % of {show_bytes(effective)}: a quarter is to be spare"
    elif effective > base and (held.peak > _BACK_AT * base or not is_longer_than(DAY, held.uptime)):
        wanted = effective
        why = f"in effect, and kept: {seen}"
    else:
        return base
    limit = max(min(wanted, most) // LIMIT_STEP * LIMIT_STEP, base)
    if limit > base:
        lessons.why[lever] = why
    if limit < wanted and wanted > effective:
        lessons.advice.append(
            f"{lever}: {why}, and the memory budget has no more than {show_bytes(limit)} for it:"
            " more RAM, or fewer other services, would allow it"
        )
    return limit


def lower(lever: str, held: Held, *, base: SynapseSizes, caches_ceiling: int, growth: int, lessons: Lessons) -> int:
    """Synapse's limit, at most that of C(base).

    :arg caches_ceiling: bytes of full caches, as they are planned now.
    :arg growth: bytes that raised caches may come to hold beyond what was measured.
    """
    if held.oom_kills:
        return base.limit
    peak = held.peak + growth
    least = max(IDLE_PROCESS + base.join_headroom + int(TYPICAL_FILL * caches_ceiling), LEAST_PROCESS)
    target = _steps(max(peak / _LOWERED_TO, peak + base.join_headroom, least))
    seen = f"it held {show_bytes(held.peak)} at its peak"
    effective = (held.limit or base.limit) // LIMIT_STEP * LIMIT_STEP
    if effective < base.limit:
        # Kept while there is room for joins, though the peak has moved a little.
        enough = max(peak / _RAISED_TO, peak + base.join_headroom // 2, least)
        limit = effective if effective >= enough else min(target, base.limit)
        if limit < base.limit:
            lessons.why[lever] = f"{'in effect, and kept' if limit == effective else 'raised again'}: {seen}"
        return limit
    if held.since_start and is_longer_than(DAY, held.uptime) and target <= _WORTH_LOWERING * base.limit:
        lessons.why[lever] = (
            f"{seen} in {show_duration(held.uptime or 0)}; half as much again, and"
            f" {show_bytes(base.join_headroom)} for joins, are enough: the rest is page cache"
        )
        return target
    return base.limit


def _steps(size: float) -> int:
    return -(-int(size) // LIMIT_STEP) * LIMIT_STEP
