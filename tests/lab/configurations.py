# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab compares side by side: configurations of one and the same server.

Each is written into the files of a deployment that was created and not started yet. The images, the ports, the secrets
and the volumes stay; so does every line that the configuration says nothing of. None of them removes data of Synapse's.
"""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))
# Last, so first: its conftest makes a folder whose ansible_collections has this checkout.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import conftest  # noqa: F401 pylint: disable=unused-import
import peers
import play
from deployment import Deployment

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document

__all__ = ["CONFIGURATIONS", "ConfigurationError", "apply", "write"]

CONFIGURATIONS: tuple[str, ...] = ("stock", "article", "mdad", "pgtune", "ours", "learned")

POSTGRESQL_VERSION = 15  # of the test stack's image

_SERVICES = {"synapse": "synapse", "postgresql": "db"}


class ConfigurationError(Exception):
    """One line that says why a configuration can't be written, and what to do."""


@dataclasses.dataclass(frozen=True)
class _Host:
    """What a configuration may depend on: bytes of RAM, processors, users, and a measurement."""

    ram: int
    cpus: int
    users: int
    measured: dict[str, Any] | None
    allow_large_joins: bool


def apply(
    name: str,
    project: Deployment,
    *,
    ram: int,
    cpus: int,
    users: int,
    measured: dict[str, Any] | None = None,
    allow_large_joins: bool = False,
) -> dict[str, Any]:
    """Write a configuration into a deployment that is not started yet; return what it decided, for the record.

    ram: the host's, in bytes; measured: what memory_info measured, for C(learned) alone; allow_large_joins: take out
    C(limit_remote_rooms) again, where ours plans it: the lab's rooms are larger than what it lets in.

    The files decide all but one thing: what ours plans for tables (C(tables)) only a running PostgreSQL can be given.

    :returns: JSON data: C(environment) and C(homeserver), C(compose) by service, C(postgresql) (parameters) of what was
        set; of ours the values of the C(plan), and C(dropped): dotted paths of homeserver.yaml that the lab took out again.
    :raises ConfigurationError: there is no such configuration, or nothing to learn from.
    """
    if name not in _WRITERS:
        raise ConfigurationError(f"there is no configuration {name}; there are {', '.join(CONFIGURATIONS)}")
    given = _Host(ram=ram, cpus=cpus, users=users, measured=measured, allow_large_joins=allow_large_joins)
    return _WRITERS[name](project, given)


# --- others ---------------------------------------------------------------------------------------


def _stock(_project: Deployment, _given: _Host) -> dict[str, Any]:
    return {}


def _article(project: Deployment, _given: _Host) -> dict[str, Any]:
    """All of its methods that are settings, as written: a cache of the name get_event_cache does not exist."""
    factors = {"get_users_in_room": 0.5, "get_event_cache": 0.3}
    memory = {"limits": {"memory": "1G"}, "reservations": {"memory": "512M"}}
    return write(
        project,
        environment={"SYNAPSE_CACHE_FACTOR": "0.2"},
        homeserver={"caches": {"global_factor": 0.2, "per_cache_factors": factors}},
        compose={"synapse": {"deploy": {"resources": memory}}, "postgresql": {"shm_size": "256m"}},
        postgresql=peers.ARTICLE_POSTGRESQL,
    )


def _mdad(project: Deployment, given: _Host) -> dict[str, Any]:
    """Its container of Synapse has no environment that says anything of memory, and no limit."""
    caches = {"global_factor": 10, "cache_entry_ttl": "1080m", "cache_autotuning": peers.mdad_autotuning(given.ram)}
    return write(
        project,
        homeserver={"event_cache_size": "100K", "caches": caches},
        compose={"postgresql": {"shm_size": "256m"}},
        postgresql=peers.mdad_postgresql(given.ram, cpus=given.cpus),
    )


def _pgtune(project: Deployment, given: _Host) -> dict[str, Any]:
    """It knows PostgreSQL only."""
    return write(project, postgresql=peers.pgtune_web(given.ram, cpus=given.cpus, version=POSTGRESQL_VERSION))


def write(
    project: Deployment,
    *,
    environment: Mapping[str, str] | None = None,
    homeserver: Mapping[str, Any] | None = None,
    compose: Mapping[str, Mapping[str, Any]] | None = None,
    postgresql: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write settings into the two files, and return them. homeserver: by dotted path."""
    file = _compose_file(project)
    document = Document.parse(file.read_text(encoding="utf-8"), name=str(file))
    path: tuple[str | int, ...] = ("services", _SERVICES["synapse"], "environment")
    for name, value in (environment or {}).items():
        document.set((*path, len(document.get(path))), f"{name}={value}")
    for program, settings in (compose or {}).items():
        for name, value in settings.items():
            document.set(("services", _SERVICES[program], name), value)
    flags = [word for name, value in (postgresql or {}).items() for word in ("-c", f"{name}={value}")]
    if flags:
        document.set(("services", _SERVICES["postgresql"], "command"), ["postgres", *flags])
    file.write_text(document.text, encoding="utf-8")

    file = _homeserver_file(project)
    document = _homeserver(file)
    for name, value in (homeserver or {}).items():
        document.set(tuple(name.split(".")), value)
    # In place, for the file is Synapse's own user's.
    file.write_text(document.text, encoding="utf-8")
    return {
        "environment": dict(environment or {}),
        "homeserver": dict(homeserver or {}),
        "compose": {program: dict(settings) for program, settings in (compose or {}).items()},
        "postgresql": dict(postgresql or {}),
    }


# --- ours -----------------------------------------------------------------------------------------


def _ours(project: Deployment, given: _Host) -> dict[str, Any]:
    return _tune(project, plan.make_plan(_inputs(given)), given)


def _learned(project: Deployment, given: _Host) -> dict[str, Any]:
    if given.measured is None:
        raise ConfigurationError("the configuration learned needs a measurement: give it as measured")
    measured = Measurement.from_data(given.measured)
    return _tune(project, plan.make_plan(_inputs(given), measured), given)


def _inputs(given: _Host) -> host.Inputs:
    return host.Inputs(users=given.users, ram=given.ram, cpus=given.cpus, postgresql_version=POSTGRESQL_VERSION)


def _tune(project: Deployment, planned: dict[str, Any], given: _Host) -> dict[str, Any]:
    """Run the playbook as users do, up to where it would start something."""
    run = play.tune(project, planned, apply=False, compressor_state="absent")
    if run.returncode != 0:
        raise ConfigurationError(f"the playbook did not write the plan: {run.output}")
    values = {name: values_of(planned[name]) for name in ("homeserver", "postgresql", "compose")}
    return {"plan": values, "dropped": _drop(project, "limit_remote_rooms") if given.allow_large_joins else []}


def _drop(project: Deployment, name: str) -> list[str]:
    """Take a section out of homeserver.yaml; what was taken out."""
    file = _homeserver_file(project)
    document = _homeserver(file)
    if not document.remove((name,)):
        return []
    file.write_text(document.text, encoding="utf-8")
    return [name]


# --- files ----------------------------------------------------------------------------------------


def _compose_file(project: Deployment) -> pathlib.Path:
    return project.directory / "compose.yml"


def _homeserver_file(project: Deployment) -> pathlib.Path:
    return project.directory / "data" / "homeserver.yaml"


def _homeserver(file: pathlib.Path) -> Document:
    return Document.parse(file.read_text(encoding="utf-8"), name=str(file), yaml_version="1.1")


_WRITERS: dict[str, Callable[[Deployment, _Host], dict[str, Any]]] = {
    "stock": _stock,
    "article": _article,
    "mdad": _mdad,
    "pgtune": _pgtune,
    "ours": _ours,
    "learned": _learned,
}
