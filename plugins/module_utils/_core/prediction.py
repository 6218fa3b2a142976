# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan's Synapse and PostgreSQL are predicted to come to hold."""

from __future__ import annotations

from typing import Any, Dict, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import Allocation
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_model import (
    FITTED_ON,
    JOINED_ROOM,
    Peak,
    postgresql_peak,
    synapse_peak,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB

__all__ = ["gives_back", "joined_events", "predict", "synapse_prediction"]

_SMALL_HOST = 4 * GIB


def gives_back(allocation: Allocation) -> bool:
    """Whether the plan has jemalloc give memory back soon (MALLOC_CONF), which the prediction counts on."""
    return allocation.usable <= _SMALL_HOST


def joined_events(inputs: Inputs, allocation: Allocation) -> int:
    """State events of the largest room of other servers that somebody is expected to join."""
    if inputs.largest_room is not None:
        return inputs.largest_room
    return 0 if inputs.federation == "closed" else min(allocation.synapse.events_let_in, JOINED_ROOM)


def synapse_prediction(inputs: Inputs, allocation: Allocation) -> Peak:
    """Of Synapse's main process, which is as large as each worker."""
    return synapse_peak(
        users=inputs.users, joined=joined_events(inputs, allocation), malloc_conf=gives_back(allocation)
    )


def predict(inputs: Inputs, allocation: Allocation) -> Dict[str, Any]:
    """C(synapse) (one process), C(postgresql), C(total) of all on this host: each C(expected), C(low), C(high) in bytes.

    A program that is elsewhere is None. Also C(joined), the state events of the largest room that is joined, and
    C(source), the runs that the constants are from.
    """
    joined = joined_events(inputs, allocation)
    sizes = allocation.postgresql
    synapse: Optional[Peak] = None
    postgresql: Optional[Peak] = None
    if inputs.has_synapse:
        synapse = synapse_prediction(inputs, allocation)
    if inputs.has_postgresql:
        postgresql = postgresql_peak(
            users=inputs.users,
            joined=joined,
            connections=sizes.pool_connections,
            shared_buffers=sizes.shared_buffers,
            wal_buffers=sizes.wal_buffers,
        )
    return {
        "synapse": synapse and synapse.as_data(),
        "postgresql": postgresql and postgresql.as_data(),
        "total": {
            name: (getattr(synapse, name) * inputs.processes if synapse else 0)
            + (getattr(postgresql, name) if postgresql else 0)
            for name in ("expected", "low", "high")
        },
        "joined": joined,
        "source": FITTED_ON,
    }
