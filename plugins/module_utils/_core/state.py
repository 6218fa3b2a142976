# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's tables of state hold: the figures, what follows from them, and a table for people."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, table
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = [
    "COUNTED",
    "STATISTICS",
    "Activity",
    "Compressor",
    "Groups",
    "LastRun",
    "RoomGroups",
    "State",
    "TableSize",
    "Unreferenced",
    "last_run",
    "report",
    "sampled",
    "share_of_ids",
]

COUNTED = "counted"
STATISTICS = "statistics"

_WIDTH = 100


def sampled(percent: float) -> str:
    """How figures are known that come from a part of the table: C(sampled 2.5 %)."""
    return f"sampled {percent:.3g} %"


@dataclass(frozen=True)
class TableSize:
    """One table; C(rows_by) says how its rows are known. Bytes of the table without, and with its indexes."""

    name: str
    table_bytes: int
    index_bytes: int
    total_bytes: int
    rows: int
    rows_by: str


@dataclass(frozen=True)
class Activity:
    """Dead rows of state_groups_state, and when it was looked after; times in ISO 8601, None for never."""

    dead_rows: int
    last_vacuum: Optional[str]
    last_analyze: Optional[str]


@dataclass(frozen=True)
class RoomGroups:
    """A room, its rows of state_groups_state and its state groups."""

    room_id: str
    rows: int
    state_groups: int


@dataclass(frozen=True)
class Groups:
    """State groups.

    state_groups: all; rows: theirs in state_groups_state; deltas: those that are stored as the difference from
    another one; full: the others; full_rows: their rows; largest: the most rows of one.
    by: how all of that is known.
    """

    state_groups: int
    rows: int
    deltas: int
    full: int
    full_rows: int
    largest: int
    by: str

    def as_data(self) -> Dict[str, Any]:
        """With the means and shares that follow."""
        return {
            **asdict(self),
            "rows_per_state_group": _ratio(self.rows, self.state_groups, 2),
            "share_of_deltas": _ratio(self.deltas, self.state_groups, 4),
            "share_of_rows_in_full": _ratio(self.full_rows, self.rows, 4),
        }


@dataclass(frozen=True)
class Unreferenced:
    """State groups that no event uses, directly or by what stands on them; None where that is not known.

    because: why it is not known.
    """

    state_groups: Optional[int] = None
    rows: Optional[int] = None
    because: Optional[str] = None


@dataclass(frozen=True)
class Compressor:
    """What the compressor's own tables say.

    lowest_uncompressed_group: all state groups below are done; newest_group: the newest there is;
    share_done: of the ids up to that one, which says about how far it is; rooms: those that it worked on;
    newest_compressed_group: the highest that it has done in any room.
    """

    lowest_uncompressed_group: int
    newest_group: int
    rooms: int
    newest_compressed_group: Optional[int]
    share_done: Optional[float]


@dataclass(frozen=True)
class LastRun:
    """The compressor's last run as its status file says; times in seconds since 1970, None for none yet."""

    started: Optional[int]
    ended: Optional[int]
    succeeded: Optional[int]
    exit_status: Optional[int]
    saved_rows: Optional[int]


@dataclass(frozen=True)
class State:
    """All that was read."""

    tables: Tuple[TableSize, ...]
    groups: Groups
    rooms: Tuple[RoomGroups, ...]
    activity: Activity
    unreferenced: Unreferenced
    compressor: Optional[Compressor]
    background_updates: Tuple[str, ...]
    last_run: Optional[LastRun] = None

    def as_data(self) -> Dict[str, Any]:
        """For a module to return."""
        return {
            "tables": [asdict(each) for each in self.tables],
            "groups": self.groups.as_data(),
            "rooms": [asdict(each) for each in self.rooms],
            **asdict(self.activity),
            "unreferenced": asdict(self.unreferenced),
            "compressor": None if self.compressor is None else asdict(self.compressor),
            "last_run": None if self.last_run is None else asdict(self.last_run),
            "background_updates": list(self.background_updates),
            "table": "\n".join(report(self)),
        }


def share_of_ids(*, oldest: Optional[int], newest: Optional[int], lowest_uncompressed: int) -> Optional[float]:
    """How far the compressor is, by the ids of state groups; None where there are none."""
    if oldest is None or newest is None:
        return None
    done = min(lowest_uncompressed, newest + 1) - oldest
    return round(max(done, 0) / (newest + 1 - oldest), 4)


_METRIC = re.compile(r"^synapse_tuning_compressor_(\w+)(?:\{[^}]*\})?\s+(\S+)$", re.MULTILINE)


def last_run(text: str) -> LastRun:
    """Read the status file of the role compressor, which is in Prometheus's text format; what it lacks is None."""
    found = {}
    for name, value in _METRIC.findall(text):
        try:
            found[name] = int(float(value))
        except (ValueError, OverflowError):
            continue
    return LastRun(
        started=found.get("last_start_timestamp_seconds"),
        ended=found.get("last_end_timestamp_seconds"),
        succeeded=found.get("last_success_timestamp_seconds"),
        exit_status=found.get("last_exit_status"),
        saved_rows=found.get("last_saved_rows"),
    )


def report(state: State) -> List[str]:
    """The figures for people, in lines of at most 100 characters."""
    sizes = table(
        (
            Column("Table"),
            Column("Table's", 10, right=True),
            Column("Indexes", 10, right=True),
            Column("Both", 10, right=True),
            Column("Rows", 16, right=True),
            Column("known by", 16),
        ),
        [
            (
                each.name,
                show_bytes(each.table_bytes),
                show_bytes(each.index_bytes),
                show_bytes(each.total_bytes),
                f"{each.rows:,}",
                each.rows_by,
            )
            for each in state.tables
        ],
        width=_WIDTH,
    )
    facts = table((Column("", 34), Column("")), _facts(state), width=_WIDTH)
    rooms = table(
        (Column("Rooms with the most rows"), Column("Rows", 16, right=True), Column("State groups", 16, right=True)),
        [(each.room_id, f"{each.rows:,}", f"{each.state_groups:,}") for each in state.rooms],
        width=_WIDTH,
    )
    return [*sizes, "", *facts, *(["", *rooms] if state.rooms else [])]


def _facts(state: State) -> List[Tuple[str, str]]:
    groups = state.groups
    data = groups.as_data()
    facts = [
        ("State groups", f"{groups.state_groups:,} ({groups.by})"),
        ("Rows per state group", f"{_shown(data['rows_per_state_group'])}, at most {groups.largest:,}"),
        ("Stored as differences", _percent(data["share_of_deltas"])),
        (
            "Stored whole",
            f"{groups.full:,}, with {groups.full_rows:,} rows ({_percent(data['share_of_rows_in_full'])} of all)",
        ),
        ("Unreferenced", _unreferenced(state.unreferenced)),
        ("Dead rows of state_groups_state", f"{state.activity.dead_rows:,}"),
        ("Last VACUUM, ANALYZE", f"{state.activity.last_vacuum or 'never'}, {state.activity.last_analyze or 'never'}"),
        ("Compressor", _compressor(state.compressor)),
    ]
    if state.background_updates:
        facts.append(("Synapse still works on", ", ".join(state.background_updates)))
    return facts


def _unreferenced(unreferenced: Unreferenced) -> str:
    if unreferenced.state_groups is None:
        return unreferenced.because or "unknown"
    return f"{unreferenced.state_groups:,} state groups with {unreferenced.rows:,} rows"


def _compressor(compressor: Optional[Compressor]) -> str:
    if compressor is None:
        return "has never run on this database"
    return (
        f"worked on {compressor.rooms:,} rooms, done up to state group {compressor.lowest_uncompressed_group:,}"
        f" of {compressor.newest_group:,} ({_percent(compressor.share_done)})"
    )


def _ratio(part: int, whole: int, digits: int) -> Optional[float]:
    return round(part / whole, digits) if whole else None


def _shown(number: Optional[float]) -> str:
    return "none" if number is None else f"{number:,}"


def _percent(share: Optional[float]) -> str:
    return "none" if share is None else f"{share * 100:.1f} %"
