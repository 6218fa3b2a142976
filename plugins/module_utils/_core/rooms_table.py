# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The heaviest rooms as a table for people."""

from __future__ import annotations

import datetime
from typing import List, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import Methods, total
from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, paragraph, table
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["WIDTH", "rooms_table"]

WIDTH = 140
_UNKNOWN = "?"

_COLUMNS = (
    Column("Room"),
    Column("State rows", limit=13, right=True),
    Column("State", limit=10, right=True),
    Column("Events", limit=12, right=True),
    Column("Events'", limit=10, right=True),
    Column("Current", limit=9, right=True),
    Column("Members", limit=9, right=True),
    Column("Local", limit=13, right=True),
    Column("Last", limit=10, right=True),
)


def rooms_table(rooms: Sequence[Room], *, methods: Methods, matched: Optional[int], count: int) -> List[str]:
    """Lay out the rooms, the heaviest first, and what purging all of them gives back.

    Args:
        rooms: those shown. methods: how their figures are known.
        matched: how many rooms the filters match; None for not known.
        count: how many rooms there are.
    """
    of = f"{count:,}" if matched in (None, count) else f"{matched:,} that match, of {count:,}"
    lines = paragraph(f"{len(rooms)} of {of} rooms", width=WIDTH)
    if not rooms:
        return lines
    lines += ["", *table(_COLUMNS, [_row(room) for room in rooms], width=WIDTH), ""]
    known = sorted({method for method in (methods.state, methods.events) if method})
    if known:
        lines += paragraph(
            f"Rows are {' and '.join(known)}. State and Events' are bytes of tables and indexes; Current is the current"
            " state events; Local is members of this server, in brackets those active.",
            width=WIDTH,
        )
    return lines + _returned(rooms, methods)


def _returned(rooms: Sequence[Room], methods: Methods) -> List[str]:
    whole = total(rooms, methods)
    data = whole.as_data()
    lines: List[str] = []
    if whole.rows is not None and whole.disk_bytes is not None:
        lines += paragraph(
            f"Purging all of them would free about {whole.rows:,} rows and {show_bytes(whole.disk_bytes)}:"
            f" {data['disk_note']}.",
            width=WIDTH,
        )
    return lines + paragraph(f"Memory: {data['memory_note']}, here {show_bytes(whole.memory_bytes)}.", width=WIDTH)


def _row(room: Room) -> List[str]:
    marks = [
        word
        for word, applies in (
            ("tombstoned", room.tombstoned),
            ("unknown to Synapse", not room.known),
            (f"{room.forward_extremities} forward extremities", (room.forward_extremities or 0) > 10),
        )
        if applies
    ]
    label = room.canonical_alias or room.name
    local = _number(room.local_members)
    if room.active_local_members is not None:
        local = f"{local} ({room.active_local_members:,})"
    return [
        " ".join(
            [room.room_id, *([_printable(label)] if label else []), *([f"[{', '.join(marks)}]"] if marks else [])]
        ),
        _number(room.state_rows),
        _UNKNOWN if room.state_bytes is None else show_bytes(room.state_bytes),
        _number(room.events),
        _UNKNOWN if room.event_bytes is None else show_bytes(room.event_bytes),
        _number(room.state_events),
        _number(room.members),
        local,
        _UNKNOWN if room.last_activity is None else _day(room.last_activity),
    ]


def _number(figure: Optional[int]) -> str:
    return _UNKNOWN if figure is None else f"{figure:,}"


def _printable(text: str) -> str:
    """Strangers name rooms: nothing of it may steer a terminal."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _day(milliseconds: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        # Servers may write any time.
        return _UNKNOWN
