# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the rooms that were asked for may be purged, and what became of them."""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence

__all__ = ["purgeable", "purged"]


def purgeable(
    rooms: Sequence[Mapping[str, Any]], *, protect: Collection[str] = (), max_active_local_members: int
) -> Dict[str, List[Any]]:
    """Tell those that may be purged from those that may not, and why.

    Args:
        rooms: as rooms_info returns them.
        protect: IDs and canonical aliases of rooms that are never purged.
        max_active_local_members: a room with more of them is not purged. Where it is not known how many of its local
            members are active, all of them count.

    Returns:
        purge: rooms, as they came; keep: a room_id and a reason for each of the others.
    """
    reasons = [(room, _reason(room, frozenset(protect), max_active_local_members)) for room in rooms]
    return {
        "purge": [room for room, reason in reasons if reason is None],
        "keep": [{"room_id": room["room_id"], "reason": reason} for room, reason in reasons if reason is not None],
    }


def _reason(room: Mapping[str, Any], protect: Collection[str], most: int) -> Optional[str]:
    """Why it may not be purged; None where it may."""
    if room["room_id"] in protect or (room.get("canonical_alias") or "") in protect:
        return "it is protected by synapse_tuning_rooms_protect"
    if room.get("known") is False:
        return "Synapse does not know it any more, so its admin API cannot purge what is left of it"
    active, members = room.get("active_local_members"), room.get("local_members")
    count = members if active is None else active
    if count is None:
        return "it is not known how many local users are in it"
    if count > most:
        kind = "local" if active is None else "active local"
        return f"{count} {kind} {'user is' if count == 1 else 'users are'} in it, and {most} may be"
    return None


def purged(
    outcomes: Sequence[Mapping[str, Any]],
    *,
    chosen: Mapping[str, Any],
    keep: Sequence[Mapping[str, str]],
    left: Mapping[str, Any],
    check_mode: bool = False,
) -> Dict[str, Any]:
    """Say what became of rooms that were to be purged.

    Args:
        outcomes: what the module room returned for each.
        chosen, left: what rooms_info returned for them before and after.
        keep: as C(purgeable) returns it.

    Returns:
        purged: their IDs; failed: a line for each that was not; kept: as given; absent: IDs that were not there;
        lines: all of that for people.
    """
    before = {room["room_id"]: room for room in chosen["rooms"]}
    after = {room["room_id"]: room for room in left["rooms"]}
    gone: List[str] = []
    failed: List[str] = []
    lines = [f"{each['room_id']} is kept: {each['reason']}" for each in keep]
    absent = [str(room) for room in chosen.get("absent") or ()]
    lines += [f"{room} is not there, it may have been purged before" for room in absent]
    for outcome in outcomes:
        room_id = str(outcome.get("room_id") or outcome["item"]["room_id"])
        if outcome.get("failed"):
            failed.append(f"{room_id} was not purged: {outcome.get('msg', 'no reason was given')}")
        elif outcome.get("changed"):
            gone.append(room_id)
            lines.append(_returned(room_id, outcome, before.get(room_id, {}), after.get(room_id, {}), check_mode))
        else:
            lines.append(f"{room_id} had gone already")
    if gone:
        note = chosen["estimate"]
        lines += [
            f"The disk: {note['disk_note']}",
            f"The memory: {note['memory_note']}; synapse_tuning_rooms_restart=true restarts it afterwards",
        ]
    return {
        "purged": gone,
        "failed": failed,
        "kept": list(keep),
        "absent": absent,
        "lines": lines + failed or ["No room was to be purged"],
    }


def _returned(
    room_id: str, outcome: Mapping[str, Any], before: Mapping[str, Any], after: Mapping[str, Any], check_mode: bool
) -> str:
    users = len(outcome.get("kicked_users") or ())
    estimate = (before.get("estimate") or {}).get("rows")
    if check_mode:
        about = "" if estimate is None else f", which returns about {estimate:,} rows"
        return f"{room_id} would be purged{about}"
    text = f"{room_id} is purged, {users:,} local {'user was' if users == 1 else 'users were'} made to leave"
    if estimate is None:
        return text
    rest = (after.get("estimate") or {}).get("rows") or 0
    return f"{text}; about {estimate:,} rows were to come back, {estimate - rest:,} did"
