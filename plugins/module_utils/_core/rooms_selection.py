# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rooms may be purged: those that were named, or that a confirmed filter matches, and that nothing protects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

__all__ = ["Selection", "select"]


@dataclass(frozen=True)
class Selection:
    """What becomes of the rooms.

    Attributes:
        purge: to be purged, each once; as rooms_info returned them.
        refused: named, but protected; kept: matched, but protected. Each is a line of the room and the reason.
        unconfirmed: how many a filter matches that nobody has confirmed.
    """

    purge: Tuple[Mapping[str, Any], ...]
    refused: Tuple[str, ...]
    kept: Tuple[str, ...]
    unconfirmed: int

    def as_data(self) -> Dict[str, Any]:
        """Plain values."""
        return {
            "purge": [dict(room) for room in self.purge],
            "refused": list(self.refused),
            "kept": list(self.kept),
            "unconfirmed": self.unconfirmed,
        }


def select(
    named: Sequence[Mapping[str, Any]],
    matched: Sequence[Mapping[str, Any]],
    *,
    protect: Sequence[str],
    max_active: int,
    confirmed: bool,
) -> Selection:
    """Decide.

    Args:
        named: the rooms that a person named; matched: those of a filter. Both as rooms_info returns them.
        protect: IDs and aliases; an alias protects the room whose canonical one it is. Give the ID of an other one.
        max_active: how many local users may be active in a room that is purged.
        confirmed: whether what the filter matches may be purged.
    """
    purge: List[Mapping[str, Any]] = []
    refused: List[str] = []
    kept: List[str] = []
    seen: Set[str] = set()
    protected = set(protect)
    for rooms, left_out in ((named, refused), (matched, kept)):
        for room in rooms:
            room_id = str(room["room_id"])
            if room_id in seen:
                continue
            seen.add(room_id)
            because = _because(room, protected, max_active)
            if because:
                left_out.append(f"{room_id}: {because}")
            elif rooms is named or confirmed:
                purge.append(room)
    named_ids = {room["room_id"] for room in named}
    waiting = 0 if confirmed else len({room["room_id"] for room in matched} - named_ids) - len(kept)
    return Selection(purge=tuple(purge), refused=tuple(refused), kept=tuple(kept), unconfirmed=waiting)


def _because(room: Mapping[str, Any], protected: Set[str], max_active: int) -> str:
    """Why a room is not to be purged; empty where nothing speaks against it."""
    if room["room_id"] in protected or room.get("canonical_alias") in protected:
        return "it is protected"
    active = room.get("active_local_members")
    if active is not None:
        return f"{active} users of this server are active in it, more than {max_active}" if active > max_active else ""
    # Over the admin API nobody knows who is active: all of them may be.
    joined = room.get("local_members")
    if joined is None:
        return "it is not known how many users of this server are in it"
    return (
        f"{joined} users of this server are in it, more than {max_active}, and it is not known which of them are active"
        if joined > max_active
        else ""
    )
