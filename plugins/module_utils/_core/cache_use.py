# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's caches do: which thrash, which are never full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.measured import Measured

__all__ = ["FULL", "THRASHES", "CacheUse", "cache_use"]

THRASHES = "thrashes"
FULL = "full, but works"
_ROOMY = "never full"
_IDLE = "hardly used"

# A cache thrashes whose content was pushed out at least once over, ...
_TURNED_OVER = 1
# ... where most that is missed pushes something else out, ...
_PUSHES_OUT = 0.5
# ... and fewer requests than this are answered from it.
_POOR_RATIO = 0.9
# Fewer lookups say nothing.
_LOOKUPS = 1000
_FULL = 0.95


@dataclass(frozen=True)
class CacheUse:
    """One cache since Synapse's start; None for what is not known.

    Attributes:
        size, max_size: entries, or elements of them.
        by_size, by_time, invalidated: evictions by their reason.
        bytes: what it holds, where Synapse tracks it.
    """

    name: str
    size: Optional[float]
    max_size: Optional[float]
    hits: Optional[float]
    misses: Optional[float]
    by_size: float
    by_time: float
    invalidated: float
    bytes: Optional[float]

    @property
    def lookups(self) -> float:
        return (self.hits or 0) + (self.misses or 0)

    @property
    def ratio(self) -> Optional[float]:
        """Which part of the lookups was answered."""
        return None if not self.lookups or self.hits is None else self.hits / self.lookups

    @property
    def verdict(self) -> str:
        """What the figures mean; empty where they don't say."""
        if self.lookups < _LOOKUPS or self.ratio is None:
            return _IDLE
        if not self.max_size:
            return ""
        if (
            self.by_size >= _TURNED_OVER * self.max_size
            and self.by_size >= _PUSHES_OUT * (self.misses or 0)
            and self.ratio < _POOR_RATIO
        ):
            return THRASHES
        if self.size is not None and self.size >= _FULL * self.max_size:
            return FULL
        return "" if self.by_size else _ROOMY


def cache_use(measured: Measured) -> List[CacheUse]:
    """The caches: those that thrash first, then by the memory they hold, where that is known, and their size."""
    found = [
        CacheUse(
            name=each.text("name"),
            size=each.number("size"),
            max_size=each.number("max_size"),
            hits=each.number("hits"),
            misses=each.number("misses"),
            by_size=each.number("evictions", "size") or 0,
            by_time=each.number("evictions", "time") or 0,
            invalidated=each.number("evictions", "invalidation") or 0,
            bytes=each.number("bytes"),
        )
        for each in measured.items("synapse", "caches")
    ]
    return sorted(
        found,
        key=lambda one: (
            one.verdict != THRASHES,
            -one.by_size if one.verdict == THRASHES else 0,
            -(one.bytes or 0),
            -(one.size or 0),
            -one.lookups,
            one.name,
        ),
    )
