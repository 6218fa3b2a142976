# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The login that a container's own environment gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._container_login import Place, login_inside
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError, SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Found
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

PASSWORD = "throw-away-5d0e"
BRIDGE = {"matrix_default": {"IPAddress": "172.20.0.3", "GlobalIPv6Address": ""}}


def container(service: str = "db", *, image: str = "postgres:17", running: bool = True, **given: Any) -> Found:
    variables = given.pop("environment", {"POSTGRES_USER": "synapse", "POSTGRES_PASSWORD": PASSWORD})
    return Found(
        id=f"id-of-{service}",
        name=f"matrix-{service}-1",
        labels={
            "com.docker.compose.service": service,
            "com.docker.compose.project.working_dir": "/srv/matrix",
            "com.docker.compose.depends_on": given.pop("needs", ""),
        },
        details={
            "State": {"Running": running},
            "Config": {"Image": image, "Env": [f"{name}={value}" for name, value in variables.items()]},
            "HostConfig": {"NetworkMode": given.pop("mode", "matrix_default")},
            "NetworkSettings": {"Networks": given.pop("networks", BRIDGE)},
        },
    )


class FakeEngine:
    """Containers, and files inside them."""

    def __init__(self, *containers: Found, files: dict[str, str] | None = None) -> None:
        self.containers = list(containers)
        self.files = files or {}

    def all(self) -> list[Found]:
        return self.containers

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        if command[0] == "cat" and command[1] in self.files:
            return self.files[command[1]]
        raise SourceError(f"'{command[0]}' fails in the container")


def log_in(*containers: Found, given: Login | None = None, files: dict[str, str] | None = None, **place: Any) -> Login:
    engine = FakeEngine(*containers, files=files)
    found = Place(**(place or {"container": "matrix-db-1"}))
    return login_inside(found, given or Login(), connect=lambda **_options: engine)


def test_all_of_it_comes_from_the_container() -> None:
    expected = Login(host="172.20.0.3", port=5432, user="synapse", password=PASSWORD, database="synapse")
    assert log_in(container()) == expected
    assert PASSWORD not in repr(expected)


@pytest.mark.parametrize(
    ("variables", "user", "database"),
    [
        ({}, "postgres", "postgres"),
        ({"POSTGRES_DB": "synapse"}, "postgres", "synapse"),
        ({"POSTGRES_USER": "me"}, "me", "me"),
        ({"POSTGRES_USER_FILE": "/run/user", "POSTGRES_DB_FILE": "/run/db"}, "from-a-file", "base"),
    ],
)
def test_user_and_database_as_the_image_has_them(variables: dict[str, str], user: str, database: str) -> None:
    login = log_in(container(environment=variables), files={"/run/user": "from-a-file\n", "/run/db": "base"})
    assert (login.user, login.database, login.password) == (user, database, None)


def test_a_password_in_a_file_is_read_inside() -> None:
    secret = container(environment={"POSTGRES_PASSWORD_FILE": "/run/secrets/password"})
    assert log_in(secret, files={"/run/secrets/password": f"{PASSWORD}\n"}).password == PASSWORD
    with pytest.raises(SourceError, match="'cat' fails in the container"):
        log_in(secret)


def test_what_is_given_wins_each_by_itself() -> None:
    assert log_in(container(), given=Login(database="other")).database == "other"
    assert log_in(container(), given=Login(host="127.0.0.1", port=5433)) == Login(
        host="127.0.0.1", port=5433, user="synapse", password=PASSWORD, database="synapse"
    )
    assert log_in(container(), given=Login(password="newer")).password == "newer"
    # The container's password is nobody else's.
    assert log_in(container(), given=Login(user="somebody")).password is None
    assert log_in(container(), given=Login(passfile="/root/.pgpass")).password is None


def test_another_port_inside() -> None:
    assert log_in(container(environment={"PGPORT": "5444"})).port == 5444


@pytest.mark.parametrize(
    ("found", "address"),
    [
        (container(mode="host", networks={"host": {"IPAddress": ""}}), "127.0.0.1"),
        (container(networks={"one": {"IPAddress": ""}, "two": {"IPAddress": "10.0.0.7"}}), "10.0.0.7"),
        (container(networks={"six": {"IPAddress": "", "GlobalIPv6Address": "fd00::3"}}), "fd00::3"),
        (container(mode="container:id-of-proxy", networks={}), "172.20.0.3"),
    ],
)
def test_the_address(found: Found, address: str) -> None:
    assert log_in(container("proxy", image="nginx"), found).host == address


def test_a_container_without_an_address_says_what_to_do() -> None:
    with pytest.raises(SourceError, match=r"no address that this host reaches \(network mode none\); publish its port"):
        log_in(container(mode="none", networks={"none": {"IPAddress": ""}}))


def test_a_container_that_does_not_run() -> None:
    with pytest.raises(SourceError, match="matrix-db-1 does not run; start it"):
        log_in(container(running=False))


def test_the_service_of_a_project() -> None:
    synapse = container("synapse", image="matrixdotorg/synapse:v1.163.2", needs="db:service_started:false")
    other = container("bridge-db", environment={"POSTGRES_USER": "bridge"})
    there = (other, container(), synapse)
    # The one that Synapse depends on.
    assert log_in(*there, project_dir="/srv/matrix").user == "synapse"
    assert log_in(*there, project_dir="/srv/matrix", db_service="bridge-db").user == "bridge"
    assert log_in(*there, project_dir="/srv/matrix", container="matrix-bridge-db-1").user == "bridge"
    with pytest.raises(ServiceError, match="more than one service has PostgreSQL's image"):
        log_in(other, container(), project_dir="/srv/matrix")
    with pytest.raises(SourceError, match="no container is of the Compose project in /srv/other"):
        log_in(*there, project_dir="/srv/other")
