# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two values of homeserver.yaml mean the same to Synapse."""

from __future__ import annotations

from typing import Any

from ansible_collections.synapse.tuning.plugins.module_utils._core import units
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError

__all__ = ["means_the_same"]

_SIZES = frozenset(
    (
        "event_cache_size",
        "caches.cache_autotuning.max_cache_memory_usage",
        "caches.cache_autotuning.target_cache_memory_usage",
    )
)
_DURATIONS = frozenset(("caches.cache_autotuning.min_cache_ttl", "forgotten_room_retention_period"))


def means_the_same(lever: str, current: Any, planned: Any) -> bool:
    """Whether Synapse reads both as the same: C(10K) is 10240, C(5m) is 300000, no value is no key."""
    reader = units.synapse_bytes if lever in _SIZES else units.synapse_milliseconds if lever in _DURATIONS else None
    if reader is not None and current is not None and planned is not None:
        try:
            return not isinstance(current, bool) and reader(current) == reader(planned)
        except UnitError:
            return False
    if planned is None:
        return current is None or current == {}
    # YAML's true is not 1.
    if isinstance(current, bool) or isinstance(planned, bool):
        return current is planned
    return bool(current == planned)
