# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observed figures, made steady: memory in use moves, a plan must not move with it."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import operating_system_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB

__all__ = ["previous_figure", "steady_ram", "steady_reserved"]

_LEAST_RESERVED = 64 * MIB
# Room for what others will come to hold.
_MARGIN = 1.1


def previous_figure(previous: Any, name: str) -> Optional[int]:
    """C(host.NAME) of an earlier plan, where it was observed then; None for anything else."""
    host = previous.get("host") if isinstance(previous, Mapping) else None
    if not isinstance(host, Mapping) or name not in (host.get("observed") or ()):
        return None
    figure = host.get(name)
    return figure if isinstance(figure, int) else None


def steady_ram(observed: int, *, previous: Optional[int]) -> int:
    """Keep the earlier figure while it is at most 3 % below what is observed now.

    A new kernel moves MemTotal by a few MiB; that is no reason for a new plan.
    """
    if previous is not None and observed * 97 // 100 <= previous <= observed:
        return previous
    return observed // MIB * MIB


def steady_reserved(used: int, *, ram: int, previous: Optional[int]) -> int:
    """Reserve for other services what is in use beyond the operating system's row.

    :arg used: bytes in use, without Synapse and PostgreSQL.
    :returns: a step (64, 96, 128, 192, 256 MiB and so on) with a tenth to spare; the
        earlier one while it still holds what is used and is not twice as much.
    """
    wanted = int(max(used - operating_system_bytes(ram), 0) * _MARGIN)
    if previous is not None and previous // 2 <= wanted <= max(previous, _LEAST_RESERVED):
        return previous
    if wanted < _LEAST_RESERVED // 2:
        return 0
    step = _LEAST_RESERVED
    while step < wanted:
        if step * 3 // 2 >= wanted:
            return step * 3 // 2
        step *= 2
    return step
