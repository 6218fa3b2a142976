# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The job that the role compressor installs, beside a database that is up: by hand, by a real cron and by a real systemd."""

from __future__ import annotations

import json
import os
import pathlib
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator

import client
import pytest
from deployment import Deployment
from machine import Machine, machine
from running import ansible_playbook

from ansible_collections.synapse.tuning.plugins.module_utils._core import calendar, effective_cron, host, plan
from ansible_collections.synapse.tuning.plugins.module_utils._cron import read_cron

pytestmark = pytest.mark.slow

PLAN = plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3))
ROLE = "state_compressor"
PASSWORD = r"it's hunter\2 %40:"


def _changes(playbook: pathlib.Path, *steps: dict[str, object]) -> None:
    """Write a playbook that runs the role once for each mapping of its variables and says what changed."""
    tasks = [
        task
        for number, step in enumerate(steps)
        for task in (
            {
                "ansible.builtin.include_role": {"name": "synapse.tuning.compressor"},
                "vars": {f"synapse_tuning_compressor_{name}": value for name, value in step.items()},
            },
            {"ansible.builtin.debug": {"msg": f"step {number}: {{{{ synapse_tuning_compressor_result | to_json }}}}"}},
        )
    ]
    playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")


def _said(output: str) -> list[dict[str, object]]:
    """What became of each step."""
    return [json.loads(json.loads(f'"{each}"')) for each in re.findall(r'"msg": "step \d+: (\{.*\})"', output)]


def _run_role(stock: Deployment, directory: pathlib.Path, *options: str, **variables: object) -> pathlib.Path:
    """Run the role on this machine against the deployment and return the script's path."""
    script = directory / "compress-state.sh"
    _changes(directory / "play.yml", variables)
    paths = {
        "script": script,
        "log": directory / "compress.log",
        "status_file": directory / "status.prom",
        "cron_file": directory / "cron",
    }
    run = ansible_playbook(
        directory / "play.yml",
        *options,
        variables={
            "ansible_python_interpreter": sys.executable,
            "synapse_tuning_plan": PLAN,
            "synapse_tuning_project_dir": str(stock.directory),
            **{f"synapse_tuning_compressor_{name}": str(path) for name, path in paths.items()},
        },
        environment=stock.engine.environment(),
    )
    assert "hunter" not in run.must_succeed().output
    return script


def _environment(stock: Deployment) -> dict[str, str]:
    """What cron gives a job, and this engine's address."""
    return {**stock.engine.variables(), "PATH": "/usr/bin:/bin", "HOME": "/root", "SHELL": "/bin/sh"}


def _start(stock: Deployment, script: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(script)], env=_environment(stock), cwd="/", capture_output=True, text=True, check=False)


def _status(path: pathlib.Path) -> dict[str, int]:
    if not path.exists():
        return {}
    found = re.findall(r"^synapse_tuning_compressor_(\w+)\{.*\} (\d+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: int(value) for name, value in found}


def _rows(stock: Deployment) -> int:
    return int(stock.sql("SELECT count(*) FROM state_groups_state")[0][0])


def _states(stock: Deployment) -> list[list[str]]:
    """The state of every state group, followed through its edges: what compressing must not change."""
    return stock.sql(
        "WITH RECURSIVE chain AS (SELECT id, id AS at, 0 AS depth FROM state_groups UNION ALL"
        " SELECT id, prev_state_group, depth + 1 FROM chain JOIN state_group_edges ON state_group = at),"
        " nearest AS (SELECT DISTINCT ON (id, type, state_key) id, type, state_key, event_id"
        " FROM chain JOIN state_groups_state ON state_group = at ORDER BY id, type, state_key, depth)"
        " SELECT id, md5(string_agg(concat_ws(' ', type, state_key, event_id), ',' ORDER BY type, state_key))"
        " FROM nearest GROUP BY id ORDER BY id"
    )


def _fill(stock: Deployment) -> None:
    """Have something to compress, in no time: a room whose state groups all hold the whole state, as old ones do."""
    stock.sql(
        "WITH made AS (INSERT INTO state_groups (id, room_id, event_id)"
        f" SELECT nextval('state_group_id_seq'), '!{secrets.token_hex(4)}:localhost', '$made'"
        " FROM generate_series(1, 120) RETURNING id, room_id)"
        " INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id)"
        " SELECT id, room_id, 'org.example.colour', key::text, '$' || key || '-' || CASE WHEN id % 20 = key THEN id ELSE 0 END"
        " FROM made, generate_series(1, 20) AS key"
    )


@pytest.fixture(scope="module")
def busy(stock: Deployment) -> Deployment:
    """A deployment with a room whose state changed often."""
    user = stock.register("decorator")
    room = user.create_room()
    for number in range(240):
        user.set_state(room, "org.example.colour", {"number": number}, state_key=str(number % 60))
    return stock


# --- on this machine, with the container's runtime ---------------------------------------------


def test_it_compresses_without_a_password(busy: Deployment, tmp_path: pathlib.Path) -> None:
    script = _run_role(busy, tmp_path)
    password = busy.settings["POSTGRES_PASSWORD"]
    before, states = _rows(busy), _states(busy)
    run = _start(busy, script)
    log = (tmp_path / "compress.log").read_text(encoding="utf-8")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", ""), log
    assert _rows(busy) < before
    assert _states(busy) == states
    assert _status(tmp_path / "status.prom")["last_saved_rows"] == before - _rows(busy)
    assert password not in script.read_text(encoding="utf-8") + log
    # A second one finds its place again, and nothing to do.
    after = _rows(busy)
    assert _start(busy, script).returncode == 0
    assert _rows(busy) == after
    assert _status(tmp_path / "status.prom")["last_saved_rows"] == 0


@pytest.fixture(scope="module")
def limited(busy: Deployment, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The script that logs in as a role of its own."""
    return _run_role(busy, tmp_path_factory.mktemp("limited"), db_role=ROLE)


def test_a_killed_run_loses_nothing(busy: Deployment, limited: pathlib.Path) -> None:
    """kill -9 of the script, whose container goes on; then of the container. The next run finishes the work."""
    _fill(busy)
    before, states = _rows(busy), _states(busy)
    folder = limited.parent
    # The compressor may read, and waits where it would write: killed then, it is in the midst of it.
    lock = "BEGIN; LOCK state_groups_state IN SHARE MODE; SELECT pg_sleep(600)"
    busy.engine.docker("exec", "--detach", busy.container("db"), "psql", "-U", "synapse", "-c", lock)
    waiting = f"SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND wait_event_type = 'Lock'"
    with subprocess.Popen([str(limited)], env=_environment(busy), cwd="/") as run:
        client.wait_until(lambda: busy.sql(waiting), seconds=60, what="the compressor waits")
        os.kill(run.pid, signal.SIGKILL)
    other = _start(busy, limited)
    assert (other.returncode, "another run has not finished yet" in other.stderr) == (75, True)
    killed = _status(folder / "status.prom")
    assert "last_end_timestamp_seconds" not in killed and killed["last_start_timestamp_seconds"] > 0
    (container,) = busy.engine.docker("ps", "--quiet", "--filter", "name=synapse-tuning-compressor").stdout.split()
    busy.engine.docker("kill", container)
    busy.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%' AND pid <> pg_backend_pid()"
    )
    assert (_rows(busy), _states(busy)) == (before, states)
    # As soon as the container's client has gone, too.
    client.wait_until(lambda: _start(busy, limited).returncode == 0, seconds=30, what="the next run goes on")
    assert _rows(busy) < before, (folder / "compress.log").read_text(encoding="utf-8")
    assert _states(busy) == states
    # What the run before had made in public is there, too.
    ((tables, schemas, owners),) = busy.sql(
        "SELECT count(*), string_agg(DISTINCT schemaname, ','), string_agg(DISTINCT tableowner, ',')"
        " FROM pg_tables WHERE tablename LIKE 'state_compressor_%'"
    )
    assert (tables, schemas, owners) == ("3", ROLE, ROLE)


@pytest.mark.usefixtures("limited")
def test_its_login_can_do_nothing_else(busy: Deployment) -> None:
    def asked(statement: str) -> subprocess.CompletedProcess[str]:
        command = ("psql", "-XAtq", "-h", "127.0.0.1", "-U", ROLE, "-d", "synapse", "-c", statement)
        return busy.engine.docker("exec", busy.container("db"), *command, check=False)

    assert asked("SELECT count(*) FROM state_groups_state").returncode == 0
    for statement in (
        "SELECT * FROM access_tokens",
        "SELECT * FROM users",
        "SELECT * FROM events",
        "SELECT * FROM event_json",
        "INSERT INTO state_groups VALUES (0, 'a', 'b')",
        "UPDATE state_groups_state SET event_id = 'x'",
        "TRUNCATE state_groups_state",
        "CREATE TABLE public.x ()",
        "CREATE ROLE x",
    ):
        assert "permission denied" in asked(statement).stderr, statement


def test_it_is_stopped_when_it_takes_too_long(busy: Deployment, tmp_path: pathlib.Path) -> None:
    script = _run_role(busy, tmp_path, time_limit="0.05s")
    run = _start(busy, script)
    assert run.returncode == 124
    left = busy.engine.docker("ps", "--all", "--filter", "name=synapse-tuning-compressor", "--quiet").stdout
    assert left == ""
    # The same script says so where the database does not run.
    busy.compose("stop", "db")
    try:
        run = _start(busy, script)
    finally:
        busy.compose("start", "db")
        busy.wait()
    assert run.returncode == 69
    assert f"the service db does not run in {busy.directory}" in run.stderr
    assert _status(tmp_path / "status.prom")["last_exit_status"] == 69


# --- on a machine with cron and systemd --------------------------------------------------------


@pytest.fixture(scope="module")
def booted(busy: Deployment) -> Iterator[Machine]:
    with machine(busy) as one:
        yield one


def _play(
    one: Machine, stock: Deployment, folder: pathlib.Path, *steps: dict[str, object], check: bool = False
) -> list[dict[str, object]]:
    """Run the role on the machine once for each step; no word of it has the password."""
    _changes(folder / "play.yml", *steps)
    run = one.play(
        folder / "play.yml",
        *(("--check",) if check else ()),
        "--diff",
        synapse_tuning_plan=PLAN,
        synapse_tuning_project_dir=str(stock.directory),
    )
    assert "hunter" not in run.must_succeed().output
    return _said(run.stdout)


WHEEL = {"runtime": "wheel", "db_role": ROLE, "db_password": PASSWORD, "random_delay": 0}


def test_a_real_cron_runs_the_wheel(busy: Deployment, booted: Machine, tmp_path: pathlib.Path) -> None:
    _fill(busy)
    before, states = _rows(busy), _states(busy)
    every_minute = {**WHEEL, "schedule": {"minute": "*", "hour": "*"}}
    first, second = _play(booted, busy, tmp_path, every_minute, every_minute)
    assert (first["state"], first["changed"], second["changed"]) == ("installed", True, False)
    status_file = busy.directory / "compress-state.prom"
    found = client.wait_until(
        lambda: (found := _status(status_file)) and "last_end_timestamp_seconds" in found and found,
        seconds=150,
        what="cron has run it",
    )
    log = (busy.directory / "compress-state.log").read_text(encoding="utf-8")
    assert found["last_exit_status"] == 0, log
    assert found["last_saved_rows"] > 0
    assert _rows(busy) <= before - found["last_saved_rows"]
    assert _states(busy) == states
    assert found["last_success_timestamp_seconds"] == found["last_end_timestamp_seconds"]
    # The password is in its file alone.
    secret = busy.directory / "compress-state.password"
    assert (secret.stat().st_mode & 0o7777, secret.read_text("utf-8")) == (0o600, f"{PASSWORD}\n")
    for path in (*busy.directory.glob("compress-state.*"), busy.directory / "compress-state.venv" / "pyvenv.cfg"):
        assert path.is_dir() or path == secret or "hunter" not in path.read_text("utf-8"), path
    assert "hunter" not in booted.run("cat", str(first["cron_file"])).stdout


def test_a_wrong_password_is_in_no_log(busy: Deployment, booted: Machine) -> None:
    """The compressor itself says what it could not connect with."""
    secret = busy.directory / "compress-state.password"
    log = busy.directory / "compress-state.log"
    secret.write_text("hunter3\n", encoding="utf-8")
    # Not beside the one that cron started.
    run = client.wait_until(
        lambda: (run := booted.run(str(busy.directory / "compress-state.sh"), check=False)).returncode != 75 and run,
        seconds=60,
        what="it ran",
    )
    said = log.read_text(encoding="utf-8")
    assert run.returncode == 1
    assert "password authentication failed" in said
    assert "hunter" not in said + run.stdout + run.stderr


def test_a_real_systemd_runs_the_container(busy: Deployment, booted: Machine, tmp_path: pathlib.Path) -> None:
    """Another runtime and another scheduler, so that nothing of the others' may be left."""
    _fill(busy)
    before = _rows(busy)
    step = {"scheduler": "systemd", "db_role": ROLE, "log": "", "random_delay": 60}
    assert [each["changed"] for each in _play(booted, busy, tmp_path, step, check=True)] == [True]
    first, second = _play(booted, busy, tmp_path, step, step)
    assert (first["state"], first["changed"], second["changed"]) == ("installed", True, False)
    timer = str(first["cron_file"])
    service = timer.replace(".timer", ".service")
    unit = service.rpartition("/")[2]
    link = timer.replace("/system/", "/system/timers.target.wants/")
    assert sorted(booted.files()) == sorted([timer, service, link])
    for name in ("venv", "py", "password"):
        assert not (busy.directory / f"compress-state.{name}").exists()
    verified = booted.run("systemd-analyze", "verify", timer, service)
    assert unit not in verified.stdout + verified.stderr
    assert unit.replace(".service", ".timer") in booted.run("systemctl", "list-timers").stdout
    booted.run("systemctl", "start", unit)
    journal = booted.run("journalctl", "--unit", unit, "--no-pager", "--output", "cat").stdout
    assert _rows(busy) < before, journal
    assert "Finished running compressor" in journal
    assert _status(busy.directory / "compress-state.prom")["last_exit_status"] == 0
    shown = booted.run("systemctl", "show", unit, "--property=Nice,IOSchedulingClass,TimeoutStartUSec").stdout
    assert set(shown.split()) >= {"Nice=19", "IOSchedulingClass=3", "TimeoutStartUSec=6h"}
    # What the role verify reads.
    for path in (timer, service):
        (tmp_path / path.rpartition("/")[2]).write_text(booted.run("cat", path).stdout, encoding="utf-8")
    (tmp_path / "timers.target.wants").mkdir()
    (tmp_path / "timers.target.wants" / timer.rpartition("/")[2]).touch()
    job = read_cron(str(tmp_path / timer.rpartition("/")[2]))
    planned = {name: setting["value"] for name, setting in PLAN["compressor"].items()}
    assert {each.state for each in effective_cron.judge_cron(planned, job)} == {"in_effect"}


def test_systemd_understands_what_is_made_of_crons_fields(booted: Machine) -> None:
    for cron in ("17 3 * * 0", "17 3 1 * *", "*/15 * * * *", "0 1-5/2,22 */2 1-3 *", "0 4 * * 0-2,5", "* * * * *"):
        booted.run("systemd-analyze", "calendar", calendar.on_calendar(cron.split()))
    assert (
        "06-01 04:00:00"
        in booted.run(
            *(
                "systemd-analyze",
                "calendar",
                "--base-time=2026-05-02 00:00:00",
                calendar.on_calendar(["0", "4", "1", "*/5", "*"]),
            )
        ).stdout
    )


def test_nothing_is_left(busy: Deployment, booted: Machine, tmp_path: pathlib.Path) -> None:
    """Asked for with variables that say nothing of what installed it."""
    absent = {"state": "absent", "db_role": ROLE}
    assert [each["changed"] for each in _play(booted, busy, tmp_path, absent, check=True)] == [True]
    assert busy.sql(f"SELECT count(*) FROM pg_roles WHERE rolname = '{ROLE}'") == [["1"]]
    first, second = _play(booted, busy, tmp_path, absent, absent)
    assert (first["changed"], second["changed"]) == (True, False)
    assert booted.files() == []
    assert list(busy.directory.glob("compress-state*")) == []
    assert busy.sql(f"SELECT count(*) FROM pg_roles WHERE rolname = '{ROLE}'") == [["0"]]
    # The compressor's progress is the database's.
    assert busy.sql(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'state_compressor_%'"
    ) == [["3"]]
