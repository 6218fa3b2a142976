# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planned against effective: each state, and the lies that a deployment can tell."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest
from sample_plan import sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils._core import effective, errors, verdict
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import cache_entries
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_cron import schedule_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    ComposeFile,
    Configuration,
    ConfigurationFile,
    Container,
    CronJob,
    Database,
    Metrics,
    Missing,
    Process,
    Readings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import FileEntry, RoleSetting

MIB = 1024**2
MALLOC_CONF = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:1"
TOUCHED = ("*getEvent*", "get_users_in_room", "get_rooms_for_user", "*stateGroupCache*", "state_cache")
HOMESERVER: dict[str, Any] = {
    "event_cache_size": "10K",
    "caches": {"global_factor": 0.2, "per_cache_factors": {"get_users_in_room": 0.5, "getEvent": 0.3}},
    "database": {
        "name": "psycopg2",
        "args": {"user": "synapse", "password": "s3cret", "dbname": "synapse", "cp_min": 2, "cp_max": 4},
    },
    "limit_remote_rooms": {"enabled": True, "complexity": 17},
    "forget_rooms_on_leave": True,
}
ROWS = {
    name: Parameter(name, setting, unit, vartype, "", "command line")
    for name, setting, unit, vartype in (
        ("shared_buffers", "32768", "8kB", "integer"),
        ("effective_cache_size", "65536", "8kB", "integer"),
        ("work_mem", "4096", "kB", "integer"),
        ("maintenance_work_mem", "65536", "kB", "integer"),
        ("wal_buffers", "983", "8kB", "integer"),
        ("max_connections", "30", None, "integer"),
        ("max_parallel_workers_per_gather", "0", None, "integer"),
        ("jit", "off", None, "bool"),
        ("random_page_cost", "1.1", None, "real"),
    )
}


def sizes(factor: float, names: tuple[str, ...] = TOUCHED, **own: float) -> dict[str, int]:
    """What the metrics show at these factors."""
    entries = cache_entries(factor=factor, per_cache_factors=own)
    return {name: entries[name] for name in names}


def configuration(*files: dict[str, Any], changed: tuple[int, ...] = (), unread: Any = None) -> Configuration:
    return Configuration(
        files=tuple(
            ConfigurationFile(f"/data/{number}.yaml", data, number in changed) for number, data in enumerate(files)
        ),
        unread=None if unread is None else ConfigurationFile("/data/homeserver.tuning.yaml", unread, False),
    )


def database(**changes: Any) -> Database:
    """PostgreSQL as planned; the changes are Parameters by name, or fields."""
    fields = {name: changes.pop(name) for name in ("file_settings", "role_settings", "connections") if name in changes}
    return Database(
        version="17.2",
        parameters={**ROWS, **changes},
        **{"file_settings": {}, "role_settings": (), "connections": {("synapse", "synapse"): 3}, **fields},
    )


def synapse(**changes: Any) -> Container:
    found = Container(
        name="synapse-1",
        image="matrixdotorg/synapse:v1.163.2",
        memory_limit=1024 * MIB,
        memory_reservation=512 * MIB,
        shm_size=64 * MIB,
        dev_shm=None,
        environment={"SYNAPSE_CACHE_FACTOR": "0.2", "MALLOC_CONF": MALLOC_CONF},
    )
    return dataclasses.replace(found, **changes)


def postgresql(**changes: Any) -> Container:
    found = Container(
        name="db-1",
        image="postgres:17",
        memory_limit=512 * MIB,
        memory_reservation=256 * MIB,
        shm_size=256 * MIB,
        dev_shm=256 * MIB,
        environment={},
    )
    return dataclasses.replace(found, **changes)


def process(jemalloc: bool = True, cache_factors: Any = None, **environment: str) -> Process:
    return Process(
        environment={"SYNAPSE_CACHE_FACTOR": "0.2", "MALLOC_CONF": MALLOC_CONF, **environment},
        cache_factors=cache_factors or {},
        jemalloc=jemalloc,
    )


def readings(**changes: Any) -> Readings:
    """A deployment in which the sample plan is in effect."""
    found = Readings(
        metrics=Metrics("1.163.2", sizes(0.2, get_users_in_room=0.5, getEvent=0.3)),
        configuration=configuration(HOMESERVER),
        process=process(),
        synapse=synapse(),
        postgresql=postgresql(),
        database=database(),
    )
    return dataclasses.replace(found, **changes)


def homeserver(**changes: Any) -> dict[str, Any]:
    """The planned homeserver.yaml with other sections; None takes one out."""
    found = {**copy.deepcopy(HOMESERVER), **changes}
    return {name: value for name, value in found.items() if value is not None}


def judge(found: Readings, plan: dict[str, Any] | None = None) -> dict[str, verdict.Verdict]:
    return {each.lever: each for each in effective.judge(plan or sample_plan(), found)}


def bad(found: Readings, plan: dict[str, Any] | None = None) -> dict[str, str]:
    """The levers that are not as planned, with their states."""
    return {lever: each.state for lever, each in judge(found, plan).items() if not each.ok}


def autotuned() -> dict[str, Any]:
    """A plan with cache autotuning."""
    plan = sample_plan()
    del plan["homeserver"]["caches.cache_autotuning"]
    for key, value in AUTOTUNING.items():
        plan["homeserver"][f"caches.cache_autotuning.{key}"] = {"value": value, "why": "", "source": "", "unit": ""}
    plan["compose"]["synapse"]["environment"]["PYTHONMALLOC"]["value"] = "malloc"
    return plan


AUTOTUNING = {"max_cache_memory_usage": "640M", "target_cache_memory_usage": "512M", "min_cache_ttl": "5m"}
AUTOTUNED = {**HOMESERVER, "caches": {**HOMESERVER["caches"], "cache_autotuning": AUTOTUNING}}


# --- all is well -------------------------------------------------------------------------------


def test_a_deployment_as_planned_is_in_effect() -> None:
    found = effective.judge(sample_plan(), readings())
    assert all(each.ok for each in found)
    # Every lever of the plan has a verdict.
    assert len(found) == 10 + 2 + 3 + 3 + 9
    assert {each.state for each in found} == {verdict.IN_EFFECT, verdict.WITHOUT_EFFECT}
    assert effective.differing(found) == []
    assert effective.summary(found)["in_effect"] == len(found) - 1


def test_the_environment_factor_is_without_effect_by_nature() -> None:
    found = judge(readings(process=process(SYNAPSE_CACHE_FACTOR="3.0")))[
        "compose.synapse.environment.SYNAPSE_CACHE_FACTOR"
    ]
    assert (found.state, found.ok, found.effective) == (verdict.WITHOUT_EFFECT, True, "3.0")


def test_how_many_caches_were_compared_is_said() -> None:
    found = judge(readings())["homeserver.caches.global_factor"]
    assert found.because.startswith("3 caches compared")


def test_values_are_compared_by_what_they_mean() -> None:
    files = homeserver(event_cache_size=10240, limit_remote_rooms={"enabled": True, "complexity": 17.0})
    without_event_cache = Metrics("1.163.2", sizes(0.2, ("state_cache", "get_users_in_room"), get_users_in_room=0.5))
    assert bad(readings(configuration=configuration(files), metrics=without_event_cache)) == {}


def test_a_plan_for_one_program_asks_for_nothing_else() -> None:
    none = Missing("not asked")
    alone = readings(postgresql=none, database=none)
    assert bad(alone, sample_plan(postgresql=False)) == {}
    nothing = readings(synapse=none, process=none, configuration=none, metrics=none)
    assert bad(nothing, sample_plan(synapse=False)) == {}


# --- the planted lies --------------------------------------------------------------------------


def test_a_factor_in_the_environment_with_no_configuration_is_found_out() -> None:
    found = judge(
        readings(metrics=Metrics("1.163.2", sizes(0.5)), configuration=configuration(homeserver(caches=None)))
    )
    factor = found["homeserver.caches.global_factor"]
    assert (factor.state, factor.effective, factor.ok) == (verdict.NOT_APPLIED, 0.5, False)
    assert "SYNAPSE_CACHE_FACTOR=0.2 is set, but has no effect" in factor.because


def test_a_drop_in_that_a_later_file_replaces_is_found_out() -> None:
    late = {"caches": {"expire_caches": True}}
    found = judge(readings(metrics=Metrics("1.163.2", sizes(0.5)), configuration=configuration(HOMESERVER, {}, late)))[
        "homeserver.caches.global_factor"
    ]
    assert found.state == verdict.OVERRIDDEN
    assert "by /data/2.yaml, whose section 'caches' replaces that of /data/0.yaml" in found.because
    assert found.effective == 0.5


def test_a_flag_on_the_command_line_beats_alter_system() -> None:
    found = judge(
        readings(
            database=database(
                shared_buffers=dataclasses.replace(ROWS["shared_buffers"], setting="8192", pending_restart=True),
                file_settings={
                    "shared_buffers": FileEntry("/var/lib/data/postgresql.auto.conf", 3, "shared_buffers", "256MB")
                },
            )
        )
    )["postgresql.shared_buffers"]
    assert (found.state, found.effective) == (verdict.OVERRIDDEN, "64MB")
    assert found.because == "by the server's command line (-c), which wins over postgresql.auto.conf"


def test_a_limit_in_an_override_file_is_found_out() -> None:
    files = (
        ComposeFile("/srv/compose.yml", {"postgresql": {"memory_limit": "512m"}}),
        ComposeFile("/srv/compose.override.yml", {"postgresql": {"memory_limit": "300M"}}),
    )
    found = judge(readings(postgresql=postgresql(memory_limit=300 * MIB), compose_files=files))
    limit = found["compose.postgresql.memory_limit"]
    assert (limit.state, limit.effective) == (verdict.OVERRIDDEN, "300m")
    assert limit.because == "by /srv/compose.override.yml, which says 300M where /srv/compose.yml says 512M"


@pytest.mark.parametrize(
    ("running", "lacking"),
    [
        (process(), ["PYTHONMALLOC"]),
        (process(jemalloc=False, PYTHONMALLOC="malloc"), ["jemalloc"]),
        (process(jemalloc=False), ["jemalloc", "PYTHONMALLOC"]),
    ],
)
def test_autotuning_without_both_parts_is_found_out(running: Process, lacking: list[str]) -> None:
    found = judge(readings(process=running, configuration=configuration(AUTOTUNED)), autotuned())
    for key in AUTOTUNING:
        lever = found[f"homeserver.caches.cache_autotuning.{key}"]
        assert (lever.state, lever.ok) == (verdict.WITHOUT_EFFECT, False)
        assert [name for name in ("jemalloc is", "PYTHONMALLOC") if name in lever.because] == [
            "jemalloc is" if name == "jemalloc" else name for name in lacking
        ]


def test_autotuning_with_both_is_in_effect() -> None:
    found = readings(process=process(PYTHONMALLOC="malloc"), configuration=configuration(AUTOTUNED))
    assert bad(found, autotuned()) == {}


def test_shared_memory_below_shared_buffers_is_found_out() -> None:
    found = judge(readings(postgresql=postgresql(shm_size=64 * MIB, dev_shm=64 * MIB)))["compose.postgresql.shm_size"]
    assert (found.state, found.effective) == (verdict.NOT_APPLIED, "64m")
    assert "below shared_buffers, which is 256MB" in found.because


# --- Synapse -----------------------------------------------------------------------------------


def test_a_file_that_is_newer_than_synapse_waits_for_a_restart() -> None:
    newer = readings(configuration=configuration(HOMESERVER, changed=(0,)))
    found = judge(newer)
    assert found["homeserver.forget_rooms_on_leave"].state == verdict.PENDING_RESTART
    assert "/data/0.yaml has changed since Synapse started" in found["homeserver.forget_rooms_on_leave"].because
    # What the metrics show holds, whatever the files say.
    assert found["homeserver.caches.global_factor"].state == verdict.IN_EFFECT


def test_a_key_that_must_be_absent_proves_nothing_in_a_newer_file() -> None:
    found = judge(readings(configuration=configuration(HOMESERVER, changed=(0,))))
    assert found["homeserver.caches.cache_autotuning"].state == verdict.PENDING_RESTART


def test_a_backup_tells_what_synapse_had_read() -> None:
    # Only the factor was changed, and reloaded: the rest is as it was when Synapse started.
    before = homeserver(caches={**HOMESERVER["caches"], "global_factor": 0.5}, limit_remote_rooms=None)
    file = ConfigurationFile("/data/0.yaml", HOMESERVER, changed=True, started=before)
    found = judge(readings(configuration=Configuration((file,))))
    assert {lever: each.state for lever, each in found.items() if not each.ok} == {
        "homeserver.limit_remote_rooms.enabled": verdict.PENDING_RESTART,
        "homeserver.limit_remote_rooms.complexity": verdict.PENDING_RESTART,
    }
    assert found["homeserver.limit_remote_rooms.complexity"].effective is None
    spoilt = ConfigurationFile("/data/0.yaml", homeserver(forget_rooms_on_leave=None), changed=True, started=HOMESERVER)
    found = judge(readings(configuration=Configuration((spoilt,))))
    assert found["homeserver.forget_rooms_on_leave"].state == verdict.IN_EFFECT
    assert found["homeserver.forget_rooms_on_leave"].because.endswith("the next start brings null")


def test_a_factor_that_was_not_reloaded_waits() -> None:
    found = judge(
        readings(metrics=Metrics("1.163.2", sizes(0.5)), configuration=configuration(HOMESERVER, changed=(0,)))
    )["homeserver.caches.global_factor"]
    assert found.state == verdict.PENDING_RESTART
    assert "HUP" in found.because


def test_a_factor_that_the_next_start_takes_away_is_told() -> None:
    files = configuration(homeserver(caches={"global_factor": 2}), changed=(0,))
    found = judge(readings(configuration=files))["homeserver.caches.global_factor"]
    assert found.state == verdict.IN_EFFECT
    assert found.because.endswith("the files have changed: the next start brings 2")


def test_a_variable_for_one_cache_overrides_it() -> None:
    found = judge(
        readings(
            metrics=Metrics("1.163.2", sizes(0.2, get_users_in_room=2.0, getEvent=0.3)),
            process=process(cache_factors={"SYNAPSE_CACHE_FACTOR_GET_USERS_IN_ROOM": "2.0"}),
        )
    )
    lever = found["homeserver.caches.per_cache_factors.get_users_in_room"]
    assert (lever.state, lever.effective) == (verdict.OVERRIDDEN, "2.0")
    assert "SYNAPSE_CACHE_FACTOR_GET_USERS_IN_ROOM=2.0" in lever.because
    assert found["homeserver.caches.global_factor"].state == verdict.IN_EFFECT


def test_a_cache_that_was_not_used_is_judged_by_the_files() -> None:
    metrics = Metrics("1.163.2", sizes(0.2, ("state_cache",)))
    lever = "homeserver.caches.per_cache_factors.get_users_in_room"
    found = judge(readings(metrics=metrics))[lever]
    assert found.state == verdict.IN_EFFECT and found.because.startswith("not used since Synapse started")
    unreadable = judge(readings(metrics=metrics, configuration=Missing("no engine")))[lever]
    assert unreadable.state == verdict.UNKNOWN and "no engine" in unreadable.because
    otherwise = configuration(homeserver(caches={"global_factor": 0.2}))
    assert judge(readings(metrics=metrics, configuration=otherwise))[lever].state == verdict.NOT_APPLIED


def test_another_synapse_may_have_a_few_other_base_sizes() -> None:
    names = tuple(cache_entries(factor=1, per_cache_factors={}))[:40]
    shown = sizes(0.2, names, get_users_in_room=0.5, getEvent=0.3)
    shown[next(name for name in names if name not in ("get_users_in_room", "*getEvent*"))] += 7
    lever = "homeserver.caches.global_factor"
    assert judge(readings(metrics=Metrics("1.170.0", shown)))[lever].state == verdict.IN_EFFECT
    assert judge(readings(metrics=Metrics("1.163.2", shown)))[lever].state == verdict.NOT_APPLIED
    assert judge(readings(metrics=Metrics("1.170.0", sizes(0.5, names))))[lever].state == verdict.NOT_APPLIED


def test_the_event_cache_is_told_from_its_factor() -> None:
    files = configuration(homeserver(event_cache_size="20K"))
    twice = {**sizes(0.2, get_users_in_room=0.5, getEvent=0.3), "*getEvent*": int(20 * 1024 * 0.3)}
    found = judge(readings(metrics=Metrics("1.163.2", twice), configuration=files))["homeserver.event_cache_size"]
    assert (found.state, found.effective) == (verdict.NOT_APPLIED, "20K")
    stock = readings(metrics=Metrics("1.163.2", sizes(0.5)), configuration=configuration({}))
    assert judge(stock)["homeserver.event_cache_size"].state == verdict.IN_EFFECT


def test_a_drop_in_that_synapse_was_not_started_with_is_named() -> None:
    files = configuration(homeserver(forget_rooms_on_leave=None), unread={"forget_rooms_on_leave": True})
    found = judge(readings(configuration=files))["homeserver.forget_rooms_on_leave"]
    assert found.state == verdict.NOT_APPLIED
    assert "homeserver.tuning.yaml has it, but Synapse was not started with it" in found.because


def test_yaml_true_is_not_1() -> None:
    files = configuration(homeserver(forget_rooms_on_leave=1))
    assert judge(readings(configuration=files))["homeserver.forget_rooms_on_leave"].state == verdict.NOT_APPLIED


def test_more_connections_than_the_pool_has_make_it_unknown() -> None:
    lever = "homeserver.database.args.cp_max"
    assert "3 connections are open" in judge(readings())[lever].because
    busy = judge(readings(database=database(connections={("synapse", "synapse"): 5})))[lever]
    assert busy.state == verdict.UNKNOWN and "5 connections are open as synapse" in busy.because
    plan = sample_plan()
    plan["host"]["workers"] = 1
    assert judge(readings(database=database(connections={("synapse", "synapse"): 5})), plan)[lever].ok


def test_sqlite_has_no_pool() -> None:
    found = judge(readings(configuration=configuration(homeserver(database={"name": "sqlite3"}))))
    lever = found["homeserver.database.args.cp_max"]
    assert (lever.state, lever.ok) == (verdict.WITHOUT_EFFECT, True)


def test_each_of_several_databases_counts() -> None:
    several = {"main": HOMESERVER["database"], "state": {"name": "psycopg2", "args": {"cp_min": 2, "cp_max": 10}}}
    files = configuration(homeserver(database=None, databases=several))
    found = judge(readings(configuration=files))
    assert found["homeserver.database.args.cp_min"].state == verdict.IN_EFFECT
    assert found["homeserver.database.args.cp_max"].effective == 10


# --- containers --------------------------------------------------------------------------------


def test_a_container_that_was_made_before_the_file_waits() -> None:
    files = (ComposeFile("/srv/compose.yml", {"synapse": {"memory_limit": "1024m"}}),)
    found = judge(readings(synapse=synapse(memory_limit=0), compose_files=files))["compose.synapse.memory_limit"]
    assert (found.state, found.effective) == (verdict.PENDING_RESTART, None)
    assert "docker compose up -d" in found.because


def test_what_is_mounted_over_the_shared_memory_wins() -> None:
    found = judge(readings(postgresql=postgresql(dev_shm=1024 * MIB)))["compose.postgresql.shm_size"]
    assert (found.state, found.effective) == (verdict.OVERRIDDEN, "1g")


def test_an_allocator_setting_without_the_allocator_does_nothing() -> None:
    found = judge(readings(process=process(jemalloc=False)))["compose.synapse.environment.MALLOC_CONF"]
    assert (found.state, found.ok) == (verdict.WITHOUT_EFFECT, False)


def test_a_variable_that_must_be_absent() -> None:
    found = judge(readings(process=process(PYTHONMALLOC="malloc")))["compose.synapse.environment.PYTHONMALLOC"]
    assert (found.state, found.effective) == (verdict.NOT_APPLIED, "malloc")


def test_without_the_process_the_engine_is_asked() -> None:
    found = judge(readings(process=Missing("grep is missing")))
    assert found["compose.synapse.environment.PYTHONMALLOC"].source == "Docker Engine"
    assert found["compose.synapse.environment.PYTHONMALLOC"].ok
    assert found["compose.synapse.environment.MALLOC_CONF"].state == verdict.UNKNOWN


# --- PostgreSQL --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "planned", "effective"),
    [("shared_buffers", "32768", "256MB"), ("random_page_cost", "1.10", "1.1"), ("jit", False, "off")],
)
def test_parameters_are_compared_by_value_and_shown_with_their_unit(name: str, planned: Any, effective: str) -> None:
    plan = sample_plan()
    plan["postgresql"][name]["value"] = planned
    found = judge(readings(), plan)[f"postgresql.{name}"]
    assert (found.state, found.effective) == (verdict.IN_EFFECT, effective)


def _max_connections(source: str = "configuration file", *, pending: bool = False) -> Parameter:
    return dataclasses.replace(
        ROWS["max_connections"],
        setting="100",
        source=source,
        sourcefile="/data/postgresql.conf",
        pending_restart=pending,
    )


@pytest.mark.parametrize(
    ("parameter", "in_file", "files", "state", "words"),
    [
        (_max_connections(), None, (), verdict.NOT_APPLIED, "postgresql.conf"),
        (_max_connections("default"), None, (), verdict.NOT_APPLIED, "PostgreSQL's default"),
        (_max_connections("command line"), None, (), verdict.NOT_APPLIED, "command line"),
        (_max_connections(pending=True), "30", (), verdict.PENDING_RESTART, "at its next start"),
        (_max_connections(pending=True), None, (), verdict.PENDING_RESTART, "at its next start"),
        (_max_connections(), "30", (), verdict.NOT_APPLIED, "pg_reload_conf"),
        (_max_connections("user"), "30", (), verdict.OVERRIDDEN, "by the user"),
        (_max_connections("command line"), None, ("30",), verdict.PENDING_RESTART, "docker compose up -d"),
        (_max_connections("command line"), None, ("30", "100"), verdict.OVERRIDDEN, "/srv/1.yml replaces"),
    ],
)
def test_why_a_parameter_is_not_in_effect(
    parameter: Parameter, in_file: str | None, files: tuple[str, ...], state: str, words: str
) -> None:
    entry = FileEntry("/data/postgresql.auto.conf", 3, "max_connections", in_file)
    settings = {} if in_file is None else {"max_connections": entry}
    said = tuple(
        ComposeFile(f"/srv/{number}.yml", {"postgresql": {"postgresql.max_connections": flag}})
        for number, flag in enumerate(files)
    )
    found = judge(readings(database=database(max_connections=parameter, file_settings=settings), compose_files=said))[
        "postgresql.max_connections"
    ]
    assert (found.state, found.effective) == (state, "100")
    assert words in found.because


def test_a_setting_of_synapses_role_overrides() -> None:
    mine = RoleSetting("synapse", None, "work_mem", "32MB")
    found = judge(readings(database=database(role_settings=(mine,))))["postgresql.work_mem"]
    assert (found.state, found.effective) == (verdict.OVERRIDDEN, "32MB")
    assert found.because == "by ALTER ROLE synapse SET work_mem"
    for other in (
        RoleSetting("somebody", None, "work_mem", "32MB"),
        RoleSetting("synapse", "other", "work_mem", "32MB"),
        RoleSetting("synapse", None, "work_mem", "4096kB"),
    ):
        assert judge(readings(database=database(role_settings=(other,))))["postgresql.work_mem"].ok


def test_a_parameter_that_this_server_does_not_have() -> None:
    found = database()
    del found.parameters["jit"]  # type: ignore[attr-defined]
    assert judge(readings(database=found))["postgresql.jit"].state == verdict.WITHOUT_EFFECT


# --- tables ------------------------------------------------------------------------------------

SCALE = "autovacuum_vacuum_scale_factor"


def large(value: Any = 0.02) -> dict[str, Any]:
    """A plan with one option of a table."""
    plan = sample_plan()
    plan["tables"] = {"big": {SCALE: {"value": value, "why": "", "source": "", "unit": ""}}}
    return plan


@pytest.mark.parametrize(
    ("planned", "options", "state", "effective", "words"),
    [
        (0.02, {SCALE: "0.020"}, verdict.IN_EFFECT, "0.020", "own option"),
        (0.02, {SCALE: "0.2"}, verdict.NOT_APPLIED, "0.2", "role synapse.tuning.postgresql"),
        (0.02, {"fillfactor": "90"}, verdict.NOT_APPLIED, None, "ALTER TABLE"),
        (None, {"fillfactor": "90"}, verdict.IN_EFFECT, None, "not set, as planned"),
        (None, {SCALE: "0.02"}, verdict.NOT_APPLIED, "0.02", "ALTER TABLE"),
        (0.02, {SCALE: "0.02", "autovacuum_enabled": "false"}, verdict.WITHOUT_EFFECT, "0.02", "off for this table"),
        (
            0.02,
            None,
            verdict.UNKNOWN,
            None,
            "the database synapse has no table big: give Synapse's database as login_db",
        ),
    ],
)
def test_options_of_tables(
    planned: Any, options: dict[str, str] | None, state: str, effective: str | None, words: str
) -> None:
    tables = {} if options is None else {"big": options}
    asked = dataclasses.replace(database(), name="synapse", tables=tables)
    found = judge(readings(database=asked), large(planned))[f"tables.big.{SCALE}"]
    assert (found.state, found.effective, found.source) == (state, effective, "pg_class")
    assert words in found.because


def test_an_option_without_autovacuum_does_nothing() -> None:
    off = Parameter("autovacuum", "off", None, "bool", "sighup", "configuration file")
    asked = dataclasses.replace(database(autovacuum=off), tables={"big": {SCALE: "0.02"}})
    found = judge(readings(database=asked), large())[f"tables.big.{SCALE}"]
    assert found.state == verdict.WITHOUT_EFFECT and "the parameter autovacuum" in found.because
    unread = judge(readings(database=Missing("no login")), large())[f"tables.big.{SCALE}"]
    assert (unread.state, unread.because) == (verdict.UNKNOWN, "no login")


# --- cron --------------------------------------------------------------------------------------

JOB = CronJob(
    path="/etc/cron.d/x",
    fields=("17", "3", "*", "*", "0"),
    script="/srv/compress-state.sh",
    runnable=True,
    variables={"chunk_size": "500", "number_of_chunks": "100"},
)


@pytest.mark.parametrize(
    ("job", "states"),
    [
        (JOB, [verdict.IN_EFFECT] * 3),
        (dataclasses.replace(JOB, fields=None), [verdict.NOT_APPLIED] * 3),
        (dataclasses.replace(JOB, runnable=False), [verdict.WITHOUT_EFFECT] * 3),
        (dataclasses.replace(JOB, fields=("17", "3", "1", "*", "*")), [verdict.NOT_APPLIED, *[verdict.IN_EFFECT] * 2]),
        (dataclasses.replace(JOB, variables={"chunk_size": "500"}), [*[verdict.IN_EFFECT] * 2, verdict.NOT_APPLIED]),
        (dataclasses.replace(JOB, fields=("Sat,Sun", "03:00")), [verdict.NOT_APPLIED, *[verdict.IN_EFFECT] * 2]),
        (Missing("it cannot be read"), [verdict.UNKNOWN] * 3),
    ],
)
def test_the_compressors_job(job: CronJob | Missing, states: list[str]) -> None:
    found = judge(readings(cron=job))
    assert [found[f"compressor.{name}"].state for name in ("schedule", "chunk_size", "number_of_chunks")] == states


@pytest.mark.parametrize(
    ("fields", "schedule"),
    [
        ("5 3 * * *", "daily"),
        ("5 3 * * 0", "weekly"),
        ("5 3 * * sun", "weekly"),
        ("5 3 1 * *", "monthly"),
        ("*/5 3 * * *", "*/5 3 * * *"),
        ("5 3 * 1 0", "5 3 * 1 0"),
        ("Sat,Sun 03:00", "Sat,Sun 03:00"),
    ],
)
def test_fields_of_cron_as_a_schedule(fields: str, schedule: str) -> None:
    assert schedule_of(tuple(fields.split())) == schedule


def test_a_timer_that_is_missing() -> None:
    found = judge(readings(cron=dataclasses.replace(JOB, path="/etc/systemd/system/x.timer", fields=None)))
    assert found["compressor.schedule"].because == "/etc/systemd/system/x.timer is missing or not enabled"


# --- nothing can be read -----------------------------------------------------------------------


def test_what_cannot_be_read_is_unknown_and_says_why() -> None:
    dark = Readings(
        metrics=Missing("no metrics"),
        configuration=Missing("no engine"),
        process=Missing("no engine"),
        synapse=Missing("no engine"),
        postgresql=Missing("no engine"),
        database=Missing("no login"),
        cron=Missing("no cron"),
    )
    found = effective.judge(sample_plan(), dark)
    assert {each.state for each in found} == {verdict.UNKNOWN}
    assert {each.because for each in found} == {"no metrics", "no engine", "no login", "no cron"}
    assert effective.differing(found) == []
    assert len(effective.warnings(sample_plan(), dark, found)) == 4


def test_versions_are_told_and_warned_of() -> None:
    found = effective.versions(sample_plan(), readings())
    assert found["postgresql"] == {"planned": "17", "effective": "17.2", "image": "postgres:17", "agrees": True}
    older = readings(metrics=Metrics("1.140.0", {}))
    assert effective.versions(sample_plan(), older)["synapse"]["agrees"] is False
    assert "synapse runs as 1.140.0, the plan was made for 1.163.2" in effective.warnings(sample_plan(), older, [])[0]


def test_a_complaint_names_levers_and_reasons() -> None:
    found = effective.judge(sample_plan(), readings(synapse=synapse(memory_limit=0)))
    assert effective.complaint(effective.differing(found)) == (
        "1 lever of the plan is not in effect: compose.synapse.memory_limit (not set, planned 1G) not_applied: "
        "the compose files could not be read"
    )


@pytest.mark.parametrize("plan", [{}, {"schema_version": 2}, {"schema_version": 1, "homeserver": {}}])
def test_what_is_no_plan_is_refused(plan: dict[str, Any]) -> None:
    with pytest.raises(errors.PlanError, match=r"pass the value 'plan'"):
        effective.judge(plan, readings())


def test_no_password_gets_into_a_verdict() -> None:
    worst = readings(
        configuration=configuration(
            {**HOMESERVER, "database": {**HOMESERVER["database"], "args": {"password": "s3cret"}}}
        ),
        metrics=Metrics("1.163.2", sizes(0.5)),
    )
    assert "s3cret" not in str([each.as_data() for each in effective.judge(sample_plan(), worst)])
