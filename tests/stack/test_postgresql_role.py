# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role postgresql, and its module, on PostgreSQL in a container that publishes no port."""

from __future__ import annotations

import json
import pathlib
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from client import wait_until
from deployment import Deployment
from engine import Engine

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

pytestmark = pytest.mark.slow

TABLE = "state_groups_state"
OPTIONS = {"autovacuum_analyze_scale_factor=0.05", "autovacuum_vacuum_scale_factor=0.02"}


def make_plan(*, database_size: int = 20 * 1024**3) -> dict[str, Any]:
    return plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3, postgresql_version=15, database_size=database_size))


class Played(NamedTuple):
    """A run of a playbook: how it ended, what it printed, and the role's result."""

    ok: bool
    output: str
    result: dict[str, Any]

    @property
    def changed(self) -> int:
        (count,) = re.findall(r"changed=(\d+)", self.output)
        return int(count)


def play(engine: Engine, folder: pathlib.Path, tasks: list[dict[str, Any]], *options: str, **variables: Any) -> Played:
    """Run tasks by Ansible, with all that it can print; the last one registers C(result)."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    keep = {
        "name": "Keep the answer",
        "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(answer), "mode": "0600"},
        "no_log": True,
        "diff": False,
        "check_mode": False,
        "changed_when": False,
    }
    whole = {"name": "Play", "hosts": "localhost", "gather_facts": False, "tasks": [*tasks, keep]}
    (folder / "play.yml").write_text(json.dumps([whole]), encoding="utf-8")
    (folder / "variables.json").write_text(
        json.dumps({"ansible_python_interpreter": sys.executable, **variables}), encoding="utf-8"
    )
    run = subprocess.run(
        [
            *("ansible-playbook", str(folder / "play.yml"), "-i", "localhost,", "-c", "local", "-vvv", "--diff"),
            *("-e", f"@{folder / 'variables.json'}", *options),
        ],
        env={**engine.environment(), "ANSIBLE_LOCALHOST_WARNING": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(answer.read_text(encoding="utf-8")) if answer.exists() else {}
    return Played(run.returncode == 0, run.stdout + run.stderr, result)


ROLE: list[dict[str, Any]] = [
    {"name": "Run the role", "ansible.builtin.import_role": {"name": "synapse.tuning.postgresql"}},
    {"name": "Take its result", "ansible.builtin.set_fact": {"result": "{{ synapse_tuning_postgresql_result }}"}},
]


def run_role(stock: Deployment, folder: pathlib.Path, planned: dict[str, Any], *options: str, **more: Any) -> Played:
    variables = {"plan": planned, "project_dir": str(stock.directory), **more}
    given = {f"synapse_tuning_{name}": value for name, value in variables.items()}
    return play(stock.engine, folder, ROLE, *options, **given)


def levers(stock: Deployment, folder: pathlib.Path, planned: dict[str, Any], **more: Any) -> dict[str, str]:
    """The states of the tables' levers, as effective_info sees them."""
    task = {
        "name": "Ask",
        "synapse.tuning.effective_info": {"plan": "{{ plan }}", "project_dir": str(stock.directory), **more},
        "register": "result",
    }
    answer = play(stock.engine, folder, [task], plan=planned)
    assert stock.settings["POSTGRES_PASSWORD"] not in answer.output
    return {each["lever"]: each["state"] for each in answer.result["levers"] if each["lever"].startswith("tables.")}


def options(stock: Deployment) -> set[str]:
    """The table's own options."""
    rows = stock.sql(f"SELECT unnest(reloptions) FROM pg_class WHERE relname = '{TABLE}'")
    return {row[0] for row in rows}


@pytest.fixture
def untouched(stock: Deployment) -> Deployment:
    """The stock deployment without options on the table."""
    names = ", ".join(each.partition("=")[0] for each in OPTIONS)
    stock.sql(f"ALTER TABLE {TABLE} RESET ({names})")
    assert options(stock) == set()
    return stock


def test_the_tables_of_a_large_database(untouched: Deployment, tmp_path: pathlib.Path) -> None:
    planned, password = make_plan(), untouched.settings["POSTGRES_PASSWORD"]
    assert set(levers(untouched, tmp_path, planned).values()) == {"not_applied"}

    checked = run_role(untouched, tmp_path, planned, "--check")
    assert checked.ok and checked.changed == 1, checked.output
    assert options(untouched) == set()

    done = run_role(untouched, tmp_path, planned)
    assert done.ok and done.changed == 1, done.output
    assert options(untouched) == OPTIONS
    assert done.result["tables"] == checked.result["tables"] and done.result["diff"] == checked.result["diff"]
    assert f"+{TABLE}.autovacuum_vacuum_scale_factor = 0.02" in done.output

    again = run_role(untouched, tmp_path, planned)
    assert again.ok and again.changed == 0, again.output
    for run in (checked, done, again):
        assert password not in run.output and password not in json.dumps(run.result)

    state = levers(untouched, tmp_path, planned)
    assert len(state) == 2 and set(state.values()) == {"in_effect"}
    # By a login as by psql inside; in another database there is no such table.
    (address,) = [each["IPAddress"] for each in untouched.inspect("db")["NetworkSettings"]["Networks"].values()]
    login = {"login_host": address, "login_user": "synapse", "login_password": password}
    assert levers(untouched, tmp_path, planned, **login, login_db="synapse") == state
    assert set(levers(untouched, tmp_path, planned, **login).values()) == {"unknown"}
    # The parameters are the compose file's.
    assert untouched.sql("SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE '%auto.conf'") == [["0"]]


def test_a_plan_without_tables_asks_nobody(untouched: Deployment, tmp_path: pathlib.Path) -> None:
    nobody = f"unix://{tmp_path}/none.sock"
    skipped = run_role(untouched, tmp_path, make_plan(database_size=0), docker_host=nobody)
    assert skipped.ok and skipped.changed == 0 and skipped.result["skipped"], skipped.output
    refused = run_role(untouched, tmp_path, make_plan(), docker_host=nobody)
    assert not refused.ok and "the Docker Engine does not answer" in refused.output


def test_a_refused_password_is_not_shown(untouched: Deployment, tmp_path: pathlib.Path) -> None:
    refused = run_role(untouched, tmp_path, make_plan(), login_password="wrong-and-secret")
    assert not refused.ok and "password authentication failed" in refused.output
    assert "wrong-and-secret" not in refused.output
    assert untouched.settings["POSTGRES_PASSWORD"] not in refused.output
    assert options(untouched) == set()


def test_another_database_has_no_such_table(untouched: Deployment, tmp_path: pathlib.Path) -> None:
    warned = run_role(untouched, tmp_path, make_plan(), database="postgres")
    assert warned.ok and warned.changed == 0, warned.output
    assert warned.result["missing_tables"] == [TABLE]
    assert f"The database postgres has no table {TABLE}" in warned.output


# --- a server by itself ------------------------------------------------------------------------


class Alone(NamedTuple):
    """PostgreSQL in a container that Compose has not made, with its password in a file."""

    name: str
    address: str
    password: str


@pytest.fixture(scope="module")
def alone(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    password, name = secrets.token_urlsafe(24), f"alone-{secrets.token_hex(4)}"
    file = tmp_path_factory.mktemp("secret") / "password"
    file.write_text(f"{password}\n", encoding="utf-8")
    file.chmod(0o600)
    variables = {"POSTGRES_PASSWORD_FILE": "/run/secrets/password", "POSTGRES_USER": "admin", "POSTGRES_DB": "synapse"}
    # The test engine has no network by default.
    engine.docker("network", "create", name)
    engine.docker(
        *(
            "run",
            "--detach",
            "--name",
            name,
            "--network",
            name,
            "--pull",
            "never",
            "--volume",
            f"{file}:/run/secrets/password:ro",
        ),
        *(word for key, value in variables.items() for word in ("--env", f"{key}={value}")),
        "postgres:15",
    )
    try:
        # At its address: the socket answers while the database is still being made.
        (found,) = json.loads(engine.docker("inspect", name).stdout)
        address = found["NetworkSettings"]["Networks"][name]["IPAddress"]
        ready = ("exec", name, "pg_isready", "--quiet", f"--host={address}")

        def answers() -> bool:
            return engine.docker(*ready, check=False).returncode == 0

        wait_until(answers, seconds=120, what="PostgreSQL answers")
        yield Alone(name, address, password)
    finally:
        engine.docker("rm", "--force", "--volumes", name)
        engine.docker("network", "rm", name)


def test_a_password_in_a_file_inside(engine: Engine, alone: Alone, tmp_path: pathlib.Path) -> None:
    task = {
        "name": "Set",
        "synapse.tuning.postgresql_parameters": {"container": alone.name, "parameters": {"jit": False}},
        "register": "result",
    }
    for expected in (1, 0):
        run = play(engine, tmp_path, [task])
        assert run.ok and run.changed == expected, run.output
        assert alone.password not in run.output


def test_by_a_login_the_parameters_are_set_too(engine: Engine, alone: Alone, tmp_path: pathlib.Path) -> None:
    variables = {
        "plan": make_plan(),
        "login_host": alone.address,
        "login_user": "admin",
        "login_password": alone.password,
        "database": "synapse",
    }
    given = {f"synapse_tuning_{name}": value for name, value in variables.items()}
    checked = play(engine, tmp_path, ROLE, "--check", **given)
    done = play(engine, tmp_path, ROLE, **given)
    assert done.ok and done.changed == checked.changed == 1, done.output
    assert done.result["parameters"] == checked.result["parameters"]
    assert done.result["pending_restart"] == ["max_connections", "shared_buffers", "wal_buffers"]
    assert "when PostgreSQL is restarted: max_connections, shared_buffers, wal_buffers" in done.output
    # Synapse has not made it yet.
    assert done.result["missing_tables"] == [TABLE]
    again = play(engine, tmp_path, ROLE, **given)
    assert again.ok and again.changed == 0, again.output
    for run in (checked, done, again):
        assert alone.password not in run.output
