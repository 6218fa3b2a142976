# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a source of rooms, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Filters, Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_estimate import Methods

__all__ = ["Answer", "Request"]


@dataclass(frozen=True)
class Request:
    """What is asked.

    Attributes:
        order_by: one of C(ORDERS). limit: how many rooms, at least 1.
        now: milliseconds since 1970.
        active_days: local members seen in that many days are active.
        sample_above: rows of a table, above which only a sample of its pages is read.
        timeout: seconds that a query may take.
    """

    filters: Filters
    order_by: str
    limit: int
    now: int
    active_days: int = 30
    sample_above: int = 5_000_000
    timeout: int = 120


@dataclass(frozen=True)
class Answer:
    """What is said.

    Attributes:
        rooms: the heaviest first.
        count: how many rooms there are. matched: how many the filters match; None where nobody counted.
        methods: how the rows of state and of events are known.
        percent: the smallest part of a table that was read; 100 for all of each, None where no table was read.
        missing: the names of figures that this source does not know.
        absent: of the rooms that were asked for by ID or alias, those that are not there.
    """

    rooms: Tuple[Room, ...]
    count: int
    matched: Optional[int]
    methods: Methods = field(default_factory=Methods)
    percent: Optional[float] = None
    missing: Tuple[str, ...] = ()
    absent: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
