# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every plan that is made from a measurement: it fits the host, and it comes to rest."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import MIB, OTHERS, RAM, USERS
from simulated_server import HOUR, Load, Server
from test_plan_properties import check_plan

from ansible_collections.synapse.tuning.plugins.module_utils._core import units
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_table import CACHES
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of

pytestmark = pytest.mark.slow

NAMES = st.sampled_from([cache.name for cache in CACHES])
FACTORS = st.sampled_from([0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 10.0])
LIMITS = st.one_of(st.none(), st.integers(6, 4096).map(lambda size: size * MIB))

LOADS = st.builds(
    Load,
    working_sets=st.dictionaries(NAMES, st.integers(0, 300_000), max_size=8),
    times=st.sampled_from([2, 10, 1000]),
    fill=st.floats(0.5, 1.0),
    sort=st.integers(1 << 16, 1 << 28),
    sorts=st.sampled_from([0, 1, 50, 1000]),
    connections=st.integers(1, 500),
    uptime=st.sampled_from([60.0, HOUR, 30 * HOUR, 300 * HOUR]),
)
# Memory beside the caches, as a share of the limits without a measurement.
SHARES = st.tuples(st.floats(0, 3), st.floats(0, 3))
SERVERS = st.builds(
    Server,
    global_factor=FACTORS,
    per_cache_factors=st.dictionaries(NAMES, FACTORS, max_size=4),
    synapse_limit=LIMITS,
    postgresql_limit=LIMITS,
    work_mem=st.sampled_from([1, 4, 7, 16, 64]).map(lambda size: size * MIB),
    max_connections=st.integers(20, 1000),
)

COUNTS = st.integers(0, 1 << 45)
FIGURES = st.one_of(st.none(), COUNTS)
ANY_CACHES = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.one_of(NAMES, st.text(max_size=5)),
            "size": FIGURES,
            "max_size": FIGURES,
            "hits": COUNTS,
            "misses": COUNTS,
            "evictions": st.fixed_dictionaries({"size": COUNTS, "time": COUNTS, "invalidation": COUNTS}),
            "bytes": FIGURES,
        }
    ),
    max_size=6,
)
ANY_CONTAINER = st.fixed_dictionaries(
    {"limit": FIGURES, "held_peak": COUNTS, "oom_kills": st.sampled_from([None, 0, 3])}
)
ANY_UPTIME = st.one_of(st.none(), st.floats(0, 1e9))
ANY_POSTGRESQL = st.fixed_dictionaries(
    {
        **dict.fromkeys(("temp_files", "temp_bytes", "connections_peak", "max_connections", "work_mem"), FIGURES),
        "stats_since": st.sampled_from([None, "2026-11-28T10:00:00Z", "2026-11-28 10:00:00+00:00", "yesterday"]),
        "uptime": ANY_UPTIME,
    }
)


def inputs_of(users: int, ram: int, workers: int, others: Dict[str, Any]) -> Inputs:
    return Inputs(users=users, ram=ram, workers=workers, **others)


def figures(plan: Dict[str, Any]) -> Dict[str, Any]:
    """All that a plan sets, and its budget, without the reasons."""
    sections = ("homeserver", "postgresql", "tables", "compose", "compressor")
    rows = {row["component"]: row["bytes"] for row in plan["budget"]}
    return {**{name: values_of(plan[name]) for name in sections}, "budget": rows}


def load_on(inputs: Inputs, load: Load, shares: Tuple[float, float]) -> Optional[Load]:
    """The load, with memory in proportion to the host; None where the host has no plan without a measurement."""
    try:
        compose = make_plan(inputs)["compose"]
    except PlanError:
        return None
    synapse, postgresql = (
        int(share * units.compose_bytes(section["memory_limit"]["value"])) if section else 0
        for share, section in zip(shares, (compose["synapse"], compose["postgresql"]))
    )
    return replace(load, synapse=synapse, postgresql=postgresql)


@settings(max_examples=150)
@given(RAM, USERS, st.integers(0, 10), OTHERS, SERVERS, LOADS, SHARES)
def test_a_learned_plan_fits_and_is_consistent(
    ram: int,
    users: int,
    workers: int,
    others: Dict[str, Any],
    server: Server,
    given_load: Load,
    shares: Tuple[float, float],
) -> None:
    inputs = inputs_of(users, ram, workers, others)
    load = load_on(inputs, given_load, shares)
    if load is None:
        return
    plan = make_plan(inputs, server.measured(load))
    check_plan(plan, ram=ram, workers=workers, others=others)
    assert json.loads(json.dumps(plan)) == plan
    assert all(each["from"] != each["to"] and each["why"] for each in plan["learned"])
    # The same measurement, the same plan: a second run of a play changes nothing.
    assert make_plan(inputs, server.measured(load)) == plan


@settings(max_examples=150)
@given(RAM, USERS, st.integers(0, 10), OTHERS, SERVERS, LOADS, SHARES)
def test_on_a_load_that_stays_the_fourth_plan_is_the_third(
    ram: int,
    users: int,
    workers: int,
    others: Dict[str, Any],
    server: Server,
    given_load: Load,
    shares: Tuple[float, float],
) -> None:
    inputs = inputs_of(users, ram, workers, others)
    load = load_on(inputs, given_load, shares)
    if load is None:
        return
    plans = []
    for _round in range(5):
        plan = make_plan(inputs, server.measured(load))
        server = server.applied(plan)
        plans.append(figures(plan))
    assert plans[2] == plans[3] == plans[4]


@settings(max_examples=300)
@given(RAM, USERS, OTHERS, ANY_CACHES, st.tuples(ANY_CONTAINER, ANY_CONTAINER), ANY_UPTIME, ANY_POSTGRESQL)
def test_whatever_was_measured_the_plan_fits(
    ram: int,
    users: int,
    others: Dict[str, Any],
    caches: List[Dict[str, Any]],
    containers: Tuple[Dict[str, Any], Dict[str, Any]],
    uptime: Optional[float],
    postgresql: Dict[str, Any],
) -> None:
    """Also what no server would show."""
    data = Server().measurement(Load())
    data["synapse"].update(caches=caches, uptime=uptime)
    data["postgresql"].update(postgresql)
    data["synapse"]["container"].update(containers[0])
    data["postgresql"]["container"].update(containers[1])
    plan = make_plan(inputs_of(users, ram, 0, others), Measurement.from_data(data))
    check_plan(plan, ram=ram, workers=0, others=others)
