# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements that are kept: the names of their files, which of them go, and which one is the measure of all others."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import MeasurementError

__all__ = ["first", "kept", "name_of", "surplus"]

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z")
_NAME = re.compile(r"measurement-\d{8}T\d{6}Z\.json")


def name_of(taken_at: str) -> str:
    """The file of the measurement of C(2026-11-28T16:40:00Z). Names sort by time.

    Raises MeasurementError for what is no such time.
    """
    found = _TIME.fullmatch(taken_at)
    if not found:
        raise MeasurementError(
            f"the measurement was taken at {taken_at!r}, which is no time such as 2026-11-28T16:40:00Z"
        )
    year, month, day, hour, minute, second = found.groups()
    return f"measurement-{year}{month}{day}T{hour}{minute}{second}Z.json"


def kept(names: Iterable[str]) -> List[str]:
    """Those of the names that are measurements, the oldest first."""
    return sorted(name for name in names if _NAME.fullmatch(name))


def first(names: Iterable[str]) -> Optional[str]:
    """The oldest, with which the others are compared; None for none."""
    return next(iter(kept(names)), None)


def surplus(names: Iterable[str], *, keep: int) -> List[str]:
    """Those that go where so many stay: not the newest, and never the first."""
    if keep < 2:
        raise MeasurementError(f"keep is {keep}: give at least 2, the first measurement and the newest")
    found = kept(names)
    return found[1 : max(1, len(found) - keep + 1)]
