# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's caches with their verdicts, in the order in which people want to see them."""

from __future__ import annotations

from typing import List, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_verdicts import THRASHES, verdict
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import CacheUse, SynapseMemory

__all__ = ["Judged", "cache_use"]

Judged = Tuple[CacheUse, str]
"""A cache, and its verdict."""


def cache_use(synapse: SynapseMemory) -> List[Judged]:
    """Those that thrash first, then by the memory they hold, where that is known, and their size."""
    return sorted(((use, verdict(use, synapse.uptime)) for use in synapse.caches), key=_rank)


def _rank(judged: Judged) -> Tuple[bool, int, int, int, int, str]:
    use, said = judged
    pushed_out = use.evictions.size if said == THRASHES else 0
    return said != THRASHES, -pushed_out, -(use.bytes or 0), -(use.size or 0), -use.lookups, use.name
