# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of one lever on the running system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

__all__ = [
    "IN_EFFECT",
    "NOT_APPLIED",
    "OVERRIDDEN",
    "PENDING_RESTART",
    "STATES",
    "UNKNOWN",
    "WITHOUT_EFFECT",
    "Verdict",
]

IN_EFFECT = "in_effect"
PENDING_RESTART = "pending_restart"
OVERRIDDEN = "overridden"
WITHOUT_EFFECT = "without_effect"
NOT_APPLIED = "not_applied"
UNKNOWN = "unknown"
STATES = (IN_EFFECT, PENDING_RESTART, OVERRIDDEN, WITHOUT_EFFECT, NOT_APPLIED, UNKNOWN)


@dataclass(frozen=True)
class Verdict:
    """A lever, planned against effective.

    lever: its path in the plan, such as C(compose.synapse.memory_limit).
    planned, effective: None is absent, or not known where the state is unknown.
    state: one of STATES.
    because: one line; what overrides it, what is missing, what to do.
    source: what it was read from.
    by_nature: it is without effect whatever it is set to, and planned so.
    """

    lever: str
    planned: Any
    effective: Any
    state: str
    because: str
    source: str
    by_nature: bool = False

    @property
    def ok(self) -> bool:
        """Whether the lever is as the plan wants it."""
        return self.state == IN_EFFECT or self.by_nature

    def as_data(self) -> Dict[str, Any]:
        """The verdict as plain data."""
        return {
            "lever": self.lever,
            "planned": self.planned,
            "effective": self.effective,
            "state": self.state,
            "because": self.because,
            "source": self.source,
            "ok": self.ok,
        }
