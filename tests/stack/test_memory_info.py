# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""memory_info on a running deployment, beside what the kernel and the servers say when they are asked otherwise."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

import play
import pytest
import yaml
from deployment import Deployment
from running import ansible_playbook

from ansible_collections.synapse.tuning.plugins.module_utils import _memory
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import Wanted
from ansible_collections.synapse.tuning.plugins.modules import memory_info

pytestmark = pytest.mark.slow

MIB = 1 << 20
PLANTED = 8 * MIB
LIMIT = 400 * MIB


def measure(project: Deployment, **options: Any) -> dict[str, Any]:
    """The measurement's data."""
    options = {"wanted": Wanted(project_dir=str(project.directory)), "docker_host": project.engine.host, **options}
    return _memory.measure(_memory.Request(**options)).as_data()


def cgroup(project: Deployment, service: str) -> pathlib.Path:
    """The container's own cgroup of memory, by its name in the tree."""
    (found,) = pathlib.Path("/sys/fs/cgroup").glob(f"**/*{project.container(service)}*/memory.stat")
    return found.parent


def figure(directory: pathlib.Path, *names: str) -> int:
    """A figure of a file whose name differs between the versions of cgroups."""
    return next(int((directory / name).read_text()) for name in names if (directory / name).exists())


def statistics(directory: pathlib.Path) -> dict[str, int]:
    lines = (directory / "memory.stat").read_text().splitlines()
    return {name: int(value) for name, value in (line.split() for line in lines)}


# --- as it is ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def used(stock: Deployment) -> Deployment:
    """The deployment, once somebody has used it."""
    alice = stock.register("alice")
    room = alice.create_room()
    for number in range(5):
        alice.send(room, f"text {number}")
    alice.sync()
    return stock


def test_it_says_what_the_kernel_says(used: Deployment) -> None:
    measured = measure(used)
    assert measured["missing"] == {}
    for part, service, shared in (("synapse", "synapse", 0), ("postgresql", "db", None)):
        container = measured[part]["container"]
        directory = cgroup(used, service)
        assert container["name"] == used.inspect(service)["Name"].lstrip("/")
        assert container["current"] == pytest.approx(
            figure(directory, "memory.usage_in_bytes", "memory.current"), abs=16 * MIB
        )
        stat = statistics(directory)
        files = stat["active_file"] + stat["inactive_file"]
        # What is left is the kernel's own.
        assert container["held"] + files == pytest.approx(container["current"], abs=16 * MIB)
        assert container["held"] <= container["working_set"] <= container["current"] <= container["peak"]
        assert container["limit"] is None and container["oom_kills"] == container["restarts"] == 0
        assert container["cpu_seconds"] > 0
        processes = measured[part]["processes" if part == "synapse" else "backends"]
        assert sum(each["pss"] for each in processes if each["pss"]) == pytest.approx(container["held"], rel=0.35)
        if shared is None:
            assert measured[part]["shared"] == pytest.approx(stat["shmem"], abs=2 * MIB)
    (main,) = measured["synapse"]["processes"]
    assert (main["name"], main["pid"]) == ("main", used.inspect("synapse")["State"]["Pid"])
    assert main["private"] <= main["pss"] <= main["rss"] <= main["rss_peak"]
    assert (
        measured["host"]["total"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >= measured["host"]["ram"]
    )


def test_it_says_what_the_servers_say(used: Deployment) -> None:
    before = used.metrics()
    measured = measure(used)
    after = used.metrics()
    caches = {each["name"]: each for each in measured["synapse"]["caches"]}

    def values(metrics: Any, sample: str) -> dict[str, float]:
        return {labels["name"]: value for labels, value in metrics[f"synapse_util_caches_cache{sample}"]}

    sizes = {name: each["max_size"] for name, each in caches.items() if each["max_size"] is not None}
    assert sizes == values(after, "_max_size")
    compared = 0
    for name, asked in values(before, "").items():
        # Those that nobody has asked meanwhile.
        if values(after, "")[name] == asked:
            each = caches[name]
            assert (each["hits"] + each["misses"], each["hits"]) == (asked, values(before, "_hits")[name]), name
            assert each["size"] == values(after, "_size")[name]
            compared += 1
    assert compared > 20
    assert caches["*getEvent*"]["size"] > 0
    allocated = {labels["type"]: value for labels, value in after["jemalloc_stats_app_memory_bytes"]}
    assert measured["synapse"]["jemalloc"]["resident"] == pytest.approx(allocated["resident"], rel=0.2)
    assert [each["generation"] for each in measured["synapse"]["gc"]] == [0, 1, 2]
    assert measured["synapse"]["version"] == "1.163.2"

    database = measured["postgresql"]
    rows = used.sql(
        "SELECT pid, backend_type, coalesce(datname, '') FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND backend_type <> 'autovacuum worker'"
    )
    of_sql = [each for each in database["backends"] if each["kind"] not in ("postmaster", "autovacuum worker")]
    assert sorted((str(each["pid"]), each["kind"], each["database"] or "") for each in of_sql) == sorted(
        map(tuple, rows)
    )
    assert all(each["pss"] > 0 for each in of_sql)
    clients = sum(kind == "client backend" for _pid, kind, _database in rows)
    assert (database["connections"], database["connections_peak"]) == (clients, clients)
    ((version, connections, size),) = used.sql(
        "SELECT current_setting('server_version'), current_setting('max_connections'), pg_database_size('synapse')"
    )
    assert version.split()[0] == database["version"]
    assert (int(connections), int(size)) == (
        database["max_connections"],
        pytest.approx(database["database_bytes"], rel=0.01),
    )
    assert database["shared_buffers"] == 128 * MIB
    assert database["blocks_hit"] > 0 and len(database["autovacuum"]["tables"]) == 5


def test_a_file_in_dev_shm_counts(used: Deployment) -> None:
    before = measure(used)
    used.execute("db", "sh", "-c", f"head -c {PLANTED} /dev/zero > /dev/shm/planted")
    try:
        measured = measure(used)
    finally:
        used.execute("db", "rm", "/dev/shm/planted")
    assert measured["shm"] == {"size": 64 * MIB, "used": before["shm"]["used"] + PLANTED}
    grown = measured["postgresql"]["shared"] - before["postgresql"]["shared"]
    assert grown == pytest.approx(PLANTED, abs=2 * MIB)


def test_a_login_says_what_psql_does(used: Deployment) -> None:
    inside = measure(used)
    (address,) = [each["IPAddress"] for each in used.inspect("db")["NetworkSettings"]["Networks"].values()]
    login = Login(address, 5432, "synapse", used.settings["POSTGRES_PASSWORD"], "synapse")
    outside = measure(used, login=login)
    assert outside["missing"] == {}
    steady = ("version", "max_connections", "shared_buffers", "work_mem", "temp_files", "connections")
    assert {name: outside["postgresql"][name] for name in steady} == {
        name: inside["postgresql"][name] for name in steady
    }


# --- by Ansible --------------------------------------------------------------------------------


def test_the_examples_run_and_change_nothing(used: Deployment, tmp_path: pathlib.Path) -> None:
    kept = tmp_path / "measurement.json"
    examples = memory_info.EXAMPLES.replace("/var/lib/synapse-tuning/measurement.json", str(kept))
    examples = examples.replace("/opt/synapse", str(used.directory)).replace("duration: 60", "duration: 2")
    playbook = tmp_path / "play.yml"
    plays = [{"hosts": "localhost", "gather_facts": False, "tasks": yaml.safe_load(examples)}]
    playbook.write_text(json.dumps(plays), encoding="utf-8")
    before = play.files(used), play.containers(used), play.started(used)
    run = ansible_playbook(playbook, variables={"ansible_become": False}, environment=play.environment(used))
    assert (play.files(used), play.containers(used), play.started(used)) == before
    # What keeps the measurement alone changes something.
    assert run.must_succeed().changed == 1
    assert "Synapse, " in run.stdout and "Dynamic shared memory (/dev/shm)" in run.stdout
    first = Measurement.from_data(json.loads(kept.read_text(encoding="utf-8")))
    assert first.samples >= 2 and first.duration >= 2
    carried = measure(used, previous=str(kept))
    assert carried["missing"] == {}
    assert carried["samples"] == first.samples + 1
    assert first.synapse.container is not None
    assert carried["synapse"]["container"]["held_peak"] >= first.synapse.container.held_peak


def test_no_password_gets_out_and_check_mode_says_the_same(used: Deployment) -> None:
    (address,) = [each["IPAddress"] for each in used.inspect("db")["NetworkSettings"]["Networks"].values()]
    login = {"login_host": address, "login_user": "synapse", "login_db": "synapse"}
    output, errors = play.module(
        used,
        "memory_info",
        **{"project_dir": str(used.directory), **login, "login_password": "wrong-and-secret"},
        _ansible_check_mode=True,
    )
    answer = json.loads(output)
    assert answer["changed"] is False
    assert answer["missing"] == answer["measurement"]["missing"]
    assert set(answer["missing"]) == {"database"}
    assert "password authentication failed" in answer["missing"]["database"]
    for secret in ("wrong-and-secret", used.settings["POSTGRES_PASSWORD"]):
        assert secret not in output + errors
    # The kernel has the connections all the same.
    measured = Measurement.from_data(answer["measurement"]).postgresql
    assert measured.connections == measure(used)["postgresql"]["connections"]
    assert measured.max_connections is None
    assert max(map(len, answer["table"].splitlines())) <= 100


def test_unusable_options_are_refused(used: Deployment) -> None:
    output, _errors = play.module(used, "memory_info", duration=-1)
    answer = json.loads(output)
    assert answer["failed"] and answer["msg"] == "duration is -1.0, but must be at least 0"


# --- trouble -----------------------------------------------------------------------------------


def test_a_kill_at_the_limit_is_seen(used: Deployment) -> None:
    container = used.container("synapse")
    before = measure(used)
    used.engine.docker("update", f"--memory={LIMIT}", f"--memory-swap={2 * LIMIT}", container)
    killed = used.engine.docker(
        "exec", container, "/opt/synapse/bin/python", "-c", f"b'x' * {3 * LIMIT}", check=False
    ).returncode
    assert killed == 137
    measured = measure(used)
    inside = measured["synapse"]["container"]
    assert inside["limit"] == LIMIT
    assert inside["oom_kills"] == 1 and inside["limit_hits"] > 0
    assert measured["host"]["oom_kills"] > before["host"]["oom_kills"]
    if "kernel_log" not in measured["missing"]:
        (line,) = measured["kernel_oom"]
        assert f"of {inside['name']} was killed at its limit, holding " in line
    # Synapse itself has lived on.
    assert measured["synapse"]["uptime"] > before["synapse"]["uptime"]


def test_what_cannot_be_asked_is_named(used: Deployment, tmp_path: pathlib.Path) -> None:
    measured = measure(used, docker_host=f"unix://{tmp_path}/none.sock")
    assert set(measured["missing"]) == {
        *("engine", "synapse", "postgresql", "processes", "backends", "metrics", "database", "shm"),
    }
    assert "the Docker Engine does not answer" in measured["missing"]["synapse"]
    assert measured["host"]["ram"] > 0 and measured["synapse"]["container"] is None
    # The last test here: it stays down.
    used.compose("stop", "--timeout", "10", "db")
    measured = measure(used, metrics_url="http://127.0.0.1:9/_synapse/metrics")
    missing = measured["missing"]
    assert set(missing) == {"postgresql", "backends", "metrics", "database", "shm"}
    assert "exited (0); start it" in missing["postgresql"]
    assert "gives no metrics" in missing["metrics"]
    assert measured["synapse"]["container"]["held"] > 0
    assert measured["postgresql"]["backends"] == [] and measured["postgresql"]["connections"] is None
