# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's configurations: what each writes into a stock deployment, and that the real programs take it."""

from __future__ import annotations

import difflib
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest
import yaml
from synapse.config.homeserver import HomeServerConfig

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import configurations
import deployment
from engine import Engine

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of

# Of Synapse's own, about what its libraries have deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

GIB = 1024**3
ROOT = pathlib.Path(__file__).resolve().parents[2]
FILES = ("compose.yml", "data/homeserver.yaml")
OTHERS = ("article", "mdad", "pgtune")


@pytest.fixture
def project(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> deployment.Deployment:
    """A stock deployment that needs no root: its files are whoever's runs the tests."""
    monkeypatch.setattr(os, "chown", lambda *_arguments: None)
    return deployment.create(Engine(tmp_path / "engine"), tmp_path / "lab")


def read(project: deployment.Deployment) -> dict[str, list[str]]:
    return {name: (project.directory / name).read_text(encoding="utf-8").splitlines() for name in FILES}


def changes(before: list[str], after: list[str]) -> dict[str, list[str]]:
    """The lines that went and came."""
    found = list(difflib.ndiff(before, after))
    return {sign: [line[2:] for line in found if line[0] == sign and line[2:].strip()] for sign in "-+"}


def compose(project: deployment.Deployment) -> dict[str, Any]:
    """The services as the real Compose has read them."""
    done = subprocess.run(
        ["docker-compose", "config", "--format", "json"],
        cwd=project.directory,
        env={name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def parameters(service: dict[str, Any]) -> dict[str, str]:
    """PostgreSQL's parameters of a command, all of it."""
    first, *rest = service["command"]
    assert first == "postgres" and set(rest[::2]) == {"-c"}
    return dict(word.split("=", 1) for word in rest[1::2])


def synapse(project: deployment.Deployment) -> HomeServerConfig:
    """homeserver.yaml as Synapse's own start reads it, with /data where it lies outside the container."""
    outside = project.directory / "outside.yaml"
    text = (project.directory / "data" / "homeserver.yaml").read_text(encoding="utf-8")
    outside.write_text(text.replace("/data/", f"{project.directory}/data/"), encoding="utf-8")
    return HomeServerConfig.load_config("test", ["--config-path", str(outside)])


def apply(name: str, project: deployment.Deployment, *, ram: int = 2 * GIB, **more: Any) -> dict[str, Any]:
    decided = configurations.apply(name, project, ram=ram, cpus=2, users=5, **more)
    assert json.loads(json.dumps(decided)) == decided
    return decided


def test_stock_is_stock(project: deployment.Deployment) -> None:
    before = read(project)
    assert apply("stock", project) == {}
    assert read(project) == before
    pool = synapse(project).database.databases[0].config["args"]
    assert (pool["cp_min"], pool["cp_max"]) == (5, 10)


@pytest.mark.parametrize("name", OTHERS)
def test_the_others_only_add_lines(project: deployment.Deployment, name: str) -> None:
    before = read(project)
    apply(name, project)
    after = read(project)
    for file in FILES:
        assert changes(before[file], after[file])["-"] == []
    assert after["compose.yml"] != before["compose.yml"]


def assert_same_server(project: deployment.Deployment, before: dict[str, Any]) -> None:
    """Images, ports, volumes, secrets, and whatever else is no lever of memory."""
    after = compose(project)
    levers = {"command", "deploy", "environment", "shm_size"}
    for service in ("synapse", "db"):
        assert {key: value for key, value in after[service].items() if key not in levers} == {
            key: value for key, value in before[service].items() if key not in levers
        }
        assert before[service]["environment"].items() <= after[service]["environment"].items()
    assert deployment.load(project.engine, project.directory).settings == project.settings
    assert f'    password: "{project.settings["POSTGRES_PASSWORD"]}"' in read(project)["data/homeserver.yaml"]
    # Nothing that removes what the next configuration's server would still have.
    assert synapse(project).server.forgotten_room_retention_period is None


@pytest.mark.parametrize("name", OTHERS)
def test_it_is_the_same_server(project: deployment.Deployment, name: str) -> None:
    before = compose(project)
    apply(name, project)
    assert_same_server(project, before)


def test_the_article(project: deployment.Deployment) -> None:
    apply("article", project)
    services = compose(project)
    resources = services["synapse"]["deploy"]["resources"]
    assert services["synapse"]["environment"]["SYNAPSE_CACHE_FACTOR"] == "0.2"
    assert resources["limits"]["memory"] == str(GIB) and resources["reservations"]["memory"] == str(GIB // 2)
    assert services["db"]["shm_size"] == str(256 * 1024**2)
    assert parameters(services["db"]) == {
        "shared_buffers": "256MB",
        "effective_cache_size": "512MB",
        "work_mem": "4MB",
        "maintenance_work_mem": "64MB",
    }
    caches = synapse(project).caches
    assert (caches.global_factor, caches.cache_factors) == (0.2, {"get_users_in_room": 0.5, "get_event_cache": 0.3})


@pytest.mark.parametrize("gib, wal_buffers", [(1, "256MB"), (2, "512MB"), (4, "16MB")])
def test_mdad(project: deployment.Deployment, gib: int, wal_buffers: str) -> None:
    stock = compose(project)
    decided = apply("mdad", project, ram=gib * GIB)
    services = compose(project)
    assert services["synapse"] == stock["synapse"]
    assert services["db"]["shm_size"] == str(256 * 1024**2) and "deploy" not in services["db"]
    found = parameters(services["db"])
    assert found == decided["postgresql"]
    assert (found["shared_buffers"], found["wal_buffers"]) == (f"{gib * 256}MB", wal_buffers)
    caches = synapse(project).caches
    assert (caches.global_factor, caches.event_cache_size) == (10, 100 * 1024)
    assert caches.expiry_time_msec == 1080 * 60 * 1000
    assert caches.cache_autotuning == {
        "max_cache_memory_usage": gib * GIB // 8,
        "target_cache_memory_usage": gib * GIB // 16,
        "min_cache_ttl": 30_000,
    }


def test_pgtune_leaves_synapse_alone(project: deployment.Deployment) -> None:
    before, stock = read(project), compose(project)
    decided = apply("pgtune", project, ram=GIB)
    services = compose(project)
    assert read(project)["data/homeserver.yaml"] == before["data/homeserver.yaml"]
    assert services["synapse"] == stock["synapse"] and "shm_size" not in services["db"]
    assert parameters(services["db"]) == decided["postgresql"]
    assert decided["postgresql"]["shared_buffers"] == "256MB"


def test_ours_is_what_the_playbook_makes_of_the_plan(project: deployment.Deployment) -> None:
    before, stock = read(project), compose(project)
    decided = apply("ours", project)
    assert_same_server(project, stock)
    planned = plan.make_plan(host.Inputs(users=5, ram=2 * GIB, cpus=2, postgresql_version=15))
    sections = ("homeserver", "postgresql", "compose")
    assert decided == {"plan": {name: values_of(planned[name]) for name in sections}, "dropped": []}
    services = compose(project)
    found = parameters(services["db"])
    assert set(found) == {name for name, each in planned["postgresql"].items() if each["value"] is not None}
    assert found["shared_buffers"] == planned["postgresql"]["shared_buffers"]["value"]
    config = synapse(project)
    assert config.caches.global_factor == planned["homeserver"]["caches.global_factor"]["value"]
    assert config.server.limit_remote_rooms.enabled
    after = read(project)
    assert changes(before["data/homeserver.yaml"], after["data/homeserver.yaml"])["-"] == [
        "    cp_min: 5",
        "    cp_max: 10",
    ]
    assert not list(project.directory.parent.glob("*.cron")) and not list(project.directory.glob("compress-state*"))


def test_learned_says_what_it_lacks(project: deployment.Deployment) -> None:
    with pytest.raises(configurations.ConfigurationError, match="needs a measurement"):
        apply("learned", project)


def test_learned_plans_from_the_measurement_and_lets_large_rooms_in_where_asked(
    project: deployment.Deployment,
) -> None:
    measured = json.loads((ROOT / "tests" / "fixtures" / "measurement" / "stock.json").read_text(encoding="utf-8"))
    decided = apply("learned", project, measured=measured, allow_large_joins=True)
    # 4 MB without it: sorts of this server went to the disk.
    assert parameters(compose(project)["db"])["work_mem"] == decided["plan"]["postgresql"]["work_mem"] == "8MB"
    assert decided["dropped"] == ["limit_remote_rooms"]
    # The record has what was planned all the same.
    assert decided["plan"]["homeserver"]["limit_remote_rooms.enabled"] is True
    written = yaml.safe_load((project.directory / "data" / "homeserver.yaml").read_text(encoding="utf-8"))
    assert "limit_remote_rooms" not in written and written["forget_rooms_on_leave"] is True


def test_an_unknown_configuration_is_named(project: deployment.Deployment) -> None:
    with pytest.raises(configurations.ConfigurationError, match="no configuration theirs; there are stock"):
        apply("theirs", project)
