# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroup of a container by the process that it started with: its memory, its processor time, its processes.

Versions 1 and 2, below C(docker/) and below a slice of systemd's alike. Every path stands below C(root), so that tests can lay
out a machine of their own.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Dict, List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_cgroup import (
    FILES,
    CgroupMemory,
    cgroup_memory,
)

__all__ = ["Cgroup", "cgroup_path"]


@dataclass(frozen=True)
class _Place:
    """A directory, and the version of cgroups that it is of."""

    directory: str
    version: int


class Cgroup:
    """The cgroup that a process is in. Raises SourceError where it is not to be seen from here."""

    def __init__(self, pid: int, *, root: str = "/") -> None:
        self._paths = _paths(pid, root)
        mount = os.path.join(root, "sys/fs/cgroup")
        self._memory = self._place(mount, "memory")
        if self._memory is None:
            path = self.path or "none"
            raise SourceError(
                f"the memory cgroup of process {pid} ({path}) is not below {mount}: run on the host itself"
            )
        self._cpu = self._place(mount, "cpuacct")

    @property
    def path(self) -> str:
        """Its path among the memory cgroups, as the kernel's log has it."""
        return _path(self._paths)

    def memory(self) -> CgroupMemory:
        """What it holds now. Raises SourceError where it has ended, or may not be read."""
        place = self._memory
        texts = {what: _text(os.path.join(place.directory, name)) for what, name in FILES[place.version].items()}
        found = cgroup_memory(place.version, {what: text for what, text in texts.items() if text is not None})
        if found is None:
            raise SourceError(f"{place.directory} can't be read: the container has ended, or run with become")
        return found

    def cpu_seconds(self) -> Optional[float]:
        """The processor time that it has taken; None where that is not accounted for."""
        if self._cpu is None:
            return None
        if self._cpu.version == 1:
            text = _text(os.path.join(self._cpu.directory, "cpuacct.usage"))
            return int(text) / 1e9 if text else None
        for line in (_text(os.path.join(self._cpu.directory, "cpu.stat")) or "").splitlines():
            name, _space, figure = line.partition(" ")
            if name == "usage_usec":
                return int(figure) / 1e6
        return None

    def processes(self) -> List[int]:
        """Its processes and those of the cgroups below it, by their numbers on this host."""
        found = []
        for directory, _directories, names in os.walk(self._memory.directory):
            if "cgroup.procs" in names:
                # A cgroup of threads says nothing here; its processes are in the one above it.
                found += [int(each) for each in (_text(os.path.join(directory, "cgroup.procs")) or "").split()]
        return sorted(set(found))

    def _place(self, mount: str, controller: str) -> Optional[_Place]:
        if controller in self._paths:
            place = _Place(os.path.join(mount, controller, self._paths[controller].strip("/")), 1)
        else:
            place = _Place(os.path.join(mount, self._paths.get("", "").strip("/")), 2)
        return place if os.path.isdir(place.directory) else None


def cgroup_path(pid: int, *, root: str = "/") -> str:
    """The path of a process's memory cgroup, also where that can't be read. Raises SourceError."""
    return _path(_paths(pid, root))


def _paths(pid: int, root: str) -> Dict[str, str]:
    """Controller to path; version 2 has the empty controller."""
    path = os.path.join(root, f"proc/{pid}/cgroup")
    text = _text(path)
    if not text:
        raise SourceError(f"{path} can't be read: process {pid} is not one of this host's, or has ended")
    paths = {}
    for line in text.splitlines():
        _number, controllers, each = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = each
    return paths


def _path(paths: Dict[str, str]) -> str:
    return paths.get("memory", paths.get("", ""))


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None
