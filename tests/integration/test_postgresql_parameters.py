# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters brought to real, running PostgreSQLs of each major version that this machine has."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from real.postgres import Server, installations

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from running import ansible_playbook
from sample_plan import PARAMETERS, sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    DatabaseProblem,
    ParameterError,
    TuningError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import KNOWN
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import read
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql_parameters import Request, apply, prepare

pytestmark = pytest.mark.slow

PASSWORD = "throw-away-8c1f"
EACH = pytest.mark.parametrize(
    "running", installations(), ids=lambda each: f"postgresql-{each.major}", indirect=True, scope="module"
)


@contextlib.contextmanager
def started(installation, log, *arguments) -> Iterator[Server]:
    with Server.start(
        installation, arguments=list(arguments), initdb=[], user="postgres", password=PASSWORD, log=log
    ) as server:
        yield server


@pytest.fixture(scope="module")
def running(request, tmp_path_factory):
    """A server with settings of its own in postgresql.conf and none in postgresql.auto.conf."""
    with started(request.param, tmp_path_factory.mktemp("log") / "log") as server:
        yield server


@pytest.fixture(scope="module")
def newest(tmp_path_factory):
    with started(installations()[-1], tmp_path_factory.mktemp("log") / "log") as server:
        yield server


def login(server, **other):
    return Login(
        **{
            "host": "127.0.0.1",
            "port": server.port,
            "user": "postgres",
            "password": PASSWORD,
            "database": "postgres",
            **other,
        }
    )


def run(server, *, check=False, **wanted):
    """What the module does, without Ansible."""
    with _postgresql.connect(login(server)) as session:
        if not check:
            session.lock()
        change = prepare(session, Request(**wanted))
        if change.changed and not check:
            apply(session, change)
        return change


def sql(server, *statements, **other):
    """Run statements as the superuser; the rows of the last."""
    with psycopg.connect(**login(server, **other).keywords(), autocommit=True, client_encoding="utf8") as connection:
        cursor = None
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor is not None and cursor.description else []


def shown(server, name):
    return sql(server, f"SHOW {name}")[0][0]


def auto_conf(server):
    """The settings in postgresql.auto.conf."""
    lines = (server.data / "postgresql.auto.conf").read_text().splitlines()
    return dict(line.split(" = ", 1) for line in lines if line and not line.startswith("#"))


def actions(change):
    return {each.name: each.action for each in change.parameters.changes}


@pytest.fixture(autouse=True)
def clean(request):
    """Each test starts on a server as initdb made it."""
    for name in ("running", "newest"):
        if name in request.fixturenames:
            server = request.getfixturevalue(name)
            sql(server, "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
            if sql(server, "SELECT 1 FROM pg_settings WHERE pending_restart"):
                server.restart()


@EACH
def test_a_plan_is_brought_to_the_server(running):
    plan = sample_plan()
    checked = run(running, plan=plan, check=True)
    assert auto_conf(running) == {}
    done = run(running, plan=plan)
    assert done == checked
    assert done.diff() == checked.diff()
    assert done.changed and done.parameters.reload and not done.parameters.warnings
    # What waits for a restart is what PostgreSQL itself says.
    waiting = [row[0] for row in sql(running, "SELECT name FROM pg_settings WHERE pending_restart ORDER BY name")]
    assert list(done.parameters.pending_restart) == waiting == ["max_connections", "shared_buffers", "wal_buffers"]
    # What does not is in effect.
    assert shown(running, "effective_cache_size") == "512MB"
    assert shown(running, "random_page_cost") == "1.1"
    assert shown(running, "jit") == "off"
    # The defaults are not repeated, and the diff is what is in the file.
    assert set(auto_conf(running)) == set(PARAMETERS) - {"work_mem", "maintenance_work_mem"}
    diff = done.diff()[0]
    assert diff["before"] == ""
    assert diff["after"].splitlines() == sorted(f"{name} = {value}" for name, value in auto_conf(running).items())
    assert diff["after_header"] == str(running.data / "postgresql.auto.conf")

    # Again: nothing, though the restart still waits.
    before = (running.data / "postgresql.auto.conf").read_bytes()
    again = run(running, plan=plan)
    assert not again.changed
    assert again.diff()[0]["before"] == again.diff()[0]["after"] == diff["after"]
    assert list(again.parameters.pending_restart) == waiting
    assert next(each for each in again.parameters.changes if each.name == "shared_buffers").pending == "256MB"
    assert (running.data / "postgresql.auto.conf").read_bytes() == before

    running.restart()
    after = run(running, plan=plan)
    assert not after.changed and not after.parameters.pending_restart
    assert not [each for each in after.parameters.changes if each.differs or each.pending]
    assert shown(running, "shared_buffers") == "256MB"


@EACH
@pytest.mark.parametrize(
    "name, text",
    [
        ("work_mem", "1.5GB"),
        ("work_mem", "1.3333MB"),
        ("work_mem", "0x1000"),
        ("work_mem", "010000"),
        ("work_mem", " 65 MB "),
        ("temp_buffers", "30.1MB"),
        ("temp_buffers", "12345kB"),
        ("statement_timeout", "1.7min"),
        ("lock_timeout", "2500us"),
        ("idle_in_transaction_session_timeout", "1.5d"),
        ("vacuum_cost_delay", "1500us"),
        ("random_page_cost", "1e1"),
        ("hash_mem_multiplier", "1.23456789"),
        ("jit", "of"),
        ("jit", "TRUE"),
        ("synchronous_commit", "yes"),
        ("client_min_messages", "debug"),
        ("wal_compression", "on"),
        # refused
        ("work_mem", "256mb"),
        ("work_mem", "09"),
        ("work_mem", "1kB"),
        ("work_mem", "lots"),
        ("work_mem", ""),
        ("random_page_cost", "1MB"),
        ("random_page_cost", "-1"),
        ("jit", "o"),
        ("jit", "maybe"),
        ("synchronous_commit", "never"),
        ("effective_io_concurrency", "1001"),
    ],
)
def test_values_are_read_as_postgresql_reads_them(running, name, text):
    with _postgresql.connect(login(running)) as session:
        parameter = session.state().parameters[name]
    try:
        understood = read(parameter, text)
    except ParameterError:
        with pytest.raises(psycopg.Error):
            sql(running, f"SET {name} = '{text}'")
    else:
        setting = sql(running, f"SET {name} = '{text}'", f"SELECT setting FROM pg_settings WHERE name = '{name}'")[0][0]
        told = read(parameter, setting)
        assert told == (float(f"{understood:g}") if isinstance(understood, float) else understood)


@EACH
def test_what_is_known_without_a_server_is_what_it_says(running):
    with _postgresql.connect(login(running)) as session:
        rows = session.state().parameters
    assert {name: (rows[name].vartype, rows[name].unit) for name in KNOWN} == KNOWN


@EACH
def test_the_command_line_wins_and_is_left_to_the_compose_file(running, tmp_path):
    installation = running._installation
    with started(installation, tmp_path / "log", "-c", "shared_buffers=64MB", "--work-mem=8MB") as server:
        # The login role's own work_mem hides the command line's in pg_settings.
        sql(server, "ALTER ROLE postgres SET work_mem = '9MB'")
        wanted = {"shared_buffers": "256MB", "work_mem": "16MB", "jit": False}
        checked = run(server, parameters=wanted, check=True)
        done = run(server, parameters=wanted)
        assert done == checked
        assert auto_conf(server) == {"jit": "'off'"}
        by_name = {each.name: each for each in done.parameters.changes}
        assert by_name["shared_buffers"].overridden_by == ("command line",)
        assert by_name["work_mem"].overridden_by == ("command line", "role postgres")
        assert by_name["shared_buffers"].current == "64MB" and by_name["shared_buffers"].action == "none"
        assert done.parameters.overridden == ("shared_buffers", "work_mem")
        assert not done.parameters.pending_restart
        assert "shared_buffers stays 64MB, not 256MB" in " ".join(done.parameters.warnings)
        assert not run(server, parameters=wanted).changed
        # Where it says what is planned there is nothing to warn of.
        agreed = run(server, parameters={"shared_buffers": "65536kB"})
        assert not agreed.changed and not agreed.parameters.warnings and not agreed.parameters.overridden


@EACH
def test_a_pending_value_is_taken_back(running):
    sql(running, "ALTER SYSTEM SET shared_buffers = '300MB'", "SELECT pg_reload_conf()")
    change = run(running, parameters={"shared_buffers": "16384"})
    assert change.changed and not change.parameters.pending_restart
    (only,) = change.parameters.changes
    assert (only.current, only.pending, only.differs, only.action) == ("128MB", "300MB", False, "none")
    # postgresql.conf, as initdb wrote it, says the same: no second copy of it.
    assert auto_conf(running) == {}
    assert not sql(running, "SELECT name FROM pg_settings WHERE pending_restart")
    assert not run(running, parameters={"shared_buffers": "128MB"}).changed


@EACH
def test_null_removes(running):
    run(running, parameters={"work_mem": "8MB", "shared_buffers": "64MB"})
    change = run(running, parameters={"work_mem": None, "shared_buffers": None})
    assert change.changed and auto_conf(running) == {} and shown(running, "work_mem") == "4MB"
    assert change.parameters.pending_restart == ()
    assert not run(running, parameters={"work_mem": None, "shared_buffers": None}).changed


@EACH
@pytest.mark.parametrize(
    "parameters, said",
    [
        ({"work_mem": "8MB", "random_page_cost": -2}, "random_page_cost cannot be '-2': PostgreSQL takes 0 to"),
        ({"work_mem": "8MB", "shared_buffers": "1kB"}, "shared_buffers cannot be '1kB': PostgreSQL takes 128kB to"),
        ({"work_mem": "8MB", "wal_level": "little"}, "wal_level cannot be 'little': write one of minimal, replica"),
        ({"work_mem": "8MB", "sharedbuffers": 1}, "has no parameter sharedbuffers: did you mean shared_buffers?"),
        ({"work_mem": "8MB", "max_connections": 3}, "max_connections cannot be 3: 3 are reserved"),
        ({"work_mem": "8MB", "block_size": 4096}, "block_size cannot be set"),
        ({"work_mem": "8MB", "data_directory": "/tmp"}, "data_directory is not set by this module"),
        ({"work_mem": "8MB", "search_path": ""}, "search_path cannot be empty"),
        ({"work_mem": "8MB", "jit": {}}, "is no value of a parameter"),
    ],
)
@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
def test_a_refused_value_leaves_everything(running, check, parameters, said):
    before = (running.data / "postgresql.auto.conf").read_bytes()
    with pytest.raises(TuningError) as error:
        run(running, parameters=parameters, check=check)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert (running.data / "postgresql.auto.conf").read_bytes() == before
    assert shown(running, "work_mem") == "4MB"


@EACH
def test_what_only_postgresql_can_refuse_is_put_back(running):
    sql(running, "ALTER SYSTEM SET jit = off", "SELECT pg_reload_conf()")
    before = auto_conf(running)
    # A check hook: no such locale. It comes after jit and before work_mem.
    wanted = {"jit": True, "geqo": False, "lc_messages": "xx_XX.nowhere", "work_mem": "8MB"}
    with pytest.raises(DatabaseProblem, match=r"lc_messages.*What was changed before it was put back") as error:
        run(running, parameters=wanted)
    assert "\n" not in str(error.value)
    assert auto_conf(running) == before
    assert shown(running, "geqo") == "on" and shown(running, "jit") == "off"
    with pytest.raises(DatabaseProblem, match="Nothing was changed"):
        run(running, parameters={"lc_messages": "xx_XX.nowhere", "work_mem": "8MB"})


@EACH
def test_roles_and_databases_that_say_otherwise(running):
    sql(
        running,
        "CREATE ROLE synapse",
        "ALTER ROLE synapse SET work_mem = '1MB'",
        "ALTER DATABASE template1 SET work_mem = '2MB'",
        "ALTER ROLE synapse IN DATABASE template1 SET work_mem = '3MB'",
        "ALTER ROLE ALL SET work_mem = '8192kB'",
        "ALTER ROLE postgres SET jit = on",
    )
    try:
        change = run(running, parameters={"work_mem": "8MB", "jit": "off"})
        by_name = {each.name: each for each in change.parameters.changes}
        # For all roles it is the planned value, in other words.
        assert sorted(by_name["work_mem"].overridden_by) == [
            "database template1",
            "role synapse",
            "role synapse in database template1",
        ]
        assert by_name["jit"].overridden_by == ("role postgres",)
        assert len(change.parameters.warnings) == 4
        assert "'ALTER ROLE synapse IN DATABASE template1 RESET work_mem' removes that" in " ".join(
            change.parameters.warnings
        )
        assert auto_conf(running) == {"work_mem": "'8MB'", "jit": "'off'"}
        assert not run(running, parameters={"work_mem": "8MB", "jit": "off"}).changed
        sql(running, *(each.split("'")[1] for each in change.parameters.warnings))
        assert not run(running, parameters={"work_mem": "8MB", "jit": "off"}).parameters.warnings
    finally:
        sql(running, "ALTER ROLE ALL RESET ALL", "ALTER ROLE postgres RESET ALL", "DROP ROLE synapse")


@EACH
@pytest.mark.parametrize(
    "line, said",
    [("work_mem = = 4MB\n", "syntax error"), ("nonsense = 1\n", "unrecognized configuration parameter nonsense")],
)
@pytest.mark.parametrize("name", ["postgresql.auto.conf", "postgresql.conf"])
def test_a_file_that_postgresql_cannot_read(running, name, line, said):
    path = running.data / name
    before = path.read_text()
    path.write_text(before + line)
    try:
        for check in (True, False):
            with pytest.raises(DatabaseProblem, match=f"{name}:[0-9]+: {said}; correct it first"):
                run(running, parameters={"jit": False}, check=check)
        assert path.read_text() == before + line
        # Nothing to do is no failure, but the next restart would be one.
        calm = run(running, parameters={"jit": True})
        assert not calm.changed and said in calm.parameters.warnings[0]
    finally:
        path.write_text(before)
    assert run(running, parameters={"jit": False}).changed


@EACH
def test_a_refused_value_in_a_file(running):
    path = running.data / "postgresql.auto.conf"
    path.write_text("work_mem = 'much'\ngeqo = 'perhaps'\n")
    change = run(running, parameters={"work_mem": "8MB"})
    assert shown(running, "work_mem") == "8MB"
    assert "geqo cannot be 'perhaps'" in change.parameters.warnings[0] and len(change.parameters.warnings) == 1


@EACH
def test_killed_in_between(running):
    """Half of it written, nothing reloaded: the next run does the rest."""
    plan = sample_plan()
    with _postgresql.connect(login(running)) as session:
        writes = prepare(session, Request(plan=plan)).parameters.writes
        for each in writes[: len(writes) // 2]:
            session.set_parameter(each.name, each.auto_after)
    assert run(running, plan=plan, check=True).changed
    assert run(running, plan=plan).changed
    assert shown(running, "effective_cache_size") == "512MB"
    assert not run(running, plan=plan).changed

    # All of it written, nothing reloaded.
    with _postgresql.connect(login(running)) as session:
        session.set_parameter("random_page_cost", "2.5")
    change = run(running, parameters={"random_page_cost": 2.5})
    assert change.changed and actions(change) == {"random_page_cost": "reload"}
    assert shown(running, "random_page_cost") == "2.5"


def test_killed_for_real(newest, tmp_path):
    """SIGKILL after the second ALTER SYSTEM: the file stays whole, and no lock stays."""
    script = tmp_path / "run.py"
    script.write_text(
        "import os, signal, sys, json\n"
        "sys.path[:0] = json.loads(sys.argv[1])\n"
        "from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql as p, _postgresql_parameters as q\n"
        "count = 0\n"
        "real = p.PsycopgServer.set_parameter\n"
        "def dying(self, name, value):\n"
        "    global count\n"
        "    real(self, name, value)\n"
        "    count += 1\n"
        "    if count == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "p.PsycopgServer.set_parameter = dying\n"
        "with p.connect(p.Login(host='127.0.0.1', port=int(sys.argv[2]), user='postgres')) as session:\n"
        "    session.lock()\n"
        "    change = q.prepare(session, q.Request(parameters={'jit': False, 'geqo': False, 'work_mem': '8MB'}))\n"
        "    q.apply(session, change)\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(sys.path), str(newest.port)],
        env={**os.environ, "PGPASSWORD": PASSWORD},
        check=False,
    )
    assert done.returncode == -9
    assert auto_conf(newest) == {"geqo": "'off'", "jit": "'off'"}
    change = run(newest, parameters={"jit": False, "geqo": False, "work_mem": "8MB"})
    assert actions(change) == {"geqo": "reload", "jit": "reload", "work_mem": "reload"}
    assert [each.name for each in change.parameters.writes] == ["work_mem"]
    assert shown(newest, "geqo") == "off"


def test_the_server_dies_in_between(newest, monkeypatch):
    real = _postgresql.PsycopgServer.set_parameter

    def dying(self, name, value):
        if name == "jit":
            newest.down()
        real(self, name, value)

    monkeypatch.setattr(_postgresql.PsycopgServer, "set_parameter", dying)
    try:
        with pytest.raises(DatabaseProblem, match="may keep the new geqo, jit: run again once PostgreSQL is up"):
            run(newest, parameters={"geqo": False, "jit": False})
    finally:
        newest.up()
    monkeypatch.undo()
    assert run(newest, parameters={"geqo": False, "jit": False}).changed
    assert auto_conf(newest) == {"geqo": "'off'", "jit": "'off'"}


def test_two_runs_at_once(newest, monkeypatch):
    monkeypatch.setattr(_postgresql, "_LOCK_WAIT", "100ms")
    with _postgresql.connect(login(newest)) as first:
        first.lock()
        with pytest.raises(DatabaseProblem, match="Another run is changing this server's parameters"):
            run(newest, parameters={"jit": False})
        assert run(newest, parameters={"jit": False}, check=True).changed
    assert run(newest, parameters={"jit": False}).changed


@EACH
def test_lists_stay_lists(running):
    wanted = {"shared_preload_libraries": "auto_explain, pg_prewarm", "search_path": ["$user", "public"]}
    change = run(running, parameters=wanted)
    assert auto_conf(running)["shared_preload_libraries"] == "'auto_explain, pg_prewarm'"
    # The default, in other words.
    assert [each.name for each in change.parameters.writes] == ["shared_preload_libraries"]
    assert not run(running, parameters=wanted).changed


@EACH
def test_what_postgresql_finds_itself(running):
    """wal_buffers -1 shows as a figure, and is no difference."""
    assert not run(running, parameters={"wal_buffers": -1}).changed
    run(running, parameters={"wal_buffers": "1MB"})
    running.restart()
    change = run(running, parameters={"wal_buffers": -1})
    assert change.changed and change.parameters.pending_restart == ("wal_buffers",)
    waiting = run(running, parameters={"wal_buffers": -1})
    assert not waiting.changed and waiting.parameters.pending_restart == ("wal_buffers",)
    running.restart()
    assert not run(running, parameters={"wal_buffers": -1}).changed
    assert not run(running, parameters={"wal_buffers": -1}).parameters.pending_restart


OPTIONS = {"state_groups_state": {"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_enabled": True}}


@pytest.fixture
def table(running):
    sql(running, "CREATE TABLE state_groups_state (state_group bigint) WITH (fillfactor = 90)")
    sql(running, "ALTER TABLE state_groups_state ALTER COLUMN state_group SET (n_distinct = -0.02)")
    yield
    sql(running, "DROP TABLE state_groups_state")


def table_options(server):
    return sql(server, "SELECT reloptions FROM pg_class WHERE relname = 'state_groups_state'")[0][0]


@EACH
def test_options_of_a_table(running, table):
    checked = run(running, tables=OPTIONS, check=True)
    assert table_options(running) == ["fillfactor=90"]
    done = run(running, tables=OPTIONS)
    assert done == checked and done.changed and not done.parameters.reload
    assert sorted(table_options(running)) == [
        "autovacuum_enabled=on",
        "autovacuum_vacuum_scale_factor=0.02",
        "fillfactor=90",
    ]
    assert done.diff()[1]["before"] == ""
    assert done.diff()[1]["after"].splitlines() == [
        "state_groups_state.autovacuum_enabled = on",
        "state_groups_state.autovacuum_vacuum_scale_factor = 0.02",
    ]
    other_words = {
        "public.state_groups_state": {"autovacuum_vacuum_scale_factor": "0.020", "autovacuum_enabled": "true"}
    }
    assert not run(running, tables=other_words).changed
    gone = run(running, tables={"state_groups_state": dict.fromkeys(OPTIONS["state_groups_state"])})
    assert gone.changed and table_options(running) == ["fillfactor=90"]
    assert sql(running, "SELECT attoptions FROM pg_attribute WHERE attname = 'state_group'")[0][0] == [
        "n_distinct=-0.02"
    ]


@EACH
def test_the_tables_of_a_real_plan(running, table):
    large = make_plan(Inputs(users=5, ram=2 << 30, database_size=20 << 30))
    wanted = {"plan": large, "sections": ("tables",)}
    assert run(running, **wanted, check=True) == run(running, **wanted)
    assert sorted(table_options(running)) == [
        "autovacuum_analyze_scale_factor=0.05",
        "autovacuum_vacuum_scale_factor=0.02",
        "fillfactor=90",
    ]
    assert not run(running, **wanted).changed
    # The parameters were not asked for.
    assert auto_conf(running) == {}


@EACH
def test_a_change_says_what_takes_it_back(running, table):
    state = "state_groups_state"
    run(running, parameters={"work_mem": "5MB"}, tables={state: {"autovacuum_vacuum_threshold": 10}})
    before = auto_conf(running), table_options(running)
    wanted = {"work_mem": "9MB", "jit": "off"}
    options = {"autovacuum_vacuum_threshold": 20, "autovacuum_enabled": True}
    change = run(running, parameters=wanted, tables={state: options})
    assert (auto_conf(running), table_options(running)) != before
    assert run(running, **change.undo()).changed
    assert (auto_conf(running), table_options(running)) == before
    # What changed nothing has nothing to take back.
    assert run(running, parameters={"work_mem": "5MB"}).undo() == {"parameters": {}, "tables": {}}


@EACH
def test_tables_that_are_not_there_yet(running):
    wanted = {"tables": OPTIONS, "parameters": {"jit": False}}
    with pytest.raises(DatabaseProblem, match="database postgres has no table state_groups_state: set login_db"):
        run(running, **wanted)
    assert auto_conf(running) == {}
    done = run(running, **wanted, missing_tables="warn")
    assert done.missing_tables == ("state_groups_state",) and len(done.warnings) == 1
    assert auto_conf(running) == {"jit": "'off'"}
    assert not run(running, **wanted, missing_tables="warn").changed


@EACH
def test_the_owner_of_the_tables_is_enough(running, table):
    sql(running, "CREATE ROLE owner LOGIN PASSWORD 'throw-away'", "ALTER TABLE state_groups_state OWNER TO owner")
    try:
        with _postgresql.connect(login(running, user="owner", password="throw-away")) as session:
            apply(session, prepare(session, Request(tables=OPTIONS)))
        assert "autovacuum_vacuum_scale_factor=0.02" in table_options(running)
    finally:
        sql(running, "ALTER TABLE state_groups_state OWNER TO postgres", "DROP ROLE owner")


@EACH
@pytest.mark.parametrize(
    "tables, said",
    [
        ({"state_groups_state": {"autovacuum_vacuum_scale_factor": 200}}, "Valid values are between"),
        ({"state_groups_state": {"autovacuum_nonsense": 1}}, 'unrecognized parameter "autovacuum_nonsense"'),
        ({"state_groups_state": {"n_distinct": 1}}, "Synapse sets n_distinct itself"),
        ({"state_groups_state": {"fillfactor": 50}}, "no setting of autovacuum's"),
        ({"state_groups_state": 3}, "is no mapping"),
        ({"events": {"autovacuum_enabled": True}}, "database postgres has no table events: set login_db"),
        ({"pg_catalog.pg_settings": {"autovacuum_enabled": True}}, "is no ordinary table"),
    ],
)
@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
def test_refused_options_leave_everything(running, table, check, tables, said):
    with pytest.raises(TuningError) as error:
        run(running, tables=tables, parameters={"jit": False}, check=check)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert auto_conf(running) == {} and table_options(running) == ["fillfactor=90"]


@EACH
def test_a_table_in_use_puts_the_parameters_back(running, table, monkeypatch):
    monkeypatch.setattr(_postgresql, "_LOCK_WAIT", "100ms")
    with psycopg.connect(**login(running).keywords(), client_encoding="utf8") as other:
        other.execute("LOCK TABLE state_groups_state IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(DatabaseProblem, match=r"lock timeout.*put back"):
            run(running, tables=OPTIONS, parameters={"jit": False})
    assert auto_conf(running) == {} and shown(running, "jit") == "on" and table_options(running) == ["fillfactor=90"]


def refused(server, **other):
    with pytest.raises(DatabaseProblem) as error:
        with _postgresql.connect(login(server, **other)) as session:
            prepare(session, Request(parameters={"jit": False}))
    assert "\n" not in str(error.value) and "wrong-secret" not in str(error.value) and PASSWORD not in str(error.value)
    return str(error.value)


def test_login_problems(newest, tmp_path, monkeypatch):
    for name in ("PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "check login_user and its password" in refused(newest, password="wrong-secret")
    assert "give login_password, or a passfile" in refused(newest, password=None)
    assert "correct login_user and login_db" in refused(newest, database="nowhere")
    assert "start PostgreSQL, or correct login_host and login_port" in refused(newest, port=1)
    assert "correct login_unix_socket" in refused(newest, host=str(tmp_path))
    assert "correct login_host" in refused(newest, host="nowhere.invalid")
    assert "correct sslmode" in refused(newest, sslmode="require")
    assert "cannot be read" in refused(newest, passfile=str(tmp_path / "absent"))


def test_passwords_from_files_and_the_environment(newest, tmp_path, monkeypatch):
    passfile = tmp_path / "pgpass"
    passfile.write_text(f"127.0.0.1:*:*:postgres:{PASSWORD}\n")
    passfile.chmod(0o644)
    assert "chmod 0600 it" in refused(newest, password=None, passfile=str(passfile))
    passfile.chmod(0o600)
    for given, environment in (
        ({"passfile": str(passfile)}, {}),
        ({}, {"PGPASSFILE": str(passfile)}),
        ({}, {"PGPASSWORD": PASSWORD}),
    ):
        with monkeypatch.context() as context:
            for name, value in environment.items():
                context.setenv(name, value)
            with _postgresql.connect(login(newest, password=None, **given)) as session:
                assert session.database == "postgres"


@EACH
def test_no_superuser(running):
    sql(running, "CREATE ROLE plain LOGIN PASSWORD 'throw-away'")
    try:
        said = refused(running, user="plain", password="throw-away")
        assert said.startswith("Role plain is no superuser, and ALTER SYSTEM needs one")
    finally:
        sql(running, "DROP ROLE plain")


def test_alter_system_is_forbidden(newest):
    if not sql(newest, "SELECT 1 FROM pg_settings WHERE name = 'allow_alter_system'"):
        pytest.skip("this PostgreSQL cannot forbid it")
    conf = newest.data / "postgresql.conf"
    before = conf.read_text()
    conf.write_text(before + "allow_alter_system = off\n")
    try:
        sql(newest, "SELECT pg_reload_conf()")
        assert "refuse ALTER SYSTEM" in refused(newest)
    finally:
        conf.write_text(before)
        sql(newest, "SELECT pg_reload_conf()")


TASK = """
    - name: {name}
      synapse.tuning.postgresql_parameters: "{{{{ options }}}}"
      check_mode: {check}
      diff: true
      register: answer
      ignore_errors: true
    - name: Keep the answer
      ansible.builtin.copy:
        content: "{{{{ answer | to_json }}}}"
        dest: "{{{{ answers }}}}/{name}"
        mode: "0600"
      diff: false
      no_log: true
"""


def ansible(folder: pathlib.Path, options: dict[str, Any], *names: str) -> tuple[dict[str, Any], str]:
    """The module's answers by name, those called check in check mode, and all that Ansible printed."""
    tasks = "".join(TASK.format(name=name, check=str(name == "check").lower()) for name in names)
    (folder / "playbook.yml").write_text("- hosts: localhost\n  gather_facts: false\n  tasks:\n" + tasks)
    done = ansible_playbook(
        folder / "playbook.yml", "-vvv", variables={"options": options, "answers": str(folder)}
    ).must_succeed()
    return {name: json.loads((folder / name).read_text()) for name in names}, done.output


def test_by_ansible(newest, tmp_path):
    options = {
        "plan": sample_plan(),
        "parameters": {"work_mem": "6MB"},
        "login_host": "127.0.0.1",
        "login_port": newest.port,
        "login_password": PASSWORD,
    }
    answers, output = ansible(tmp_path, options, "check", "real", "again")
    check, real, again = answers["check"], answers["real"], answers["again"]
    assert {**check, "diff": None} == {**real, "diff": None} and check["diff"] == real["diff"]
    assert real["changed"] and real["restart_required"] and real["reload"]
    assert real["pending_restart"] == ["max_connections", "shared_buffers", "wal_buffers"]
    assert not again["changed"] and again["restart_required"] and not again["reload"]
    assert "work_mem = '6MB'" in real["diff"][0]["after"]
    # With its diffs, and without the password.
    assert "+shared_buffers = '256MB'" in output and PASSWORD not in output


def test_an_error_by_ansible(newest, tmp_path):
    options = {"parameters": {"shared_buffers": "1kB"}, "login_host": "127.0.0.1", "login_port": newest.port}
    answers, _output = ansible(tmp_path, {**options, "login_password": PASSWORD}, "check", "refused")
    for answer in answers.values():
        assert answer["failed"] and answer["msg"].startswith("shared_buffers cannot be '1kB'")
