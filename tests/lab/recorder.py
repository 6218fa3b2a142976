# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part holds while a load runs, sampled from its cgroup: anonymous and shared memory, without the page cache.

The kernel gives the page cache back by itself, so it is no part of what a server needs; `memory.max_usage_in_bytes`
counts it, and says nothing here but how large the limit is.
"""

from __future__ import annotations

import contextlib
import pathlib
import re
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from deployment import Deployment

__all__ = ["Recorder", "held", "pss", "shared"]

_EVERY = 0.1  # seconds; a large answer holds its memory for about as long
# Version 1 counts shared memory among what is anonymous, version 2 apart from it.
_HELD_1 = re.compile(rb"^total_(?:active_anon|inactive_anon|unevictable) (\d+)$", re.MULTILINE)
# The last one is version 1's total.
_SHARED = re.compile(rb"^(?:total_)?shmem (\d+)$", re.MULTILINE)
_HELD_2 = re.compile(rb"^(?:anon|shmem) (\d+)$", re.MULTILINE)


def held(directory: pathlib.Path) -> int:
    """Bytes that a memory cgroup holds, and all below it: what only swap or a kill would give back."""
    text = (directory / "memory.stat").read_bytes()
    return sum(map(int, _HELD_1.findall(text) or _HELD_2.findall(text)))


def shared(directory: pathlib.Path) -> int:
    """Bytes of it that are shared memory: PostgreSQL's shared_buffers, as far as they were touched."""
    return int(_SHARED.findall((directory / "memory.stat").read_bytes())[-1])


def pss(directory: pathlib.Path) -> int:
    """The proportional set size of all of its processes."""
    total = 0
    for pid in (directory / "cgroup.procs").read_text(encoding="ascii").split():
        with contextlib.suppress(OSError):  # ended since
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            total += next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


class Recorder:
    """Samples the containers of a deployment in a thread of its own; `with Recorder(project) as recorder: ...`.

    Attributes:
        samples: (seconds since the start, bytes by service) of each moment.
        marks: Names of moments, such as the end of a phase, with their seconds.
    """

    def __init__(self, project: Deployment, services: Mapping[str, str]) -> None:
        """Services: Compose's name to the part's, such as db to postgresql."""
        self._project = project
        self._services = dict(services)
        self._directories: dict[str, pathlib.Path] = {}
        self._cpu: dict[str, float] = dict.fromkeys(services.values(), 0.0)
        self._cpu_at: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._began = time.monotonic()
        self.samples: list[tuple[float, dict[str, int]]] = []
        self.marks: dict[str, float] = {}

    def __enter__(self) -> Recorder:
        self._oom_kills = _oom_kills()
        self._find()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def mark(self, name: str) -> None:
        """Remember this moment by a name."""
        self.marks[name] = self.seconds

    def now(self) -> dict[str, int]:
        """What each part holds now."""
        return {part: self._held(part) for part in self._services.values()}

    def shared_now(self) -> dict[str, int]:
        """What of it is shared memory."""
        return {part: shared(directory) for part, directory in self._directories.items()}

    def pss_now(self) -> dict[str, int]:
        """The proportional set size of each part now."""
        return {part: pss(directory) for part, directory in self._directories.items()}

    def peaks(self, since: float = 0.0) -> dict[str, int]:
        """The most that each part held, and in `total` the most that all held at one moment."""
        most = dict.fromkeys((*self._services.values(), "total"), 0)
        for seconds, sample in self.samples:
            if seconds >= since:
                for part, size in (*sample.items(), ("total", sum(sample.values()))):
                    most[part] = max(most[part], size)
        return most

    def oom_kills(self) -> int:
        """How many processes the kernel has killed for want of memory since the start, on the whole machine."""
        return _oom_kills() - self._oom_kills

    def cpu_seconds(self) -> dict[str, float]:
        """Processor seconds of each part since the start."""
        for part in self._services.values():
            self._count(part)
        return {part: round(seconds, 2) for part, seconds in self._cpu.items()}

    def timeline(self, points: int = 120) -> list[tuple[float, ...]]:
        """(seconds, held of each part in the order of the services), thinned to the highest of each interval."""
        if not self.samples:
            return []
        width = max(self.samples[-1][0] / points, _EVERY)
        highest: dict[int, dict[str, int]] = {}
        for seconds, sample in self.samples:
            slot = highest.setdefault(int(seconds / width), dict.fromkeys(self._services.values(), 0))
            for part, size in sample.items():
                slot[part] = max(slot[part], size)
        return [(round(slot * width, 1), *sizes.values()) for slot, sizes in sorted(highest.items())]

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            self.samples.append((self.seconds, self.now()))

    def _held(self, part: str) -> int:
        directory = self._directories.get(part)
        if directory is not None:
            with contextlib.suppress(OSError):
                self._count(part)
                return held(directory)
        # Ended, or started anew in another cgroup.
        self._find(part)
        return 0

    def _count(self, part: str) -> None:
        """Add what the part has used since the last look: a container that is started anew begins at none."""
        directory = self._directories.get(part)
        if directory is None:
            return
        with contextlib.suppress(OSError):
            used = _cpu_seconds(directory)
            before = self._cpu_at.get(part, used)
            self._cpu[part] += used - before if used >= before else used
            self._cpu_at[part] = used

    def _find(self, only: str | None = None) -> None:
        for service, part in self._services.items():
            if only not in (None, part):
                continue
            self._directories.pop(part, None)
            with contextlib.suppress(Exception):  # between two starts there is none
                state = self._project.inspect(service)["State"]
                if state["Running"]:
                    self._directories[part] = _cgroup(int(state["Pid"]))

    def describe(self) -> dict[str, Any]:
        """Restarts of the containers and whether the engine says that they were killed for want of memory."""
        said = {}
        for service, part in self._services.items():
            details = self._project.inspect(service)
            said[part] = {"restarts": details["RestartCount"], "oom_killed": details["State"]["OOMKilled"]}
        return said


def _cgroup(pid: int) -> pathlib.Path:
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        _number, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return pathlib.Path("/sys/fs/cgroup/memory") / path.lstrip("/")
    return pathlib.Path("/sys/fs/cgroup") / path.lstrip("/")


def _cpu_seconds(directory: pathlib.Path) -> float:
    stat = directory / "cpu.stat"
    if stat.is_file():
        found = re.search(r"^usage_usec (\d+)$", stat.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return int(found.group(1)) / 1e6
    accounting = pathlib.Path(str(directory).replace("/memory/", "/cpuacct/", 1))
    return int((accounting / "cpuacct.usage").read_text(encoding="ascii")) / 1e9


def _oom_kills() -> int:
    text = pathlib.Path("/proc/vmstat").read_text(encoding="ascii")
    return int(re.search(r"^oom_kill (\d+)$", text, re.MULTILINE).group(1))  # type: ignore[union-attr]
