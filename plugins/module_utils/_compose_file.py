# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply a plan to a Compose project: read its files, change one text, say what it means.

C(prepare) reads and thinks, C(write) writes: check mode leaves out the latter only.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _files
from ansible_collections.synapse.tuning.plugins.module_utils import _compose_services as find
from ansible_collections.synapse.tuning.plugins.module_utils._compose_levers import Levers, as_text
from ansible_collections.synapse.tuning.plugins.module_utils._compose_project import Project
from ansible_collections.synapse.tuning.plugins.module_utils._compose_warnings import (
    hidden_parameters,
    later_files,
    service_warnings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, PlanError, ServiceError
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document, mask

__all__ = ["Change", "Request", "prepare", "write"]

# Traefik's basicauth.users and digestauth.users hold password hashes.
_SECRET_LABELS = ("users",)

_HEADER = """\
# The tuning of {services}, made by synapse.tuning from its plan.
# Compose merges this file over {base}; a later run edits the values in place.
"""


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    plan: as plan_info returns it; project_dir or path: where the project is;
    override: write the override file, not the main one; dropin: make Synapse
    load its drop-in; synapse_service, db_service: names, None to find them.
    """

    plan: Mapping[str, Any]
    project_dir: Optional[str] = None
    path: Optional[str] = None
    override: bool = False
    dropin: bool = False
    synapse_service: Optional[str] = None
    db_service: Optional[str] = None


@dataclass(frozen=True)
class Change:
    """What is to be done to one file.

    path: the file; before: its text, None where it does not exist; after: the
    text it should have; base: the project's main file. The other fields are the
    module's return values of the same names.
    """

    path: str
    before: Optional[str]
    after: str
    base: str
    synapse_service: Optional[str]
    db_service: Optional[str]
    images: Mapping[str, str]
    levers: Tuple[Mapping[str, Any], ...]
    restarts: Tuple[Mapping[str, Any], ...]
    warnings: Tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.after != (self.before or "")

    def diff(self) -> Dict[str, str]:
        """The change for C(--diff), secrets masked."""
        before = mask(self.before or "", _SECRET_LABELS)
        return {
            "before": before,
            "after": mask(self.after, _SECRET_LABELS) if self.changed else before,
            "before_header": self.path,
            "after_header": self.path,
        }


@dataclass(frozen=True)
class _Plan:
    """The plan's parts for a Compose file; None for a program that it does not hold."""

    synapse: Optional[Mapping[str, Any]]
    postgresql: Optional[Mapping[str, Any]]
    environment: Mapping[str, Optional[str]]
    parameters: Mapping[str, Optional[str]]
    has_homeserver: bool

    @classmethod
    def read(cls, plan: Mapping[str, Any]) -> _Plan:
        advice = "pass the value 'plan' that synapse.tuning.plan_info returns"
        if plan.get("schema_version") != 1:
            raise PlanError(f"the plan has schema_version {plan.get('schema_version')!r}, not 1; {advice}")
        try:
            compose = plan["compose"]
            synapse, postgresql = dict(compose["synapse"]), dict(compose["postgresql"])
            _values({name: setting for name, setting in synapse.items() if name != "environment"})
            _values(postgresql)
            return cls(
                synapse=synapse or None,
                postgresql=postgresql or None,
                environment=_values(synapse.get("environment", {})),
                parameters=_values(plan["postgresql"]),
                has_homeserver=bool(plan["homeserver"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(f"the plan is incomplete ({type(error).__name__}: {error}); {advice}") from error


def _values(settings: Mapping[str, Any]) -> Dict[str, Optional[str]]:
    return {name: None if setting["value"] is None else as_text(setting["value"]) for name, setting in settings.items()}


def prepare(request: Request) -> Change:
    """Work out the change; reads files, writes none.

    Raises TuningError: no such file, YAML that cannot be read, a service not
    found or found twice, a command that cannot be edited, not a plan.
    """
    plan = _Plan.read(request.plan)
    project = Project.find(project_dir=request.project_dir, path=request.path)
    main = Document.parse(_files.read_text(project.path), name=project.path)
    services = _services(main, project.path)
    synapse, database = _find(request, plan, services, project)

    path = project.override_path if request.override else project.path
    before = _override_text(path) if request.override else main.text
    text = before if before is not None else _header(project, synapse, database)
    levers = Levers(
        Document.parse(text, name=path),
        file=path,
        below=services if request.override else {},
        resolve=project.resolve,
        legacy_limits=str(main.get(("version",), "")).startswith("2"),
    )
    followers = _apply(levers, plan, synapse, database, dropin=request.dropin)
    # A new override file that would say nothing is not made.
    after = levers.document.text if before is not None or levers.document.data else ""
    warnings = [
        *levers.notes,
        *service_warnings(
            services,
            levers,
            synapse=synapse,
            database=database,
            project=project,
            followers=[name for names in followers.values() for name in names],
        ),
        *(hidden_parameters(services, levers, database=database, path=path) if request.override else ()),
        *_follower_warnings(followers),
        *_reading_warnings(project, path),
    ]
    for file in later_files(project, path):
        warnings += _conflicts(file, project, plan, synapse, database, path)
    return Change(
        path=path,
        before=before,
        after=after,
        base=project.path,
        synapse_service=synapse,
        db_service=database,
        images={
            program: find.image_of(services, service, project.resolve)
            for program, service in (("synapse", synapse), ("postgresql", database))
            if service is not None
        },
        levers=tuple(levers.seen),
        restarts=tuple(_restarts(levers.seen, followers)),
        warnings=tuple(dict.fromkeys(warnings)),
    )


def write(change: Change, *, keep: _backups.Keep) -> _backups.Written:
    """Write the change, and keep what was there before.

    Raises FileProblem with the file as it was.
    """
    if change.before is not None:
        return _backups.replace(change.path, change.after, keep=keep)
    try:
        like = os.stat(change.base)
    except OSError as error:
        raise FileProblem(
            f"{change.base}: cannot be read: {error.strerror}; run as its owner or with become"
        ) from error
    return _backups.create(
        change.path, change.after, mode=stat.S_IMODE(like.st_mode), owner=like.st_uid, group=like.st_gid, keep=keep
    )


def _services(document: Document, path: str) -> Mapping[str, Any]:
    services = document.get(("services",))
    if not isinstance(services, Mapping) or not services:
        other = "name one that it includes" if document.has(("include",)) else "name another"
        raise ServiceError(f"{path}: it has no services; correct the file, or {other} with path")
    return services


def _find(
    request: Request, plan: _Plan, services: Mapping[str, Any], project: Project
) -> Tuple[Optional[str], Optional[str]]:
    synapse = database = None
    if plan.synapse is not None:
        synapse = find.find_synapse(services, named=request.synapse_service, resolve=project.resolve, file=project.path)
    if plan.postgresql is not None:
        database = find.find_database(
            services, synapse=synapse, named=request.db_service, resolve=project.resolve, file=project.path
        )
    if synapse is not None and synapse == database:
        raise ServiceError(f"{project.path}: synapse_service and db_service both name '{synapse}'; correct one of them")
    for name in (synapse, database):
        if name is not None and not isinstance(services[name], Mapping):
            raise ServiceError(f"{project.path}: the service '{name}' is empty; complete it, or name another service")
    return synapse, database


def _override_text(path: str) -> Optional[str]:
    return _files.read_text(path) if os.path.lexists(path) else None


def _header(project: Project, synapse: Optional[str], database: Optional[str]) -> str:
    names = " and ".join(f"'{name}'" for name in (synapse, database) if name is not None)
    return _HEADER.format(services=names, base=os.path.basename(project.path))


def _apply(
    levers: Levers, plan: _Plan, synapse: Optional[str], database: Optional[str], *, dropin: bool
) -> Dict[str, List[str]]:
    """Set all levers; for each tuned service, the others whose data followed an edit of it."""
    followers: Dict[str, List[str]] = {}
    if synapse is not None and plan.synapse is not None:
        before = levers.document.get(("services",), {})
        levers.set_limits(synapse, plan.synapse)
        for name, value in plan.environment.items():
            levers.set_environment(synapse, name, value)
        if dropin and plan.has_homeserver:
            levers.set_dropin(synapse)
        followers[synapse] = _followers(before, levers.document, synapse, own=(synapse, database))
    if database is not None and plan.postgresql is not None:
        before = levers.document.get(("services",), {})
        levers.set_limits(database, plan.postgresql)
        levers.set_shm_size(database, plan.postgresql)
        levers.set_parameters(database, plan.parameters)
        followers[database] = _followers(before, levers.document, database, own=(synapse, database))
    return followers


def _followers(before: Any, document: Document, tuned: str, *, own: Tuple[Optional[str], ...]) -> List[str]:
    """The other services that an anchor or C(extends) makes part of an edit of the tuned one."""
    after = document.get(("services",), {})
    if not isinstance(before, Mapping) or before == after:
        return []
    extending = [name for name in after if find.extended(after[name]) == tuned]
    return [name for name in before if name not in own and (before[name] != after[name] or name in extending)]


def _follower_warnings(followers: Mapping[str, List[str]]) -> List[str]:
    return [
        f"{', '.join(names)}: shares settings with service '{tuned}' (by an anchor or extends) and changes with it; "
        "write them out there where that is wrong"
        for tuned, names in followers.items()
        if names
    ]


def _restarts(seen: List[Dict[str, Any]], followers: Mapping[str, List[str]]) -> List[Dict[str, Any]]:
    because: Dict[str, List[str]] = {}
    for lever in seen:
        if lever["differs"]:
            for name in (lever["service"], *followers.get(lever["service"], [])):
                because.setdefault(name, []).append(lever["lever"])
    return [{"service": name, "action": "recreate", "because": levers} for name, levers in because.items()]


def _reading_warnings(project: Project, path: str) -> List[str]:
    if project.reads(path):
        return []
    if project.listed is not None:
        return [f"COMPOSE_FILE in .env does not list {path}, so Compose will not read it; add it there"]
    if path != project.path:
        return [f"Compose reads {path} only when told to: docker compose -f {project.path} -f {path} up -d"]
    return []


def _conflicts(
    file: str, project: Project, plan: _Plan, synapse: Optional[str], database: Optional[str], path: str
) -> List[str]:
    """Say what a file that Compose reads later sets otherwise: there it wins."""
    document = Document.parse(_files.read_text(file), name=file)
    levers = Levers(document, file=file, below={}, resolve=project.resolve, legacy_limits=False)
    try:
        present = {
            name for name in (synapse, database) if name and isinstance(document.get(("services", name)), Mapping)
        }
        # Only a command that is there replaces the one before.
        commands = {name for name in present if document.get(("services", name, "command")) is not None}
        _apply(
            levers,
            plan,
            synapse if synapse in present else None,
            database if database in present else None,
            dropin=False,
        )
        winning = [
            lever
            for lever in levers.seen
            if lever["differs"]
            and (
                lever["current"] is not None
                or (lever["lever"].startswith("postgresql.") and lever["service"] in commands)
            )
        ]
    except ServiceError:
        return [f"{file} replaces the command of service '{database}' and wins over {path}; remove it there"]
    by_service: Dict[str, List[str]] = {}
    for lever in winning:
        by_service.setdefault(lever["service"], []).append(lever["lever"])
    return [
        f"{file} sets {', '.join(names)} of service '{name}' and wins over {path}; "
        "remove that there, or use mode override"
        for name, names in by_service.items()
    ]
