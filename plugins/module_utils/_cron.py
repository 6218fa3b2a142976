# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressor's entry in a file of /etc/cron.d, or its timer of systemd, and the script that it runs."""

from __future__ import annotations

import os
import re
import shlex
from typing import Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.calendar import cron_fields
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import CronJob

__all__ = ["read_cron"]

# Five fields, the user, the command: the form of /etc/cron.d.
_ENTRY = re.compile(r"([\d*][^\s=]*)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+\s+(\S.*)")
_SETTING = re.compile(r"^(OnCalendar|ExecStart)=(.*)$", re.MULTILINE)
_VARIABLE = re.compile(r"^(chunk_size|number_of_chunks)=(\S+)$", re.MULTILINE)


def read_cron(path: str) -> CronJob:
    """Read the first entry of the file, or the timer where its name says so. Raises FileProblem where it is there and can't be read."""
    fields, script = _timer(path) if path.endswith(".timer") else _entry(path)
    runnable = script is not None and os.path.isfile(script) and os.access(script, os.X_OK)
    variables = {}
    if runnable and script is not None:
        try:
            variables = dict(_VARIABLE.findall(_files.read_text(script)))
        except FileProblem:  # a program of somebody's own
            variables = {}
    return CronJob(path=path, fields=fields, script=script, runnable=runnable, variables=variables)


def _entry(path: str) -> Tuple[Optional[Tuple[str, ...]], Optional[str]]:
    for line in _text(path).splitlines():
        found = _ENTRY.fullmatch(line.strip())
        if found:
            *fields, command = found.groups()
            return tuple(fields), _program(command.replace(r"\%", "%"))
    return None, None


def _timer(path: str) -> Tuple[Optional[Tuple[str, ...]], Optional[str]]:
    """Without fields where the timer is not enabled: then it is due at no time."""
    folder, name = os.path.split(path)
    calendar = dict(_SETTING.findall(_text(path))).get("OnCalendar", "").strip()
    command = dict(_SETTING.findall(_text(path[: -len("timer")] + "service"))).get("ExecStart", "")
    enabled = os.path.lexists(os.path.join(folder, "timers.target.wants", name))
    fields = (cron_fields(calendar) or tuple(calendar.split())) if enabled and calendar else None
    return fields, _program(command.replace("%%", "%"))


def _text(path: str) -> str:
    return _files.read_text(path) if os.path.lexists(path) else ""


def _program(command: str) -> Optional[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    return words[0] if words else None
