# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the Synapse in a container is asked."""

from __future__ import annotations

from typing import Any

import pytest
from test_container_login import FakeEngine, container

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.listeners import client_port
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Configuration, ConfigurationFile
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_url import NotRunning, SynapsePlace, url_inside


def listener(port: Any, *names: str, **more: Any) -> dict[str, Any]:
    return {"port": port, "type": "http", "resources": [{"names": list(names)}], **more}


@pytest.mark.parametrize(
    ("listeners", "port"),
    [
        ([listener(9000, "metrics"), listener(8448, "federation"), listener(8018, "client", "federation")], 8018),
        ([listener(8448, "client", tls=True), listener(8008, "client")], 8008),
        ([{"path": "/run/synapse.sock", "resources": [{"names": ["client"]}]}], None),
        ([{"port": 9000, "type": "metrics"}, None, listener("8008", "client")], None),
        (None, None),
    ],
)
def test_the_port_of_the_listener_for_clients(listeners: Any, port: int | None) -> None:
    file = ConfigurationFile(path="/data/homeserver.yaml", data={"listeners": listeners}, changed=False)
    assert client_port(Configuration(files=(file,))) == port


def url(*containers: Any) -> str:
    engine = FakeEngine(*containers)
    return url_inside(SynapsePlace(container="matrix-synapse-1"), connect=lambda **_options: engine)


def synapse(**given: Any) -> Any:
    return container("synapse", image="matrixdotorg/synapse:latest", **given)


def test_its_own_address_and_the_images_port_where_its_files_cannot_be_read() -> None:
    assert url(synapse()) == "http://172.20.0.3:8008"
    assert url(synapse(networks={"x": {"IPAddress": "", "GlobalIPv6Address": "fd00::3"}})) == "http://[fd00::3]:8008"
    assert url(synapse(mode="host")) == "http://127.0.0.1:8008"


def test_what_cannot_be_asked() -> None:
    with pytest.raises(NotRunning, match="start it"):
        url(synapse(running=False))
    with pytest.raises(SourceError, match="give url"):
        url(synapse(mode="none", networks={}))
    with pytest.raises(SourceError, match="there is no container"):
        url()
