# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each lever returned by itself in the lab, and whether the plan pulls it: those that return most come first.

A lever that returns nothing is left alone, and the plan says so with the figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.lever_table import MEASURED
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB, postgresql_bytes

__all__ = ["lever_rows"]

# Less than this is what two runs of the same settings differ by.
_NOISE = 6_000_000
# More processor time than this is more than memory of which there is enough is worth.
_MOST_CPU = 1.05

_STOCK_CP_MAX = 10
_STOCK_SHARED_BUFFERS = 128 * MIB


@dataclass(frozen=True)
class _Lever:
    """A setting that was moved.

    measured: its row of the table. pulled: whether a plan, as values, has it moved so.
    beside: the row of a lever that was pulled together with it, whose return is not its own.
    """

    name: str
    measured: str
    pulled: Callable[[Mapping[str, Any]], bool]
    beside: Optional[str] = None


def _homeserver(path: str) -> Callable[[Mapping[str, Any]], Any]:
    return lambda plan: plan["homeserver"].get(path)


def _environment(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda plan: plan["compose"].get("synapse", {}).get("environment", {}).get(name) is not None


def _smaller_buffers(plan: Mapping[str, Any]) -> bool:
    size = plan["postgresql"].get("shared_buffers")
    return size is not None and postgresql_bytes(size, unit=1) < _STOCK_SHARED_BUFFERS


_LEVERS = (
    _Lever("database.args.cp_max", "cp_max 5", lambda plan: (_cp_max(plan) or _STOCK_CP_MAX) < _STOCK_CP_MAX),
    _Lever("shared_buffers", "shared_buffers 64MB", _smaller_buffers),
    _Lever("MALLOC_CONF", "malloc_conf", _environment("MALLOC_CONF")),
    _Lever("PYTHONMALLOC", "malloc_conf, PYTHONMALLOC=malloc", _environment("PYTHONMALLOC"), beside="malloc_conf"),
    _Lever(
        "caches.cache_autotuning",
        "cache_autotuning, PYTHONMALLOC=malloc",
        lambda plan: plan["homeserver"].get("caches.cache_autotuning.max_cache_memory_usage") is not None,
    ),
    _Lever("caches.global_factor", "global_factor 0.2", lambda plan: (_factor(plan) or 0.5) < 0.5),
    _Lever("database.txn_limit", "txn_limit 500", lambda plan: bool(_homeserver("database.txn_limit")(plan))),
    _Lever("gc_thresholds", "gc_thresholds 2000, 20, 20", lambda plan: bool(_homeserver("gc_thresholds")(plan))),
    _Lever("presence.enabled", "presence off", lambda plan: _homeserver("presence.enabled")(plan) is False),
    _Lever("jit", "jit off", lambda plan: plan["postgresql"].get("jit") == "off"),
    _Lever(
        "max_parallel_workers_per_gather",
        "parallel workers off",
        lambda plan: plan["postgresql"].get("max_parallel_workers_per_gather") == 0,
    ),
)


def _cp_max(plan: Mapping[str, Any]) -> Any:
    return _homeserver("database.args.cp_max")(plan)


def _factor(plan: Mapping[str, Any]) -> Any:
    return _homeserver("caches.global_factor")(plan)


def lever_rows(plan: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What is known of each lever, those that returned most first.

    :arg plan: the sections of a plan, with their settings.
    :returns: C(lever), C(tried) (what the lab set), C(returned) (bytes of the peak), C(of) (bytes of stock's peak),
        C(users) of the load, C(cpu) and C(p95) (ratios), C(pulled), C(why).
    """
    values = {name: values_of(plan[name]) for name in ("homeserver", "postgresql", "compose")}
    rows = [_row(lever, values) for lever in _LEVERS]
    return sorted(rows, key=lambda row: (-row["returned"], row["lever"]))


def _row(lever: _Lever, values: Mapping[str, Any]) -> Dict[str, Any]:
    measured = MEASURED[lever.measured]
    base = MEASURED[lever.beside] if lever.beside else None
    returned = measured.returned - (base.returned if base else 0)
    cpu = round(measured.cpu / (base.cpu if base else 1), 2)
    pulled = lever.pulled(values)
    return {
        "lever": lever.name,
        "tried": lever.measured,
        "returned": returned,
        "of": measured.stock,
        "users": measured.users,
        "cpu": cpu,
        "p95": round(measured.p95 / (base.p95 if base else 1), 2),
        "pulled": pulled,
        "why": _why(returned, cpu, pulled=pulled),
    }


def _why(returned: int, cpu: float, *, pulled: bool) -> str:
    if returned <= _NOISE:
        return "returned nothing beyond noise" + ("; for other reasons" if pulled else "")
    if cpu > _MOST_CPU:
        return "costs processor time" + ("; all the same, as asked for or as memory is short" if pulled else "")
    return "pays" if pulled else "pays, and is not needed here"
