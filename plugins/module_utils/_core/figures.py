# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of a measurement as people read them; what is not known is a question mark."""

from __future__ import annotations

import datetime
import math
from typing import List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB

__all__ = ["UNKNOWN", "count", "day", "difference", "duration", "mib", "moment", "noun", "percent"]

UNKNOWN = "?"


def mib(size: Optional[float]) -> str:
    """Bytes in MiB, without the unit: C(12.3), C(1,024); a limit that is infinite is C(none)."""
    if size is None:
        return UNKNOWN
    if size == math.inf:
        return "none"
    number = size / MIB
    return f"{number:,.0f}" if abs(number) >= 99.95 else f"{number:,.1f}"


def difference(before: Optional[float], now: Optional[float]) -> str:
    """How many MiB more or less: C(+12.3), C(−1,024); empty where that is not known."""
    if before is None or now is None or math.inf in (before, now):
        return ""
    shown = mib(abs(now - before))
    if shown == "0.0":
        return "0"
    return ("+" if now > before else "−") + shown


def count(number: Optional[float]) -> str:
    """A number of things."""
    return UNKNOWN if number is None else f"{number:,.0f}"


def noun(number: float, name: str, plural: str = "") -> str:
    """A number with what is counted."""
    return f"{number:,.0f} {name if number == 1 else plural or name + 's'}"


def percent(part: Optional[float], whole: Optional[float]) -> str:
    """A share, whole percents, and tenths where it is nearly all."""
    if part is None or not whole:
        return UNKNOWN
    share = 100 * part / whole
    return f"{share:.1f} %" if 99 <= share < 100 else f"{share:,.0f} %"


def duration(seconds: Optional[float]) -> str:
    """A time in its two largest units: C(3 d 4 h), C(50 s)."""
    if seconds is None or seconds < 0:
        return UNKNOWN
    left = int(seconds)
    parts: List[str] = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size:,} {unit}")
        elif parts:
            break
        left %= size
    return " ".join(parts[:2])


def moment(stamp: str) -> str:
    """A time as the measurement has it, C(2026-11-28T16:40:00Z), for people; as it stands where it is none."""
    try:
        found = datetime.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return stamp or UNKNOWN
    return found.strftime("%Y-%m-%d %H:%M:%S UTC")


def day(milliseconds: Optional[float]) -> str:
    """The day of a time in milliseconds since 1970."""
    if milliseconds is None:
        return UNKNOWN
    try:
        return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        # Servers may write any time.
        return UNKNOWN
