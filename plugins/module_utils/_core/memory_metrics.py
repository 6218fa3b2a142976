# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Caches, allocator and garbage collector by Synapse's metrics."""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    CacheUse,
    Evictions,
    GarbageCollection,
    Jemalloc,
)

__all__ = ["Samples", "caches", "garbage_collections", "jemalloc"]

Samples = Mapping[str, List[Tuple[Mapping[str, str], float]]]
"""The name of a sample to its values, each with its labels."""

_CACHE = "synapse_util_caches_cache"
_JEMALLOC = ("allocated", "active", "resident", "mapped", "retained", "metadata")


def caches(samples: Samples) -> Tuple[CacheUse, ...]:
    """The caches that were used since the start, by name."""
    asked, hits = _by_name(samples, _CACHE), _by_name(samples, f"{_CACHE}_hits")
    sizes, most = _by_name(samples, f"{_CACHE}_size"), _by_name(samples, f"{_CACHE}_max_size")
    tracked = _by_name(samples, f"{_CACHE}_size_bytes")
    evicted: Dict[str, Dict[str, int]] = {}
    for labels, value in samples.get(f"{_CACHE}_evicted_size", ()):
        reasons = evicted.setdefault(labels.get("name", ""), {})
        reasons[labels.get("reason", "")] = reasons.get(labels.get("reason", ""), 0) + (_whole(value) or 0)
    found = []
    for name in sorted({*asked, *sizes, *most}):
        why = evicted.get(name, {})
        hit = hits.get(name, 0)
        found.append(
            CacheUse(
                name=name,
                size=sizes.get(name),
                max_size=most.get(name),
                hits=hit,
                misses=max(asked.get(name, 0) - hit, 0),
                evictions=Evictions(
                    size=why.get("size", 0), time=why.get("time", 0), invalidation=why.get("invalidation", 0)
                ),
                bytes=tracked.get(name),
            )
        )
    return tuple(found)


def jemalloc(samples: Samples) -> Optional[Jemalloc]:
    """None where Synapse has another allocator. Some versions do not say all of it."""
    figures: Dict[str, Optional[int]] = {
        labels.get("type", ""): _whole(value) for labels, value in samples.get("jemalloc_stats_app_memory_bytes", ())
    }
    return Jemalloc(**{name: figures.get(name) for name in _JEMALLOC}) if figures else None


def garbage_collections(samples: Samples) -> Tuple[GarbageCollection, ...]:
    """Those that Synapse has timed, which are all of them once it is up."""
    count, seconds = (
        {labels.get("gen", ""): value for labels, value in samples.get(f"python_gc_time_{what}", ())}
        for what in ("count", "sum")
    )
    generations = {labels.get("gen", "") for labels, _value in samples.get("python_gc_counts", ())} | set(count)
    return tuple(
        GarbageCollection(int(each), _whole(count.get(each, 0)) or 0, round(seconds.get(each, 0.0), 6))
        for each in sorted(generations)
        if each.isdigit()
    )


def _by_name(samples: Samples, sample: str) -> Dict[str, int]:
    """Summed by the cache, as more than one server may be behind an address."""
    found: Dict[str, int] = {}
    for labels, value in samples.get(sample, ()):
        whole = _whole(value)
        if whole is not None:
            found[labels.get("name", "")] = found.get(labels.get("name", ""), 0) + whole
    return found


def _whole(value: float) -> Optional[int]:
    """None for what is no size, such as infinity."""
    return int(value) if 0 <= value < float("inf") else None
