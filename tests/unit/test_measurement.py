# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement goes to JSON and comes back; what is none is refused in one line; peaks are carried on."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from measurements import MEASUREMENTS, MIB, at_its_limits, container

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import MeasurementError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement, merge
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_table import WIDTH, memory_table


def changed(path: str, value: Any) -> Any:
    """The data of a measurement with another value at a dotted path; without it for an Ellipsis."""
    data = copy.deepcopy(at_its_limits().as_data())
    at: Any = data
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step) if step.isdigit() else step]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return data


@given(MEASUREMENTS)
def test_it_comes_back_from_json(measured: Measurement) -> None:
    assert Measurement.from_data(json.loads(json.dumps(measured.as_data()))) == measured


@given(MEASUREMENTS)
def test_every_one_can_be_shown(measured: Measurement) -> None:
    assert all(len(line) <= WIDTH for line in memory_table(measured))


def test_its_shape() -> None:
    data = at_its_limits().as_data()
    assert next(iter(data)) == "schema_version"
    assert set(data) == {
        *("schema_version", "taken_at", "samples", "duration", "host", "synapse", "postgresql", "shm"),
        *("kernel_oom", "missing"),
    }
    assert set(data["synapse"]) == {"version", "uptime", "container", "processes", "jemalloc", "gc", "caches"}
    assert data["synapse"]["caches"][1]["evictions"] == {"size": 300, "time": 7, "invalidation": 1}


@pytest.mark.parametrize("data", [None, [], "measurement", 7, {}, {"plan": {}}])
def test_what_is_none_is_refused(data: Any) -> None:
    with pytest.raises(MeasurementError, match=r"^this is no measurement: give what synapse\.tuning\.memory_info"):
        Measurement.from_data(data)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("schema_version", 2, "the measurement is of schema version 2, and 1 is read: measure again"),
        ("synapse", ..., "measurement has no synapse"),
        ("synapse", None, "measurement.synapse must be a mapping"),
        (
            "synapse.container.held",
            "400M",
            r"synapse.container.held must be a whole number from 0 to 2\^64, and is '400M'",
        ),
        ("synapse.container.held", -1, r"must be a whole number from 0 to 2\^64, and is -1"),
        ("synapse.container.limit", True, r"must be a whole number from 0 to 2\^64, and is True"),
        ("synapse.container.held", 10**400, r"must be a whole number from 0 to 2\^64, and is 1000"),
        ("synapse.uptime", float("inf"), r"must be a number from 0 to 2\^64, and is inf"),
        ("synapse.uptime", float("nan"), r"must be a number from 0 to 2\^64, and is nan"),
        ("synapse.caches", {}, "measurement.synapse.caches must be a list"),
        ("synapse.caches.1.name", 3, r"measurement.synapse.caches\[1\].name must be a text, and is 3"),
        ("postgresql.backends.0.pid", None, r"backends\[0\].pid must be a whole number"),
        ("missing", [], "measurement.missing must be a mapping"),
        ("kernel_oom", [1], r"measurement.kernel_oom\[0\] must be a text"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(path: str, value: Any, said: str) -> None:
    with pytest.raises(TuningError, match=said) as refused:
        Measurement.from_data(changed(path, value))
    assert "\n" not in str(refused.value)


def test_later_versions_may_add_and_leave_out() -> None:
    data = changed("synapse.container.new", 1)
    assert Measurement.from_data(data) == at_its_limits()
    data = changed("synapse.container.peak", ...)
    read = Measurement.from_data(data).synapse.container
    assert read is not None and read.peak is None and read.held == 400 * MIB
    # A whole number is a number, as Jinja has it of 60.0.
    assert Measurement.from_data(changed("duration", 60)).duration == 60.0


# --- what follows from the figures --------------------------------------------------------------


def test_without_its_container_a_program_holds_what_its_processes_do() -> None:
    whole = at_its_limits()
    assert (whole.synapse.held, whole.postgresql.held, whole.held) == (400 * MIB, 400 * MIB, 800 * MIB)
    synapse, postgresql = replace(whole.synapse, container=None), replace(whole.postgresql, container=None)
    assert (synapse.held, postgresql.held) == (430 * MIB, (130 + 3 + 11 + 7) * MIB)
    assert replace(postgresql, shared=None).held is None
    assert replace(whole, synapse=replace(synapse, processes=())).held == 400 * MIB


def test_shares_and_bounds() -> None:
    found = at_its_limits().postgresql
    assert (found.hit_rate, len(found.clients), container(limit=None).bound) == (0.99, 2, float("inf"))
    assert replace(found, blocks_hit=0, blocks_read=0).hit_rate is replace(found, blocks_read=None).hit_rate is None


# --- peaks -------------------------------------------------------------------------------------


def with_(held_peak: int, *, limit: Any = 512 * MIB, connections_peak: Any = 9, max_connections: int = 100) -> Any:
    base = at_its_limits()
    return replace(
        base,
        synapse=replace(base.synapse, container=container(held_peak=held_peak, limit=limit)),
        postgresql=replace(base.postgresql, connections_peak=connections_peak, max_connections=max_connections),
    )


def peaks(measured: Measurement) -> tuple[int, Any]:
    assert measured.synapse.container is not None
    return measured.synapse.container.held_peak, measured.postgresql.connections_peak


def test_the_highest_peaks_are_kept() -> None:
    before, now = with_(480 * MIB, connections_peak=4), with_(460 * MIB)
    merged = merge(before, now)
    assert peaks(merged) == (480 * MIB, 9)
    assert peaks(merge(now, before)) == (480 * MIB, 9)
    assert (merged.samples, merged.duration) == (122, 120.4)
    # All else is as it is now.
    assert replace(merged, synapse=now.synapse, samples=now.samples, duration=now.duration) == now


def test_under_other_limits_it_is_another_server() -> None:
    now = with_(460 * MIB, connections_peak=5)
    for limit in (None, 1024 * MIB):
        assert peaks(merge(with_(900 * MIB, limit=limit), now))[0] == 460 * MIB
    assert peaks(merge(with_(0, connections_peak=50, max_connections=60), now))[1] == 5


def test_what_was_not_seen_then_or_now() -> None:
    now = with_(460 * MIB)
    nothing = replace(
        now,
        synapse=replace(now.synapse, container=None),
        postgresql=replace(now.postgresql, connections_peak=None),
    )
    assert peaks(merge(nothing, now)) == (460 * MIB, 9)
    gone = merge(now, nothing)
    assert gone.synapse.container is None and gone.postgresql.connections_peak == 9


@given(MEASUREMENTS)
def test_merged_with_itself_nothing_is_new(measured: Measurement) -> None:
    merged = merge(measured, measured)
    assert replace(merged, samples=measured.samples, duration=measured.duration) == replace(
        measured, synapse=merged.synapse, postgresql=merged.postgresql
    )
    assert merged.synapse == measured.synapse and merged.postgresql == measured.postgresql


# --- for people --------------------------------------------------------------------------------


def test_the_table_says_what_matters() -> None:
    text = "\n".join(memory_table(at_its_limits()))
    for part in (
        "Measured 2026-11-28T16:40:00Z, 61 samples over 60 s",
        "Synapse, matrix-synapse-1",
        "- main",
        "- 2 client backends",
        "killed for want of memory: 2, at its limit: 1,234, restarted by the engine: 3",
        "Connections: 2, at most 9, of 100",
        "99.0 %; temporary files: 4, 64 MiB",
        "jemalloc: Synapse runs without jemalloc",
        "of matrix-synapse-1 was killed at its limit",
        "3 of 3 caches",
    ):
        assert part in text, part
    # The cache that evicts as it is full comes first.
    assert text.index("*getEvent*") < text.index("get_users_in_room")
    row = next(line for line in text.splitlines() if line.startswith("- federation_sender1"))
    assert row.split()[-2:] == ["?", "?"]
    row = next(line for line in text.splitlines() if line.startswith("Together"))
    assert row.split("  ")[-1].strip() == "455 MiB" and "800 MiB" in row and "900 MiB" in row


def test_what_shares_its_reason_stands_together() -> None:
    missing = {"synapse": "no engine", "engine": "no engine", "metrics": "no listener"}
    lines = memory_table(replace(at_its_limits(), missing=missing))
    assert lines[-3:] == ["Not known:", "engine, synapse: no engine", "metrics: no listener"]
