# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Factors of single caches, from what a measurement saw them hold, miss and evict.

A cache that is full, misses and evicts for size is raised, fourfold at most. As it was full before,
it is nearly a quarter full then, and only caches that are a fifth full can be lowered: so no cache is
raised and lowered in turns. What is in effect and does no harm stays as it is.

Lowering gives no memory back, for a cache holds what is used, not what it may hold. It only makes
room in the budget, and is done only where a cache that evicts needs that room.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_table import SYNAPSE_VERSION
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_verdicts import (
    evictions_per_hour,
    is_never_full,
    thrashes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import (
    FACTOR_STEPS,
    base_entries,
    bytes_at_factor_one,
    known_name,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import (
    HOUR,
    Lessons,
    is_longer_than,
    show_duration,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import CacheUse, SynapseMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["CachesNow", "Factors", "knows_sizes", "learn_factors"]

# Entries that nobody asked for in this time go anyway (caches.cache_entry_ttl).
_TTL = 30 * 60.0

# Less than half as much again is not worth a change, and fourfold keeps it a quarter full.
_LEAST_RAISE, _MOST_RAISE = 1.5, 4.0
# Beyond this the base size, not the factor, is the question.
_MOST_FACTOR = 5.0
# So many caches of one factor show the global one.
_LEAST_IN_COMMON = 3
_LOWERED = "never full, and lowered to make room for others; this gives no memory back by itself"


@dataclass(frozen=True)
class CachesNow:
    """What the plan has without the measurement.

    factor, per_cache_factors, event_cache_size: as the plan has them.
    fixed: names of caches whose factor the user gave.
    ceiling: bytes of all full caches, by the factors of single ones.
    room: bytes that this ceiling may reach.
    free: bytes that caches may come to hold beyond what the process holds now; None where that is not known.
    """

    factor: float
    per_cache_factors: Mapping[str, float]
    event_cache_size: int
    fixed: Sequence[str]
    ceiling: Callable[[Mapping[str, float]], int]
    room: int
    free: Optional[int]


@dataclass(frozen=True)
class Factors:
    """What was learned.

    per_cache_factors: those of the plan included.
    growth: bytes that the raised ones may come to hold beyond what they held.
    """

    per_cache_factors: Mapping[str, float]
    growth: int
    lessons: Lessons


@dataclass(frozen=True)
class _Cache:
    """A measured cache.

    effective: the factor that it has. planned: the one that the plan has for it. kept: what of the two is to stay.
    cost: bytes that it holds when it is full at factor 1.0.
    """

    name: str
    use: CacheUse
    size: int
    max_size: int
    base: int
    effective: float
    planned: float
    kept: float
    cost: int

    def wish(self, uptime: float) -> float:
        """A step that holds what it holds and what it evicted within the time that entries live, in bounds."""
        need = (self.max_size + self.use.evictions.size * min(_TTL / uptime, 1.0)) / self.base
        least, most = _LEAST_RAISE * self.effective, min(_MOST_RAISE * self.effective, _MOST_FACTOR)
        steps = [step for step in FACTOR_STEPS if least <= step <= most]
        enough = [step for step in steps if step >= need]
        return (enough[:1] or steps[-1:] or [self.effective])[0]

    def least(self) -> float:
        """Twice what it holds, where it is never full."""
        if not is_never_full(self.use):
            return self.effective
        return next((step for step in FACTOR_STEPS if step * self.base >= 2 * self.size), self.effective)


def learn_factors(synapse: SynapseMemory, now: CachesNow) -> Factors:
    """The factors of single caches, and why they are others than the plan's."""
    lessons = Lessons()
    nothing = Factors(now.per_cache_factors, 0, lessons)
    if not synapse.caches:
        lessons.advice.append("Nothing was learned of the caches: the measurement has none of them")
        return nothing
    if not knows_sizes(synapse.version):
        lessons.advice.append(
            f"Nothing was learned of the caches: their base sizes are known for Synapse {SYNAPSE_VERSION},"
            f" and {synapse.version or 'an unknown version'} was measured"
        )
        return nothing
    caches = _read(synapse.caches, now)
    uptime = synapse.uptime if is_longer_than(HOUR, synapse.uptime) else None
    if uptime is None:
        lessons.advice.append(
            "Nothing new was learned of the caches: Synapse had run for"
            f" {show_duration(synapse.uptime or 0)}, its counters tell something after an hour"
        )
    grants = _Grants(now, caches, uptime, lessons)
    grants.give()
    return Factors(grants.factors, grants.growth, lessons)


class _Grants:
    """Gives the room to caches: first to what is in effect, then to what evicts, first where a byte saves most."""

    def __init__(
        self,
        now: CachesNow,
        caches: Sequence[_Cache],
        uptime: Optional[float],
        lessons: Lessons,
    ) -> None:
        self.factors: Dict[str, float] = dict(now.per_cache_factors)
        self.growth = 0
        self._now = now
        self._caches = sorted(caches, key=lambda cache: (cache.cost, cache.name))
        self._uptime = uptime
        self._lessons = lessons
        # What is beyond the budget without any lesson stays as it is, and grows no further.
        self._room = max(now.room, now.ceiling(self.factors))
        self._raises: Dict[str, float] = {}
        if uptime is not None:
            self._raises = {cache.name: cache.wish(uptime) for cache in self._caches if thrashes(cache.use, uptime)}

    def give(self) -> None:
        kept = self._make_room()
        for cache in self._caches:
            if kept[cache.name] > cache.planned and self._grant(cache, most=kept[cache.name], held=True):
                self._say(cache, "in effect, and kept" if kept[cache.name] == cache.kept else _LOWERED)
        thrashing = [cache for cache in self._caches if cache.name in self._raises]
        thrashing.sort(key=lambda cache: (-cache.use.misses / cache.cost, cache.name))
        # Twice for each before four times for one.
        for times in (2.0, _MOST_RAISE):
            for cache in thrashing:
                if self._grant(cache, most=min(self._raises[cache.name], times * cache.effective), held=False):
                    self._say(cache, "full, and evicts what is asked for again")
        waiting = [
            cache.name for cache in thrashing if self._factor(cache) <= cache.effective < self._raises[cache.name]
        ]
        if waiting:
            self._lessons.advice.append(
                f"The caches {', '.join(sorted(waiting))} evict for size, and the memory budget has no room to raise them:"
                " more RAM would allow it"
            )

    def _make_room(self) -> Dict[str, float]:
        """What each cache keeps: where the wishes do not fit, those that are never full are lowered, the dearest first."""
        kept = {cache.name: cache.kept for cache in self._caches}
        for cache in reversed(self._caches):
            wished = {name: max(factor, self._raises.get(name, 0.0)) for name, factor in kept.items()}
            if self._now.ceiling({**self.factors, **wished}) <= self._room:
                break
            least = cache.least()
            if self._uptime is None or cache.name in self._raises or least >= kept[cache.name]:
                continue
            # The plan spares these for a reason of its own.
            if cache.name in self._now.per_cache_factors:
                least = max(least, cache.planned)
            kept[cache.name] = least
            if least < cache.planned:
                self.factors[cache.name] = least
                self._say(cache, _LOWERED)
        return kept

    def _grant(self, cache: _Cache, *, most: float, held: bool) -> bool:
        """The largest step up to C(most) that fits; False where none does that is worth a change.

        held: C(most) is in effect, it takes no memory that is not taken.
        """
        before = self._factor(cache)
        steps = [step for step in reversed(FACTOR_STEPS) if step <= most]
        for step in [most, *steps] if held else steps:
            if step <= before or not (held or step >= _LEAST_RAISE * cache.effective):
                return False
            extra = 0 if held else int((step - max(before, cache.effective)) * cache.cost)
            if self._now.free is not None and self.growth + extra > self._now.free:
                continue
            if self._now.ceiling({**self.factors, cache.name: step}) <= self._room:
                self.factors[cache.name] = step
                self.growth += extra
                return True
        return False

    def _factor(self, cache: _Cache) -> float:
        return self.factors.get(cache.name, self._now.factor)

    def _say(self, cache: _Cache, what: str) -> None:
        figures = f"{cache.size} of at most {cache.max_size} entries"
        if self._uptime is not None:
            figures += (
                f", {evictions_per_hour(cache.use, self._uptime):.0f} evictions by size an hour,"
                f" {100 * cache.use.misses / max(cache.use.lookups, 1):.0f} % of {cache.use.lookups} lookups missed"
                f" in {show_duration(self._uptime)}"
            )
        room = show_bytes(int(self._factor(cache) * cache.cost))
        self._lessons.why[f"homeserver.caches.per_cache_factors.{cache.name}"] = f"{what}: {figures}; {room} when full"


def _read(caches: Sequence[CacheUse], now: CachesNow) -> List[_Cache]:
    """The caches that follow the factor and that the user left to the plan."""
    bases = base_entries(event_cache_size=now.event_cache_size)
    fixed = {known_name(name) for name in now.fixed}
    found: Dict[str, CacheUse] = {}
    for use in caches:
        name = known_name(use.name)
        if name is not None and name not in fixed and use.size is not None and use.max_size:
            found.setdefault(name, use)
    effective = {name: _factor_of(use.max_size or 0, bases[name]) for name, use in found.items()}
    own = {known_name(name): factor for name, factor in now.per_cache_factors.items()}
    counts = Counter(factor for name, factor in effective.items() if name not in own)
    common = max(counts, key=lambda factor: (counts[factor], -factor)) if counts else None
    if common is not None and counts[common] < _LEAST_IN_COMMON:
        common = None
    read = []
    for name, use in found.items():
        size, max_size, base = use.size or 0, use.max_size or 0, bases[name]
        planned = own.get(name, now.factor)
        factor = planned if int(base * planned) == max_size else effective[name]
        # Where another global factor is in effect, the plan's will do if it holds twice what is held.
        follows_another = factor == common != planned and size <= int(base * planned) // 2
        kept = planned if follows_another else max(factor, planned)
        cost = bytes_at_factor_one(name, event_cache_size=now.event_cache_size)
        read.append(_Cache(name, use, size, max_size, base, factor, planned, kept, cost))
    return read


def _factor_of(max_size: int, base: int) -> float:
    """The factor that makes this maximum: a step, else to three digits."""
    for step in FACTOR_STEPS:
        if int(base * step) == max_size:
            return step
    return float(f"{max_size / base:.3g}")


def knows_sizes(version: Optional[str]) -> bool:
    """Whether the base sizes of this Synapse's caches are known: they do not change in a patch."""
    return bool(version) and str(version).split(".")[:2] == SYNAPSE_VERSION.split(".")[:2]
