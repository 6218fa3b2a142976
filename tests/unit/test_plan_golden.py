# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The row everybody knows: 5 users, 2 GiB, 2 CPUs, shared."""

from __future__ import annotations

import json

import pytest
from plans import GIB, MIB, settings_of

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import compose_bytes

GOLDEN = {
    "homeserver.caches.global_factor": 0.5,
    "homeserver.caches.per_cache_factors.get_users_in_room": 0.5,
    "homeserver.caches.per_cache_factors.*getEvent*": 1.0,
    "homeserver.caches.per_cache_factors.get_user_in_room_with_profile": 5.0,
    "homeserver.caches.cache_autotuning": None,
    "homeserver.event_cache_size": "10K",
    "homeserver.database.args.cp_max": 4,
    "homeserver.limit_remote_rooms.enabled": True,
    "homeserver.forget_rooms_on_leave": True,
    "postgresql.shared_buffers": "64MB",
    "postgresql.effective_cache_size": "512MB",
    "postgresql.work_mem": "4MB",
    "postgresql.maintenance_work_mem": "64MB",
    "postgresql.max_parallel_workers_per_gather": 0,
    "compose.postgresql.shm_size": "256m",
    "compose.synapse.memory_limit": "1G",
    "compose.synapse.memory_reservation": "512M",
    "compose.synapse.environment.SYNAPSE_CACHE_FACTOR": "0.5",
    "compose.synapse.environment.PYTHONMALLOC": None,
    "deployment.POSTGRES_INITDB_ARGS": "--encoding=UTF-8 --lc-collate=C --lc-ctype=C",
    "compressor.schedule": "weekly",
    "compressor.chunk_size": 500,
    "compressor.number_of_chunks": 100,
}


def plan_for(**inputs: object) -> dict:
    return make_plan(Inputs(**{"users": 5, "ram": 2 * GIB, "cpus": 2, **inputs}))  # type: ignore[arg-type]


def values(**inputs: object) -> dict:
    return {path: setting["value"] for path, setting in settings_of(plan_for(**inputs))}


def test_golden_row() -> None:
    planned = values()
    assert {path: planned[path] for path in GOLDEN} == GOLDEN


def test_golden_budget_adds_up_to_the_ram() -> None:
    rows = {row["component"]: row["bytes"] for row in plan_for()["budget"]}
    assert sum(rows.values()) == 2 * GIB
    assert rows["synapse"] == GIB
    assert rows["operating_system"] == 256 * MIB


def test_plan_survives_json() -> None:
    plan = plan_for()
    assert json.loads(json.dumps(plan)) == plan
    assert plan["schema_version"] == 1


def test_every_setting_has_its_reason_and_source() -> None:
    for path, setting in settings_of(
        plan_for(cache_autotuning="on", presence="off", cpus=8, ram=16 * GIB, database_size=GIB)
    ):
        assert setting["why"] and "\n" not in setting["why"], path
        assert setting["source"], path


def test_autotuning_comes_with_the_allocator_it_needs() -> None:
    planned = values(cache_autotuning="on")
    assert planned["homeserver.caches.cache_autotuning.max_cache_memory_usage"] == "716M"
    assert planned["homeserver.caches.cache_autotuning.target_cache_memory_usage"] == "563M"
    assert planned["homeserver.caches.cache_autotuning.min_cache_ttl"] == "5m"
    assert planned["compose.synapse.environment.PYTHONMALLOC"] == "malloc"
    assert "homeserver.caches.cache_autotuning" not in planned


def test_autotuning_is_automatic_where_the_peak_may_come_near_the_limit() -> None:
    assert values(ram=512 * MIB, users=500)["compose.synapse.environment.PYTHONMALLOC"] == "malloc"
    off = values(ram=512 * MIB, users=500, cache_autotuning="off")
    assert off["compose.synapse.environment.PYTHONMALLOC"] is None
    # Full caches would pass the limit here, and are not predicted to come to that.
    few = plan_for(ram=GIB, users=50)
    assert few["compose"]["synapse"]["environment"]["PYTHONMALLOC"]["value"] is None
    assert few["prediction"]["synapse"]["high"] < 512 * MIB


def test_what_deletes_data_or_switches_off_is_planned_only_when_asked_for() -> None:
    assert "homeserver.forgotten_room_retention_period" not in values()
    assert "homeserver.presence.enabled" not in values()
    planned = values(forgotten_room_retention_period="28d", presence="off")
    assert planned["homeserver.forgotten_room_retention_period"] == "28d"
    assert planned["homeserver.presence.enabled"] is False


def test_large_or_closed_hosts_do_not_limit_rooms() -> None:
    assert "homeserver.limit_remote_rooms.enabled" not in values(ram=16 * GIB)
    assert "homeserver.limit_remote_rooms.enabled" not in values(federation="closed")


def test_dedicated_hosts_plan_only_what_they_run() -> None:
    synapse = plan_for(topology="dedicated_synapse")
    assert synapse["postgresql"] == {} and synapse["compose"]["postgresql"] == {} and synapse["compressor"] == {}
    assert {row["component"] for row in synapse["budget"]} == {"operating_system", "synapse", "page_cache"}
    database = plan_for(topology="dedicated_database")
    assert database["homeserver"] == {} and database["compose"]["synapse"] == {}
    assert database["postgresql"]["shared_buffers"]["value"] == "512MB"


def test_workers_share_the_memory_and_multiply_the_connections() -> None:
    alone, four = values(ram=8 * GIB, users=500), values(ram=8 * GIB, users=500, workers=3)
    assert four["compose.synapse.memory_limit"] == "1G"
    assert compose_bytes(alone["compose.synapse.memory_limit"]) >= 2 * GIB
    plan = plan_for(ram=8 * GIB, users=500, workers=3)
    rows = {row["component"]: row["bytes"] for row in plan["budget"]}
    assert rows["synapse_workers"] == 3 * rows["synapse"]
    assert four["postgresql.max_connections"] >= 4 * four["homeserver.database.args.cp_max"] + 20


def test_parallel_workers_come_with_the_shared_memory_for_their_hashes() -> None:
    planned = values(ram=16 * GIB, cpus=8, topology="dedicated_database")
    assert planned["postgresql.max_parallel_workers_per_gather"] == 2
    assert planned["postgresql.max_parallel_workers"] == 8
    assert values(ram=16 * GIB, cpus=2)["postgresql.max_parallel_workers_per_gather"] == 0


def test_storage() -> None:
    assert values(storage="ssd")["postgresql.random_page_cost"] == 1.1
    assert values(storage="hdd")["postgresql.random_page_cost"] == 4
    assert values(storage="hdd")["postgresql.effective_io_concurrency"] == 2


def test_large_databases_are_vacuumed_sooner_and_compressed_more() -> None:
    planned = values(database_size=20 * GIB)
    assert {path: value for path, value in planned.items() if path.startswith("tables.")} == {
        "tables.state_groups_state.autovacuum_vacuum_scale_factor": 0.02,
        "tables.state_groups_state.autovacuum_analyze_scale_factor": 0.05,
    }
    assert planned["compressor.number_of_chunks"] == 1000
    # Only that table: no parameter is another one than for a small database.
    assert plan_for(database_size=20 * GIB)["postgresql"] == plan_for()["postgresql"]


@pytest.mark.parametrize(
    "inputs", [{}, {"database_size": GIB - 1}, {"database_size": 20 * GIB, "topology": "dedicated_synapse"}]
)
def test_tables_are_left_alone_where_they_are_small_or_elsewhere(inputs: dict) -> None:
    assert plan_for(**inputs)["tables"] == {}


def test_a_large_database_of_its_own_host_has_its_tables_planned() -> None:
    assert plan_for(database_size=GIB, topology="dedicated_database")["tables"]["state_groups_state"]


def test_leaking_versions_warn() -> None:
    assert any("#19416" in line for line in plan_for(synapse_version="1.145.0")["warnings"])
    assert plan_for()["warnings"] == []


def test_hosts_below_the_floor_of_comfort_are_told_of_lighter_homeservers() -> None:
    assert any("lighter homeserver" in line for line in plan_for(ram=512 * MIB)["advice"])
    assert plan_for()["advice"] == []


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"users": 0}, "users is 0: it must be at least 1"),
        ({"users": -3}, "users is -3: it must be at least 1"),
        ({"users": "many"}, "users is 'many': it must be a whole number"),
        ({"users": True}, "it must be a whole number"),
        ({"cpus": 0}, "cpus is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"ram": 400 * MIB}, "below the floor of 448 MiB: give the host 448 MiB"),
        ({"reserved": 1700 * MIB}, "less 1.7 GiB for other services leaves 348 MiB, below the floor"),
        ({"reserved": 3 * GIB}, "leaves 0 B"),
        ({"workers": 20}, "21 Synapse processes get .* run at most 4 workers"),
        ({"storage": "tape"}, "storage is 'tape': it must be one of ssd, hdd"),
        ({"topology": "moon"}, "must be one of shared, dedicated_synapse, dedicated_database"),
        ({"federation": "yes"}, "must be one of closed, small, open"),
        ({"postgresql_version": 11}, "upgrade PostgreSQL first"),
        ({"synapse_version": "latest"}, "write it as 1"),
        ({"per_cache_factors": {"get_event_cache": 0.3}}, "did you mean"),
    ],
)
def test_bad_inputs_say_what_would_do(inputs: dict, message: str) -> None:
    with pytest.raises(PlanError, match=message) as caught:
        plan_for(**inputs)
    assert "\n" not in str(caught.value)
