# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine, by its SDK for Python."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._deps_docker import DOCKER, docker

__all__ = ["Containers", "Engine", "Found", "address", "by_name", "network_mode", "of_project", "service_data"]

# Enough for the end of a traceback.
_LOG_LINES = 60
_PREFIX = "com.docker.compose."


@dataclass(frozen=True)
class Found:
    """A container: the engine's id, its name, labels, and what C(docker inspect) says."""

    id: str
    name: str
    labels: Mapping[str, str]
    details: Mapping[str, Any]

    @property
    def service(self) -> str:
        """Its service in a Compose project, empty for none."""
        return self.labels.get(f"{_PREFIX}service", "")

    @property
    def project(self) -> str:
        """The name of its Compose project, empty for none."""
        return self.labels.get(f"{_PREFIX}project", "")

    @property
    def working_dir(self) -> str:
        """The directory of its Compose project."""
        return self.labels.get(f"{_PREFIX}project.working_dir", "")

    @property
    def config_files(self) -> List[str]:
        """The compose files that it was made from, as they were called then."""
        return [each for each in self.labels.get(f"{_PREFIX}project.config_files", "").split(",") if each]

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return bool(self.details.get("State", {}).get("Running"))

    @property
    def environment(self) -> Dict[str, str]:
        """All of its variables, passwords among them: pick, never hand on."""
        pairs = [each.partition("=") for each in self.details.get("Config", {}).get("Env") or ()]
        return {name: value for name, _equals, value in pairs}


class Containers(Protocol):
    """What the collection asks of a container engine."""

    def all(self) -> List[Found]:
        """All containers, those that do not run included."""

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        """What a command in a container prints. Raises SourceError where it fails or none can be run."""

    def log(self, container: str) -> str:
        """The last lines of its log. Raises SourceError."""


class Engine:
    """A Docker Engine.

    Raises SourceError, here and in its methods: no library, no engine, no right to ask it.
    """

    def __init__(self, *, host: Optional[str] = None, timeout: float = 30) -> None:
        if DOCKER.missing:
            raise SourceError(f"the library {DOCKER.name} is missing, needed {DOCKER.reason}")
        variables = dict(os.environ)
        if host:
            variables["DOCKER_HOST"] = host
        try:
            self._client = docker.DockerClient.from_env(environment=variables, timeout=timeout).api
            self._client.ping()
        except (docker.errors.DockerException, OSError, ValueError) as error:
            raise SourceError(
                f"the Docker Engine does not answer ({_line(error)}); run with become, or correct docker_host"
            ) from error

    def all(self) -> List[Found]:
        """All containers, those that do not run included."""
        found = []
        try:
            for each in self._client.containers(all=True):
                try:
                    details = self._client.inspect_container(each["Id"])
                except docker.errors.NotFound:  # gone since
                    continue
                labels = each.get("Labels") or {}
                found.append(Found(each["Id"], details.get("Name", "").lstrip("/"), labels, details))
        except (docker.errors.DockerException, OSError) as error:
            raise SourceError(f"the Docker Engine does not list its containers: {_line(error)}") from error
        return found

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        """What a command in a container prints on its standard output."""
        try:
            made = self._client.exec_create(container, list(command), user=user, stdout=True, stderr=True)
            output, errors = self._client.exec_start(made["Id"], demux=True)
            status = self._status(made["Id"])
        except (docker.errors.DockerException, OSError) as error:
            raise SourceError(f"'{command[0]}' cannot be run in the container: {_line(error)}") from error
        if status != 0:
            said = (errors or b"").decode("utf-8", "replace").strip()
            raise SourceError(f"'{command[0]}' fails in the container: {_line(said) or f'exit status {status}'}")
        return str((output or b"").decode("utf-8", "replace"))

    def _status(self, command: str) -> Optional[int]:
        """What a command that prints no more has ended with; None where the engine does not say so within seconds."""
        for pause in (0.01, 0.1, 0.5, 2, 5):
            found = self._client.exec_inspect(command)
            if not found["Running"]:
                return found["ExitCode"]
            # On a busy machine the engine hears of the end of its output before it hears of its own.
            time.sleep(pause)
        return None

    def log(self, container: str) -> str:
        """The last lines of what a container has printed."""
        try:
            return str(self._client.logs(container, tail=_LOG_LINES).decode("utf-8", "replace"))
        except (docker.errors.DockerException, OSError) as error:
            raise SourceError(f"the log cannot be read: {_line(error)}") from error


def of_project(containers: Sequence[Found], directory: str) -> List[Found]:
    """The containers of the services of a Compose project, by its directory; those that run come first."""
    wanted = os.path.realpath(directory)
    found = [
        each
        for each in containers
        if each.working_dir
        and os.path.realpath(each.working_dir) == wanted
        and each.labels.get(f"{_PREFIX}oneoff") != "True"
    ]
    return sorted(found, key=lambda each: not each.running)


def by_name(containers: Sequence[Found], name: str) -> Found:
    """A container by its name or the beginning of its id. Raises SourceError where there is none."""
    for each in containers:
        if each.name == name or (len(name) >= 12 and each.id.startswith(name)):
            return each
    raise SourceError(f"there is no container '{name}'; correct its name")


def service_data(containers: Sequence[Found]) -> Dict[str, Dict[str, Any]]:
    """The containers as Compose's services, as far as it takes to find Synapse and PostgreSQL among them."""
    services: Dict[str, Dict[str, Any]] = {}
    for each in containers:
        config = each.details.get("Config", {})
        needed = each.labels.get(f"{_PREFIX}depends_on", "")
        services.setdefault(
            each.service,
            {
                "image": config.get("Image", ""),
                "command": config.get("Cmd") or [],
                "environment": {name: value for name, value in each.environment.items() if name == "SYNAPSE_WORKER"},
                "depends_on": [name.partition(":")[0] for name in needed.split(",") if name],
            },
        )
    return services


def network_mode(container: Found) -> str:
    """How it is connected: C(host), C(none), C(container:ID), or the name of its first network."""
    return str(container.details.get("HostConfig", {}).get("NetworkMode", ""))


def address(container: Found, there: Sequence[Found]) -> Optional[str]:
    """The address by which this host reaches a container, None for none. there: all of the engine's containers."""
    mode = network_mode(container)
    if mode == "host":
        return "127.0.0.1"
    kind, _colon, other = mode.partition(":")
    shared = next((each for each in there if kind == "container" and each.id == other), None)
    networks = (shared or container).details.get("NetworkSettings", {}).get("Networks") or {}
    for network in networks.values():
        found = network.get("IPAddress") or network.get("GlobalIPv6Address")
        if found:
            return str(found)
    return None


def _line(error: Any) -> str:
    """The first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""
