# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a part of a measurement teaches, and how long has to be measured for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

__all__ = ["DAY", "HOUR", "MEASURED", "Lessons", "is_longer_than", "show_duration"]

HOUR = 3600.0
DAY = 24 * HOUR

# The source of a value that was learned.
MEASURED = "measured on this server"


@dataclass
class Lessons:
    """Why: by the lever's dotted path in the plan, the reason that names the measured figure. advice: lines."""

    why: Dict[str, str] = field(default_factory=dict)
    advice: List[str] = field(default_factory=list)


def is_longer_than(least: float, uptime: Optional[float]) -> bool:
    """Whether a program is known to have run that long."""
    return uptime is not None and uptime >= least


def show_duration(seconds: float) -> str:
    """C(40 minutes), C(3 hours), C(12 days): the largest unit of which there are two."""
    for unit, size in (("days", DAY), ("hours", HOUR), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
