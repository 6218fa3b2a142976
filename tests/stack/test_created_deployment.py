# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deployment that `make tune` writes, brought up by the play."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import play
import pytest
from deployment import Deployment, free_ports
from engine import Engine

pytestmark = pytest.mark.slow

MIB = 1 << 20

# Containers that run at the same time must not meet on the machine's ports, and no registry is asked
# for Alpine's PostgreSQL: what differs from the written file.
_SUBSTITUTIONS = (
    ("127.0.0.1:8008:", "127.0.0.1:{}:"),
    ("127.0.0.1:9000:", "127.0.0.1:{}:"),
    ("postgres:15-alpine", "postgres:15"),
)


@pytest.fixture(scope="module")
def created(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The written deployment for five users and 2 GiB, up."""
    folder = tmp_path_factory.mktemp("created")
    project = folder / "synapse"
    inputs = {"users": 5, "ram": "2G", "postgresql_version": 15, "create": True, "server_name": "localhost"}
    unstarted = Deployment(engine, project, {"SYNAPSE_PORT": "", "METRICS_PORT": ""}, "")
    play.tune(unstarted, None, **inputs, apply=False).must_succeed()
    ports = free_ports(2)
    settings = {"SYNAPSE_PORT": str(ports[0]), "METRICS_PORT": str(ports[1])}
    compose = project / "compose.yml"
    text = compose.read_text(encoding="utf-8")
    for (written, here), value in zip(_SUBSTITUTIONS, (*ports, "")):
        assert text.count(written) == 1
        text = text.replace(written, here.format(value))
    compose.write_text(text, encoding="utf-8")
    (project / ".env").write_text(f"COMPOSE_PROJECT_NAME=created-{ports[0]}\n", encoding="utf-8")
    secret = (project / "data/secrets/registration_shared_secret").read_text(encoding="ascii").strip()
    deployment = Deployment(engine, project, settings, secret)
    try:
        # Brings it up for the first time, and verifies it.
        run = play.tune(deployment, None, **inputs).must_succeed()
        assert re.search(r"^VERIFIED: (\d+) of \1 levers", run.stdout, re.MULTILINE), run.stdout
        assert play.tune(deployment, None, **inputs).must_succeed().changed == 0
        yield deployment
    finally:
        deployment.remove()


@pytest.fixture(scope="module")
def texts(created: Deployment) -> list[str]:
    """What one user reads in another's room. Synapse's metrics have a cache once it was used."""
    ada, ben = created.register("ada", admin=True), created.register("ben")
    room = ada.create_room(preset="public_chat")
    ben.join(room)
    ada.send(room, "hello")
    return ben.texts(room)


def test_users_talk(texts: list[str]) -> None:
    assert "hello" in texts


@pytest.mark.usefixtures("texts")
def test_synapse_has_the_planned_caches(created: Deployment) -> None:
    sizes = {labels["name"]: size for labels, size in created.metrics()["synapse_util_caches_cache_max_size"]}
    # 10K times 1.0, 100000 and 50000 times 0.5, and 1000 times 5.0.
    assert sizes["*getEvent*"] == 10_240
    assert sizes["get_users_in_room"] == 50_000
    assert sizes["*stateGroupCache*"] == 25_000
    assert sizes["is_user_erased"] == 5_000


def test_docker_holds_the_planned_limits(created: Deployment) -> None:
    synapse, db = (created.inspect(service)["HostConfig"] for service in ("synapse", "db"))
    assert (synapse["Memory"], synapse["MemoryReservation"]) == (1024 * MIB, 512 * MIB)
    assert (db["Memory"], db["MemoryReservation"], db["ShmSize"]) == (512 * MIB, 256 * MIB, 256 * MIB)


def test_postgresql_runs_with_the_planned_parameters(created: Deployment) -> None:
    found = dict(
        created.sql(
            "SELECT name, current_setting(name) FROM pg_settings"
            " WHERE name IN ('shared_buffers', 'work_mem', 'max_connections', 'jit')"
        )
    )
    assert found == {"shared_buffers": "64MB", "work_mem": "4MB", "max_connections": "30", "jit": "off"}


def test_no_secret_is_in_an_environment_or_a_log(created: Deployment) -> None:
    names = ("secrets/postgres_password", "data/secrets/macaroon_secret_key", "data/secrets/registration_shared_secret")
    seen = "".join(
        json.dumps(created.inspect(service)) + created.logs(service, 10_000) for service in ("synapse", "db")
    )
    assert "Synapse" in seen
    for name in names:
        secret = (created.directory / name).read_text(encoding="ascii").strip()
        assert len(secret) > 20 and secret not in seen, name
