# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two measurements side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement, own

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


_Figure = Callable[[Measurement], Optional[float]]


def _at(path: str) -> _Figure:
    """The figure at a path of attributes; None where it, or a part on the way, is not known."""

    def figure(found: Any) -> Any:
        for name in path.split("."):
            found = None if found is None else getattr(found, name)
        return found

    return figure


_LINES: Tuple[Tuple[str, str, str, _Figure], ...] = (
    ("Together", "Synapse and PostgreSQL hold", "MiB", _at("held")),
    ("Synapse", "holds", "MiB", _at("synapse.held")),
    ("Synapse", "held at most", "MiB", _at("synapse.container.held_peak")),
    ("Synapse", "with the file cache in use", "MiB", _at("synapse.container.working_set")),
    ("Synapse", "limit", "MiB", _at("synapse.container.bound")),
    ("Synapse", "its allocator: allocated", "MiB", _at("synapse.jemalloc.allocated")),
    ("Synapse", "its allocator: resident", "MiB", _at("synapse.jemalloc.resident")),
    ("Synapse", "swapped out", "MiB", _at("synapse.container.swap")),
    ("Synapse", "kills for memory", "number", _at("synapse.container.oom_kills")),
    ("Synapse", "running for", "time", _at("synapse.uptime")),
    ("PostgreSQL", "holds", "MiB", _at("postgresql.held")),
    ("PostgreSQL", "held at most", "MiB", _at("postgresql.container.held_peak")),
    ("PostgreSQL", "limit", "MiB", _at("postgresql.container.bound")),
    ("PostgreSQL", "shared memory", "MiB", _at("postgresql.shared")),
    ("PostgreSQL", "backends, their own", "MiB", lambda measured: own(measured.postgresql.clients)),
    ("PostgreSQL", "backends of connections", "number", lambda measured: len(measured.postgresql.clients) or None),
    ("PostgreSQL", "connections at most", "number", _at("postgresql.connections_peak")),
    ("PostgreSQL", "blocks found in its cache", "%", _at("postgresql.hit_rate")),
    ("PostgreSQL", "temporary files", "number", _at("postgresql.temp_files")),
    ("PostgreSQL", "swapped out", "MiB", _at("postgresql.container.swap")),
    ("PostgreSQL", "kills for memory", "number", _at("postgresql.container.oom_kills")),
    ("PostgreSQL", "database on disk", "MiB", _at("postgresql.database_bytes")),
    ("PostgreSQL", "running for", "time", _at("postgresql.uptime")),
    ("Host", "available", "MiB", _at("host.available")),
    ("Host", "swap in use", "MiB", _at("host.swap_used")),
    ("Host", "kills for memory since boot", "number", _at("host.oom_kills")),
    ("Host", "in PostgreSQL's /dev/shm", "MiB", _at("shm.used")),
)


def compare(before: Optional[Measurement], now: Measurement) -> List[Compared]:
    """Every figure that at least one of the two has; without a measurement before, what is now."""
    found = [
        Compared(part, label, unit, None if before is None else figure(before), figure(now))
        for part, label, unit, figure in _LINES
    ]
    return [line for line in found if line.before is not None or line.now is not None]


def caveats(before: Optional[Measurement], now: Measurement) -> List[str]:
    """Why the two may not be like for like, a sentence each."""
    if before is None:
        return []
    found = []
    pairs = (("Synapse", before.synapse, now.synapse), ("PostgreSQL", before.postgresql, now.postgresql))
    for name, old, new in pairs:
        if old.uptime and new.uptime is not None and new.uptime < old.uptime * _YOUNGER:
            found.append(
                f"{name} has run for {figures.duration(new.uptime)}, and for {figures.duration(old.uptime)} then:"
                " it has had less time to grow. Measure again later."
            )
        if old.version and new.version and old.version != new.version:
            found.append(f"{name} is {new.version} now, and was {old.version}.")
    return found
