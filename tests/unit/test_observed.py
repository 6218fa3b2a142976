# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observed figures hold still."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from plans import GIB, MIB

from ansible_collections.synapse.tuning.plugins.module_utils._core.observed import (
    previous_figure,
    steady_ram,
    steady_reserved,
)

RAM = 8 * GIB
OPERATING_SYSTEM = GIB


def test_memtotal_of_a_new_kernel_is_no_new_plan() -> None:
    first = steady_ram(1_987 * MIB + 123, previous=None)
    assert first == 1_987 * MIB
    assert steady_ram(1_990 * MIB, previous=first) == first
    assert steady_ram(1_980 * MIB, previous=first) == 1_980 * MIB
    assert steady_ram(4 * GIB, previous=first) == 4 * GIB


def test_what_the_operating_system_uses_is_in_its_own_row() -> None:
    assert steady_reserved(OPERATING_SYSTEM, ram=RAM, previous=None) == 0
    assert steady_reserved(OPERATING_SYSTEM + 20 * MIB, ram=RAM, previous=None) == 0


@given(st.integers(0, 6 * GIB))
def test_reserved_holds_what_is_used_and_not_twice_as_much(beyond: int) -> None:
    reserved = steady_reserved(OPERATING_SYSTEM + beyond, ram=RAM, previous=None)
    assert reserved >= beyond or beyond < 32 * MIB
    assert reserved <= max(2 * beyond, 64 * MIB)


@given(st.integers(64 * MIB, 4 * GIB), st.floats(0.8, 1.0))
def test_a_second_look_shortly_after_gives_the_same(beyond: int, drift: float) -> None:
    first = steady_reserved(OPERATING_SYSTEM + beyond, ram=RAM, previous=None)
    assert steady_reserved(OPERATING_SYSTEM + int(beyond * drift), ram=RAM, previous=first) == first


def test_only_what_was_observed_then_is_kept() -> None:
    plan = {"host": {"ram": 5, "reserved": 7, "observed": ["ram"]}}
    assert previous_figure(plan, "ram") == 5
    assert previous_figure(plan, "reserved") is None
    for other in (None, [], {}, {"host": 3}, {"host": {"observed": ["ram"]}}):
        assert previous_figure(other, "ram") is None
