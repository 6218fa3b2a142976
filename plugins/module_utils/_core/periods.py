# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of a job: how long it may take, and when in the day it may begin."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError

__all__ = ["Window", "duration_seconds", "show_duration"]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_WINDOW = re.compile(r"([01]?\d|2[0-3]):([0-5]\d) *- *([01]?\d|2[0-3]):([0-5]\d)")


def duration_seconds(text: str) -> float:
    """Read a duration as C(timeout) of coreutils does: seconds, or with s, m, h or d. Raises UnitError."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not float(found.group(1)):
        raise UnitError(f"{text!r} is no time to take: write a number above 0 with s, m, h or d, such as 6h")
    return float(found.group(1)) * _SECONDS[found.group(2)]


def show_duration(seconds: float) -> str:
    """Render for a person: C(4 s), C(2 min 5 s), C(3 h 20 min)."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@dataclass(frozen=True)
class Window:
    """A part of the day, in minutes since midnight; one that ends before it starts goes over midnight."""

    start: int
    end: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read C(02:00-05:00). Raises UnitError."""
        found = _WINDOW.fullmatch(text.strip())
        if not found:
            raise UnitError(f"{text!r} is no part of a day: write from-to, such as 02:00-05:00")
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = hour * 60 + minute, end_hour * 60 + end_minute
        if start == end:
            raise UnitError(f"{text!r} has no length: write from-to, such as 02:00-05:00")
        return cls(start, end)

    def holds(self, minute: int) -> bool:
        """Whether this minute of the day is in it; the last one is not."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end
