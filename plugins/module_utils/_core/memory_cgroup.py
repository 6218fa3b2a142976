# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the files of a memory cgroup say, of version 1 and of version 2 alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Mapping, Optional

__all__ = ["FILES", "CgroupMemory", "cgroup_memory"]

# Above this, version 1's "limit" means that there is none.
_NO_LIMIT = 1 << 60

FILES: Dict[int, Dict[str, str]] = {
    1: {
        "stat": "memory.stat",
        "current": "memory.usage_in_bytes",
        "peak": "memory.max_usage_in_bytes",
        "limit": "memory.limit_in_bytes",
        "limit_hits": "memory.failcnt",
        "swap_limit_hits": "memory.memsw.failcnt",
        "events": "memory.oom_control",
    },
    2: {
        "stat": "memory.stat",
        "current": "memory.current",
        "peak": "memory.peak",
        "limit": "memory.max",
        "events": "memory.events",
        "swap": "memory.swap.current",
    },
}
"""By version: what a file is asked for, and its name."""


@dataclass(frozen=True)
class CgroupMemory:
    """A memory cgroup, with those below it. Sizes in bytes; None for what this kernel does not say, and for no limit.

    held: anonymous and shared memory; shared: the shared memory in it. limit_hits: how often it wanted more than its limit.
    """

    limit: Optional[int]
    current: int
    working_set: int
    held: int
    shared: Optional[int]
    peak: Optional[int]
    swap: Optional[int]
    oom_kills: Optional[int]
    limit_hits: Optional[int]


def cgroup_memory(version: int, texts: Mapping[str, str]) -> Optional[CgroupMemory]:
    """Read the files' texts, by the names in FILES; None where there are no such files."""
    stat = _figures(texts.get("stat", ""))
    current = _number(texts.get("current"))
    if not stat or current is None:
        return None
    events = _figures(texts.get("events", ""))
    limit = _number(texts.get("limit"))
    if version == 1:
        # With those below it, as a container may have made some.
        stat = {name[len("total_") :]: figure for name, figure in stat.items() if name.startswith("total_")} or stat
        held = sum(stat.get(name, 0) for name in ("active_anon", "inactive_anon", "unevictable"))
        # Of memory with swap where that limit is as low, as then it is reached first.
        hits = [_number(texts.get(name)) for name in ("limit_hits", "swap_limit_hits")]
        swap, limit_hits = stat.get("swap"), None if hits[0] is None else hits[0] + (hits[1] or 0)
    else:
        held = stat.get("anon", 0) + stat.get("shmem", 0)
        swap, limit_hits = _number(texts.get("swap")), events.get("max")
    return CgroupMemory(
        limit=limit if limit is not None and limit < _NO_LIMIT else None,
        current=current,
        working_set=max(current - stat.get("inactive_file", 0), 0),
        held=held,
        shared=stat.get("shmem"),
        peak=_number(texts.get("peak")),
        swap=swap,
        oom_kills=events.get("oom_kill"),
        limit_hits=limit_hits,
    )


def _figures(text: str) -> Dict[str, int]:
    """C(name figure), one a line."""
    pairs = [line.split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(text: Optional[str]) -> Optional[int]:
    stripped = (text or "").strip()
    return int(stripped) if stripped.isdigit() else None
