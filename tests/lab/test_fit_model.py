# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fit finds constants that runs were made with, and predicts as the model of the collection does."""

from __future__ import annotations

import pathlib
import random
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fit_model
import points as points_of

from ansible_collections.synapse.tuning.plugins.module_utils._core import memory_model

MIB = 1024**2
TRUE: dict[str, dict[str, float]] = {
    "synapse": {"idle": 120e6, "activity": 12e6, "joined_event": 11e3, "malloc_conf": 14e6},
    "postgresql": {
        "touched": 30e6,
        "touched_activity": 5e6,
        "touched_event": 4e3,
        "processes": 9e6,
        "backend": 5e6,
        "backend_event": 600.0,
    },
}


def record(users: int, *, cp_max: int, buffers: int, malloc: bool, noise: float = 0.0) -> dict[str, Any]:
    """A run of a server that is just as the model says."""
    chance = random.Random(f"{users} {cp_max} {buffers} {malloc}")
    plan = {
        "homeserver": {"database.args.cp_max": cp_max},
        "postgresql": {"shared_buffers": f"{buffers // MIB}MB", "wal_buffers": f"{buffers // 32 // MIB}MB"},
        "compose": {"synapse": {"environment": {"MALLOC_CONF": "narenas:1" if malloc else None}}},
    }
    sizes: dict[str, dict[str, int]] = {"synapse": {}, "postgresql": {}}
    touched = {}
    for joined, size, moment in ((0, "held_steady", "steady"), (points_of.JOINED, "held_peak", "peak")):
        point = points_of.Point(
            "ours", (2, users), users, joined, cp_max, buffers, buffers // 32 // MIB * MIB, malloc, 0, 0, 0
        )
        for program in sizes:
            value = fit_model.predict(TRUE, program, point)
            sizes[program][size] = int(value * (1 + noise * chance.uniform(-1, 1)))
        own = TRUE["postgresql"]
        wanted = own["touched"] + own["touched_activity"] * point.activity + own["touched_event"] * joined
        touched[moment] = int(min(wanted, buffers)) + point.wal_buffers
    return {
        "configuration": "ours",
        "host_gib": 2,
        "users": users,
        "memory": sizes,
        "touched": touched,
        "decided": {"plan": plan},
    }


def points(noise: float = 0.0) -> list[points_of.Point]:
    return [
        point
        for users in (5, 50, 500)
        for cp_max, buffers, malloc in ((10, 512 * MIB, False), (4, 64 * MIB, True), (6, 256 * MIB, True))
        for point in points_of.points(record(users, cp_max=cp_max, buffers=buffers, malloc=malloc, noise=noise))
    ]


def test_the_constants_that_made_the_runs_are_found() -> None:
    found = fit_model.fit(points())
    for program, constants in TRUE.items():
        assert {name: found[program][name] for name in constants} == pytest.approx(constants, rel=1e-3)
        assert found[program]["spread"] == 0.1, "no less is promised, however well it fits"


def test_the_spread_is_what_nine_of_ten_are_within() -> None:
    found = fit_model.fit(points(noise=0.1))
    off = [abs(fit_model.predict(found, "synapse", each) / each.synapse - 1) for each in points(noise=0.1)]
    assert sum(each <= found["synapse"]["spread"] for each in off) >= 0.9 * len(off)
    assert found["synapse"]["spread"] <= 0.15


def test_the_collections_model_predicts_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TRUE:
        monkeypatch.setattr(memory_model, name.upper(), {**TRUE[name], "spread": 0.1})
    for each in points():
        for program, expected in points_of.predicted(each).items():
            assert expected == pytest.approx(fit_model.predict(TRUE, program, each), abs=2 * MIB)


def test_stock_is_known_without_being_told() -> None:
    run = record(5, cp_max=10, buffers=128 * MIB, malloc=False)
    plain = {**run, "decided": {}}
    assert points_of.points(plain) == points_of.points(run)
