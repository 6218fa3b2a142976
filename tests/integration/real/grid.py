# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts from the smallest to the largest that the plan promises, for the real programs to judge."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.synapse.tuning.plugins.module_utils._core import errors, host, plan

__all__ = ["SYNAPSE_VERSION", "different", "plans", "values"]

SYNAPSE_VERSION = "1.163.2"

_MIB = 1024**2
_RAM = [512, 1024, 1536, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144]
_USERS = [1, 5, 10, 11, 50, 51, 300, 2000, 20_000, 100_000]
_CPUS = [1, 2, 4, 8, 16, 64]
_STORAGE = ["ssd", "hdd"]

# These turn with the grid instead of multiplying it; the lengths have no common factor with one
# another, so that over the whole grid each meets each.
_TOPOLOGY = ["shared", "dedicated_synapse", "dedicated_database"]
_WORKERS = [0, 0, 1, 4, 16]
_AUTOTUNING = ["auto", "on", "off", "auto", "on", "off", "auto"]
_FEDERATION = ["closed", "small", "open", "open", "small", "closed", "open", "small", "open", "small", "closed"]
_DATABASE_SIZE = [0, 0, 0, 2 * 1024**3, 0, 0, 80 * 1024**3, 0, 0, 0, 0, 500 * 1024**3, 0]


def _inputs(postgresql_version: int) -> Iterator[host.Inputs]:
    hosts = itertools.product(_RAM, _USERS, _CPUS, _STORAGE)
    for number, (ram, users, cpus, storage) in enumerate(hosts):
        yield host.Inputs(
            users=users,
            ram=ram * _MIB,
            cpus=cpus,
            storage=storage,
            topology=_TOPOLOGY[number % len(_TOPOLOGY)],
            workers=_WORKERS[number % len(_WORKERS)],
            federation=_FEDERATION[number % len(_FEDERATION)],
            cache_autotuning=_AUTOTUNING[number % len(_AUTOTUNING)],
            database_size=_DATABASE_SIZE[number % len(_DATABASE_SIZE)],
            presence="off" if number % 17 == 0 else "keep",
            forgotten_room_retention_period="28d" if number % 19 == 0 else None,
            synapse_version=SYNAPSE_VERSION,
            postgresql_version=postgresql_version,
        )


@functools.cache
def plans(postgresql_version: int) -> tuple[dict[str, Any], ...]:
    """The plans of those hosts of the grid on which a plan fits."""
    return tuple(itertools.chain.from_iterable(map(_if_it_fits, _inputs(postgresql_version))))


def _if_it_fits(inputs: host.Inputs) -> list[dict[str, Any]]:
    try:
        return [plan.make_plan(inputs)]
    except errors.PlanError:
        return []


def values(section: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """A section of a plan without units and reasons: name to value."""
    return {name: setting["value"] for name, setting in section.items()}


def different(settings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each set of settings once, in the order of their first coming."""
    return list({tuple(sorted(each.items(), key=repr)): each for each in settings}.values())
