# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report says of what is to be expected: the predicted peak, and what each lever returned in the lab."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, table

__all__ = ["levers_section", "predicted_section"]

_PREDICTED = (
    Column("held at the peak", 30),
    Column("MiB", 12, right=True),
    Column("nine of ten", 12, right=True),
    Column("why"),
)
_LEVERS = (
    Column("what was tried", 24),
    Column("here", 10),
    Column("returned", 10, right=True),
    Column("CPU", 6, right=True),
    Column("p95", 6, right=True),
    Column("why"),
)
_MIB = 1024 * 1024


def predicted_section(plan: Mapping[str, Any], width: int) -> Tuple[str, List[str]]:
    """Nothing for a plan of an earlier version."""
    prediction = plan.get("prediction")
    if not prediction:
        return "", []
    rows = [
        (name, f"{peak['expected'] / _MIB:.0f}", f"{peak['low'] / _MIB:.0f} to {peak['high'] / _MIB:.0f}", why)
        for key, name, why in (
            ("synapse", "Synapse, each process", f"its users, and a join of {prediction['joined']:,} state events"),
            ("postgresql", "PostgreSQL", "shared_buffers as far as they are touched, and Synapse's connections"),
            ("total", "together", f"by {prediction['source']}"),
        )
        if (peak := prediction[key])
    ]
    return "PREDICTED PEAK, without the page cache", table(_PREDICTED, rows, width=width)


def levers_section(plan: Mapping[str, Any], width: int) -> Tuple[str, List[str]]:
    """Nothing for a plan of an earlier version."""
    levers = plan.get("levers")
    if not levers:
        return "", []
    rows = [
        (
            row["tried"],
            "pulled" if row["pulled"] else "left alone",
            f"{row['returned'] / 1e6:.0f} MB",
            _times(row["cpu"]),
            _times(row["p95"]),
            row["why"],
        )
        for row in levers
    ]
    of, users = levers[0]["of"] / 1e6, levers[0]["users"]
    title = f"LEVERS, by what each returned by itself in the lab, of {of:.0f} MB at {users} users"
    source = levers[0].get("source")
    return title, [*table(_LEVERS, rows, width=width), *([f"by {source}"] if source else [])]


def _times(ratio: Optional[float]) -> str:
    return "?" if ratio is None else f"x {ratio:.2f}"
