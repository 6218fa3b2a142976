# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run of the lab as the model of the peak sees it: what was held, and what that depends on."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

# It sees to it that ansible_collections.synapse.tuning means this checkout.
import conftest  # noqa: F401 pylint: disable=unused-import

from ansible_collections.synapse.tuning.plugins.module_utils._core import memory_model, units

__all__ = ["JOINED", "Point", "points", "predicted"]

JOINED = memory_model.JOINED_ROOM
"""State events of the room that each run joins."""

_MIB = 1024**2
_SIZES = ("shared_buffers", "wal_buffers")
_STOCK: dict[str, Any] = {"cp_max": 10, "shared_buffers": 128 * _MIB}


@dataclasses.dataclass(frozen=True)
class Point:
    """What a run held at a moment, in bytes, and what it depends on."""

    configuration: str
    cell: tuple[float, int]
    users: int
    joined: int
    cp_max: int
    shared_buffers: int
    wal_buffers: int
    malloc_conf: bool
    synapse: int
    postgresql: int
    touched: int

    @property
    def activity(self) -> float:
        return math.log2(1 + self.users)


def points(record: dict[str, Any]) -> list[Point]:
    """The two points of a run."""
    memory, settings = record["memory"], _settings(record["decided"])
    common = {
        "configuration": record["configuration"],
        "cell": (record["host_gib"], record["users"]),
        "users": record["users"],
        **settings,
    }
    return [
        Point(
            **common,
            joined=joined,
            synapse=memory["synapse"][size],
            postgresql=memory["postgresql"][size],
            touched=record["touched"][touched],
        )
        for joined, size, touched in ((0, "held_steady", "steady"), (JOINED, "held_peak", "peak"))
    ]


def _settings(decided: dict[str, Any]) -> dict[str, Any]:
    """What the model knows of a configuration."""
    if "plan" in decided:
        plan = decided["plan"]
        return {
            "cp_max": plan["homeserver"]["database.args.cp_max"],
            **{name: units.postgresql_bytes(plan["postgresql"][name], unit=1) for name in _SIZES},
            "malloc_conf": bool(plan["compose"]["synapse"]["environment"].get("MALLOC_CONF")),
        }
    said = decided.get("postgresql", {})
    sizes = {name: units.postgresql_bytes(said[name], unit=1) for name in _SIZES if name in said}
    # PostgreSQL's own: a 32nd of shared_buffers, 16 MB at most.
    own = min(sizes.get("shared_buffers", _STOCK["shared_buffers"]) // 32, 16 * _MIB)
    return {
        **_STOCK,
        "cp_max": decided.get("homeserver", {}).get("database.args.cp_max", _STOCK["cp_max"]),
        "malloc_conf": "MALLOC_CONF" in decided.get("environment", {}),
        "wal_buffers": own,
        **sizes,
    }


def predicted(point: Point) -> dict[str, int]:
    """What the collection's model says that each part holds, in bytes."""
    synapse = memory_model.synapse_peak(users=point.users, joined=point.joined, malloc_conf=point.malloc_conf)
    postgresql = memory_model.postgresql_peak(
        users=point.users,
        joined=point.joined,
        connections=point.cp_max,
        shared_buffers=point.shared_buffers,
        wal_buffers=point.wal_buffers,
    )
    return {"synapse": synapse.expected, "postgresql": postgresql.expected}
