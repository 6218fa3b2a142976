# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a running deployment by all of its sources; one that can't be read is a C(Missing)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, TypeVar, Union

from ansible_collections.synapse.tuning.plugins.module_utils._compose_said import finds_by_itself, read_compose_files
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective import planned_values, planned_variables
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    ComposeFile,
    Configuration,
    Container,
    Database,
    Metrics,
    Missing,
    Process,
    Readings,
    RunningProject,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.trouble import Trouble, state_of, telling_line
from ansible_collections.synapse.tuning.plugins.module_utils._cron import read_cron
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Engine, Found
from ansible_collections.synapse.tuning.plugins.module_utils._effective_postgresql import (
    InContainer,
    Server,
    read_database,
)
from ansible_collections.synapse.tuning.plugins.module_utils._find_containers import find_database, find_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login, logged_in
from ansible_collections.synapse.tuning.plugins.module_utils._metrics import metrics_of, read_metrics
from ansible_collections.synapse.tuning.plugins.module_utils._metrics_container import container_samples
from ansible_collections.synapse.tuning.plugins.module_utils._shm import dev_shm
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess

__all__ = ["Request", "read"]

_T = TypeVar("_T")


@dataclass(frozen=True)
class Request:
    """What to read, and where.

    plan: as plan_info returns it, None to judge no lever. project_dir: the Compose project's; synapse_service,
    db_service: its services, None to find them; synapse_container, db_container: names
    that win over them. login: None to ask in the container, database: which one there, None for the one it
    was made with. cron_file: None to leave the
    compressor out. timeout: seconds for each answer.
    """

    plan: Optional[Mapping[str, Any]]
    project_dir: Optional[str] = None
    synapse_service: Optional[str] = None
    db_service: Optional[str] = None
    synapse_container: Optional[str] = None
    db_container: Optional[str] = None
    docker_host: Optional[str] = None
    metrics_url: Optional[str] = None
    login: Optional[Login] = None
    database: Optional[str] = None
    cron_file: Optional[str] = None
    timeout: float = 30


def read(request: Request, *, connect: Callable[..., Containers] = Engine) -> Readings:
    """Read all sources. Raises PlanError for what is no plan, and nothing else.

    connect: makes the container engine; tests have another.
    """
    values = {} if request.plan is None else planned_values(request.plan)
    variables = [] if request.plan is None else planned_variables(request.plan)
    engine = _attempt(lambda: connect(host=request.docker_host, timeout=request.timeout))
    there = engine if isinstance(engine, Missing) else _attempt(engine.all)
    found = _both(request, there)
    synapse, postgresql = found["synapse"], found["postgresql"]
    process = _with(engine, synapse, SynapseProcess)
    configuration = process if isinstance(process, Missing) else _attempt(process.configuration)
    return Readings(
        metrics=_metrics(request, process, configuration, () if isinstance(there, Missing) else there),
        configuration=configuration,
        process=process if isinstance(process, Missing) else _attempt(lambda: _process(process, variables)),
        synapse=_with(engine, synapse, lambda _engine, one: _container(one, variables, None)),
        postgresql=_with(engine, postgresql, lambda one, other: _container(other, (), _dev_shm(one, other))),
        database=_database(request, engine, postgresql, values),
        compose_files=tuple(_compose_files(found, variables)),
        cron=_cron(request),
        project=_project(found),
        engine=engine if isinstance(engine, Missing) else None,
        trouble=() if isinstance(engine, Missing) else tuple(_trouble(engine, found.values())),
    )


def _attempt(action: Callable[[], _T]) -> Union[_T, Missing]:
    try:
        return action()
    except TuningError as error:
        return Missing(str(error))


def _with(
    engine: Union[Containers, Missing],
    container: Union[Found, Missing],
    action: Callable[[Containers, Found], _T],
) -> Union[_T, Missing]:
    if isinstance(engine, Missing):
        return engine
    if isinstance(container, Missing):
        return container
    one, other = engine, container
    return _attempt(lambda: action(one, other))


def _process(process: SynapseProcess, variables: Iterable[str]) -> Process:
    return process.process(variables)


def _metrics(
    request: Request,
    process: Union[SynapseProcess, Missing],
    configuration: Union[Configuration, Missing],
    there: Sequence[Found],
) -> Union[Metrics, Missing]:
    given = request.metrics_url
    if given:
        return _attempt(lambda: read_metrics(given, timeout=request.timeout))
    if isinstance(process, Missing):
        return process
    if isinstance(configuration, Missing):
        return configuration
    one, configured = process, configuration
    return _attempt(lambda: metrics_of(container_samples(one, configured, there, timeout=request.timeout)))


def _cron(request: Request) -> Any:
    path = request.cron_file
    return None if not path else _attempt(lambda: read_cron(path))


# -- containers ----------------------------------------------------------------------
def _both(request: Request, containers: Union[Sequence[Found], Missing]) -> Dict[str, Union[Found, Missing]]:
    """The containers of Synapse and of PostgreSQL."""
    if isinstance(containers, Missing):
        return {"synapse": containers, "postgresql": containers}
    there: Sequence[Found] = containers
    return {
        "synapse": _attempt(
            lambda: find_synapse(
                there,
                name=request.synapse_container,
                project_dir=request.project_dir,
                service=request.synapse_service,
            )
        ),
        "postgresql": _attempt(
            lambda: find_database(
                there,
                name=request.db_container,
                project_dir=request.project_dir,
                service=request.db_service,
                synapse_service=request.synapse_service,
            )
        ),
    }


def _container(container: Found, variables: Iterable[str], dev_shm: Optional[int]) -> Container:
    limits = container.details["HostConfig"]
    environment = container.environment
    return Container(
        name=container.name,
        image=str(container.details["Config"]["Image"]),
        memory_limit=int(limits.get("Memory") or 0),
        memory_reservation=int(limits.get("MemoryReservation") or 0),
        shm_size=int(limits.get("ShmSize") or 0),
        dev_shm=dev_shm,
        environment={name: environment[name] for name in variables if name in environment},
    )


def _trouble(engine: Containers, containers: Iterable[Union[Found, Missing]]) -> Iterator[Trouble]:
    for each in containers:
        state = state_of(each.details) if isinstance(each, Found) else None
        if isinstance(each, Found) and state is not None:
            log = _attempt(partial(engine.log, each.id))
            yield Trouble(each.name, each.service, state, "" if isinstance(log, Missing) else telling_line(log))


def _dev_shm(engine: Containers, container: Found) -> Optional[int]:
    """The size of /dev/shm inside, None where it can't be read."""
    try:
        return dev_shm(engine, container).size
    except TuningError:
        return None


def _composed(found: Mapping[str, Union[Found, Missing]]) -> Dict[str, Found]:
    """Those that Compose has made, of one project."""
    there = {name: each for name, each in found.items() if isinstance(each, Found) and each.service}
    first = next(iter(there.values()), None)
    return {name: each for name, each in there.items() if first and each.working_dir == first.working_dir}


def _compose_files(found: Mapping[str, Union[Found, Missing]], variables: Sequence[str]) -> List[ComposeFile]:
    composed = _composed(found)
    if not composed:
        return []
    first = next(iter(composed.values()))
    services = {name: each.service for name, each in composed.items()}
    return read_compose_files(first.config_files, first.working_dir, services, variables)


def _project(found: Mapping[str, Union[Found, Missing]]) -> Optional[RunningProject]:
    composed = _composed(found)
    if not composed:
        return None
    first = next(iter(composed.values()))
    # An override file that was put back is there no more, though the containers were made from it.
    files = tuple(path for path in first.config_files if os.path.exists(os.path.join(first.working_dir, path)))
    return RunningProject(
        name=first.project,
        files=None if finds_by_itself(files, first.working_dir) else files,
        services={name: each.service for name, each in composed.items()},
    )


# -- PostgreSQL -----------------------------------------------------------------------
def _database(
    request: Request, engine: Union[Containers, Missing], container: Union[Found, Missing], values: Mapping[str, Any]
) -> Union[Database, Missing]:
    def ask(server: Server) -> Database:
        return read_database(server, values.get("postgresql", ()), values.get("tables", ()))

    login = request.login
    if login is not None:
        return _attempt(lambda: logged_in(login, ask))
    return _with(engine, container, lambda one, other: ask(InContainer(one, other, request.database)))
