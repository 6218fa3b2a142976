# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This host's processes and its memory, by procfs. Every path stands below C(root), so that tests can lay out their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Callable, Dict, Iterable, List, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _host
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import HostMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_process import Figures, process_figures

__all__ = ["Running", "all_processes", "commands", "host_memory", "running"]

_KIB = 1024


@dataclass(frozen=True)
class Running:
    """A process: its number on this host, its command line, and what it holds."""

    pid: int
    arguments: Tuple[str, ...]
    figures: Figures


def all_processes(*, root: str = "/") -> List[int]:
    """The numbers of all of this host's processes."""
    return sorted(int(name) for name in os.listdir(os.path.join(root, "proc")) if name.isdigit())


def commands(
    pids: Iterable[int], wanted: Callable[[Sequence[str]], bool], *, root: str = "/"
) -> Dict[int, Tuple[str, ...]]:
    """The command lines of those processes whose is wanted, by their numbers."""
    found = {}
    for pid in pids:
        # Some write theirs anew, as one text, and leave zeros behind it.
        arguments = tuple(_text(root, f"proc/{pid}/cmdline").rstrip("\0 ").split("\0"))
        if arguments != ("",) and wanted(arguments):
            found[pid] = arguments
    return found


def running(pids: Iterable[int], wanted: Callable[[Sequence[str]], bool], *, root: str = "/") -> List[Running]:
    """Those of the processes whose command line is wanted. What may not be read of them is None."""
    found = []
    host = {"uptime": _text(root, "proc/uptime")}
    for pid, arguments in commands(pids, wanted, root=root).items():
        texts = {name: _text(root, f"proc/{pid}/{name}") for name in ("status", "smaps_rollup", "stat")}
        figures = process_figures({**texts, **host}, ticks=os.sysconf("SC_CLK_TCK"))
        # One that has ended meanwhile holds nothing.
        if figures.rss is not None:
            found.append(Running(pid, arguments, figures))
    return found


def host_memory(*, root: str = "/") -> HostMemory:
    """The host's memory. Raises FileProblem where it can't be read."""
    seen = _host.observe(root)
    memory = _figures(_text(root, "proc/meminfo"))
    swap = memory.get("SwapTotal", 0)
    available = memory.get("MemAvailable", memory.get("MemFree"))
    return HostMemory(
        ram=seen.ram,
        total=memory["MemTotal"] * _KIB,
        available=None if available is None else available * _KIB,
        swap_total=swap * _KIB,
        swap_used=(swap - memory.get("SwapFree", swap)) * _KIB,
        cpus=seen.cpus,
        oom_kills=_figures(_text(root, "proc/vmstat")).get("oom_kill"),
    )


def _figures(text: str) -> Dict[str, int]:
    """C(name figure) or C(name: figure kB), one a line."""
    pairs = [line.replace(":", " ").split() for line in text.splitlines()]
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) > 1 and pair[1].isdigit()}


def _text(root: str, name: str) -> str:
    """Empty where it can't be read: gone, or not ours to see."""
    try:
        with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
