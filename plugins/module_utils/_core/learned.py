# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of what was learned: each lever's reason, and the list of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import MEASURED, Lessons

__all__ = ["mark_learned"]

_NOTHING = "The measurement gives no reason to change anything: this is the plan without it"


def mark_learned(
    plan: Dict[str, Any], *, without: Mapping[str, Any], lessons: Lessons, taken_at: str
) -> Dict[str, Any]:
    """The plan with the measured figures as reasons.

    :arg without: the plan of the same inputs without the measurement.
    """
    learned: List[Dict[str, Any]] = []
    for lever, why in lessons.why.items():
        setting = _find(plan, lever)
        if setting is None:
            continue
        # A cache without a factor of its own has the global one.
        before = _find(without, lever) or without["homeserver"]["caches.global_factor"]
        if before["value"] == setting["value"]:
            continue
        setting.update(why=why, source=MEASURED)
        setting.pop("wish", None)
        learned.append({"lever": lever, "from": before["value"], "to": setting["value"], "why": why})
    plan["learned"] = learned
    plan["host"]["measured"] = taken_at
    plan["advice"] += lessons.advice
    if not learned:
        plan["advice"].append(_NOTHING)
    return plan


def _find(plan: Mapping[str, Any], lever: str) -> Optional[Dict[str, Any]]:
    """A setting by its dotted path, of which the names of a section may have dots, too."""
    if lever in plan:
        found: Dict[str, Any] = plan[lever]
        return found
    for name, section in plan.items():
        if lever.startswith(f"{name}.") and isinstance(section, dict):
            return _find(section, lever[len(name) + 1 :])
    return None
