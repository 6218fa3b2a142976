# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan against what was read from the running system: one verdict a lever."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_containers import judge_containers
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_cron import judge_cron
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_homeserver import (
    judge_homeserver,
    synapse_login,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_postgresql import judge_parameters
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_tables import judge_tables
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Database, Metrics, Readings
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = [
    "complaint",
    "differing",
    "judge",
    "planned_values",
    "planned_variables",
    "summary",
    "versions",
    "warnings",
]


def judge(plan: Mapping[str, Any], readings: Readings) -> List[Verdict]:
    """One verdict for each lever of a plan, in the plan's order.

    plan: as plan_info returns it. Raises PlanError for what is no plan.
    """
    values = planned_values(plan)
    found = judge_homeserver(values["homeserver"], readings, processes=1 + int(plan["host"].get("workers", 0)))
    found += judge_containers(values["compose"], readings)
    found += judge_parameters(
        {name: value for name, value in values["postgresql"].items() if value is not None},
        readings.database,
        readings.compose_files,
        synapse_login=synapse_login(readings),
    )
    found += judge_tables(values["tables"], readings.database)
    if readings.cron is not None:
        found += judge_cron(values["compressor"], readings.cron)
    return found


def planned_values(plan: Mapping[str, Any]) -> Dict[str, Any]:
    """The sections homeserver, compose, postgresql, tables and compressor with each setting replaced by its value."""
    advice = "pass the value 'plan' that synapse.tuning.plan_info returns"
    if plan.get("schema_version") != 1:
        raise PlanError(f"the plan has schema_version {plan.get('schema_version')!r}, not 1; {advice}")
    try:
        plan["host"]["synapse_version"]
        return {name: values_of(plan[name]) for name in ("homeserver", "compose", "postgresql", "tables", "compressor")}
    except (KeyError, TypeError, AttributeError) as error:
        raise PlanError(f"the plan is incomplete ({type(error).__name__}: {error}); {advice}") from error


def planned_variables(plan: Mapping[str, Any]) -> List[str]:
    """The environment variables that a plan sets or takes away: the only ones that may be read and shown."""
    return list(planned_values(plan)["compose"].get("synapse", {}).get("environment", {}))


def differing(verdicts: Sequence[Verdict]) -> List[Verdict]:
    """Those that are known not to be as planned."""
    return [each for each in verdicts if not each.ok and each.state != states.UNKNOWN]


def summary(verdicts: Sequence[Verdict]) -> Dict[str, int]:
    """How many levers are in each state; all states are there."""
    return {state: sum(each.state == state for each in verdicts) for state in states.STATES}


def versions(plan: Optional[Mapping[str, Any]], readings: Readings) -> Dict[str, Dict[str, Any]]:
    """What runs beside what was planned for; None where it is not known, or nothing was planned.

    Not levers: a plan decides a version for a new deployment only.
    """
    host = {} if plan is None else plan["host"]
    running: Dict[str, Any] = {
        "synapse": readings.metrics.version if isinstance(readings.metrics, Metrics) else None,
        "postgresql": readings.database.version if isinstance(readings.database, Database) else None,
    }
    found = {}
    for program, container in (("synapse", readings.synapse), ("postgresql", readings.postgresql)):
        planned = host.get(f"{program}_version")
        effective = running[program]
        found[program] = {
            "planned": None if planned is None else str(planned),
            "effective": effective,
            "image": getattr(container, "image", None),
            # PostgreSQL is planned for by its major version.
            "agrees": None
            if effective is None or planned is None
            else str(planned) == (effective if program == "synapse" else effective.partition(".")[0]),
        }
    return found


def complaint(verdicts: Sequence[Verdict]) -> str:
    """One line that names the levers which are not in effect, and why; empty for none."""
    if not verdicts:
        return ""
    named = "; ".join(
        f"{each.lever} ({_show(each.effective)}, planned {_show(each.planned)}) {each.state}: {each.because}"
        for each in verdicts
    )
    count = f"{len(verdicts)} lever{'' if len(verdicts) == 1 else 's'}"
    return f"{count} of the plan {'is' if len(verdicts) == 1 else 'are'} not in effect: {named}"


def warnings(plan: Mapping[str, Any], readings: Readings, verdicts: Sequence[Verdict]) -> List[str]:
    """What to tell besides: versions that were not planned for, and levers of which nothing is known."""
    found = [
        f"{program} runs as {each['effective']}, the plan was made for {each['planned']}: plan again with"
        f" {program}_version"
        for program, each in versions(plan, readings).items()
        if each["agrees"] is False
    ]
    unknown: Dict[str, List[str]] = {}
    for verdict in verdicts:
        if verdict.state == states.UNKNOWN:
            unknown.setdefault(verdict.because, []).append(verdict.lever)
    return found + [f"not known whether {', '.join(levers)} is in effect: {why}" for why, levers in unknown.items()]


def _show(value: Any) -> str:
    return "not set" if value is None else str(value)
