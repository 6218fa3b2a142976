# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressor's job, planned against what cron or systemd has."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import CronJob, Missing
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_cron", "schedule_of"]

_SOURCE = "cron"
_FIELDS = 5


def judge_cron(planned: Mapping[str, Any], job: Union[CronJob, Missing]) -> List[Verdict]:
    """One verdict each for the schedule, the chunk size and the number of chunks."""
    return [_judge(name, value, job) for name, value in planned.items()]


def schedule_of(fields: Tuple[str, ...]) -> str:
    """C(daily), C(weekly) or C(monthly) where the fields of cron say that, else the fields themselves."""
    if len(fields) != _FIELDS:  # the words of a timer
        return " ".join(fields)
    minute, hour, day, month, weekday = fields
    if minute.isdigit() and hour.isdigit() and month == "*":
        if (day, weekday) == ("*", "*"):
            return "daily"
        if day == "*" and weekday.isalnum():
            return "weekly"
        if day.isdigit() and weekday == "*":
            return "monthly"
    return " ".join(fields)


def _judge(name: str, planned: Any, job: Union[CronJob, Missing]) -> Verdict:
    lever = f"compressor.{name}"
    if isinstance(job, Missing):
        return Verdict(lever, planned, None, states.UNKNOWN, job.why, _SOURCE)
    if job.fields is None:
        return Verdict(lever, planned, None, states.NOT_APPLIED, _none(job.path), _SOURCE)
    effective = schedule_of(job.fields) if name == "schedule" else job.variables.get(name)
    if not job.runnable:
        because = f"{job.path} runs {job.script}, which is missing or not executable"
        return Verdict(lever, planned, effective, states.WITHOUT_EFFECT, because, _SOURCE)
    if str(effective) == str(planned):
        because = f"{job.path}: {' '.join(job.fields)}" if name == "schedule" else str(job.script)
        return Verdict(lever, planned, planned, states.IN_EFFECT, because, _SOURCE)
    place = job.path if name == "schedule" else job.script
    return Verdict(lever, planned, effective, states.NOT_APPLIED, f"{place} says otherwise", _SOURCE)


def _none(path: str) -> str:
    return f"{path} is missing or not enabled" if path.endswith(".timer") else f"{path} has no entry"
