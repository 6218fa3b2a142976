# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of an engine's containers are Synapse's and its PostgreSQL's."""

from __future__ import annotations

from typing import Any, Callable, List, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_services as services
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError, SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Found, by_name, of_project, service_data

__all__ = ["find_database", "find_synapse", "find_workers"]


def find_synapse(
    containers: Sequence[Found], *, name: Optional[str], project_dir: Optional[str], service: Optional[str]
) -> Found:
    """By the container's name, or in a Compose project by its service or its image.

    Raises SourceError and ServiceError where there is none.
    """
    if name:
        return by_name(containers, name)
    return _of_project(containers, project_dir, lambda project: _synapse_service(project, project_dir, service))


def find_database(
    containers: Sequence[Found],
    *,
    name: Optional[str],
    project_dir: Optional[str],
    service: Optional[str],
    synapse_service: Optional[str] = None,
) -> Found:
    """As find_synapse; of several databases the one that Synapse's service depends on."""
    if name:
        return by_name(containers, name)

    def database_service(project: Sequence[Found]) -> str:
        try:
            synapse: Optional[str] = _synapse_service(project, project_dir, synapse_service)
        except ServiceError:
            synapse = None
        return services.find_database(
            service_data(project), synapse=synapse, named=service, resolve=_as_it_is, file=str(project_dir)
        )

    return _of_project(containers, project_dir, database_service)


def find_workers(containers: Sequence[Found], synapse: Found) -> List[Found]:
    """The containers in which workers of the same Synapse run, of its Compose project and as their images say."""
    project = [each for each in of_project(containers, synapse.working_dir) if each.running] if synapse.service else []
    names = services.workers(service_data(project), synapse.service, _as_it_is)
    return [each for each in project if each.service in names]


def _synapse_service(project: Sequence[Found], project_dir: Optional[str], service: Optional[str]) -> str:
    return services.find_synapse(service_data(project), named=service, resolve=_as_it_is, file=str(project_dir))


def _of_project(
    containers: Sequence[Found], project_dir: Optional[str], service: Callable[[Sequence[Found]], str]
) -> Found:
    if not project_dir:
        raise SourceError("give project_dir, or the container's name")
    project = of_project(containers, project_dir)
    if not project:
        raise SourceError(f"no container is of the Compose project in {project_dir}; start it")
    name = service(project)
    return next(each for each in project if each.service == name)


def _as_it_is(value: Any) -> Any:
    return value
