# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills for want of memory in the kernel's log."""

from __future__ import annotations

import datetime
import re
from typing import Iterable, List, Mapping, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["Record", "oom_kills"]

Record = Tuple[float, str]
"""When the kernel said it, in seconds since 1970, and what."""

# "oom-kill:constraint=CONSTRAINT_MEMCG,...,oom_memcg=/a,task_memcg=/a/b,task=python,pid=1,uid=991"
_KILL = re.compile(r"oom-kill:constraint=(\w+),.*?task_memcg=(.*?),task=(.*),pid=(\d+),uid=\d+")
# "... Killed process 1 (python) total-vm:1kB, anon-rss:2kB, file-rss:3kB, shmem-rss:4kB, ..."
_HELD = re.compile(r"Killed process (\d+) \(.*\) .*?anon-rss:(\d+)kB.*?shmem-rss:(\d+)kB")


def oom_kills(records: Iterable[Record], places: Mapping[str, str], *, newest: int = 5) -> List[str]:
    """One line for each kill of a process in one of these places, the newest last.

    places: what the path of the process's memory cgroup holds, such as a container's id, to the name to show for it.
    """
    found: List[List[str]] = []
    pids: List[str] = []
    for when, text in records:
        kill, held = _KILL.search(text), _HELD.search(text)
        if kill:
            constraint, path, task, pid = kill.groups()
            name = next((name for place, name in places.items() if place in path), None)
            if name is not None:
                whose = "its limit" if constraint == "CONSTRAINT_MEMCG" else "the host's memory"
                found.append([f"{_moment(when)} {_printable(task)} (pid {pid}) of {name} was killed at {whose}"])
                pids.append(pid)
        # The kernel says this right after the other.
        elif held and pids and held.group(1) == pids[-1] and len(found[-1]) == 1:
            size = (int(held.group(2)) + int(held.group(3))) * 1024
            found[-1].append(f", holding {show_bytes(size)}")
    return ["".join(parts) for parts in found[-newest:]]


def _moment(when: float) -> str:
    return datetime.datetime.fromtimestamp(when, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _printable(text: str) -> str:
    """Processes name themselves: nothing of it may steer a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)
