# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a cache did since Synapse's start, and what that says of its size: the same to the report and to the plan."""

from __future__ import annotations

from typing import Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import is_known_cache
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import HOUR, is_longer_than
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import CacheUse

__all__ = ["THRASHES", "evictions_per_hour", "is_never_full", "thrashes", "verdict"]

THRASHES = "thrashes"

# Each eviction is a query when the entry is asked for again: once a minute is worth a change.
_EVICTIONS_PER_HOUR = 60
_LOOKUPS = 1000
_MISS_RATE = 0.05
_FULL = 0.9
_EMPTY = 0.2


def evictions_per_hour(use: CacheUse, uptime: float) -> float:
    """Entries that left it as it was full."""
    return use.evictions.size * HOUR / uptime


def thrashes(use: CacheUse, uptime: Optional[float]) -> bool:
    """Whether it is full, and what it evicts is asked for again. Its counters tell that after an hour."""
    return (
        uptime is not None
        and is_longer_than(HOUR, uptime)
        and _is_full(use)
        and evictions_per_hour(use, uptime) >= _EVICTIONS_PER_HOUR
        and use.lookups >= _LOOKUPS
        and use.misses >= _MISS_RATE * use.lookups
    )


def is_never_full(use: CacheUse) -> bool:
    """Whether it holds little of what it may, and never had to evict for size."""
    return use.size is not None and use.size < _EMPTY * (use.max_size or 0) and use.evictions.size == 0


def verdict(use: CacheUse, uptime: Optional[float]) -> str:
    """For people, in a few words; empty where there is nothing to say, or it is too early."""
    if not is_longer_than(HOUR, uptime):
        return ""
    if thrashes(use, uptime):
        return THRASHES if is_known_cache(use.name) else "full, and no factor changes its size"
    if use.lookups < _LOOKUPS:
        return "hardly used"
    if _is_full(use):
        return "full, but works"
    return "never full" if is_never_full(use) else ""


def _is_full(use: CacheUse) -> bool:
    return use.size is not None and bool(use.max_size) and use.size >= _FULL * (use.max_size or 0)
