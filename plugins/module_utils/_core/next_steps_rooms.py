# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do next about the rooms that cost most."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.measured import Measured
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import BETTER, LESS, Step, playbook
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB, show_bytes

__all__ = ["room_steps"]

# Fewer rows are not worth a purge or a run of the compressor.
_ROWS = 10_000
# So many rows for each event of the current state are more than differences would take.
_ROWS_PER_EVENT = 10
_MOST = 5


def room_steps(rooms: Sequence[Mapping[str, Any]], *, uptime: Optional[float]) -> Iterator[Step]:
    """Steps for the heaviest rooms, as rooms_info returns them. uptime: seconds that Synapse has run."""
    read = [Measured(room) for room in rooms]
    left = [room for room in read if _is_left(room) and (room.number("disk_bytes") or 0) >= MIB][:_MOST]
    if left:
        memory = _total(left, "estimate", "memory_bytes_after_restart")
        yield Step(
            LESS if memory else BETTER,
            f"{figures.noun(len(left), 'heavy room')} that nobody here is in",
            f"{figures.count(_total(left, 'state_rows'))} rows of state and {show_bytes(int(_total(left, 'disk_bytes')))}"
            " of the database"
            + (f"; {show_bytes(int(memory))} of Synapse's memory, once it was restarted." if memory else "."),
            "Purge, first with --check. What is purged is gone. Synapse gives the memory back after a restart alone.",
            playbook(
                "rooms",
                synapse_tuning_rooms_purge=[room.text("room_id") for room in left],
                synapse_tuning_rooms_restart=True,
            )
            + " --check",
            returns=memory,
        )
    wasteful = [room for room in read if not _is_left(room) and _is_wasteful(room)]
    if wasteful:
        worst = max(wasteful, key=lambda room: room.number("state_rows") or 0)
        rows, events = worst.number("state_rows") or 0, worst.number("state_events") or 0
        yield Step(
            BETTER,
            f"The state of {figures.noun(len(wasteful), 'room')} is stored many times over",
            f"{worst.text('room_id')} has {figures.count(rows)} rows for {figures.count(events)} current state events.",
            "The compressor stores differences instead. The play installs its job; this runs it now, and with --check"
            " says what it would save.",
            "ansible HOST -i inventory.yml --become -m synapse.tuning.state_compression -a project_dir=/srv/matrix --check",
        )


def _is_left(room: Measured) -> bool:
    return room.number("local_members") == 0


def _is_wasteful(room: Measured) -> bool:
    rows, events = room.number("state_rows"), room.number("state_events")
    return rows is not None and rows >= _ROWS and bool(events) and rows >= _ROWS_PER_EVENT * (events or 0)


def _total(rooms: List[Measured], *path: str) -> float:
    return sum(room.number(*path) or 0 for room in rooms)
