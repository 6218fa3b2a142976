# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Synapse and PostgreSQL run: in containers of this host, or as services of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Sequence, Tuple, TypeVar

from ansible_collections.synapse.tuning.plugins.module_utils._cgroups import cgroup_path
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_process import is_postgresql, is_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found
from ansible_collections.synapse.tuning.plugins.module_utils._find_containers import (
    find_database,
    find_synapse,
    find_workers,
)
from ansible_collections.synapse.tuning.plugins.module_utils._memory_container import ContainerOnHost
from ansible_collections.synapse.tuning.plugins.module_utils._procfs import Running, all_processes, running

__all__ = ["Missing", "Places", "Wanted", "attempt", "find_places"]

_T = TypeVar("_T")
Missing = Dict[str, str]
"""The name of a source to why it was not read."""


@dataclass(frozen=True)
class Wanted:
    """As C(_effective.Request) has it; where neither a project nor a container is named, the host's own processes are meant."""

    project_dir: Optional[str] = None
    synapse_service: Optional[str] = None
    db_service: Optional[str] = None
    synapse_container: Optional[str] = None
    db_container: Optional[str] = None


@dataclass(frozen=True)
class Places:
    """What was found, None and empty for nothing.

    synapse, postgresql: their containers, which may not run; workers: further ones of Synapse. There they run:
    synapse_here, postgresql_here, workers_here. on_host: C(synapse) and C(postgresql) where they have no containers.
    """

    engine: Optional[Containers]
    all: Tuple[Found, ...] = ()
    synapse: Optional[Found] = None
    postgresql: Optional[Found] = None
    synapse_here: Optional[ContainerOnHost] = None
    postgresql_here: Optional[ContainerOnHost] = None
    workers_here: Tuple[ContainerOnHost, ...] = ()
    on_host: Tuple[str, ...] = ()
    root: str = "/"

    def of_synapse(self) -> List[Tuple[ContainerOnHost, List[Running]]]:
        """The processes of Synapse in each of its containers."""
        here = [*([self.synapse_here] if self.synapse_here else []), *self.workers_here]
        return [(each, each.running(is_synapse)) for each in here]

    def of_postgresql(self) -> List[Running]:
        """The processes of PostgreSQL."""
        if self.postgresql_here is not None:
            return self.postgresql_here.running(is_postgresql)
        return self.host_processes(is_postgresql) if "postgresql" in self.on_host else []

    def postgresql_titles(self) -> List[Tuple[str, ...]]:
        """The command lines of those, which is less to read."""
        if self.postgresql_here is not None:
            return self.postgresql_here.commands(is_postgresql)
        return [each.arguments for each in self.of_postgresql()]

    def host_processes(self, wanted: Callable[[Sequence[str]], bool]) -> List[Running]:
        """Those on the host that are in no container."""
        found = running(all_processes(root=self.root), wanted, root=self.root)
        return [each for each in found if not each.figures.contained]

    def kernel_names(self) -> Dict[str, str]:
        """What in the path of a memory cgroup tells that a process was one of theirs, to its name."""
        containers = [self.synapse, self.postgresql, *(each.found for each in self.workers_here)]
        names = {each.id: each.name for each in containers if each is not None}
        for program, wanted in (("synapse", is_synapse), ("postgresql", is_postgresql)):
            for process in self.host_processes(wanted) if program in self.on_host else ():
                path = attempt({}, "", lambda pid=process.pid: cgroup_path(pid, root=self.root))
                if path and path != "/":
                    names.setdefault(path, path.rpartition("/")[2])
        return names


def attempt(missing: Missing, name: str, action: Callable[[], _T]) -> Optional[_T]:
    """What the action gives; None where it does not, and why under this name."""
    try:
        return action()
    except TuningError as error:
        missing[name] = str(error)
        return None


def find_places(
    wanted: Wanted,
    missing: Missing,
    *,
    connect: Callable[[], Containers],
    logs_in: bool = False,
    local: bool = True,
    root: str = "/",
) -> Places:
    """Find them. Raises nothing: what is not found is named in C(missing).

    logs_in: whether PostgreSQL is asked by a login, and local: whether that is one of this host.
    """
    in_project = wanted.project_dir is not None
    inside = {
        "synapse": in_project or wanted.synapse_container is not None,
        "postgresql": in_project or wanted.db_container is not None,
    }
    for program in (name for name, each in inside.items() if not each):
        missing[program] = "no container was asked for: give project_dir or the container's name where it has one"
    engine = attempt(missing, "engine", connect) if any(inside.values()) else None
    there = None if engine is None else attempt(missing, "engine", engine.all)
    if there is None:
        missing.update({program: missing["engine"] for program, each in inside.items() if each})
    synapse = _synapse(there, wanted, missing) if there is not None and inside["synapse"] else None
    database = _database(there, wanted, missing) if there is not None and inside["postgresql"] else None
    # A project may well have its database beside it on the host.
    beside = there is not None and database is None and logs_in and not (wanted.db_container or wanted.db_service)
    on_host = {"synapse": not inside["synapse"], "postgresql": local and (beside or not inside["postgresql"])}
    workers = find_workers(there, synapse) if there and synapse else []
    workers_here = [attempt(missing, f"worker {each.name}", lambda one=each: _here(one, root)) for each in workers]
    return Places(
        engine=None if there is None else engine,
        all=tuple(there or ()),
        synapse=synapse,
        postgresql=database,
        synapse_here=None if synapse is None else attempt(missing, "synapse", lambda: _here(synapse, root)),
        postgresql_here=None if database is None else attempt(missing, "postgresql", lambda: _here(database, root)),
        workers_here=tuple(each for each in workers_here if each is not None),
        on_host=tuple(program for program, each in on_host.items() if each),
        root=root,
    )


def _synapse(there: Sequence[Found], wanted: Wanted, missing: Missing) -> Optional[Found]:
    def find() -> Found:
        return find_synapse(
            there, name=wanted.synapse_container, project_dir=wanted.project_dir, service=wanted.synapse_service
        )

    return attempt(missing, "synapse", find)


def _database(there: Sequence[Found], wanted: Wanted, missing: Missing) -> Optional[Found]:
    def find() -> Found:
        return find_database(
            there,
            name=wanted.db_container,
            project_dir=wanted.project_dir,
            service=wanted.db_service,
            synapse_service=wanted.synapse_service,
        )

    return attempt(missing, "postgresql", find)


def _here(container: Found, root: str) -> ContainerOnHost:
    try:
        return ContainerOnHost(container, root=root)
    except (KeyError, ValueError) as error:
        raise SourceError(f"the Docker Engine does not say where {container.name} runs ({error})") from error
