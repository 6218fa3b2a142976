# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What purging rooms gives back, and how that is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room

__all__ = ["BYTES_A_MEMBER", "DISK_NOTE", "MEMORY_NOTE", "Estimate", "Methods", "estimate", "total"]

BYTES_A_MEMBER = 15_000
"""What Synapse's memory grew by for each member of a room of 2,500 that was joined over federation, measured."""

DISK_NOTE = (
    "PostgreSQL can use these bytes again once VACUUM has run;"
    " the disk itself gets them back only by VACUUM FULL or pg_repack"
)
MEMORY_NOTE = (
    "a purge alone gives the system no memory back until Synapse is restarted, as measured;"
    f" after a restart about {BYTES_A_MEMBER // 1000} kB a member of a room with users of other servers"
)


@dataclass(frozen=True)
class Methods:
    """How the rows of state and of events are known, C(counted) or C(sampled N %); None where they are not."""

    state: Optional[str] = None
    events: Optional[str] = None


@dataclass(frozen=True)
class Estimate:
    """What a purge gives back; a figure that the source does not know is None.

    Attributes:
        state_rows: rows of C(state_groups_state). events: rows of C(events), and as many of C(event_json).
        disk_bytes: what PostgreSQL can use again.
        memory_bytes: what Synapse does without after a restart.
    """

    state_rows: Optional[int]
    events: Optional[int]
    disk_bytes: Optional[int]
    memory_bytes: int
    methods: Methods

    @property
    def rows(self) -> Optional[int]:
        """Rows of state_groups_state, events and event_json together."""
        if self.state_rows is None or self.events is None:
            return None
        return self.state_rows + 2 * self.events

    def figures(self) -> Dict[str, Any]:
        """What comes back, and how that is known."""
        return {
            "rows": self.rows,
            "state_rows": self.state_rows,
            "state_method": self.methods.state,
            "events": self.events,
            "events_method": self.methods.events,
            "disk_bytes": self.disk_bytes,
            "memory_bytes": 0,
            "memory_bytes_after_restart": self.memory_bytes,
        }

    def as_data(self) -> Dict[str, Any]:
        """The figures with what has to be known beside them."""
        return {
            **self.figures(),
            "disk_method": None if self.disk_bytes is None else _disk_method(self.methods),
            "disk_note": DISK_NOTE,
            "memory_method": f"members x {BYTES_A_MEMBER} bytes, for rooms with users of other servers",
            "memory_note": MEMORY_NOTE,
        }


def estimate(room: Room, methods: Methods) -> Estimate:
    """What purging this room gives back."""
    return Estimate(
        state_rows=room.state_rows,
        events=room.events,
        disk_bytes=room.disk,
        # Users of this server have their memory in other places, too.
        memory_bytes=BYTES_A_MEMBER * (room.members or 0) if room.federated else 0,
        methods=methods,
    )


def total(rooms: Iterable[Room], methods: Methods) -> Estimate:
    """What purging all of these gives back."""
    each = [estimate(room, methods) for room in rooms]
    return Estimate(
        state_rows=_sum([one.state_rows for one in each]),
        events=_sum([one.events for one in each]),
        disk_bytes=_sum([one.disk_bytes for one in each]),
        memory_bytes=sum(one.memory_bytes for one in each),
        methods=methods,
    )


def _sum(figures: List[Optional[int]]) -> Optional[int]:
    """None where any is not known: a sum of the rest would look like all."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) if len(known) == len(figures) else None


def _disk_method(methods: Methods) -> str:
    rows = f"{methods.state}" if methods.state == methods.events else f"{methods.state} (events {methods.events})"
    return f"rows {rows}; tables and indexes are shared by the size of the rows for state, by their number for events"
