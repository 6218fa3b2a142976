# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Move memory to where a measurement says that it pays, within the budget.

What is learned is relative to what was in effect when it was measured: figures that call for a change
move a lever by a bounded step, all others leave it where it is. So on an unchanged load, a few
rounds of planning, applying and measuring come to a plan that the next one leaves alone.

The global factor stays: what a cache needs beyond it is given to that cache alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import (
    IDLE_PROCESS,
    Allocation,
    SynapseSizes,
    give_out,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import ceiling_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_caches import CachesNow, learn_factors
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_limits import (
    Held,
    keep_or_raise,
    lower,
    postgresql_held,
    synapse_held,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_postgresql import learn_sizes
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import Lessons
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement, SynapseMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.postgresql import PostgresqlSizes

__all__ = ["learn"]

_SYNAPSE_LIMIT = "compose.synapse.memory_limit"
_POSTGRESQL_LIMIT = "compose.postgresql.memory_limit"
# Of what nobody was given; the rest stays page cache.
_GIVEN_AWAY = 2
# A process that holds more of its limit than this gets no larger caches.
_CACHES_UP_TO = 0.8


def learn(inputs: Inputs, base: Allocation, measured: Measurement) -> Tuple[Allocation, Lessons]:
    """The RAM, given out anew, and why it is given out otherwise than in C(base).

    :arg base: how it is given out without the measurement.
    """
    spare = base.page_cache // _GIVEN_AWAY
    lessons = Lessons()
    synapse, postgresql = base.synapse, base.postgresql
    if inputs.has_synapse:
        synapse, found = _synapse(inputs, base.synapse, measured.synapse, spare // inputs.processes)
        _add(lessons, found)
        spare -= (synapse.limit - base.synapse.limit) * inputs.processes
    if inputs.has_postgresql:
        postgresql, found = _postgresql(inputs, base, measured, spare)
        _add(lessons, found)
    return give_out(inputs, usable=base.usable, synapse=synapse, postgresql=postgresql), lessons


def _synapse(inputs: Inputs, base: SynapseSizes, measured: SynapseMemory, spare: int) -> Tuple[SynapseSizes, Lessons]:
    lessons = Lessons()
    held, limit, free = synapse_held(measured), base.limit, None
    if held is None:
        lessons.advice.append("Nothing was learned of Synapse's limit: the measurement has no container of it")
    else:
        limit = keep_or_raise(_SYNAPSE_LIMIT, held, base=base.limit, most=base.limit + spare, lessons=lessons)
        free = max(int(_CACHES_UP_TO * limit) - _reached(held), 0)

    def ceiling(factors: Mapping[str, float]) -> int:
        return ceiling_bytes(factor=base.factor, per_cache_factors=factors, event_cache_size=base.event_cache_size)

    # Caches are bounded by the limit without lessons: one that was raised is for what is held already.
    now = CachesNow(
        factor=base.factor,
        per_cache_factors=base.per_cache_factors,
        event_cache_size=base.event_cache_size,
        fixed=tuple(inputs.per_cache_factors),
        ceiling=ceiling,
        room=base.limit - base.join_headroom - IDLE_PROCESS,
        free=free,
    )
    caches = learn_factors(measured, now)
    _add(lessons, caches.lessons)
    factors = dict(caches.per_cache_factors)
    caches_ceiling = ceiling(factors)
    if held is not None and limit == base.limit:
        limit = lower(
            _SYNAPSE_LIMIT,
            held,
            base=base,
            caches_ceiling=caches_ceiling,
            growth=caches.growth,
            lessons=lessons,
        )
    return replace(base, limit=limit, per_cache_factors=factors, caches_ceiling=caches_ceiling), lessons


def _postgresql(inputs: Inputs, base: Allocation, measured: Measurement, spare: int) -> Tuple[PostgresqlSizes, Lessons]:
    sizes, lessons = learn_sizes(
        inputs,
        usable=base.usable,
        base=base.postgresql,
        measured=measured.postgresql,
        taken_at=measured.taken_at,
    )
    held = postgresql_held(measured.postgresql)
    if held is None:
        lessons.advice.append("Nothing was learned of PostgreSQL's limit: the measurement has no container of it")
        return sizes, lessons
    limit = keep_or_raise(_POSTGRESQL_LIMIT, held, base=sizes.limit, most=sizes.limit + spare, lessons=lessons)
    return replace(sizes, limit=limit), lessons


def _reached(held: Held) -> int:
    """The peak; after a kill it was the limit at least."""
    reached: Optional[int] = held.limit if held.oom_kills else None
    return max(held.peak, reached or 0)


def _add(lessons: Lessons, found: Lessons) -> None:
    lessons.why.update(found.why)
    lessons.advice.extend(found.advice)
