# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two measurements side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.measured import Measured, added

__all__ = ["Compared", "caveats", "compare"]

# Younger than this share of the other's age, a process has had less time to grow.
_YOUNGER = 1 / 3


@dataclass(frozen=True)
class Compared:
    """One line. before, now: the figures in the unit's own measure, bytes for MiB; None for what is not known.

    unit: C(MiB), C(number), C(%) (shares of one) or C(time) (seconds).
    """

    part: str
    label: str
    unit: str
    before: Optional[float]
    now: Optional[float]

    def shown(self) -> Tuple[str, str, str]:
        """Before, now and the difference, for people."""
        show: Callable[[Optional[float]], str] = {
            "MiB": figures.mib,
            "number": figures.count,
            "%": lambda share: figures.percent(share, 1),
            "time": figures.duration,
        }[self.unit]
        change = ""
        if self.unit == "MiB":
            change = figures.difference(self.before, self.now)
        elif self.unit == "number" and self.before is not None and self.now is not None:
            change = f"{self.now - self.before:+,.0f}".replace("-", "−").replace("+0", "0")
        return show(self.before), show(self.now), change


_Figure = Callable[[Measured], Optional[float]]


def compare(before: Optional[Measured], now: Measured) -> List[Compared]:
    """Every figure that at least one of the two has; without a measurement before, what is now."""
    found = [
        Compared(part, label, unit, None if before is None else figure(before), figure(now))
        for part, label, unit, figure in _lines()
    ]
    return [line for line in found if line.before is not None or line.now is not None]


def caveats(before: Optional[Measured], now: Measured) -> List[str]:
    """Why the two may not be like for like, a sentence each."""
    if before is None:
        return []
    found = []
    for key, name in (("synapse", "Synapse"), ("postgresql", "PostgreSQL")):
        old, new = before.number(key, "uptime"), now.number(key, "uptime")
        if old and new is not None and new < old * _YOUNGER:
            found.append(
                f"{name} has run for {figures.duration(new)}, and for {figures.duration(old)} then:"
                " it has had less time to grow. Measure again later."
            )
        then, is_now = before.text(key, "version"), now.text(key, "version")
        if then and is_now and then != is_now:
            found.append(f"{name} is {is_now} now, and was {then}.")
    return found


def _lines() -> Iterator[Tuple[str, str, str, _Figure]]:
    def at(*path: str) -> _Figure:
        return lambda measured: measured.number(*path)

    yield "Together", "Synapse and PostgreSQL hold", "MiB", lambda measured: measured.together
    yield "Synapse", "holds", "MiB", lambda measured: measured.synapse
    yield "Synapse", "held at most", "MiB", at("synapse", "container", "held_peak")
    yield "Synapse", "with the file cache in use", "MiB", at("synapse", "container", "working_set")
    yield "Synapse", "limit", "MiB", lambda measured: measured.limit("synapse")
    yield "Synapse", "its allocator: allocated", "MiB", at("synapse", "jemalloc", "allocated")
    yield "Synapse", "its allocator: resident", "MiB", at("synapse", "jemalloc", "resident")
    yield "Synapse", "swapped out", "MiB", at("synapse", "container", "swap")
    yield "Synapse", "kills for memory", "number", at("synapse", "container", "oom_kills")
    yield "Synapse", "running for", "time", at("synapse", "uptime")
    yield "PostgreSQL", "holds", "MiB", lambda measured: measured.postgresql
    yield "PostgreSQL", "held at most", "MiB", at("postgresql", "container", "held_peak")
    yield "PostgreSQL", "limit", "MiB", lambda measured: measured.limit("postgresql")
    yield "PostgreSQL", "shared memory", "MiB", at("postgresql", "shared")
    yield "PostgreSQL", "backends, their own", "MiB", lambda measured: Measured.own(measured.clients)
    yield "PostgreSQL", "backends of connections", "number", lambda measured: _length(measured.clients)
    yield "PostgreSQL", "connections at most", "number", at("postgresql", "connections_peak")
    yield "PostgreSQL", "blocks found in its cache", "%", _hit_ratio
    yield "PostgreSQL", "temporary files", "number", at("postgresql", "temp_files")
    yield "PostgreSQL", "swapped out", "MiB", at("postgresql", "container", "swap")
    yield "PostgreSQL", "kills for memory", "number", at("postgresql", "container", "oom_kills")
    yield "PostgreSQL", "database on disk", "MiB", at("postgresql", "database_bytes")
    yield "PostgreSQL", "running for", "time", at("postgresql", "uptime")
    yield "Host", "available", "MiB", at("host", "available")
    yield "Host", "swap in use", "MiB", at("host", "swap_used")
    yield "Host", "kills for memory since boot", "number", at("host", "oom_kills")
    yield "Host", "in PostgreSQL's /dev/shm", "MiB", at("shm", "used")


def _hit_ratio(measured: Measured) -> Optional[float]:
    hit, read = (measured.number("postgresql", name) for name in ("blocks_hit", "blocks_read"))
    whole = added((hit, read))
    return None if hit is None or not whole else hit / whole


def _length(items: List[Measured]) -> Optional[float]:
    return len(items) or None
