# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this machine has: RAM, processors, and what others hold of the RAM.

Reads procfs and cgroups (v1 and v2) only; every path stands below C(root), so
that tests can lay out a machine of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem

__all__ = ["Observation", "observe"]

# Above this a cgroup v1 "limit" means that there is none.
_NO_LIMIT = 1 << 60
_KIB = 1024


@dataclass(frozen=True)
class Observation:
    """The host as it is.

    ram: bytes, the smallest of MemTotal and the cgroup limits that hold here.
    limited_by: C(MemTotal), or the cgroup file that says less.
    cpus: processors this process may use, cgroup quota included.
    used: bytes in use, without what can be reclaimed and without Synapse and PostgreSQL.
    """

    ram: int
    limited_by: str
    cpus: int
    used: int


def observe(root: str = "/") -> Observation:
    """Observe the machine.

    :raises FileProblem: where /proc/meminfo cannot be read.
    """
    meminfo = _meminfo(root)
    total = meminfo["MemTotal"]
    ram, limited_by = total, "MemTotal"
    used = total - meminfo.get("MemAvailable", meminfo.get("MemFree", 0))
    for directory, limit_file, usage_file in _memory_cgroups(root):
        limit = _number(os.path.join(directory, limit_file))
        if limit is not None and limit < min(ram, _NO_LIMIT):
            ram, limited_by = limit, os.path.join(directory, limit_file)
            used = _cgroup_used(directory, usage_file)
    return Observation(
        ram=ram,
        limited_by=limited_by,
        cpus=_cpus(root),
        used=max(used - _held_by_synapse_and_postgresql(root), 0),
    )


def _meminfo(root: str) -> Dict[str, int]:
    path = os.path.join(root, "proc/meminfo")
    values = {}
    try:
        with open(path, encoding="ascii") as lines:
            for line in lines:
                name, _colon, rest = line.partition(":")
                fields = rest.split()
                if fields and fields[0].isdigit():
                    values[name] = int(fields[0]) * _KIB
    except OSError as error:
        raise FileProblem(f"Cannot read {path} ({error.strerror}): give ram and reserved yourself") from error
    if "MemTotal" not in values:
        raise FileProblem(f"{path} has no MemTotal: give ram and reserved yourself")
    return values


def _cgroup_paths(root: str) -> Dict[str, str]:
    """Controller to path from /proc/self/cgroup; v2 has the empty controller."""
    paths = {}
    for line in _lines(os.path.join(root, "proc/self/cgroup")):
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                paths[controller] = parts[2]
    return paths


def _ancestors(mount: str, path: str) -> Iterator[str]:
    """The cgroup and every one above it: a limit holds for all below."""
    relative = path.strip("/")
    # Inside a container the path may name a cgroup that is only visible from outside.
    if not os.path.isdir(os.path.join(mount, relative)):
        relative = ""
    while relative:
        yield os.path.join(mount, relative)
        relative = os.path.dirname(relative)
    yield mount


def _memory_cgroups(root: str) -> Iterator[Tuple[str, str, str]]:
    """(directory, limit file, usage file), innermost first."""
    paths = _cgroup_paths(root)
    mount = os.path.join(root, "sys/fs/cgroup")
    if "memory" in paths:
        for directory in _ancestors(os.path.join(mount, "memory"), paths["memory"]):
            yield directory, "memory.limit_in_bytes", "memory.usage_in_bytes"
    if "" in paths:
        for directory in _ancestors(mount, paths[""]):
            yield directory, "memory.max", "memory.current"


def _cgroup_used(directory: str, usage_file: str) -> int:
    """Usage without the file cache that the kernel takes back first."""
    usage = _number(os.path.join(directory, usage_file)) or 0
    for line in _lines(os.path.join(directory, "memory.stat")):
        name, _space, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.strip().isdigit():
            return max(usage - int(value), 0)
    return usage


def _cpus(root: str) -> int:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    paths = _cgroup_paths(root)
    mount = os.path.join(root, "sys/fs/cgroup")
    if "" in paths:
        for directory in _ancestors(mount, paths[""]):
            fields = " ".join(_lines(os.path.join(directory, "cpu.max"))).split()
            if len(fields) == 2 and fields[0].isdigit():
                count = min(count, max(int(fields[0]) // int(fields[1]), 1))
    if "cpu" in paths:
        for directory in _ancestors(os.path.join(mount, "cpu"), paths["cpu"]):
            quota = _number(os.path.join(directory, "cpu.cfs_quota_us"))
            period = _number(os.path.join(directory, "cpu.cfs_period_us"))
            if quota and period and quota > 0:
                count = min(count, max(quota // period, 1))
    return count


def _held_by_synapse_and_postgresql(root: str) -> int:
    """Private memory of their processes, and PostgreSQL's shared memory once."""
    private = 0
    shared = 0
    proc = os.path.join(root, "proc")
    for pid in os.listdir(proc):
        if not pid.isdigit():
            continue
        command = "\n".join(_lines(os.path.join(proc, pid, "cmdline"))).replace("\0", " ")
        words = command.split()
        program = os.path.basename(words[0]).rstrip(":") if words else ""
        is_postgresql = program in ("postgres", "postmaster")
        if not is_postgresql and "synapse.app" not in command and "synapse_homeserver" not in command:
            continue
        status = {}
        for line in _lines(os.path.join(proc, pid, "status")):
            name, _colon, rest = line.partition(":")
            fields = rest.split()
            if name.startswith("Rss") and fields:
                status[name] = int(fields[0]) * _KIB
        private += status.get("RssAnon", 0)
        if is_postgresql:
            shared = max(shared, status.get("RssShmem", 0))
    return private + shared


def _lines(path: str) -> List[str]:
    """The file's lines; none where it cannot be read (gone, or not ours to see)."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def _number(path: str) -> Optional[int]:
    text = "".join(_lines(path)).strip()
    try:
        return int(text)
    except ValueError:
        return None
