# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a server's state and what is wanted to a change set, and the change made, or taken back, on a fake server."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    DatabaseProblem,
    ParameterError,
    PlanError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameters import plan_parameters, wanted_parameters
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import (
    FileEntry,
    RoleSetting,
    ServerState,
    command_line_parameters,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.table_options import plan_options, wanted_options
from ansible_collections.synapse.tuning.plugins.module_utils._postgresql_parameters import Request, apply, prepare

AUTO = "/data/postgresql.auto.conf"

ROWS = {
    "shared_buffers": Parameter("shared_buffers", "16384", "8kB", "integer", "postmaster", "default", boot="16384"),
    "work_mem": Parameter("work_mem", "4096", "kB", "integer", "user", "default", minimum="64", boot="4096"),
    "random_page_cost": Parameter("random_page_cost", "4", None, "real", "user", "default", boot="4"),
    "jit": Parameter("jit", "on", None, "bool", "user", "default", boot="on"),
}


class FakeServer:
    """Parameters as PostgreSQL keeps them: files, and what is running."""

    database = "synapse"
    closed = False
    superuser = True

    def __init__(self, auto=None, *, refuses=(), dies_at=None, ignores=(), tables=None):
        self.tables = tables
        self.auto = dict(auto or {})
        self.running = {name: row.setting for name, row in ROWS.items()}
        self.refuses, self.dies_at, self.ignores = refuses, dies_at, ignores
        self.reloads = 0

    def state(self):
        return ServerState(
            version=170002,
            superuser=self.superuser,
            user="postgres",
            parameters={name: dataclasses.replace(row, setting=self.running[name]) for name, row in ROWS.items()},
            entries=tuple(FileEntry(AUTO, n, name, value) for n, (name, value) in enumerate(self.auto.items())),
            auto_conf=AUTO,
        )

    def table_options(self, tables):
        return {table: {} for table in tables if self.tables is None or table in self.tables}

    def try_options(self, changes):
        pass

    def set_options(self, changes):
        raise DatabaseProblem("no")

    def set_parameter(self, name, value):
        if name == self.dies_at:
            self.closed = True
        if self.closed:
            raise DatabaseProblem("gone")
        if name in self.refuses:
            raise DatabaseProblem(f"refused {name}")
        if value is None:
            self.auto.pop(name, None)
        else:
            self.auto[name] = value

    def reload(self):
        if self.closed:
            raise DatabaseProblem("gone")
        self.reloads += 1
        for name, row in ROWS.items():
            if row.context != "postmaster" and name not in self.ignores:
                self.running[name] = self.auto.get(name, row.boot)


def tune(server, **wanted):
    change = prepare(server, Request(parameters=wanted))
    if change.changed:
        apply(server, change)
    return change


VALUES = st.fixed_dictionaries(
    {},
    optional={
        "shared_buffers": st.sampled_from(["128MB", "16384", "256MB", "32768", None]),
        "work_mem": st.sampled_from(["4MB", 4096, "8MB", "8192kB", None]),
        "random_page_cost": st.sampled_from([4, "4.0", 1.1, None]),
        "jit": st.sampled_from([True, False, "yes", "of", None]),
    },
)


def texts(values):
    return {name: text for name, text in wanted_parameters({}, values).items() if text is not None}


@settings(max_examples=150)
@given(VALUES, VALUES)
def test_one_run_is_enough(auto, wanted):
    """From any postgresql.auto.conf: what is wanted is what the files say, and a second run finds nothing to do."""
    server = FakeServer(texts(auto))
    untouched = {name: text for name, text in server.auto.items() if name not in wanted}
    server.reload()
    change = tune(server, **wanted)
    again = prepare(server, Request(parameters=wanted))
    assert not again.changed
    assert again.parameters.before() == again.parameters.after() == change.parameters.after()
    assert again.parameters.pending_restart == change.parameters.pending_restart
    assert server.reloads == 1 + change.changed
    assert {name: text for name, text in server.auto.items() if name not in wanted} == untouched
    assert not [each for each in again.parameters.changes if each.differs and each.context != "postmaster"]


def test_one_reload_for_all():
    server = FakeServer()
    tune(server, work_mem="8MB", jit=False, shared_buffers="256MB")
    assert server.reloads == 1
    assert server.auto == {"jit": "off", "shared_buffers": "256MB", "work_mem": "8MB"}


def test_a_refusal_puts_back():
    server = FakeServer({"jit": "off"}, refuses=("work_mem",))
    with pytest.raises(DatabaseProblem, match=r"refused work_mem\. What was changed before it was put back"):
        tune(server, jit=None, random_page_cost=2, work_mem="8MB")
    assert server.auto == {"jit": "off"}


def test_what_has_no_effect_is_no_success():
    server = FakeServer(ignores=("work_mem",))
    with pytest.raises(DatabaseProblem, match="work_mem did not take effect: see its log"):
        tune(server, work_mem="8MB", jit=False)
    assert server.auto == {}


def test_a_lost_session_says_what_may_be_left():
    server = FakeServer(dies_at="work_mem")
    with pytest.raises(DatabaseProblem, match="may keep the new jit, work_mem: run again"):
        tune(server, jit=False, work_mem="8MB")


def state(**other):
    return dataclasses.replace(FakeServer().state(), **other)


def row(name, **other):
    return {**ROWS, name: dataclasses.replace(ROWS[name], **other)}


def test_a_hidden_value_is_the_servers_own():
    """ALTER ROLE hides it from the login role's session, and may hide the command line."""
    hidden = row("work_mem", setting="9216", source="user")
    role = (RoleSetting("postgres", None, "work_mem", "9MB"),)
    (change,) = plan_parameters(state(parameters=hidden, role_settings=role), {"work_mem": "4MB"}).changes
    assert (change.current, change.differs, change.overridden_by) == ("4MB", False, ("role postgres",))
    (change,) = plan_parameters(
        state(parameters=hidden, role_settings=role, command_line=("work_mem",)), {"work_mem": "8MB"}
    ).changes
    assert change.overridden_by == ("command line", "role postgres") and not change.written


def test_six_digits_of_a_real_are_enough():
    entries = (FileEntry(AUTO, 3, "random_page_cost", "1.23456789"),)
    shown = row("random_page_cost", setting="1.23457", source="configuration file")
    planned = plan_parameters(state(parameters=shown, entries=entries), {"random_page_cost": "1.23456789"})
    assert not planned.reload


def test_the_last_entry_counts():
    entries = (
        FileEntry("/data/postgresql.conf", 9, "Work_Mem", "8MB"),
        FileEntry(AUTO, 3, "work_mem", "1MB"),
        FileEntry(AUTO, 4, "work_mem", "8192kB"),
    )
    running = row("work_mem", setting="8192", source="configuration file")
    planned = plan_parameters(state(parameters=running, entries=entries), {"work_mem": "8MB"})
    assert not planned.reload


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"version": 120005}, "PostgreSQL 12 is too old: Synapse needs 13 or newer"),
        ({"superuser": False}, "Role postgres is no superuser"),
        (
            {"entries": (FileEntry("/etc/pg.conf", 7, None, None, "syntax error"),)},
            "/etc/pg.conf:7: syntax error; correct it first",
        ),
    ],
)
def test_servers_that_are_not_ready(other, said):
    with pytest.raises(DatabaseProblem, match=said):
        plan_parameters(state(**other), {"jit": "off"})


def planned(**sections):
    """A plan of settings, as plan_info returns it."""
    settings = {"postgresql": {}, "tables": {}, **sections}

    def setting(value):
        if isinstance(value, dict):
            return {name: setting(each) for name, each in value.items()}
        return {"value": value, "unit": "", "why": "for the test", "source": "sample"}

    return setting(settings)


@pytest.mark.parametrize("plan", [{}, {"postgresql": []}, {"postgresql": {"jit": "off"}}, {"postgresql": {}}])
def test_what_is_no_plan(plan):
    with pytest.raises(PlanError, match="give the plan that"):
        prepare(FakeServer(), Request(plan=plan))


def test_parameters_win_over_the_plan():
    assert wanted_parameters({"jit": "off", "work_mem": "4MB"}, {"WORK_MEM": "8MB"}) == {
        "jit": "off",
        "work_mem": "8MB",
    }


TABLES = {"big": {"autovacuum_vacuum_scale_factor": 0.02, "autovacuum_analyze_scale_factor": 0.05}}


def test_the_plans_tables_are_set_and_others_win():
    own = {"big": {"autovacuum_vacuum_scale_factor": 0.1}, "small": {"autovacuum_enabled": True}}
    change = prepare(FakeServer(), Request(plan=planned(tables=TABLES), tables=own))
    assert [(each.table, each.option, each.planned) for each in change.options] == [
        ("big", "autovacuum_analyze_scale_factor", "0.05"),
        ("big", "autovacuum_vacuum_scale_factor", "0.1"),
        ("small", "autovacuum_enabled", "on"),
    ]


@pytest.mark.parametrize("sections", [("tables",), ("postgresql",), ("postgresql", "tables"), ()])
def test_only_the_sections_that_are_asked_for(sections):
    plan = planned(postgresql={"jit": "off"}, tables=TABLES)
    change = prepare(FakeServer(), Request(plan=plan, sections=sections))
    assert bool(change.parameters.changes) == ("postgresql" in sections)
    assert bool(change.options) == ("tables" in sections)


def test_a_section_that_is_not_asked_for_may_be_missing():
    assert not prepare(FakeServer(), Request(plan={"tables": {}}, sections=("tables",))).changed


def test_who_owns_the_tables_need_not_be_a_superuser():
    server = FakeServer()
    server.superuser = False
    assert prepare(server, Request(plan=planned(tables=TABLES))).option_writes
    with pytest.raises(DatabaseProblem, match="is no superuser"):
        prepare(server, Request(plan=planned(tables=TABLES, postgresql={"jit": "off"})))


def test_a_table_that_is_not_there_yet():
    server = FakeServer(tables={"small": {}})
    request = Request(plan=planned(tables=TABLES), tables={"small": {"autovacuum_enabled": True}})
    with pytest.raises(DatabaseProblem, match=r"^The database synapse has no table big: .*or start Synapse"):
        prepare(server, request)
    change = prepare(server, dataclasses.replace(request, missing_tables="warn"))
    assert change.missing_tables == ("big",)
    assert change.warnings == ("The database synapse has no table big; its settings are left for a later run",)
    assert [each.table for each in change.options] == ["small"]
    alone = prepare(server, Request(plan=planned(tables=TABLES), missing_tables="warn"))
    assert not alone.changed and alone.warnings


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ('/usr/bin/postgres "-D" "/d" "-c" "work_mem=5MB" "-c" "Shared_Buffers=1GB"', ("work_mem", "shared_buffers")),
        ('postgres "--shared-buffers=1GB" "-cjit=off" "-S" "4096"', ("shared_buffers", "jit", "work_mem")),
        ('postgres "-D" "/d"', ()),
        ("", ()),
    ],
)
def test_the_command_line_is_read(options, names):
    assert command_line_parameters(options) == names


@pytest.mark.parametrize(
    ("setting", "who", "removal"),
    [
        (RoleSetting("a", "b", "jit", "off"), "role a in database b", "ALTER ROLE a IN DATABASE b RESET jit"),
        (RoleSetting("a", None, "jit", "off"), "role a", "ALTER ROLE a RESET jit"),
        (RoleSetting(None, "b", "jit", "off"), "database b", "ALTER DATABASE b RESET jit"),
        (RoleSetting(None, None, "jit", "off"), "all roles", "ALTER ROLE ALL RESET jit"),
    ],
)
def test_where_else_a_parameter_is_set(setting, who, removal):
    assert (str(setting), setting.statement("RESET")) == (who, removal)


def test_table_options_are_compared_by_meaning():
    wanted = wanted_options({}, {"t": {"autovacuum_enabled": True, "autovacuum_vacuum_scale_factor": 0.02}})
    same = plan_options(wanted, {"t": {"autovacuum_enabled": "true", "autovacuum_vacuum_scale_factor": "0.020"}})
    assert not [each for each in same if each.differs]
    assert [each.differs for each in plan_options(wanted, {"t": {}})] == [True, True]


@pytest.mark.parametrize("option", ["n_distinct", "n_distinct_inherited", "fillfactor", "toast.autovacuum_enabled"])
def test_only_autovacuum(option):
    with pytest.raises(ParameterError, match="remove it"):
        wanted_options({}, {"state_groups_state": {option: 1}})


WITHOUT_PSYCOPG = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
sys.modules["psycopg"] = None
from ansible.module_utils import basic
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": {"parameters": {"jit": False}}}).encode()
runpy.run_module("ansible_collections.synapse.tuning.plugins.modules.postgresql_parameters", run_name="__main__")
"""


def test_psycopg_is_missing(collections_path: pathlib.Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PSYCOPG, str(collections_path)], capture_output=True, text=True, check=False
    )
    answer = json.loads(done.stdout)
    assert answer["failed"] and "psycopg" in answer["msg"] and "python3-psycopg" in answer["msg"]
