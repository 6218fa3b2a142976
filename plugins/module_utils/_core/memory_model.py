# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse and PostgreSQL come to hold at their peak: a model with constants from measured runs.

Held is anonymous and shared memory, as a container's cgroup has it. The peak is that of a day in which users use their
clients and one of them joins a room of other servers; it grows with the logarithm of the users, as of many only some are
there at a time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Dict

from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_constants import (
    FITTED_ON,
    MOST_USERS,
    POSTGRESQL,
    SYNAPSE,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB

__all__ = [
    "FITTED_ON",
    "JOINED_EVENT",
    "JOINED_ROOM",
    "Peak",
    "postgresql_peak",
    "synapse_peak",
]

# State events of the room that the measured servers joined: 5,200 members, and what else there is.
JOINED_ROOM = 6000
# Bytes that joining a room takes for each of its state events, in Synapse.
JOINED_EVENT = int(SYNAPSE["joined_event"])


@dataclass(frozen=True)
class Peak:
    """A prediction in bytes; nine of ten servers like those that were measured are between low and high."""

    expected: int
    low: int
    high: int

    def as_data(self) -> Dict[str, Any]:
        return {"expected": self.expected, "low": self.low, "high": self.high}


def _activity(users: int) -> float:
    """What the load of a number of users is in proportion to: it doubles from 1 to 3 users, and again to 15.

    Beyond what was measured it is taken to grow with the users.
    """
    return math.log2(1 + min(users, MOST_USERS)) * max(users / MOST_USERS, 1.0)


def synapse_peak(*, users: int, joined: int, malloc_conf: bool) -> Peak:
    """Of one process.

    users: of the server. joined: state events of the largest room of other servers that somebody joins.
    malloc_conf: whether jemalloc is told to give memory back soon.
    """
    expected = (
        SYNAPSE["idle"]
        + SYNAPSE["activity"] * _activity(users)
        + SYNAPSE["joined_event"] * joined
        - (SYNAPSE["malloc_conf"] if malloc_conf else 0)
    )
    return _peak(expected, SYNAPSE["spread"])


def postgresql_peak(*, users: int, joined: int, connections: int, shared_buffers: int, wal_buffers: int) -> Peak:
    """Of all its processes; sizes in bytes.

    connections: all of Synapse's pools, for one opens a connection where all others are busy at a moment, and closes
    none. shared_buffers: as much of it counts as is touched, for that is never given back. wal_buffers: all of it is
    touched soon.
    """
    touched = (
        POSTGRESQL["touched"] + POSTGRESQL["touched_activity"] * _activity(users) + POSTGRESQL["touched_event"] * joined
    )
    backends = connections * (POSTGRESQL["backend"] + POSTGRESQL["backend_event"] * joined)
    shared = min(shared_buffers, touched) + wal_buffers
    return _peak(POSTGRESQL["processes"] + shared + backends, POSTGRESQL["spread"])


def _peak(expected: float, spread: float) -> Peak:
    """Whole MiB; spread: the share by which measured peaks were off."""
    return Peak(*(int(expected * share) // MIB * MIB for share in (1, 1 - spread, 1 + spread)))
