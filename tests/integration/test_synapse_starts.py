# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job, for real: what the playbook writes runs, and does in the servers what the plan says.

PostgreSQL and Synapse are the real programs, started on the loopback interface with the
written files; tests/integration/real/deployment.py says what is different from a container.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import running
import yaml
from real import grid, postgres
from real.deployment import Deployment
from real.homeserver import Homeserver, jemalloc

from ansible_collections.synapse.tuning.plugins.module_utils import _memory
from ansible_collections.synapse.tuning.plugins.module_utils._core import cache_table
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import Wanted

pytestmark = pytest.mark.slow

_PER_CACHE = "caches.per_cache_factors."
_USERS = 5
_RAM = "2G"


def _tune(root: pathlib.Path, folder: pathlib.Path) -> None:
    """What `make tune USERS=5 RAM=2G DEST=folder` runs."""
    tool = [sys.executable, str(root / "tools" / "extra_vars.py")]
    wanted = ["create=true", "apply=false", f"users={_USERS}", f"ram={_RAM}", f"project_dir={folder}"]
    variables = json.loads(subprocess.run([*tool, *wanted], check=True, text=True, capture_output=True).stdout)
    # In /etc/cron.d, the job would be the machine's own and outlive the test.
    variables["synapse_tuning_compressor_cron_file"] = str(folder / "cron")
    running.ansible_playbook(running.PLAYBOOK, variables=variables).must_succeed()


class _Live:
    """The deployment, its plan, and a running PostgreSQL with the deployment's database."""

    def __init__(self, deployment: Deployment, plan: dict[str, Any], database: Any, port: int) -> None:
        self.deployment = deployment
        self.plan = plan
        self.database = database
        self.port = port

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.cursor() as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def synapse(
        self, logs: pathlib.Path, *, instead: dict[str, Any] | None = None, environment: dict[str, str] | None = None
    ) -> Iterator[Homeserver]:
        """Synapse on the written homeserver.yaml, in the written environment.

        :param instead: top-level keys that replace the written ones.
        :param environment: variables that replace the written ones.
        """
        ports = {"http": postgres.free_port(), "metrics": postgres.free_port()}
        overlay = self.deployment.on_loopback(ports=ports, postgresql_port=self.port)
        overlay.update(instead or {})
        second = logs / "loopback.yaml"
        second.touch(mode=0o600)
        second.write_text(yaml.safe_dump(overlay), encoding="utf-8")
        if environment is None:
            environment = self.deployment.environment(self.deployment.service("synapse"))
        with Homeserver.start(
            [self.deployment.homeserver_path, second],
            ports=ports,
            environment={**jemalloc(), **environment},
            log=logs / "synapse.log",
        ) as server:
            yield server


@pytest.fixture(scope="module")
def live(
    root: pathlib.Path, newest_postgresql: postgres.Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[_Live]:
    work = tmp_path_factory.mktemp("starts")
    folder = work / "synapse"
    _tune(root, folder)
    deployment = Deployment(folder)
    account = deployment.postgresql_account()
    initdb = deployment.environment(deployment.service("postgres"))["POSTGRES_INITDB_ARGS"].split()
    with postgres.Server.start(
        newest_postgresql,
        arguments=deployment.postgresql_arguments(),
        initdb=initdb,
        user=account["user"],
        password=account["password"],
        log=work / "postgresql.log",
    ) as server:
        login = {"host": "127.0.0.1", "port": server.port, "user": account["user"], "password": account["password"]}
        database = psycopg2.connect(dbname="postgres", **login)
        database.autocommit = True
        plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
        found = _Live(deployment, plan, database, server.port)
        # The official image makes the database that POSTGRES_DB names.
        with database.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{account["database"]}"')
        try:
            yield found
        finally:
            database.close()


def _planned_sizes(plan: dict[str, Any]) -> dict[str, int]:
    """What each cache of the table may hold under the plan."""
    settings = grid.values(plan["homeserver"])
    units = {"K": 1024, "M": 1024**2}
    written = settings["event_cache_size"]
    bases = {cache.name: cache.base for cache in cache_table.CACHES}
    bases["*getEvent*"] = int(written[:-1]) * units[written[-1]]
    return {
        name: int(base * settings.get(_PER_CACHE + name, settings["caches.global_factor"]))
        for name, base in bases.items()
    }


def _default_sizes() -> dict[str, int]:
    return {cache.name: int(cache.base * 0.5) for cache in cache_table.CACHES}


def _of_both(live: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in other.items() if name in live}


def test_synapse_starts_and_its_caches_have_the_planned_sizes(live: _Live, tmp_path: pathlib.Path) -> None:
    with live.synapse(tmp_path) as server:
        server.converse(shared_secret=_registration_secret(live.deployment))
        sizes = server.cache_sizes()
        connections = live.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'synapse' AND backend_type = 'client backend'"
        )
        measured = _measured(live, server)

    # jemalloc, where it is installed, says in the log what it does not understand of MALLOC_CONF.
    assert "<jemalloc>" not in (tmp_path / "synapse.log").read_text(encoding="utf-8")
    unknown = set(sizes) - {cache.name for cache in cache_table.CACHES}
    assert unknown == set(), "Synapse reports caches that the table does not have"
    assert len(sizes) >= 30
    assert {"*getEvent*", "get_users_in_room", "*stateGroupMembersCache*"} <= set(sizes)
    assert sizes == _of_both(sizes, _planned_sizes(live.plan))
    # The control: Synapse's own defaults are other sizes, so equality above was the plan's doing.
    assert sizes != _of_both(sizes, _default_sizes())
    planned = grid.values(live.plan["homeserver"])
    assert planned["database.args.cp_min"] <= connections[0][0] <= planned["database.args.cp_max"]

    # Without containers they are found by their processes. Other tests may run others beside them.
    assert set(measured.missing) <= {"synapse", "postgresql", "kernel_log", "jemalloc"}
    (main,) = [each for each in measured.synapse.processes if each.pid == server.pid]
    assert main.name == "main" and main.pss and main.private and main.private <= main.pss
    assert {each.name: each.max_size for each in measured.synapse.caches if each.name in sizes} == sizes
    clients = [
        each for each in measured.postgresql.backends if (each.database, each.kind) == ("synapse", "client backend")
    ]
    assert len(clients) == connections[0][0] and all(each.pss for each in clients)
    assert [each.kind for each in measured.postgresql.backends].count("postmaster") == 1
    assert measured.postgresql.shared and measured.postgresql.container is None


def _measured(live: _Live, server: Homeserver) -> Measurement:
    account = live.deployment.postgresql_account()
    login = Login("127.0.0.1", live.port, account["user"], account["password"], "synapse")
    return _memory.measure(_memory.Request(wanted=Wanted(), login=login, metrics_url=server.metrics_url))


def _registration_secret(deployment: Deployment) -> str:
    written = deployment.homeserver
    if "registration_shared_secret" in written:
        return str(written["registration_shared_secret"])
    return deployment.path(written["registration_shared_secret_path"]).read_text(encoding="utf-8").strip()


def test_the_environment_variable_alone_does_nothing(live: _Live, tmp_path: pathlib.Path) -> None:
    # Documents why the plan writes caches.global_factor: the variable is without effect since 1.60.
    alone = {"SYNAPSE_CACHE_FACTOR": "3.0"}
    with live.synapse(tmp_path, instead={"caches": {}}, environment=alone) as server:
        sizes = server.cache_sizes()
    assert len(sizes) >= 5
    assert sizes == _of_both(sizes, _default_sizes())


def test_postgresql_runs_with_every_planned_parameter(live: _Live) -> None:
    planned = grid.values(live.plan["postgresql"])
    # pg_settings tells what a parameter is and where it comes from; SHOW's rendering may round.
    rows = live.ask("SELECT name, setting, unit, source FROM pg_settings")
    effective = {name: (setting, unit, source) for name, setting, unit, source in rows}
    for name, value in planned.items():
        setting, unit, source = effective[name]
        assert source == "command line", name
        assert _in_bytes(setting, unit) == postgres.meant(str(value)), name


def _in_bytes(setting: str, unit: str | None) -> float | str:
    """A row of pg_settings as bytes or milliseconds; its unit may be a multiple, such as 8kB."""
    if unit is None:
        return postgres.meant(setting)
    digits = unit.rstrip("kMGTBmsind")
    return float(setting) * float(postgres.meant(f"{digits or 1}{unit.removeprefix(digits)}"))


def test_the_new_database_is_one_that_synapse_takes(live: _Live) -> None:
    query = "SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = 'synapse'"
    assert live.ask(query) == [("UTF8", "C", "C")]
