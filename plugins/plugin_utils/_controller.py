# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""This run of ansible-playbook, and the other processes of its controller.

Only action plugins use it: a module runs on the host, and sees that one's processes.
"""

from __future__ import annotations

import datetime
import hashlib
import multiprocessing
import os
import pwd
import socket
import subprocess
import sys
from typing import List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import Holder

__all__ = ["is_orphan", "start_of", "this_run"]

# A zombie has ended; what it still has is only an entry for its parent to read.
_ENDED = ("Z", "X", "x")


def this_run() -> Holder:
    """The run that the calling process belongs to, with the time as it is now."""
    pid = _main_pid()
    now = datetime.datetime.now(datetime.timezone.utc)
    return Holder(
        user=_one_line(_user()),
        controller=_one_line(socket.gethostname()),
        pid=pid,
        since=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        started=start_of(pid) or "",
        boot=_boot(),
        machine=_machine(),
        pid_namespace=_pid_namespace(),
    )


def is_orphan() -> bool:
    """Whether the run's main process has ended and left this worker of it behind."""
    return os.getpid() != _main_pid() != os.getppid()


def start_of(pid: int) -> Optional[str]:
    """When the process started, C(KIND:TIME); empty where that can't be read, None where there is no such process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass  # it is there, and another user's
    return _start_by_proc(pid) if os.path.exists("/proc/self/stat") else _start_by_ps(pid)


def _main_pid() -> int:
    # Not getppid(): that is 1, or a subreaper's, as soon as the main process was killed.
    parent = multiprocessing.parent_process()
    return os.getpid() if parent is None or parent.pid is None else parent.pid


def _start_by_proc(pid: int) -> Optional[str]:
    # The clock's ticks since boot, which never change. What ps makes of them does, by a second, with the clock.
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            # The name, in parentheses, may hold anything.
            words = stream.read().rpartition(")")[2].split()
        state, ticks = words[0], words[19]
    except (OSError, IndexError):
        return ""  # hidden from us, as by hidepid
    return None if state in _ENDED else f"ticks:{ticks}"


def _start_by_ps(pid: int) -> Optional[str]:
    state, _space, start = _said(["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]).strip().partition(" ")
    if state.startswith(_ENDED):
        return None
    return f"lstart:{' '.join(start.split())}" if start else ""


def _boot() -> str:
    if sys.platform == "darwin":
        return _one_line(_said(["sysctl", "-n", "kern.bootsessionuuid"]))
    return _one_line(_content("/proc/sys/kernel/random/boot_id"))


def _machine() -> str:
    """The machine-id's hash: the id itself is not for others to see."""
    found = _content("/etc/machine-id").strip()
    return hashlib.sha256(f"synapse.tuning {found}".encode()).hexdigest()[:32] if found else ""


def _pid_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that runs under any number
        return str(os.getuid())


def _content(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _said(command: List[str]) -> str:
    """What a program prints; nothing where it is missing or fails."""
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words and a number
            command,
            capture_output=True,
            text=True,
            errors="replace",
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text.strip())[:255]
