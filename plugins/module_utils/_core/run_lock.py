# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the lock of a host, and whether that run is still alive.

The lock is a text that names a run of ansible-playbook. Nothing here reads a
file or asks for a process: what was found is handed in.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Callable, Dict, Optional

__all__ = [
    "ELSEWHERE",
    "GONE",
    "OURS",
    "RUNNING",
    "Holder",
    "describe",
    "is_free",
    "is_lock",
    "judge",
    "parse",
    "refusal",
    "render",
    "same_run",
]

OURS = "ours"
RUNNING = "running"
GONE = "gone"
ELSEWHERE = "elsewhere"

_LOCK = "synapse.tuning"
_VERSION = 1
# What every version of the text begins with, so that even a damaged one is known.
_HEAD = '{\n  "lock": ' + json.dumps(_LOCK) + ","

_LONGEST = 255
_LARGEST_PID = 2**31 - 1

# The pid namespace that a machine boots with: the kernel gives it this number
# everywhere, so who is in it is not in a container.
_INITIAL_NAMESPACE = "pid:[4026531836]"


@dataclass(frozen=True)
class Holder:
    """A run of ansible-playbook, told apart from every other one.

    user: who started it.
    controller: the hostname of the machine that it runs on.
    pid: of its main process.
    since: when it took the lock, C(YYYY-MM-DDTHH:MM:SSZ).
    started: when that process started, C(KIND:TIME); only times of one kind can be compared. Empty: not known.
    boot: identifies the controller's boot; empty: not known.
    machine: identifies the controller over reboots; empty: not known.
    pid_namespace: where the pid counts; empty: this system has none.
    """

    user: str
    controller: str
    pid: int
    since: str
    started: str
    boot: str
    machine: str
    pid_namespace: str

    def as_data(self) -> Dict[str, Any]:
        """The run as plain data, for people: without what only tells controllers apart."""
        return {"user": self.user, "controller": self.controller, "pid": self.pid, "since": self.since}


def render(holder: Holder) -> str:
    """The content of the lock file: JSON that a person can read."""
    data = {"lock": _LOCK, "version": _VERSION, **asdict(holder)}
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def is_free(text: str) -> bool:
    """Whether the content says that nobody holds the lock.

    A file is empty where the run that took it was killed before it wrote, and
    full of NUL where the host lost its power just then.
    """
    return not text.strip("\0 \t\r\n")


def is_lock(text: str) -> bool:
    """Whether the content is a lock, be it damaged or of another version, and not somebody's file."""
    return is_free(text) or text.startswith(_HEAD)


def parse(text: str) -> Optional[Holder]:
    """The run that the content names; None where it is no lock that this version can read."""
    if not text.startswith(_HEAD):
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if data.get("version") != _VERSION:
        return None
    given = {field.name: data.get(field.name) for field in fields(Holder)}
    pid = given["pid"]
    if not isinstance(pid, int) or isinstance(pid, bool) or not 0 < pid <= _LARGEST_PID:
        return None
    # Whoever may write the file must not be able to write lines on the terminal of who reads the message.
    texts = [value for name, value in given.items() if name != "pid"]
    if not all(isinstance(value, str) and value.isprintable() and len(value) <= _LONGEST for value in texts):
        return None
    return Holder(**given)


def same_run(one: Holder, other: Holder) -> bool:
    """Whether both are the same run, whenever each took the lock."""
    return _same_controller(one, other) and (one.pid, one.started) == (other.pid, other.started)


def judge(holder: Holder, *, asker: Holder, start_of: Callable[[int], Optional[str]]) -> str:
    """Say what the asker has to think of the run that holds the lock.

    Args:
        holder: the run that the lock names.
        asker: the run that wants it.
        start_of: when the process with this pid started on the asker's controller; empty where that can't be
            known, None where there is no such process. Called only for a holder on the same controller.

    Returns OURS, RUNNING, GONE, or ELSEWHERE for one that can't be asked about from here. GONE is certain;
    in doubt it is RUNNING or ELSEWHERE.
    """
    if same_run(holder, asker):
        return OURS
    if _same_controller(holder, asker) and (holder.boot or holder.machine):
        started = start_of(holder.pid)
        return GONE if started is None or _differ(started, holder.started) else RUNNING
    return GONE if _rebooted_since(holder, asker) else ELSEWHERE


def describe(holder: Holder) -> str:
    """The run in a few words, on one line."""
    return f"{holder.user} on {holder.controller} (process {holder.pid}, since {holder.since})"


def refusal(path: str, holder: Holder, *, verdict: str, waited: int) -> str:
    """The one line for a run that doesn't get the lock.

    Args:
        path: the lock file on the host.
        holder: the run that has it.
        verdict: RUNNING or ELSEWHERE.
        waited: for how many seconds it was waited for.
    """
    tried = f" after {waited} s" if waited else ""
    doubt = ", a controller that can't be asked from here whether it still runs" if verdict == ELSEWHERE else ""
    return (
        f"{path}: another run still holds this lock{tried}: {describe(holder)}{doubt}; "
        "wait until it has ended, or break its lock with synapse_tuning_break_lock=true if that run is dead"
    )


def _same_controller(one: Holder, other: Holder) -> bool:
    return _where(one) == _where(other)


def _where(holder: Holder) -> tuple[str, str, str, str]:
    return holder.controller, holder.boot, holder.machine, holder.pid_namespace


def _differ(one: str, other: str) -> bool:
    """Whether two start times are of one kind and not the same."""
    return one.partition(":")[0] == other.partition(":")[0] and one != other


def _rebooted_since(holder: Holder, asker: Holder) -> bool:
    """Whether the holder ran on this very machine before it was booted again.

    Not for containers: many of one image may have the same name and machine at once.
    """
    return (
        bool(holder.boot and asker.boot and holder.machine)
        and holder.boot != asker.boot
        and (holder.controller, holder.machine) == (asker.controller, asker.machine)
        and holder.pid_namespace == asker.pid_namespace == _INITIAL_NAMESPACE
    )
