# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each lever returned by itself in the lab, and whether the plan pulls it: those that return most come first.

A lever that returns nothing is left alone, and the plan says so with the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.lever_table import MEASURED, MEASURED_ON
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB, postgresql_bytes

__all__ = ["lever_rows"]

# Less than this is what two runs of the same settings differ by.
_NOISE = 12_000_000
# More processor time than this is more than memory of which there is enough is worth.
_MOST_CPU = 1.1
# Within these is what two servers of the same settings that take turns differ by.
_SAVES_CPU, _COSTS_CPU = 0.97, 1.03

_STOCK_CP_MAX = 10
_STOCK_SHARED_BUFFERS = 128 * MIB
_STOCK_FACTOR = 0.5


@dataclass(frozen=True)
class _Lever:
    """A setting that was moved.

    section, name: where the plan has it; a plan without the section is of a host without the program.
    measured: its row of the table. pulled: whether a plan's value is moved so.
    beside: the row of a lever that was pulled together with it, whose return is not its own.
    """

    section: str
    name: str
    measured: str
    pulled: Callable[[Any], bool]
    beside: Optional[str] = None


def _is_set(value: Any) -> bool:
    return bool(value)


_LEVERS = (
    _Lever("homeserver", "database.args.cp_max", "cp_max 5", lambda value: value < _STOCK_CP_MAX),
    _Lever(
        *("postgresql", "shared_buffers", "shared_buffers 64MB"),
        lambda value: postgresql_bytes(value, unit=1) < _STOCK_SHARED_BUFFERS,
    ),
    _Lever("environment", "MALLOC_CONF", "malloc_conf", _is_set),
    _Lever("environment", "PYTHONMALLOC", "malloc_conf, PYTHONMALLOC=malloc", _is_set, beside="malloc_conf"),
    _Lever(
        "homeserver",
        "caches.cache_autotuning.max_cache_memory_usage",
        "cache_autotuning, PYTHONMALLOC=malloc",
        _is_set,
    ),
    _Lever("homeserver", "caches.global_factor", "global_factor 0.2", lambda value: value < _STOCK_FACTOR),
    _Lever(
        *("homeserver", "caches.per_cache_factors.get_user_in_room_with_profile", "caches that evicted"),
        lambda value: value > _STOCK_FACTOR,
    ),
    _Lever("homeserver", "database.txn_limit", "txn_limit 500", _is_set),
    _Lever("homeserver", "gc_thresholds", "gc_thresholds 2000, 20, 20", _is_set),
    _Lever("homeserver", "presence.enabled", "presence off", lambda value: value is False),
    _Lever("postgresql", "jit", "jit off", lambda value: value == "off"),
    _Lever("postgresql", "max_parallel_workers_per_gather", "parallel workers off", lambda value: value == 0),
)


def lever_rows(plan: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What is known of each lever, those that returned most first.

    :arg plan: the sections of a plan, with their settings.
    :returns: C(lever), C(tried) (what the lab set), C(returned) (bytes of the peak), C(of) (bytes of stock's peak),
        C(users) of the load, C(cpu) and C(p95) (ratios, None where not known), C(pulled), C(why), C(source).
    """
    values = {name: values_of(plan[name]) for name in ("homeserver", "postgresql")}
    values["environment"] = values_of(plan["compose"]["synapse"]).get("environment", {})
    rows = [_row(lever, values[lever.section].get(lever.name)) for lever in _LEVERS if values[lever.section]]
    return sorted(rows, key=lambda row: (-row["returned"], row["lever"]))


def _row(lever: _Lever, value: Any) -> Dict[str, Any]:
    measured = MEASURED[lever.measured]
    base = MEASURED[lever.beside] if lever.beside else None
    returned = measured.returned - (base.returned if base else 0)
    cpu = _ratio(measured.cpu, base.cpu if base else 1.0)
    pulled = value is not None and lever.pulled(value)
    return {
        "lever": lever.name,
        "tried": lever.measured,
        "returned": returned,
        "of": measured.stock,
        "users": measured.users,
        "cpu": cpu,
        "p95": _ratio(measured.p95, base.p95 if base else 1.0),
        "pulled": pulled,
        "why": _why(returned, cpu, pulled=pulled),
        "source": MEASURED_ON,
    }


def _ratio(one: Optional[float], other: Optional[float]) -> Optional[float]:
    return None if one is None or not other else round(one / other, 2)


def _why(returned: int, cpu: Optional[float], *, pulled: bool) -> str:
    if returned <= _NOISE and cpu is not None and cpu <= _SAVES_CPU:
        return "saves processor time" + ("" if pulled else ", and is not needed here")
    if returned <= _NOISE:
        cost = ", and costs processor time" if cpu is not None and cpu >= _COSTS_CPU else ""
        return f"returned nothing beyond noise{cost}" + ("; set for another reason" if pulled else "")
    if cpu is not None and cpu > _MOST_CPU:
        return "costs processor time" + ("; set for another reason" if pulled else "")
    return "pays" if pulled else "pays, and is not needed here"
