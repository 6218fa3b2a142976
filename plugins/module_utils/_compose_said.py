# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the compose files of a running project say now, file by file."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._compose_levers import Levers
from ansible_collections.synapse.tuning.plugins.module_utils._compose_project import Project
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import ComposeFile
from ansible_collections.synapse.tuning.plugins.module_utils._deps import RUAMEL_YAML
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document

__all__ = ["finds_by_itself", "read_compose_files"]

_SIZES = {
    "memory_limit": (("mem_limit",), ("deploy", "resources", "limits", "memory")),
    "memory_reservation": (("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
    "shm_size": (("shm_size",),),
}


def read_compose_files(
    made_from: Sequence[str], directory: str, services: Mapping[str, str], variables: Sequence[str]
) -> List[ComposeFile]:
    """The project's files in the order in which they win, the last one most.

    made_from: those that the containers were made from; an override file that came later
    is added. services: program (synapse, postgresql) to its service. variables: of Synapse's
    environment, to look for. A file that can't be read is left out: it can only explain.
    """
    if RUAMEL_YAML.missing:
        return []
    try:
        project: Optional[Project] = Project.find(project_dir=directory)
    except TuningError:
        project = None
    paths = list(made_from)
    if project is not None:
        known = {os.path.realpath(path) for path in paths}
        paths += [path for path in [project.path, *project.later_files] if os.path.realpath(path) not in known]
    found = []
    for path in paths:
        try:
            found.append(ComposeFile(path=path, said=_said(path, project, services, variables)))
        except TuningError:
            continue
    return found


def finds_by_itself(made_from: Sequence[str], directory: str) -> bool:
    """Whether Compose, run in the directory without -f, reads these files."""
    try:
        project = Project.find(project_dir=directory)
    except TuningError:
        return False
    known = {os.path.realpath(path) for path in project.all_files}
    return all(os.path.realpath(path) in known for path in made_from)


def _said(
    path: str, project: Optional[Project], services: Mapping[str, str], variables: Sequence[str]
) -> Dict[str, Dict[str, Any]]:
    resolve = project.resolve if project is not None else lambda value: value
    levers = Levers(
        Document.parse(_files.read_text(path), name=path), file=path, below={}, resolve=resolve, legacy_limits=False
    )
    said: Dict[str, Dict[str, Any]] = {}
    for program, service in services.items():
        found: Dict[str, Any] = {}
        for lever, places in _SIZES.items():
            values = [levers.current(service, *keys) for keys in places]
            found[lever] = next((resolve(value) for value in values if value is not None), None)
        environment = levers.environment(service)
        found.update({f"environment.{name}": resolve(environment.get(name)) for name in variables})
        if program == "postgresql":
            found.update({f"postgresql.{name}": value for name, value in levers.flags(service).items()})
        said[program] = {lever: value for lever, value in found.items() if value is not None}
    return said
