# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan's keys in homeserver.yaml, by dotted path."""

from __future__ import annotations

from typing import Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import Allocation
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import SMALL
from ansible_collections.synapse.tuning.plugins.module_utils._core.figures import noun
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_model import JOINED_EVENT
from ansible_collections.synapse.tuning.plugins.module_utils._core.prediction import synapse_prediction
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import Scalar, Setting, Settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB, MIB, show_bytes, synapse_size

__all__ = ["autotunes", "homeserver_settings"]

# limit_remote_rooms counts complexity in units of 500 current state events.
_STATE_EVENTS = 500
_LARGE_HOST = 8 * GIB
# Of the limit: beyond it a server that is a little busier than others would be killed.
_NEAR = 0.85

_SYNAPSE_DOCS = "Synapse configuration manual"
_MEASURED = "measured on Synapse 1.163.2"


def autotunes(inputs: Inputs, allocation: Allocation) -> bool:
    """Whether cache_autotuning is planned, and with it PYTHONMALLOC=malloc: both cost, so only where it may be near."""
    if inputs.cache_autotuning == "auto":
        predicted = synapse_prediction(inputs, allocation)
        return predicted.high > _NEAR * allocation.synapse.limit
    return inputs.cache_autotuning == "on"


def _why_factor(name: str, inputs: Inputs) -> Tuple[str, str]:
    """The reason and the source of a cache's own factor."""
    if name in inputs.per_cache_factors:
        return "your own factor", "synapse_tuning_per_cache_factors"
    if name in SMALL:
        return (
            "in the lab it was full and evicted what was asked for again; 0.6 MB for each thousand entries",
            _MEASURED,
        )
    if name == "*getEvent*":
        return "read at every request: twice the global factor, up to Synapse's own size", _MEASURED
    return (
        "read at every request: never below this, nor below the global factor",
        "the usual small-server recipe, with the cache's real name",
    )


def homeserver_settings(inputs: Inputs, allocation: Allocation) -> Settings:
    """Dotted path to setting; no part of a path holds a dot. Empty where Synapse is not here."""
    if not inputs.has_synapse:
        return {}
    synapse = allocation.synapse
    sizes = allocation.postgresql
    settings: Settings = {}

    def add(path: str, value: Scalar, unit: str, why: str, source: str, wish: Scalar = None) -> None:
        settings[path] = Setting(value=value, unit=unit, why=why, source=source, wish=wish)

    bounded = synapse.factor < synapse.factor_wish
    add(
        "event_cache_size",
        synapse_size(synapse.event_cache_size),
        "events",
        "Synapse's own for up to 500 users, rising with them; times the factor, at 3.6 to 4.4 KB each",
        _SYNAPSE_DOCS,
    )
    add(
        "caches.global_factor",
        synapse.factor,
        "times each cache's base size",
        (
            f"{noun(inputs.users, 'user')} would take {synapse.factor_wish}, the memory budget allows {synapse.factor}"
            if bounded
            else f"for {noun(inputs.users, 'user')}; full caches would hold {show_bytes(synapse.caches_ceiling)}."
            " Less returned no memory in the lab, and cost processor time"
        ),
        _MEASURED,
        wish=synapse.factor_wish if bounded else None,
    )
    for name, factor in synapse.per_cache_factors.items():
        add(
            f"caches.per_cache_factors.{name}",
            factor,
            "times the cache's base size",
            *_why_factor(name, inputs),
        )
    _add_autotuning(settings, inputs, allocation)
    pool_why = (
        f"{noun(inputs.users, 'user')} on {noun(inputs.cpus, 'CPU')}: each busy backend holds 11.4 MB; 10 to 3 connections"
        " returned 29 MB after a short load and cost 5 to 9 % in p95"
    )
    add("database.args.cp_min", sizes.cp_min, "connections", "half of cp_max, opened at start", _SYNAPSE_DOCS)
    add(
        "database.args.cp_max",
        sizes.cp_max,
        "connections",
        pool_why,
        _MEASURED,
        wish=sizes.cp_max_wish if sizes.cp_max < sizes.cp_max_wish else None,
    )
    if inputs.federation != "closed" and allocation.usable < _LARGE_HOST:
        add(
            "limit_remote_rooms.enabled",
            True,
            "",
            "a host below 8 GiB can't hold every room of the federation",
            _MEASURED,
        )
        add(
            "limit_remote_rooms.complexity",
            float(max(synapse.events_let_in // _STATE_EVENTS, 1)),
            f"times {_STATE_EVENTS} state events",
            f"half of the {show_bytes(synapse.join_headroom)} kept for joins, at {JOINED_EVENT / 1000:.0f} kB for each state event"
            " of a room that is joined over federation",
            _MEASURED,
        )
    add(
        "forget_rooms_on_leave",
        True,
        "",
        "rooms that everybody left stop being synced, and can be purged",
        _SYNAPSE_DOCS,
    )
    if inputs.forgotten_room_retention_period:
        add(
            "forgotten_room_retention_period",
            inputs.forgotten_room_retention_period,
            "duration",
            "rooms that all local users forgot are purged from the database after this",
            _SYNAPSE_DOCS,
        )
    if inputs.presence == "off":
        add(
            "presence.enabled",
            False,
            "",
            "asked for: with many contacts each change of presence goes to all of them",
            "Synapse #13901",
        )
    return settings


def _add_autotuning(settings: Settings, inputs: Inputs, allocation: Allocation) -> None:
    """Three keys, which Synapse wants together, or the section's absence."""
    synapse = allocation.synapse
    peak = show_bytes(synapse_prediction(inputs, allocation).high)
    path = "caches.cache_autotuning"
    if not autotunes(inputs, allocation):
        why = (
            "off as asked for"
            if inputs.cache_autotuning == "off"
            else f"off: at most {peak} are predicted, the limit is {show_bytes(synapse.limit)};"
            " on, it returned nothing in the lab"
        )
        settings[path] = Setting(value=None, unit="", why=why, source=_MEASURED)
        return
    why = (
        "on as asked for"
        if inputs.cache_autotuning == "on"
        else f"on: up to {peak} are predicted, near the limit ({show_bytes(synapse.limit)})"
    )
    # What jemalloc has allocated stays below what the container is charged for.
    for key, share in (("max_cache_memory_usage", 70), ("target_cache_memory_usage", 55)):
        settings[f"{path}.{key}"] = Setting(
            value=synapse_size(synapse.limit * share // 100 // MIB * MIB),
            unit="bytes",
            why=f"{share} % of the limit; {why}",
            source=_SYNAPSE_DOCS,
        )
    settings[f"{path}.min_cache_ttl"] = Setting(
        value="5m", unit="duration", why="younger entries are kept", source=_SYNAPSE_DOCS
    )
