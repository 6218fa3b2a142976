# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every plan."""

from __future__ import annotations

from typing import Any, Dict

from hypothesis import given, settings
from hypothesis import strategies as st
from plans import OTHERS, RAM, USERS, settings_of

from ansible_collections.synapse.tuning.plugins.module_utils._core import caches, units
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan

# Settings with more of which a host gives more, and how to compare them.
SIZES = {
    "postgresql": units.postgresql_bytes,
    "compose": units.compose_bytes,
    "homeserver": units.synapse_bytes,
}
NOT_ORDERED = ("random_page_cost", "effective_io_concurrency")


def ordered(plan: Dict[str, Any]) -> Dict[str, float]:
    """Every number of a plan that means more where it is larger, in bytes where it is a size."""
    found: Dict[str, float] = {}
    for path, setting in settings_of(plan):
        value, section = setting["value"], path.split(".")[0]
        if section not in SIZES or path.endswith(NOT_ORDERED) or isinstance(value, bool):
            continue
        if setting["unit"] == "bytes":
            found[path] = SIZES[section](value, **({"unit": 1} if section == "postgresql" else {}))
        elif isinstance(value, (int, float)):
            found[path] = value
    return found


def check_plan(plan: Dict[str, Any], *, ram: int, workers: int, others: Dict[str, Any]) -> None:
    """What every plan for this RAM must hold to, learned or not."""
    assert sum(row["bytes"] for row in plan["budget"]) == ram
    assert all(row["bytes"] >= 0 for row in plan["budget"])
    found = ordered(plan)
    postgresql, synapse = plan["compose"]["postgresql"], plan["compose"]["synapse"]
    if postgresql:
        limit = found["compose.postgresql.memory_limit"]
        assert found["compose.postgresql.shm_size"] >= found["postgresql.shared_buffers"]
        assert found["postgresql.shared_buffers"] < limit
        assert found["postgresql.effective_cache_size"] <= limit
        assert found["compose.postgresql.memory_reservation"] <= limit
    if synapse:
        limit = found["compose.synapse.memory_limit"]
        assert found["compose.synapse.memory_reservation"] <= limit
        most = found.get("homeserver.caches.cache_autotuning.max_cache_memory_usage")
        target = found.get("homeserver.caches.cache_autotuning.target_cache_memory_usage")
        assert (most is None) == (synapse["environment"]["PYTHONMALLOC"]["value"] is None)
        if most is not None and target is not None:
            assert target < most < limit
        assert found["homeserver.database.args.cp_min"] <= found["homeserver.database.args.cp_max"]
        if postgresql:
            pools = (1 + workers) * found["homeserver.database.args.cp_max"]
            assert found["postgresql.max_connections"] >= pools + others["extra_connections"] + 3
        factor = plan["homeserver"]["caches.global_factor"]["value"]
        assert float(synapse["environment"]["SYNAPSE_CACHE_FACTOR"]["value"]) == factor
        own = {
            path.rsplit(".", 1)[1]: setting["value"]
            for path, setting in plan["homeserver"].items()
            if path.startswith("caches.per_cache_factors.")
        }
        assert own and all(caches.is_known_cache(name) for name in own)
        assert min(caches.cache_entries(factor=factor, per_cache_factors=own).values()) >= 1


@settings(max_examples=300)
@given(RAM, USERS, OTHERS, st.integers(0, 40))
def test_every_plan_fits_and_is_consistent(ram: int, users: int, others: Dict[str, Any], workers: int) -> None:
    try:
        plan = make_plan(Inputs(users=users, ram=ram, workers=workers, **others))
    except PlanError:
        # Only workers may be too many for a host of 512 MiB and more.
        assert workers > 0
        return
    check_plan(plan, ram=ram, workers=workers, others=others)


@settings(max_examples=300)
@given(RAM, RAM, USERS, OTHERS, st.integers(0, 10))
def test_more_ram_never_lowers_anything(one: int, other: int, users: int, others: Dict[str, Any], workers: int) -> None:
    less, more = sorted((one, other))
    try:
        small = ordered(make_plan(Inputs(users=users, ram=less, workers=workers, **others)))
    except PlanError:
        return
    # What fits the smaller host fits the larger one.
    large = ordered(make_plan(Inputs(users=users, ram=more, workers=workers, **others)))
    for path, value in small.items():
        # Autotuning and the limit on rooms go away on larger hosts.
        if path in large or not path.startswith(("homeserver.caches.cache_auto", "homeserver.limit_remote")):
            assert large[path] >= value, path


@settings(max_examples=300)
@given(RAM, USERS, USERS, OTHERS)
def test_more_users_never_lower_the_wish(ram: int, one: int, other: int, others: Dict[str, Any]) -> None:
    fewer, more = sorted((one, other))

    def wishes(users: int) -> Dict[str, float]:
        plan = make_plan(Inputs(users=users, ram=ram, **others))
        found = {}
        for path, setting in settings_of(plan):
            wish = setting.get("wish", setting["value"])
            if path.endswith(("global_factor", "cp_max", "max_connections")):
                found[path] = float(wish)
            elif path == "compose.synapse.memory_limit":
                found[path] = units.compose_bytes(wish)
        return found

    small, large = wishes(fewer), wishes(more)
    assert small.keys() == large.keys()
    assert all(large[path] >= small[path] for path in small)


@given(RAM, USERS, OTHERS)
def test_the_same_inputs_give_the_same_plan(ram: int, users: int, others: Dict[str, Any]) -> None:
    assert make_plan(Inputs(users=users, ram=ram, **others)) == make_plan(Inputs(users=users, ram=ram, **others))
