# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five fields of cron as a calendar event of systemd, and back."""

from __future__ import annotations

import re
from typing import List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ParameterError

__all__ = ["cron_fields", "on_calendar"]

# cron's 0 and 7 are both Sunday.
_DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMES = ("minute", "hour", "day", "month", "weekday")
_LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))

_PART = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?")
# What this module writes and people write by hand: at most one day of the week, one time.
_SIMPLE = re.compile(r"(?:([A-Z][a-z]+) )?(?:\*-)?(\*|\d+)-(\*|\d+) (\d+):(\d+)(?::00)?")


def on_calendar(fields: Sequence[str]) -> str:
    """What OnCalendar= says for minute, hour, day, month and weekday.

    Raises ParameterError where a field cannot be read, and where both the day and the weekday are
    limited: cron takes either of them then, systemd both.
    """
    minute, hour, day, month, weekday = (_field(index, text) for index, text in enumerate(fields))
    if day != "*" and weekday:
        raise ParameterError(
            "with day and weekday cron runs it on either of them, which systemd cannot say: leave one of them out,"
            " or give the schedule in systemd's own words"
        )
    return f"{weekday}*-{month}-{day} {hour}:{minute}:00"


def cron_fields(text: str) -> Optional[Tuple[str, str, str, str, str]]:
    """The fields of cron for a calendar event with one time and at most one weekday; None for any other."""
    found = _SIMPLE.fullmatch(text.strip())
    if found is None:
        return None
    weekday, month, day, hour, minute = found.groups()
    return minute, hour, day, month, weekday or "*"


def _field(index: int, text: str) -> str:
    """One field as systemd says it; the weekdays with a blank behind them, or nothing for all of them."""
    parts = [_part(index, part) for part in str(text).strip().lower().split(",")]
    if index == len(_NAMES) - 1:
        days = {day % 7 for first, last, step in parts for day in range(first, last + 1, step)}
        # systemd's week begins on Monday.
        ordered = sorted(days, key=lambda day: day or 7)
        return "" if len(days) == len(_DAYS) else ",".join(_DAYS[day] for day in ordered) + " "
    least, most = _LIMITS[index]
    said: List[str] = []
    for first, last, step in parts:
        if (first, last) == (least, most):
            said.append("*" if step == 1 else f"{_padded(first)}/{step}")
        else:
            whole = _padded(first) if first == last else f"{_padded(first)}..{_padded(last)}"
            said.append(whole if step == 1 else f"{whole}/{step}")
    return "*" if "*" in said else ",".join(said)


def _part(index: int, text: str) -> Tuple[int, int, int]:
    """First, last and step of what stands between two commas."""
    found = _PART.fullmatch(text)
    least, most = _LIMITS[index]
    if found is None:
        raise _unreadable(index, text)
    start, end, step = found.groups()
    # Sunday is in a range of all days once.
    everything = (least, 6 if index == len(_NAMES) - 1 else most)
    first, last = everything if start is None else (_number(index, start), _number(index, end or start))
    if not least <= first <= last <= most or int(step or 1) < 1 or (step and start and not end):
        raise _unreadable(index, text)
    return first, last, int(step or 1)


def _number(index: int, text: str) -> int:
    names = {"month": _MONTHS, "weekday": tuple(day.lower() for day in _DAYS)}.get(_NAMES[index], ())
    if text in names:
        return names.index(text) + _LIMITS[index][0]
    if not text.isdigit():
        raise _unreadable(index, text)
    return int(text)


def _padded(number: int) -> str:
    return f"{number:02d}"


def _unreadable(index: int, text: str) -> ParameterError:
    least, most = _LIMITS[index]
    return ParameterError(f"the schedule's {_NAMES[index]} is not a field of cron from {least} to {most}: {text}")
