# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache names and factors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core import caches
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_table import CACHES
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError


@pytest.mark.parametrize("name", ["*getEvent*", "getEvent", "getevent", "get_users_in_room", "GET_USERS_IN_ROOM"])
def test_names_are_known_in_every_spelling_that_synapse_takes(name: str) -> None:
    assert caches.is_known_cache(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("get_event_cache", "*getEvent*"),
        ("get_user_in_room", "get_users_in_room"),
        ("stateGroupMemberCache", "*stateGroupMembersCache*"),
        ("zzzzqqqq", None),
    ],
)
def test_unknown_names_get_the_nearest(name: str, nearest: object) -> None:
    assert not caches.is_known_cache(name)
    assert caches.nearest_cache(name) == nearest


def test_unknown_factor_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(PlanError, match=r"no cache 'get_event_cache': did you mean '\*getEvent\*'\?"):
        caches.check_per_cache_factors({"get_event_cache": 0.3})


@pytest.mark.parametrize("factor", [0, -1, 0.00001, True, "0.3"])
def test_factors_that_would_unbound_a_cache_are_refused(factor: object) -> None:
    with pytest.raises(PlanError, match="leaves no entry"):
        caches.check_per_cache_factors({"get_pdu_cache": factor})  # type: ignore[dict-item]


@given(st.sampled_from(caches.FACTOR_STEPS))
def test_no_step_empties_a_cache(factor: float) -> None:
    planned = caches.planned_per_cache_factors(factor=factor, own={})
    assert min(caches.cache_entries(factor=factor, per_cache_factors=planned).values()) >= 1


def test_entries_as_a_running_synapse_showed_them() -> None:
    # *getEvent* at the default factor: 5120 in synapse_util_caches_cache_max_size.
    entries = caches.cache_entries(factor=0.5, per_cache_factors={})
    assert entries["*getEvent*"] == 5120
    assert entries["*stateGroupMembersCache*"] == 250_000


def test_own_factors_win_in_any_spelling() -> None:
    planned = caches.planned_per_cache_factors(factor=0.2, own={"getEvent": 2.0})
    assert planned == {"get_users_in_room": 0.5, "getEvent": 2.0, **dict.fromkeys(caches.SMALL, 2.0)}
    assert caches.cache_entries(factor=0.2, per_cache_factors=planned)["*getEvent*"] == 20480


@pytest.mark.parametrize(
    ("factor", "events", "small"), [(0.1, 0.3, 1.0), (0.5, 1.0, 5.0), (1.0, 1.0, 10.0), (1.5, 1.5, 15.0)]
)
def test_factors_of_single_caches_follow_the_global_one(factor: float, events: float, small: float) -> None:
    planned = caches.planned_per_cache_factors(factor=factor, own={})
    assert (planned["*getEvent*"], planned["is_user_erased"]) == (events, small)
    caches.check_per_cache_factors(planned)


@given(st.integers(1, 1_000_000), st.integers(1, 1_000_000))
def test_more_users_never_wish_less(some: int, others: int) -> None:
    fewer, more = sorted((some, others))
    assert caches.wished_factor(fewer) <= caches.wished_factor(more)
    assert caches.wished_event_cache_size(fewer) <= caches.wished_event_cache_size(more)


@pytest.mark.parametrize(("users", "factor"), [(1, 0.5), (50, 0.5), (51, 1.0), (999, 1.0), (1000, 1.5), (100_000, 4.5)])
def test_wished_factors(users: int, factor: float) -> None:
    assert caches.wished_factor(users) == factor


@given(
    st.integers(0, 4 << 30), st.floats(0.1, 10), st.sampled_from([10_240, 102_400]), st.floats(0.1, 1, exclude_min=True)
)
def test_largest_factor_is_the_largest_that_fits(room: int, wish: float, events: int, fill: float) -> None:
    def full(step: float) -> float:
        planned = caches.planned_per_cache_factors(factor=step, own={})
        return fill * caches.ceiling_bytes(factor=step, per_cache_factors=planned, event_cache_size=events)

    found = caches.largest_factor(room=room, wish=wish, own={}, event_cache_size=events, fill=fill)
    steps = [step for step in caches.FACTOR_STEPS if step <= wish]
    # Brute force over all steps, against the halving of the real one.
    assert found == max([step for step in steps if full(step) <= room], default=caches.FACTOR_STEPS[0])


def test_the_table_names_no_cache_twice() -> None:
    assert len({cache.name for cache in CACHES}) == len(CACHES)
