# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the URL of the Synapse in a container of this host, at the container's own address: it needs no published port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.listeners import client_port, in_url
from ansible_collections.synapse.tuning.plugins.module_utils._docker import (
    Containers,
    Engine,
    Found,
    address,
    network_mode,
)
from ansible_collections.synapse.tuning.plugins.module_utils._find_containers import find_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess

__all__ = ["NotRunning", "SynapsePlace", "url_inside"]

_USUAL_PORT = 8008


class NotRunning(SourceError):
    """A container that does not run, as one that is being restarted."""


@dataclass(frozen=True)
class SynapsePlace:
    """Which container: by its name, or the one of a Compose project's service, None to find that by its image."""

    container: Optional[str] = None
    project_dir: Optional[str] = None
    service: Optional[str] = None
    docker_host: Optional[str] = None
    timeout: float = 30


def url_inside(place: SynapsePlace, *, connect: Callable[..., Containers] = Engine) -> str:
    """Where Synapse's main process listens for clients, such as C(http://172.18.0.3:8008).

    connect: makes the container engine; tests have another.
    Raises NotRunning, SourceError and ServiceError: no engine, no such container, one that has no address.
    """
    engine = connect(host=place.docker_host, timeout=place.timeout)
    there = engine.all()
    container = find_synapse(there, name=place.container, project_dir=place.project_dir, service=place.service)
    if not container.running:
        raise NotRunning(f"the container {container.name} does not run; start it")
    host = address(container, there)
    if host is None:
        raise SourceError(
            f"the container {container.name} has no address that this host reaches (network mode"
            f" {network_mode(container) or 'unknown'}); publish its port and give url"
        )
    return f"http://{in_url(host)}:{_port(engine, container)}"


def _port(engine: Containers, container: Found) -> int:
    """By Synapse's configuration; where that can't be read, the port of the official image's."""
    try:
        return client_port(SynapseProcess(engine, container).configuration()) or _USUAL_PORT
    except TuningError:
        return _USUAL_PORT
