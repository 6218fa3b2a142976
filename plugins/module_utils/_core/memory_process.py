# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What procfs says of a process."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Dict, Mapping, Optional, Sequence

__all__ = [
    "Figures",
    "is_main",
    "is_postgresql",
    "is_synapse",
    "postgresql_kind",
    "postgresql_session",
    "process_figures",
]

_KIB = 1024
_SIZE = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)
_SYNAPSE = re.compile(r"synapse\.app\.\w+|synapse_(?:homeserver|worker)")
_NAMESPACED = re.compile(r"^NSpid:\s+(.+)$", re.MULTILINE)
# "postgres: CLUSTER: USER DATABASE HOST(PORT) what it does"; the cluster's name is mostly empty.
_SESSION = re.compile(r"^(?:.*: )?(\S+) (\S+) (?:\[local\]|\S+\(\d+\))")
_TITLE = re.compile(r"^\S*(?:postgres|postmaster): (.*)$", re.DOTALL)
_KINDS = (
    "archiver",
    "autovacuum launcher",
    "autovacuum worker",
    "background writer",
    "checkpointer",
    "io worker",
    "logger",
    "logical replication launcher",
    "logical replication worker",
    "parallel worker",
    "slotsync worker",
    "startup",
    "stats collector",
    "walreceiver",
    "walsender",
    "walsummarizer",
    "walwriter",
)


@dataclass(frozen=True)
class Figures:
    """A process's memory in bytes and times in seconds; None for what could not be read.

    parent: the number of the process that started it. inner_pid: its own inside its container; contained: whether it is
    in one. pss: its part of what it shares with others, and all of what it does not.
    pss_shared: its part of shared memory. rss_peak: the most since its start.
    """

    parent: Optional[int]
    inner_pid: Optional[int]
    contained: bool
    rss: Optional[int]
    rss_peak: Optional[int]
    pss: Optional[int]
    pss_shared: Optional[int]
    private: Optional[int]
    swap: Optional[int]
    cpu_seconds: Optional[float]
    uptime: Optional[float]


def process_figures(texts: Mapping[str, str], *, ticks: int) -> Figures:
    """Read the texts of C(status), C(smaps_rollup) and C(stat) of a process, and of the host's C(uptime).

    ticks: how many of the kernel's ticks are a second.
    """
    status, rollup = _sizes(texts.get("status", "")), _sizes(texts.get("smaps_rollup", ""))
    private = [rollup[name] for name in ("Private_Clean", "Private_Dirty", "Private_Hugetlb") if name in rollup]
    numbers = _NAMESPACED.findall(texts.get("status", "").replace("\t", " "))
    pids = numbers[0].split() if numbers else []
    # The name in brackets may hold anything.
    fields = texts.get("stat", "").rpartition(")")[2].split()
    booted = texts.get("uptime", "").split()
    cpu = uptime = parent = None
    if len(fields) > 19:
        parent = int(fields[1])
        cpu = (int(fields[11]) + int(fields[12])) / ticks
        uptime = max(float(booted[0]) - int(fields[19]) / ticks, 0.0) if booted else None
    return Figures(
        parent=parent,
        inner_pid=int(pids[-1]) if pids else None,
        contained=len(pids) > 1,
        rss=rollup.get("Rss", status.get("VmRSS")),
        rss_peak=status.get("VmHWM"),
        pss=rollup.get("Pss"),
        pss_shared=rollup.get("Pss_Shmem"),
        private=sum(private) if private else None,
        swap=rollup.get("Swap", status.get("VmSwap")),
        cpu_seconds=cpu,
        uptime=None if uptime is None else round(uptime, 2),
    )


def is_synapse(arguments: Sequence[str]) -> bool:
    """Whether a command line is that of a process of Synapse, and not of a shell or an init that has the same words."""
    if not arguments or not posixpath.basename(arguments[0]).startswith(("python", "pypy", "synapse_homeserver")):
        return False
    return any(_SYNAPSE.fullmatch(posixpath.basename(each)) for each in arguments)


def is_main(arguments: Sequence[str]) -> bool:
    """Whether that is Synapse's main process."""
    return any(posixpath.basename(each) in ("synapse.app.homeserver", "synapse_homeserver") for each in arguments)


def is_postgresql(arguments: Sequence[str]) -> bool:
    """Whether a command line is that of a process of PostgreSQL; all but the first one write theirs anew."""
    program = posixpath.basename(arguments[0].partition(": ")[0]) if arguments else ""
    return program in ("postgres", "postmaster")


def postgresql_kind(arguments: Sequence[str]) -> Optional[str]:
    """What a process of PostgreSQL does, by its command line, as C(pg_stat_activity.backend_type) says it."""
    title = _TITLE.match(" ".join(arguments))
    if title is None:
        return "postmaster"
    if _SESSION.match(title.group(1)):
        return "walsender" if re.search(r"\bwalsender\b", title.group(1)) else "client backend"
    return next((kind for kind in _KINDS if re.search(rf"(?:^|: ){kind}\b", title.group(1))), None)


def postgresql_session(arguments: Sequence[str]) -> Optional[Sequence[str]]:
    """User and database of a client's process, by its command line; None for another process."""
    title = _TITLE.match(" ".join(arguments))
    found = _SESSION.match(title.group(1)) if title else None
    return None if found is None else found.groups()


def _sizes(text: str) -> Dict[str, int]:
    return {name: int(figure) * _KIB for name, figure in _SIZE.findall(text)}
