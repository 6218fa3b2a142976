# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that was made before, as far as reports ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.budget import Row
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.plain_data import ShapeError, from_plain

__all__ = ["KnownPlan"]


@dataclass(frozen=True)
class _Host:
    ram: int
    users: int
    reserved: int
    workers: int
    measured: Optional[str]


@dataclass(frozen=True)
class _Setting:
    value: Any


@dataclass(frozen=True)
class KnownPlan:
    """Some of it.

    host: what it was made from, C(measured) is when that was taken that it learned from. homeserver: by lever.
    """

    host: _Host
    budget: Tuple[Row, ...]
    homeserver: Mapping[str, _Setting]

    @property
    def planned(self) -> Dict[str, int]:
        """Bytes by the components of the budget."""
        return {row.component: row.bytes for row in self.budget}

    @property
    def connections(self) -> Optional[int]:
        """How many Synapse's pools may open; None where it is not planned for."""
        most = self.homeserver.get("database.args.cp_max")
        return most.value * (1 + self.host.workers) if most is not None and isinstance(most.value, int) else None

    @classmethod
    def from_data(cls, data: Any) -> KnownPlan:
        """Read what plan_info returns. Raises PlanError for anything else, in one line."""
        try:
            return from_plain(cls, data, name="plan")
        except ShapeError as error:
            raise PlanError(f"this is no plan, {error}: plan again, or leave the plan out") from None
