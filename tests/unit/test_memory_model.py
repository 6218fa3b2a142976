# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of the peak: what every set of constants must hold to, and what plans say by it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import GIB, MIB, settings_of

from ansible_collections.synapse.tuning.plugins.module_utils._core import (
    memory_constants,
    memory_model,
    report_forecast,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.lever_table import MEASURED
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_model import postgresql_peak, synapse_peak
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan

USERS = st.integers(1, 100_000)
EVENTS = st.integers(0, 50_000)


def test_the_constants_are_of_runs_and_possible() -> None:
    assert "runs" in memory_constants.FITTED_ON and "memory-runs.jsonl" in memory_constants.FITTED_ON
    for constants in (memory_constants.SYNAPSE, memory_constants.POSTGRESQL):
        assert all(value >= 0 for value in constants.values()), constants
        assert 0 < constants["spread"] < 0.3


@given(USERS, USERS, EVENTS, EVENTS)
def test_more_of_anything_is_never_predicted_to_hold_less(one: int, other: int, few: int, many: int) -> None:
    (one, other), (few, many) = sorted((one, other)), sorted((few, many))
    small = synapse_peak(users=one, joined=few, malloc_conf=False)
    assert small.low <= small.expected <= small.high
    assert small.expected <= synapse_peak(users=other, joined=many, malloc_conf=False).expected
    assert synapse_peak(users=one, joined=few, malloc_conf=True).expected <= small.expected
    sizes = [
        postgresql_peak(
            users=users, joined=joined, connections=connections, shared_buffers=buffers, wal_buffers=0
        ).expected
        for users, joined, connections, buffers in ((one, few, 4, 64 * MIB), (other, many, 10, 128 * MIB))
    ]
    assert sizes[0] <= sizes[1]


def test_beyond_what_was_measured_it_grows_with_the_users() -> None:
    most = memory_constants.MOST_USERS
    none = memory_constants.SYNAPSE["idle"]
    at, beyond = (synapse_peak(users=most * times, joined=0, malloc_conf=False).expected - none for times in (1, 4))
    assert beyond == pytest.approx(4 * at, rel=0.02)


def test_no_more_of_shared_buffers_counts_than_is_touched() -> None:
    def peak(buffers: int) -> int:
        return postgresql_peak(users=5, joined=0, connections=4, shared_buffers=buffers, wal_buffers=0).expected

    assert peak(16 * MIB) < peak(32 * MIB)
    assert peak(4 * GIB) == peak(8 * GIB)


def test_a_plan_says_what_it_is_predicted_to_hold() -> None:
    prediction = make_plan(Inputs(users=5, ram=2 * GIB))["prediction"]
    assert prediction["joined"] == memory_model.JOINED_ROOM
    assert prediction["source"] == memory_constants.FITTED_ON
    parts = prediction["synapse"]["expected"] + prediction["postgresql"]["expected"]
    assert prediction["total"]["expected"] == parts
    # A closed server joins nothing of others; whoever names a room is believed.
    assert make_plan(Inputs(users=5, ram=2 * GIB, federation="closed"))["prediction"]["joined"] == 0
    named = make_plan(Inputs(users=5, ram=2 * GIB, largest_room=12_000))["prediction"]
    assert named["joined"] == 12_000 and named["total"]["expected"] > prediction["total"]["expected"]
    with pytest.raises(PlanError, match="largest_room is -1"):
        Inputs(users=5, ram=GIB, largest_room=-1)


def test_each_worker_is_as_large_as_the_main_process() -> None:
    alone, four = (make_plan(Inputs(users=50, ram=8 * GIB, workers=n))["prediction"] for n in (0, 3))
    assert four["synapse"] == alone["synapse"]
    assert four["total"]["expected"] == 4 * four["synapse"]["expected"] + four["postgresql"]["expected"]


def test_elsewhere_is_not_predicted() -> None:
    database = make_plan(Inputs(users=5, ram=2 * GIB, topology="dedicated_database"))["prediction"]
    assert database["synapse"] is None and database["total"] == database["postgresql"]


def test_levers_are_in_the_order_of_what_they_return_and_say_so() -> None:
    rows = make_plan(Inputs(users=5, ram=2 * GIB))["levers"]
    assert [row["returned"] for row in rows] == sorted((row["returned"] for row in rows), reverse=True)
    by_name = {row["lever"]: row for row in rows}
    assert by_name["database.args.cp_max"]["pulled"] and by_name["MALLOC_CONF"]["pulled"]
    alone, both = MEASURED["malloc_conf"], MEASURED["malloc_conf, PYTHONMALLOC=malloc"]
    assert by_name["PYTHONMALLOC"]["returned"] == both.returned - alone.returned
    assert (
        not by_name["PYTHONMALLOC"]["pulled"]
        and not by_name["caches.cache_autotuning.max_cache_memory_usage"]["pulled"]
    )
    for row in rows:
        if row["returned"] < 12_000_000:
            assert row["why"].startswith("returned nothing beyond noise"), row
            assert ("costs processor time" in row["why"]) == bool(row["cpu"] and row["cpu"] >= 1.03), row


def test_a_lever_that_was_asked_for_is_pulled() -> None:
    rows = {row["lever"]: row for row in make_plan(Inputs(users=5, ram=2 * GIB, cache_autotuning="on"))["levers"]}
    assert rows["caches.cache_autotuning.max_cache_memory_usage"]["pulled"] and rows["PYTHONMALLOC"]["pulled"]


def test_a_host_that_is_too_small_for_its_users_is_told() -> None:
    plan = make_plan(Inputs(users=20_000, ram=GIB))
    assert any("is predicted to come to hold" in line for line in plan["advice"])
    assert not any("is predicted" in line for line in make_plan(Inputs(users=5, ram=GIB))["advice"])


def test_the_report_shows_both_and_says_nothing_of_a_plan_without() -> None:
    plan = make_plan(Inputs(users=5, ram=2 * GIB))
    title, lines = report_forecast.predicted_section(plan, 100)
    assert "without the page cache" in title and any("6,000 state events" in line for line in lines)
    title, lines = report_forecast.levers_section(plan, 100)
    assert "at 50 users" in title and any(line.startswith("cp_max 5") and "pulled" in line for line in lines)
    older = {name: value for name, value in plan.items() if name not in ("prediction", "levers")}
    assert report_forecast.predicted_section(older, 100)[1] == [] == report_forecast.levers_section(older, 100)[1]


def test_sizes_of_the_plan_come_from_the_model() -> None:
    planned = dict(settings_of(make_plan(Inputs(users=5, ram=2 * GIB))))
    headroom = GIB // 4
    events = headroom // 2 // int(memory_constants.SYNAPSE["joined_event"])
    assert planned["homeserver.limit_remote_rooms.complexity"]["value"] == math.floor(events / 500)
