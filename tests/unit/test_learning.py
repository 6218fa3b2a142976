# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement teaches, lever by lever, on the host that everybody knows: 5 users, 2 GiB, 2 CPUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional

import pytest
from plans import GIB, MIB, settings_of
from simulated_server import HOUR, Load, Server

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan

INPUTS = Inputs(users=5, ram=2 * GIB, cpus=2)
TUNED = Server().applied(make_plan(INPUTS))
QUIET = Load(synapse=20 * MIB, postgresql=100 * MIB)

EVENTS = "homeserver.caches.per_cache_factors.*getEvent*"
STATE = "homeserver.caches.per_cache_factors.*stateGroupCache*"
WORK_MEM = "postgresql.work_mem"
CONNECTIONS = "postgresql.max_connections"
SYNAPSE, POSTGRESQL = "compose.synapse.memory_limit", "compose.postgresql.memory_limit"


def planned(load: Load, server: Server = TUNED, inputs: Inputs = INPUTS, **changes: Any) -> Dict[str, Any]:
    return make_plan(inputs, Measurement.from_data({**server.measurement(load), **changes}))


def learned(plan: Dict[str, Any]) -> Dict[str, Any]:
    return {each["lever"]: each["to"] for each in plan["learned"]}


def reason(plan: Dict[str, Any], lever: str) -> str:
    return next(each["why"] for each in plan["learned"] if each["lever"] == lever)


def rounds(load: Load, server: Server = TUNED, inputs: Inputs = INPUTS, times: int = 5) -> List[Dict[str, Any]]:
    plans = []
    for _round in range(times):
        plans.append(planned(load, server, inputs))
        server = server.applied(plans[-1])
    return plans


def without_learned(plan: Dict[str, Any]) -> Dict[str, Any]:
    host = {name: value for name, value in plan["host"].items() if name != "measured"}
    return {**{name: value for name, value in plan.items() if name != "learned"}, "host": host, "advice": []}


def test_a_measurement_that_asks_for_nothing_changes_nothing() -> None:
    plan = planned(replace(QUIET, uptime=2 * HOUR))
    assert plan["learned"] == []
    assert plan["host"]["measured"] == "2026-11-28T16:40:00Z"
    assert "no reason to change anything" in plan["advice"][-1]
    assert without_learned(plan) == make_plan(INPUTS)


def test_without_a_measurement_nothing_is_said_of_learning() -> None:
    plan = make_plan(INPUTS)
    assert "learned" not in plan and "measured" not in plan["host"]


# -- caches -------------------------------------------------------------------------
def test_a_cache_that_evicts_what_is_asked_for_again_is_raised_with_its_figures() -> None:
    plan = planned(replace(QUIET, working_sets={"*getEvent*": 18_000}))
    assert learned(plan)[EVENTS] == 4.0
    setting = plan["homeserver"]["caches.per_cache_factors.*getEvent*"]
    assert (setting["value"], setting["source"]) == (4.0, "measured on this server")
    assert "10240 of at most 10240 entries, 77600 evictions by size an hour, 43 % of" in setting["why"]
    assert plan["homeserver"]["caches.global_factor"]["value"] == 0.5


def test_a_raised_cache_stays_and_is_not_raised_again() -> None:
    factors = [learned(plan).get(STATE) for plan in rounds(replace(QUIET, working_sets={"*stateGroupCache*": 60_000}))]
    assert factors == [2.0] * 5


def test_a_cache_is_raised_fourfold_at_most() -> None:
    factors = [learned(plan).get(STATE) for plan in rounds(replace(QUIET, working_sets={"*stateGroupCache*": 120_000}))]
    assert factors == [2.0, 4.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("load", "why"),
    [
        (Load(working_sets={"is_real_user": 5000}, uptime=59 * 60), "59 minutes"),
        (Load(working_sets={"is_real_user": 5000}, uptime=60), "60 seconds"),
    ],
)
def test_counters_after_a_fresh_start_teach_nothing(load: Load, why: str) -> None:
    plan = planned(load)
    assert plan["learned"] == []
    assert any(f"Synapse had run for {why}" in line for line in plan["advice"])


def test_what_is_in_effect_outlives_a_fresh_start() -> None:
    first = planned(replace(QUIET, working_sets={"*stateGroupCache*": 60_000}))
    second = planned(replace(QUIET, working_sets={"*stateGroupCache*": 100}, uptime=60.0), server=TUNED.applied(first))
    assert learned(second)[STATE] == learned(first)[STATE] == 2.0


@pytest.mark.parametrize("times", [2, 10])
def test_just_above_and_just_below_what_holds_it_no_cache_goes_up_and_down(times: int) -> None:
    """0.5 of 50000 entries are 25000."""
    for wanted in (24_990, 24_999, 25_000, 25_001, 25_010, 26_500, 30_000, 99_000, 100_000, 101_000):
        factors = [
            learned(plan).get(STATE, 0.5)
            for plan in rounds(replace(QUIET, working_sets={"*stateGroupCache*": wanted}, times=times))
        ]
        assert factors == sorted(factors), wanted
        assert len(set(factors[2:])) == 1, wanted


def test_what_is_never_full_is_lowered_only_where_another_needs_the_room() -> None:
    """And never gives memory back: the reason says so."""
    empty = {"*stateGroupMembersCache*": 1000, "get_rooms_for_user": 10}
    assert learned(planned(replace(QUIET, working_sets=empty, uptime=2 * HOUR))) == {}
    small = replace(INPUTS, ram=768 * MIB)
    server = Server().applied(make_plan(small))
    members = "homeserver.caches.per_cache_factors.*stateGroupMembersCache*"
    factor = make_plan(small)["homeserver"]["caches.global_factor"]["value"]
    tight = replace(QUIET, synapse=0, working_sets={**empty, "_event_auth_cache": 400_000})
    assert factor == 0.3
    plan = planned(tight, server=server, inputs=small)
    found = learned(plan)
    assert found["homeserver.caches.per_cache_factors._event_auth_cache"] > factor > found[members]
    assert "gives no memory back by itself" in reason(plan, members)


def test_the_users_own_factors_are_left_alone() -> None:
    inputs = replace(INPUTS, per_cache_factors={"*stateGroupCache*": 0.3})
    plan = planned(replace(QUIET, working_sets={"*stateGroupCache*": 100_000}), inputs=inputs)
    assert plan["homeserver"]["caches.per_cache_factors.*stateGroupCache*"]["why"] == "your own factor"


def test_another_releases_caches_teach_nothing() -> None:
    data = TUNED.measurement(replace(QUIET, working_sets={"*stateGroupCache*": 100_000}))
    data["synapse"]["version"] = "1.150.0"
    plan = make_plan(INPUTS, Measurement.from_data(data))
    assert STATE not in learned(plan)
    assert any("known for Synapse 1.163.2, and 1.150.0 was measured" in line for line in plan["advice"])


def test_another_factors_caches_come_to_the_plans_factor_where_that_holds_them() -> None:
    load = replace(QUIET, working_sets={"*stateGroupCache*": 40_000, "state_cache": 9_000, "is_real_user": 5})
    plan = planned(load, server=Server(global_factor=1.0))
    assert {path: value for path, value in learned(plan).items() if "per_cache" in path} == {STATE: 1.0}


# -- PostgreSQL ---------------------------------------------------------------------
@pytest.mark.parametrize(
    ("sort", "sorts", "work_mem"),
    [
        (4 * MIB, 100, None),
        (7 * MIB, 100, "8MB"),
        (9 * MIB, 100, "16MB"),
        # Rare ones are left to the disk.
        (9 * MIB, 0, None),
        # More rarely helps.
        (300 * MIB, 100, "32MB"),
    ],
)
def test_work_mem_by_the_size_of_temporary_files(sort: int, sorts: int, work_mem: Optional[str]) -> None:
    plans = rounds(replace(QUIET, sort=sort, sorts=sorts))
    assert [learned(plan).get(WORK_MEM) for plan in plans] == [work_mem] * 5


def test_work_mem_is_raised_as_far_as_the_budget_has_room() -> None:
    inputs = replace(INPUTS, ram=GIB)
    plans = rounds(replace(QUIET, sort=300 * MIB, sorts=100), Server().applied(make_plan(inputs)), inputs)
    assert [learned(plan).get(WORK_MEM) for plan in plans] == ["16MB"] * 5
    assert "more RAM would allow it" in " ".join(plans[0]["advice"])


def test_counters_that_run_on_do_not_raise_work_mem_again() -> None:
    """PostgreSQL does not reset them when a parameter changes."""
    data = replace(TUNED, work_mem=8 * MIB).measurement(QUIET)
    data["postgresql"].update(temp_files=4800, temp_bytes=4800 * 3 * MIB)
    plan = make_plan(INPUTS, Measurement.from_data(data))
    assert learned(plan)[WORK_MEM] == "8MB"
    assert "in effect, and kept: 4800 temporary files in 2 days, 3 MiB each on average" in reason(plan, WORK_MEM)


@pytest.mark.parametrize(
    ("connections", "found"),
    [(10, [None] * 4), (24, [None] * 4), (25, [40] * 4), (60, [90] * 4), (200, [90, 270, 270, 270])],
)
def test_max_connections_by_the_most_that_were_open(connections: int, found: List[Optional[int]]) -> None:
    plans = rounds(replace(QUIET, connections=connections), times=4)
    assert [learned(plan).get(CONNECTIONS) for plan in plans] == found


def test_max_connections_are_lowered_after_a_day_only() -> None:
    server = replace(TUNED, max_connections=200)
    early = planned(replace(QUIET, uptime=2 * HOUR), server=server)
    assert learned(early)[CONNECTIONS] == 200
    assert any("lowered once PostgreSQL has run for a day" in line for line in early["advice"])
    assert CONNECTIONS not in learned(planned(QUIET, server=server))


# -- limits -------------------------------------------------------------------------
def test_synapses_limit_is_lowered_after_a_day_with_room_for_joins() -> None:
    assert SYNAPSE not in learned(planned(replace(QUIET, uptime=23 * HOUR)))
    plans = rounds(QUIET)
    assert [learned(plan)[SYNAPSE] for plan in plans] == ["640M"] * 5
    rows = {row["component"]: row["bytes"] for row in plans[0]["budget"]}
    assert rows["page_cache"] == (256 + 1024 - 640) * MIB
    # Rooms that could be joined before can still be joined.
    complexity = "limit_remote_rooms.complexity"
    assert plans[0]["homeserver"][complexity] == make_plan(INPUTS)["homeserver"][complexity]


def test_a_sample_alone_lowers_no_limit() -> None:
    """It says nothing of the night before; what the kernel keeps of the process does."""
    data = TUNED.measurement(QUIET)
    data["synapse"]["processes"] = []
    assert SYNAPSE not in learned(make_plan(INPUTS, Measurement.from_data(data)))
    data = TUNED.measurement(QUIET)
    data["synapse"]["processes"][0]["rss_peak"] = 500 * MIB
    assert learned(make_plan(INPUTS, Measurement.from_data(data)))[SYNAPSE] == "768M"


def test_a_limit_that_is_reached_is_raised_from_the_page_cache() -> None:
    plans = rounds(replace(QUIET, postgresql=450 * MIB, uptime=2 * HOUR))
    assert [learned(plan)[POSTGRESQL] for plan in plans] == ["608M"] * 5
    assert "450 MiB at its peak, 88 % of 512 MiB" in reason(plans[0], POSTGRESQL)


def test_at_the_end_of_the_budget_the_plan_says_so() -> None:
    plan = planned(replace(QUIET, synapse=1500 * MIB))
    assert learned(plan)[SYNAPSE] == "1152M"
    assert "ended processes in it 1 times at 1 GiB" in reason(plan, SYNAPSE)
    assert any("no more than 1.1 GiB" in line and "more RAM" in line for line in plan["advice"])


@pytest.mark.parametrize("peak", [434, 435, 436, 512 * 0.75, 512 * 0.6])
def test_at_its_thresholds_a_limit_does_not_go_up_and_down(peak: float) -> None:
    limits = [learned(plan).get(POSTGRESQL) for plan in rounds(replace(QUIET, postgresql=int(peak * MIB)))]
    assert len(set(limits)) == 1


def test_a_load_that_moves_a_little_moves_no_lever() -> None:
    """A tenth more and less from round to round, from where one round came to rest."""
    load = replace(QUIET, working_sets={"*stateGroupCache*": 60_000}, sort=7 * MIB, connections=26)
    plans, server = [], TUNED.applied(planned(load))
    for share in (1.0, 1.1, 0.9, 1.05, 0.95):
        moved = replace(
            load,
            synapse=int(load.synapse * share),
            postgresql=int(load.postgresql * share),
            working_sets={name: int(size * share * 0.9) for name, size in load.working_sets.items()},
            connections=round(load.connections * share),
        )
        plans.append(planned(moved, server))
        server = server.applied(plans[-1])
    assert all(learned(plan) == learned(plans[0]) for plan in plans)


# -- where it does not apply --------------------------------------------------------
@pytest.mark.parametrize("topology", ["dedicated_synapse", "dedicated_database"])
def test_a_host_learns_only_of_what_it_has(topology: str) -> None:
    inputs = replace(INPUTS, topology=topology)
    load = replace(QUIET, working_sets={"*stateGroupCache*": 60_000}, sort=7 * MIB, connections=90)
    found = learned(planned(load, server=Server().applied(make_plan(inputs)), inputs=inputs))
    sections = {"dedicated_synapse": {"homeserver", "compose"}, "dedicated_database": {"postgresql"}}
    assert {path.split(".")[0] for path in found} == sections[topology]


def test_parts_that_were_not_measured_are_named() -> None:
    data = TUNED.measurement(QUIET)
    data["synapse"].update(container=None, caches=[], uptime=None)
    data["postgresql"].update(container=None, work_mem=None, max_connections=None, connections_peak=None)
    plan = make_plan(INPUTS, Measurement.from_data(data))
    assert plan["learned"] == []
    said = "\n".join(plan["advice"])
    for part in ("Synapse's limit", "the caches", "PostgreSQL's limit"):
        assert f"Nothing was learned of {part}" in said


def test_every_reason_is_one_line_with_a_figure() -> None:
    load = Load(
        working_sets={"*getEvent*": 18_000, "*stateGroupCache*": 90_000},
        sort=20 * MIB,
        connections=60,
        synapse=600 * MIB,
        postgresql=500 * MIB,
    )
    plan = planned(load)
    assert len(plan["learned"]) == 5
    reasons = {path: setting["why"] for path, setting in settings_of(plan)}
    for each in plan["learned"]:
        assert reasons[each["lever"]] == each["why"]
        assert any(character.isdigit() for character in each["why"]) and "\n" not in each["why"]
