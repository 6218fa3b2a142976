# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How memory may go in thirty hours from a start: what is a leak, and what only looks like one."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

__all__ = ["HEALTHY", "HOURS", "LEAKS", "LIMIT", "STEP", "sampled"]

HOURS = 30
STEP = 600
"""Seconds between two samples."""
LIMIT = 1024
"""What the container may hold, in MiB."""

_chance = random.Random(1)
_bursts = [_chance.random() for _each in range(HOURS * 6 + 1)]

LEAKS: dict[str, Callable[[float], float]] = {
    "steady": lambda hours: 200 + 200 * hours / 24,
    "in steps": lambda hours: 200 + 50 * (hours // 5),
    "below a sawtooth": lambda hours: 200 + 240 * hours / 24 + 60 * (hours % 1),
    "below bursts": lambda hours: 200 + 300 * hours / 24 + 70 * _bursts[int(hours * 6)],
}
HEALTHY: dict[str, Callable[[float], float]] = {
    "still": lambda hours: 300,
    "a sawtooth": lambda hours: 300 + 300 * (hours % 3) / 3,
    "bursts": lambda hours: 250 + 600 * _bursts[int(hours * 6)] ** 8,
    "bursts that rise": lambda hours: 250 + 20 * hours * _bursts[int(hours * 6)],
    "a step and a plateau": lambda hours: 200 if hours < 20 else 500,
    "two steps": lambda hours: 200 + 200 * (hours >= 10) + 200 * (hours >= 25),
    "caches that fill": lambda hours: 200 + 400 * (1 - math.exp(-hours / 6)),
    "little a day": lambda hours: 300 + 40 * hours / 24,
    "from night to noon": lambda hours: 400 - 150 * math.cos(math.tau * hours / 24),
    "from noon to night": lambda hours: 400 + 150 * math.cos(math.tau * hours / 24),
    "from dawn": lambda hours: 400 + 150 * math.sin(math.tau * hours / 24),
    "one high reading": lambda hours: 900 if 26 < hours < 26.2 else 300,
    "one low reading": lambda hours: 100 if 8 < hours < 8.2 else 300,
}


def sampled(shape: Callable[[float], float]) -> list[int]:
    """MiB at each step."""
    return [round(shape(number * STEP / 3600)) for number in range(HOURS * 3600 // STEP + 1)]
