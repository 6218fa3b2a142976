# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's caches: names, sizes at a factor, and what they can come to hold."""

from __future__ import annotations

import difflib
import re
from typing import Dict, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_table import (
    CACHES,
    DEFAULT_EVENT_CACHE_SIZE,
    Cache,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError

__all__ = [
    "FACTOR_STEPS",
    "SMALL",
    "base_entries",
    "bytes_at_factor_one",
    "cache_entries",
    "ceiling_bytes",
    "check_per_cache_factors",
    "is_known_cache",
    "known_name",
    "largest_factor",
    "nearest_cache",
    "planned_per_cache_factors",
    "wished_event_cache_size",
    "wished_factor",
]

# Bytes that one entry or element was seen to hold (synthetic runs under jemalloc):
# good for the order of magnitude, which is what a ceiling needs.
_BYTES = {"entry": 600, "element": 100, "state": 290, "event": 4400}

# A thousand entries at factor 1.0, of users and of events that are read at once: at Synapse's own 0.5 they evicted
# what was asked for again, with five users as with 500.
SMALL = (
    "get_applicable_edit",
    "get_local_users_in_room",
    "get_references_for_event",
    "get_thread_summary",
    "get_user_in_room_with_profile",
    "is_user_erased",
)
_SMALL_TIMES = 10

# What recipes on the web call the event cache; there is no such cache.
_MISNOMERS = {"get_event_cache": "*getEvent*", "event_cache": "*getEvent*"}

# Factors a person would write. The least still leaves the smallest cache ten entries.
FACTOR_STEPS = tuple(n / 100 for n in range(10, 50, 5)) + tuple(n / 10 for n in range(5, 101))


def _canonical(name: str) -> str:
    """The form in which Synapse compares names (it drops the digit 0, too)."""
    return re.sub(r"[^A-Za-z_1-9]", "", name).lower()


_BY_CANONICAL: Dict[str, Cache] = {_canonical(cache.name): cache for cache in CACHES}


def is_known_cache(name: str) -> bool:
    """Whether Synapse has such a cache; it takes any other name in silence, without effect."""
    return _canonical(name) in _BY_CANONICAL


def known_name(name: str) -> Optional[str]:
    """Synapse's own spelling of a cache's name, None where it has no such cache."""
    cache = _BY_CANONICAL.get(_canonical(name))
    return cache.name if cache else None


def nearest_cache(name: str) -> Optional[str]:
    """The cache that somebody probably meant, None where nothing comes near."""
    if name in _MISNOMERS:
        return _MISNOMERS[name]
    found = difflib.get_close_matches(_canonical(name), list(_BY_CANONICAL), n=1, cutoff=0.6)
    return _BY_CANONICAL[found[0]].name if found else None


def check_per_cache_factors(factors: Mapping[str, float]) -> None:
    """Refuse what Synapse would swallow: unknown names, factors that empty or unbound a cache.

    :raises PlanError: naming the cache and what to write instead.
    """
    for name, factor in factors.items():
        cache = _BY_CANONICAL.get(_canonical(name))
        if cache is None:
            nearest = nearest_cache(name)
            hint = f"did you mean {nearest!r}?" if nearest else "see the cache table in the docs"
            raise PlanError(f"per_cache_factors: Synapse has no cache {name!r}: {hint}")
        if isinstance(factor, bool) or not isinstance(factor, (int, float)) or int(cache.base * factor) < 1:
            raise PlanError(
                f"per_cache_factors: the factor {factor!r} of {name!r} leaves no entry"
                f" (and makes an expiring cache unbounded): write a number of at least {1 / cache.base:g}"
            )


def cache_entries(
    *, factor: float, per_cache_factors: Mapping[str, float], event_cache_size: int = DEFAULT_EVENT_CACHE_SIZE
) -> Dict[str, int]:
    """The maximum of every cache, as Synapse computes it and shows it in its metrics."""
    own = {_canonical(name): value for name, value in per_cache_factors.items()}
    entries = {}
    for canonical, cache in _BY_CANONICAL.items():
        base = event_cache_size if cache.content == "event" else cache.base
        entries[cache.name] = int(base * own.get(canonical, factor))
    return entries


def base_entries(*, event_cache_size: int) -> Dict[str, int]:
    """The maximum of every cache at factor 1.0."""
    return {cache.name: event_cache_size if cache.content == "event" else cache.base for cache in CACHES}


def bytes_at_factor_one(name: str, *, event_cache_size: int) -> int:
    """What the cache of this name (Synapse's own spelling) holds when it is full at factor 1.0."""
    cache = _BY_CANONICAL[_canonical(name)]
    return base_entries(event_cache_size=event_cache_size)[cache.name] * _BYTES[cache.content]


def ceiling_bytes(
    *, factor: float, per_cache_factors: Mapping[str, float], event_cache_size: int = DEFAULT_EVENT_CACHE_SIZE
) -> int:
    """What all caches together hold when each one is full."""
    entries = cache_entries(factor=factor, per_cache_factors=per_cache_factors, event_cache_size=event_cache_size)
    return sum(entries[cache.name] * _BYTES[cache.content] for cache in CACHES)


def wished_factor(users: int) -> float:
    """C(global_factor) by users: 0.5 up to 50, 1.0 up to 500, +0.5 for each doubling after.

    The first is Synapse's own: the 0.2 of the usual advice returned no memory in the lab, as few users fill no cache, and
    cost 5 % of the processor time (five users, both in turns). Large ones report relief at 1.0 and above (Synapse #3939).
    """
    if users <= 50:
        return 0.5
    factor, mark = 1.0, 1000
    while users >= mark and factor < FACTOR_STEPS[-1]:
        factor += 0.5
        mark *= 2
    return factor


def wished_event_cache_size(users: int) -> int:
    """C(event_cache_size) in entries, a multiple of 1024: Synapse's own 10K for up to 500 users."""
    for most, thousands in ((500, 10), (5000, 20), (50000, 50)):
        if users <= most:
            return thousands * 1024
    return 100 * 1024


def planned_per_cache_factors(*, factor: float, own: Mapping[str, float]) -> Dict[str, float]:
    """The per-cache factors that go with C(factor); the user's own win.

    Member lists and events are what a small server reads most, so a low factor spares them. What evicted most in the lab is
    raised: the event cache up to Synapse's own size, and caches whose few entries take little. A high factor is never lowered.
    """
    wished = {
        "get_users_in_room": max(0.5, factor),
        "*getEvent*": max(0.3, min(2 * factor, 1.0), factor),
        **dict.fromkeys(SMALL, _SMALL_TIMES * factor),
    }
    given = {_canonical(name) for name in own}
    planned = {name: round(value, 2) for name, value in wished.items() if _canonical(name) not in given}
    planned.update(own)
    return planned


def largest_factor(*, room: int, wish: float, own: Mapping[str, float], event_cache_size: int, fill: float) -> float:
    """The largest step up to C(wish) whose caches, filled to C(fill), fit into C(room) bytes.

    Never less than the first step: below it caches thrash, and requests that
    pile up cost more memory than the caches did.
    """
    steps = [step for step in FACTOR_STEPS if step <= wish]
    low, high = 0, len(steps)
    # Full caches grow with the factor, so halving finds the last step that fits.
    while low < high:
        middle = (low + high) // 2
        full = ceiling_bytes(
            factor=steps[middle],
            per_cache_factors=planned_per_cache_factors(factor=steps[middle], own=own),
            event_cache_size=event_cache_size,
        )
        if full * fill <= room:
            low = middle + 1
        else:
            high = middle
    return steps[max(low - 1, 0)] if steps else FACTOR_STEPS[0]
