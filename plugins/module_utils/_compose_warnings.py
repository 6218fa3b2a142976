# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user should know about the services that are tuned, beyond the levers themselves."""

from __future__ import annotations

import os
from typing import Any, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_services as find
from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._compose_levers import Levers
from ansible_collections.synapse.tuning.plugins.module_utils._compose_project import Project, parse_dotenv
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, ServiceError, UnitError
from ansible_collections.synapse.tuning.plugins.module_utils._core.releases import release_warnings
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import compose_bytes

__all__ = ["hidden_parameters", "later_files", "service_warnings"]

# PostgreSQL's own default, where neither the command nor a file sets it.
_DEFAULT_MAX_CONNECTIONS = "100"


def later_files(project: Project, path: str) -> List[str]:
    """The files that Compose reads after C(path), which it is about to change."""
    later = project.later_files
    real = [os.path.realpath(file) for file in later]
    here = os.path.realpath(path)
    return later[real.index(here) + 1 :] if here in real else later


def service_warnings(
    services: Mapping[str, Any],
    levers: Levers,
    *,
    synapse: Optional[str],
    database: Optional[str],
    project: Project,
    followers: Sequence[str],
) -> List[str]:
    """One line each: releases, workers, limits that get in the way, other users of the database."""
    warnings: List[str] = []
    if synapse is not None:
        image = find.image_of(services, synapse, project.resolve)
        warnings += release_warnings(find.image_tag(image))
        warnings += _workers(services, synapse, project, followers)
        warnings += _env_files(services[synapse], synapse, levers, project)
    if database is not None:
        warnings += _connections(services, levers, synapse, database, project)
        warnings += _shared_memory(services[database], database, levers)
        warnings += _config_file(levers, database)
    for name in (synapse, database):
        if name is not None:
            warnings += _swap(levers, name, project)
    return warnings


def hidden_parameters(services: Mapping[str, Any], levers: Levers, *, database: Optional[str], path: str) -> List[str]:
    """What the main file's command sets and an override file's command, which replaces it, does not."""
    if database is None or levers.document.get(("services", database, "command")) is None:
        return []
    try:
        below = levers.flags_of(services[database].get("command"))
    except ServiceError:
        return []  # replaced as a whole
    ours = levers.flags(database)
    planned = {lever["lever"].partition(".")[2] for lever in levers.seen if lever["service"] == database}
    lost = [name for name, value in below.items() if name not in planned and ours.get(name) != value]
    if not lost:
        return []
    return [
        f"{path} replaces the command of service '{database}' and does not set {', '.join(lost)} as the main file does; "
        "add it there where it is still wanted"
    ]


def _lever(levers: Levers, service: str, name: str) -> Optional[Mapping[str, Any]]:
    return next((each for each in levers.seen if (each["service"], each["lever"]) == (service, name)), None)


def _workers(services: Mapping[str, Any], synapse: str, project: Project, followers: Sequence[str]) -> List[str]:
    names = [name for name in find.workers(services, synapse, project.resolve) if name not in followers]
    if not names:
        return []
    return [
        f"workers of '{synapse}' are left as they are ({', '.join(names)}): "
        "restart them after the run, as they read homeserver.yaml, too; "
        "give each the limits of one process, and plan with their number in workers (synapse_tuning_workers)"
    ]


def _env_files(service: Mapping[str, Any], name: str, levers: Levers, project: Project) -> List[str]:
    """A variable that should be absent may still come from an env_file, which is not ours to edit."""
    unwanted = [
        lever["lever"].partition(".")[2]
        for lever in levers.seen
        if lever["service"] == name and lever["lever"].startswith("environment.") and lever["planned"] is None
    ]
    found = service.get("env_file")
    entries = found if isinstance(found, list) else [found] if found else []
    warnings: List[str] = []
    for entry in entries:
        relative = entry.get("path") if isinstance(entry, Mapping) else entry
        path = os.path.join(os.path.dirname(project.path), str(project.resolve(relative)))
        try:
            variables = parse_dotenv(_files.read_text(path)) if os.path.isfile(path) else {}
        except FileProblem:
            continue  # Compose will say it; here it only would have been a hint
        found_there = [each for each in unwanted if each in variables]
        warnings += [f"{path} sets {each} for service '{name}'; remove it there" for each in found_there]
    return warnings


def _connections(
    services: Mapping[str, Any], levers: Levers, synapse: Optional[str], database: str, project: Project
) -> List[str]:
    lever = _lever(levers, database, "postgresql.max_connections")
    if lever is None or lever["planned"] is None or not lever["differs"]:
        return []
    # The levers' document is edited already: what was set before is in the lever.
    current = lever["current"] or _DEFAULT_MAX_CONNECTIONS
    ours = {synapse, database, *(find.workers(services, synapse, project.resolve) if synapse else ())}
    others = [name for name in services if name not in ours and database in find.dependencies(services[name])]
    if not others or not str(current).strip().isdigit() or int(current) <= int(lever["planned"]):
        return []
    return [
        f"max_connections of '{database}' goes from {current} to {lever['planned']}, and others use it "
        f"({', '.join(others)}): plan with the connections that those need "
        "in extra_connections (synapse_tuning_extra_connections)"
    ]


def _shared_memory(service: Mapping[str, Any], name: str, levers: Levers) -> List[str]:
    if _lever(levers, name, "shm_size") is None:
        return []
    if service.get("ipc") == "host":
        return [f"service '{name}' has 'ipc: host', so its shm_size has no effect; remove one of them"]
    tmpfs = service.get("tmpfs")
    mounts = [tmpfs] if isinstance(tmpfs, str) else tmpfs if isinstance(tmpfs, list) else []
    volumes = service.get("volumes")
    for volume in volumes if isinstance(volumes, list) else []:
        mounts = [*mounts, volume.get("target") if isinstance(volume, Mapping) else str(volume).partition(":")[2]]
    if any(str(mount).partition(":")[0].rstrip("/") == "/dev/shm" for mount in mounts):  # noqa: S108 - not ours to use
        return [f"service '{name}' mounts /dev/shm itself, so its shm_size has no effect; remove one of them"]
    return []


def _config_file(levers: Levers, database: str) -> List[str]:
    if not any(each["lever"].startswith("postgresql.") for each in levers.seen):
        return []
    path = levers.flags(database).get("config_file")
    if path is None:
        return []
    return [f"PostgreSQL's options in the command of '{database}' win over {path}; remove there what the plan sets"]


def _swap(levers: Levers, service: str, project: Project) -> List[str]:
    """Docker refuses a memswap_limit (memory plus swap) below the memory limit."""
    lever = _lever(levers, service, "memory_limit")
    swap = project.resolve(levers.current(service, "memswap_limit"))
    if lever is None or lever["planned"] is None or swap is None or str(swap).startswith("-"):
        return []
    try:
        too_small = 0 < compose_bytes(swap) < compose_bytes(lever["planned"])
    except UnitError:
        return []
    if not too_small:
        return []
    return [
        f"memswap_limit of service '{service}' ({swap}) is less than its memory limit ({lever['planned']}), "
        "which Docker refuses; raise or remove it"
    ]
