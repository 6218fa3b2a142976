# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container's memory: what the engine says of it, and its cgroup on this host."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._cgroups import Cgroup
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import ContainerMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.trouble import state_of
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Found
from ansible_collections.synapse.tuning.plugins.module_utils._procfs import Running, commands, running

__all__ = ["ContainerOnHost"]


class ContainerOnHost:
    """A container that runs on this host. Raises SourceError for one that does not run, or not here."""

    def __init__(self, container: Found, *, root: str = "/") -> None:
        if not container.running:
            raise SourceError(f"the container {container.name} {state_of(container.details)}; start it")
        self.found = container
        self._state: Any = container.details["State"]
        self._root = root
        self._cgroup = Cgroup(int(self._state.get("Pid") or 0), root=root)
        # The number may be that of another machine's process, and here of anything.
        if container.id not in self._cgroup.path:
            raise SourceError(f"the container {container.name} does not run on this host: run where its engine does")

    def held(self) -> int:
        """Anonymous and shared memory at this moment. Raises SourceError where it has ended."""
        return self._cgroup.memory().held

    def shared(self) -> Optional[int]:
        """The shared memory in it, counted once."""
        return self._cgroup.memory().shared

    def memory(self, *, held_peak: int = 0) -> ContainerMemory:
        """All of it. held_peak: the most that was seen before. Raises SourceError where it has ended."""
        seen = self._cgroup.memory()
        kills = seen.oom_kills
        if self._state.get("OOMKilled"):
            kills = max(kills or 0, 1)
        return ContainerMemory(
            name=self.found.name,
            limit=seen.limit,
            current=seen.current,
            working_set=seen.working_set,
            held=seen.held,
            held_peak=max(seen.held, held_peak),
            peak=seen.peak,
            swap=seen.swap,
            oom_kills=kills,
            limit_hits=seen.limit_hits,
            restarts=int(self.found.details.get("RestartCount") or 0),
            cpu_seconds=self._cgroup.cpu_seconds(),
        )

    def commands(self, wanted: Callable[[Sequence[str]], bool]) -> List[Tuple[str, ...]]:
        """The command lines of its processes, those that are wanted."""
        return list(commands(self._cgroup.processes(), wanted, root=self._root).values())

    def running(self, wanted: Callable[[Sequence[str]], bool]) -> List[Running]:
        """Its processes whose command line is wanted."""
        return running(self._cgroup.processes(), wanted, root=self._root)
