# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement shows: the one value that both reports, the page and the text, are made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import Use, budget_use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_use import Judged, cache_use
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.next_steps import next_steps
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import Step

__all__ = ["Findings", "find"]


@dataclass(frozen=True)
class Findings:
    """All of it.

    Attributes:
        host: its name in the inventory, empty for none.
        now, before: the measurements; before is None for the first one.
        plan: None for none.
        rooms: the heaviest first. rooms_missing: why there are none, empty where it was asked.
        uses: budget against use. caches: Synapse's. steps: what to do next.
    """

    host: str
    now: Measurement
    before: Optional[Measurement]
    plan: Optional[KnownPlan]
    rooms: Sequence[Room]
    rooms_missing: str
    uses: Tuple[Use, ...]
    caches: Tuple[Judged, ...]
    steps: Tuple[Step, ...]


def find(
    now: Measurement,
    *,
    before: Optional[Measurement] = None,
    plan: Optional[KnownPlan] = None,
    rooms: Sequence[Room] = (),
    rooms_missing: str = "",
    host: str = "",
    path: Optional[str] = None,
) -> Findings:
    """Draw the conclusions. A measurement is not compared with itself. path: of its file, for commands."""
    if before is not None and before.taken_at == now.taken_at:
        before = None
    uses, caches = budget_use(now, plan), cache_use(now.synapse)
    return Findings(
        host=host,
        now=now,
        before=before,
        plan=plan,
        rooms=rooms,
        rooms_missing=rooms_missing,
        uses=tuple(uses),
        caches=tuple(caches),
        steps=tuple(next_steps(now, uses=uses, caches=caches, plan=plan, rooms=rooms, path=path)),
    )
