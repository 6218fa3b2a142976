# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: one pure function from inputs to a plain, versioned value."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import Allocation, allocate
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import check_per_cache_factors
from ansible_collections.synapse.tuning.plugins.module_utils._core.compose import (
    compose_section,
    deployment_settings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.compressor import compressor_settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.figures import noun
from ansible_collections.synapse.tuning.plugins.module_utils._core.homeserver import homeserver_settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.learned import mark_learned
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning import learn
from ansible_collections.synapse.tuning.plugins.module_utils._core.levers import lever_rows
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.postgresql import postgresql_settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.prediction import predict, synapse_prediction
from ansible_collections.synapse.tuning.plugins.module_utils._core.releases import release_warnings
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import as_data
from ansible_collections.synapse.tuning.plugins.module_utils._core.tables import table_settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB, show_bytes

__all__ = ["SCHEMA_VERSION", "make_plan"]

SCHEMA_VERSION = 1

# Synapse's FAQ: the least RAM to join large rooms with.
_COMFORT = GIB


def make_plan(inputs: Inputs, measured: Optional[Measurement] = None) -> Dict[str, Any]:
    """Make the plan: JSON-serialisable, the same for the same inputs on any machine.

    :arg measured: how the server did under what was in effect then; the plan moves memory where that pays.
    :returns: C(schema_version), C(host) (the inputs), the settings by the file or
        program that takes them (C(homeserver), C(postgresql), C(tables) of its
        database, C(compose), C(deployment), C(compressor)), C(budget) (rows in bytes that add up to the
        RAM), C(prediction) of the peaks, C(levers) (what each returned when it was measured, and whether it is pulled),
        C(warnings) and C(advice) (lines). With C(measured) also C(learned): a list of C(lever), C(from)
        (what the plan without it has), C(to) and C(why); C(host.measured) is when it was taken.
    :raises PlanError: inputs that make no sense, or that do not fit the host.
    """
    check_per_cache_factors(inputs.per_cache_factors)
    base = allocate(inputs)
    plan = _plan(inputs, base)
    if measured is None:
        return plan
    allocation, lessons = learn(inputs, base, measured)
    return mark_learned(_plan(inputs, allocation), without=plan, lessons=lessons, taken_at=measured.taken_at)


def _plan(inputs: Inputs, allocation: Allocation) -> Dict[str, Any]:
    plan = {
        "schema_version": SCHEMA_VERSION,
        "host": inputs.as_data(),
        "homeserver": as_data(homeserver_settings(inputs, allocation)),
        "postgresql": as_data(postgresql_settings(inputs, allocation.postgresql)),
        "tables": {table: as_data(settings) for table, settings in table_settings(inputs).items()},
        "compose": compose_section(inputs, allocation),
        "deployment": as_data(deployment_settings(inputs)),
        "compressor": as_data(compressor_settings(inputs, allocation)),
        "budget": [row.as_data() for row in allocation.rows],
        "prediction": predict(inputs, allocation),
        "warnings": release_warnings(inputs.synapse_version) if inputs.has_synapse else [],
        "advice": _advice(inputs, allocation),
    }
    return {**plan, "levers": lever_rows(plan)}


def _advice(inputs: Inputs, allocation: Allocation) -> List[str]:
    advice = []
    if inputs.has_synapse and allocation.usable < _COMFORT:
        advice.append(
            f"{show_bytes(allocation.usable)} for Synapse and PostgreSQL is below the 1 GiB that joining large rooms"
            " takes: stay in small rooms, or run a lighter homeserver (Dendrite, the Conduit family)"
        )
        if inputs.presence != "off":
            advice.append("synapse_tuning_presence: 'off' spares a very small host the presence traffic")
    if inputs.has_synapse and allocation.synapse.factor < allocation.synapse.factor_wish:
        advice.append(
            f"{noun(inputs.users, 'user')} would take a cache factor of {allocation.synapse.factor_wish}:"
            " more RAM, or fewer workers, would allow it; watch for evictions by size"
        )
    if inputs.has_synapse:
        peak = synapse_prediction(inputs, allocation)
        if peak.expected > allocation.synapse.limit:
            advice.append(
                f"Synapse is predicted to come to hold {show_bytes(peak.expected)}, and the host has"
                f" {show_bytes(allocation.synapse.limit)} for it: more RAM, or smaller rooms"
            )
    if inputs.storage == "hdd":
        advice.append("A low cache factor hurts most on slow disks: move PostgreSQL to an SSD if you can")
    return advice
