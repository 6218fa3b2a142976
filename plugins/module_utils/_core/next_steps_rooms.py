# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do next about the rooms that cost most."""

from __future__ import annotations

from typing import Iterable, Iterator, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import Methods, total
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import BETTER, LESS, Step, playbook
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB, show_bytes

__all__ = ["room_steps"]

# Fewer rows are not worth a purge or a run of the compressor.
_ROWS = 10_000
# So many rows for each event of the current state are more than differences would take.
_ROWS_PER_EVENT = 10
_MOST = 5


def room_steps(rooms: Sequence[Room]) -> Iterator[Step]:
    """Steps for the heaviest rooms."""
    left = [room for room in rooms if _is_left(room) and (room.disk or 0) >= MIB][:_MOST]
    if left:
        memory = total(left, Methods()).memory_bytes
        yield Step(
            LESS if memory else BETTER,
            f"{figures.noun(len(left), 'heavy room')} that nobody here is in",
            f"{figures.count(_sum(room.state_rows for room in left))} rows of state and"
            f" {show_bytes(_sum(room.disk for room in left))}"
            " of the database"
            + (f"; {show_bytes(memory)} of Synapse's memory, once it was restarted." if memory else "."),
            "Purge, first with --check. What is purged is gone. Synapse gives the memory back after a restart alone.",
            playbook(
                "rooms",
                synapse_tuning_rooms_purge=[room.room_id for room in left],
                synapse_tuning_rooms_restart=True,
            )
            + " --check",
            returns=memory,
        )
    wasteful = [room for room in rooms if not _is_left(room) and _is_wasteful(room)]
    if wasteful:
        worst = max(wasteful, key=lambda room: room.state_rows or 0)
        yield Step(
            BETTER,
            f"The state of {figures.noun(len(wasteful), 'room')} is stored many times over",
            f"{worst.room_id} has {figures.count(worst.state_rows)} rows for {figures.count(worst.state_events)} current"
            " state events.",
            "The compressor stores differences instead. The play installs its job; this runs it now, and with --check"
            " says what it would save.",
            "ansible HOST -i inventory.yml --become -m synapse.tuning.state_compression -a project_dir=/srv/matrix --check",
        )


def _is_left(room: Room) -> bool:
    return room.local_members == 0


def _is_wasteful(room: Room) -> bool:
    rows, events = room.state_rows or 0, room.state_events or 0
    return rows >= _ROWS and events > 0 and rows >= _ROWS_PER_EVENT * events


def _sum(figures_: Iterable[Optional[int]]) -> int:
    return sum(figure or 0 for figure in figures_)
