# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressor's entry in a file of /etc/cron.d, and the script that it runs."""

from __future__ import annotations

import os
import re
import shlex
from typing import Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import CronJob

__all__ = ["read_cron"]

# Five fields, the user, the command: the form of /etc/cron.d.
_ENTRY = re.compile(r"([\d*][^\s=]*)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+\S+\s+(\S.*)")
_VARIABLE = re.compile(r"^(chunk_size|number_of_chunks)=(\S+)$", re.MULTILINE)


def read_cron(path: str) -> CronJob:
    """Read the first entry of the file. Raises FileProblem where it is there and can't be read."""
    text = _files.read_text(path) if os.path.lexists(path) else ""
    fields: Optional[Tuple[str, str, str, str, str]] = None
    script = None
    for line in text.splitlines():
        found = _ENTRY.fullmatch(line.strip())
        if found:
            minute, hour, day, month, weekday, command = found.groups()
            fields = (minute, hour, day, month, weekday)
            script = _program(command)
            break
    runnable = script is not None and os.path.isfile(script) and os.access(script, os.X_OK)
    variables = {}
    if runnable and script is not None:
        try:
            variables = dict(_VARIABLE.findall(_files.read_text(script)))
        except FileProblem:  # a program of somebody's own
            variables = {}
    return CronJob(path=path, fields=fields, script=script, runnable=runnable, variables=variables)


def _program(command: str) -> Optional[str]:
    try:
        words = shlex.split(command.replace(r"\%", "%"))
    except ValueError:
        return None
    return words[0] if words else None
