# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab does what it says: a whole run on a small database and a small room, looked at from outside."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import bench_speed
import configurations
import dataset
import remote
import run
from deployment import Deployment
from engine import Engine

pytestmark = pytest.mark.slow

SMALL = dataset.Size(people=12, active=6, rooms=3, private=2, largest=10, messages=30)
ROOM = remote.Size(members=30, state=20, changes=10)
MIB = 1024**2


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    """What is looked at while the run goes on."""
    return {}


@pytest.fixture(scope="module")
def record(engine: Engine, seen: dict[str, Any]) -> dict[str, Any]:
    """The record of a run of a configuration of its own."""

    def look(project: Deployment) -> str:
        for service in run.SERVICES:
            details = project.inspect(service)
            seen[service] = details["HostConfig"]["CgroupParent"]
            seen["directory"] = project.directory
        seen["project"] = project.settings["COMPOSE_PROJECT_NAME"]
        parent = pathlib.Path(
            "/sys/fs/cgroup/memory" if pathlib.Path("/sys/fs/cgroup/memory").is_dir() else "/sys/fs/cgroup"
        )
        seen["cgroup"] = parent / seen["db"].lstrip("/")
        name = "memory.limit_in_bytes" if "memory" in parent.parts else "memory.max"
        seen["limit"] = int((seen["cgroup"] / name).read_text(encoding="ascii"))
        seen["members"] = project.sql(
            "SELECT count(*) FROM room_memberships JOIN local_current_membership USING (room_id)"
            " WHERE room_memberships.user_id LIKE '%:far:8448'"
        )[0][0]
        return "looked"

    return run.measure(
        *(engine, dataset.ensure(engine, SMALL), run.Cell(1, 5), "few connections"),
        seed=1,
        room=ROOM,
        steady_seconds=4,
        apply=lambda project: configurations.write(project, homeserver={"database.args.cp_max": 5}),
        observe=look,
    )


def test_a_run_has_no_errors_and_all_kinds_of_requests(record: dict[str, Any]) -> None:
    assert record["error_samples"] == [] and record["errors"] == 0 and record["survived"]
    assert record["oom_kills"] == {"host": 0}
    assert {"send", "sync_incremental", "sync_initial", "federated_join", "large_room_members"} <= set(
        record["latency"]
    )
    assert record["latency"]["all"]["count"] > 10
    # It is what the lab is for: json without anything that JSON has not.
    assert json.loads(json.dumps(record)) == json.loads(json.dumps(record, allow_nan=False))


def test_both_containers_were_in_a_host_of_the_cells_size(record: dict[str, Any], seen: dict[str, Any]) -> None:
    assert record["observed"] == "looked"
    assert seen["synapse"] == seen["db"] != ""
    assert seen["limit"] == 1024 * MIB - 128 * MIB, "RAM, less what the plan leaves to the operating system"


def test_the_room_was_joined_over_federation(record: dict[str, Any], seen: dict[str, Any]) -> None:
    assert int(seen["members"]) >= ROOM.members
    assert set(record["purge"]) == {"before", "after", "after_restart"}


def test_peaks_are_possible(record: dict[str, Any]) -> None:
    memory = record["memory"]
    for part, least in (("synapse", 60), ("postgresql", 10)):
        assert least * MIB < memory[part]["idle"] <= memory[part]["held_peak"] < 1024 * MIB
    assert memory["total"]["held_peak"] <= memory["synapse"]["held_peak"] + memory["postgresql"]["held_peak"]
    assert record["cpu_seconds"]["synapse"] > 0.5
    assert 0 < record["touched"]["steady"] <= record["touched"]["peak"] < memory["postgresql"]["held_peak"]
    # The pool is full, and no larger; Synapse has one more of its own.
    assert record["connections"] in (5, 6)


def test_nothing_is_left_behind(engine: Engine, record: dict[str, Any], seen: dict[str, Any]) -> None:
    assert not seen["directory"].exists() and not seen["cgroup"].exists()
    assert not engine.docker("ps", "--all", "--quiet", "--filter", f"name={seen['project']}").stdout.split()


def test_two_servers_take_turns(engine: Engine) -> None:
    writers = {
        "stock": configurations.write,
        "few connections": lambda project: configurations.write(project, homeserver={"database.args.cp_max": 3}),
    }
    kept = dataset.ensure(engine, SMALL)
    said = bench_speed.measure(engine, kept, run.Cell(1, 5), writers, rotation=1, steady_seconds=4)
    assert (said["host_gib"], said["users"], said["rotation"]) == (1, 5, 1)
    stock, other = (said["configurations"][name] for name in writers)
    for each in (stock, other):
        assert each["error_samples"] == [] and each["errors"] == 0
        assert each["cpu_seconds"]["synapse"] > 0.2 and each["held"]["synapse"] > 60 * MIB
    counts = [{kind: figures["count"] for kind, figures in each["latency"].items()} for each in (stock, other)]
    assert counts[0] == counts[1] and counts[0]["all"] > 15
    assert not list(pathlib.Path("/sys/fs/cgroup").glob("*/synapse-tuning-lab-*"))
