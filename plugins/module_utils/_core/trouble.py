# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a container does not run as it should: its state, and the line of its log that tells most."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional

__all__ = ["Trouble", "state_of", "telling_line"]

_SERIOUS = re.compile(r"\b(FATAL|PANIC|CRITICAL)\b|\b\w*(?:Error|Exception)\b:|^Error\b|^\s*Error in configuration")
_NUISANCE = re.compile(r"the database system is (?:starting up|shutting down)|\bWARNING\b")
_LONGEST = 300


@dataclass(frozen=True)
class Trouble:
    """container: its name. service: in Compose, empty for none. state: such as C(exited (1)). said: empty for nothing."""

    container: str
    service: str
    state: str
    said: str


def state_of(details: Mapping[str, Any]) -> Optional[str]:
    """What is wrong by C(docker inspect); None for a container that runs, and is not known to be unhealthy."""
    state = details.get("State", {})
    if state.get("OOMKilled"):
        return "was killed, as it took more memory than its limit"
    health = state.get("Health", {}).get("Status")
    # Between two of its deaths it runs.
    if state.get("Restarting") or (state.get("Running") and details.get("RestartCount") and health != "healthy"):
        code = state.get("ExitCode")
        return f"keeps ending{f' ({code})' if code else ''} and is restarted"
    if not state.get("Running"):
        return f"{state.get('Status', 'is not running')} ({state.get('ExitCode')})"
    return "is unhealthy" if health == "unhealthy" else None


def telling_line(log: str) -> str:
    """The last line that reports an error, with the next where it ends in a colon, else the last line.

    At most 300 characters.
    """
    lines = [line.strip() for line in log.splitlines() if line.strip() and not _NUISANCE.search(line)]
    serious = [number for number, line in enumerate(lines) if _SERIOUS.search(line)]
    number = serious[-1] if serious else len(lines) - 1
    told = lines[number : number + (2 if lines and lines[number].endswith(":") else 1)] if lines else []
    return " ".join(told)[:_LONGEST]
