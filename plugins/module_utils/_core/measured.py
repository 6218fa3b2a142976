# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as memory_info returned it, read so that nothing that is missing in it is in the way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement

__all__ = ["Measured", "added", "clean_number", "measured_of"]


@dataclass(frozen=True)
class Measured:
    """One measurement.

    data: an object of the measurement or of a room: what could not be read is null.
    """

    data: Mapping[str, Any]

    def number(self, *path: str) -> Optional[float]:
        """The figure at a path of keys; None where it is not known."""
        return clean_number(self._at(path))

    def text(self, *path: str) -> str:
        """The text at a path of keys; empty where it is not known."""
        found = self._at(path)
        return found if isinstance(found, str) else ""

    def items(self, *path: str) -> List[Measured]:
        """The objects of the list at a path of keys; empty where it is not known."""
        found = self._at(path)
        return [Measured(each) for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []

    def texts(self, *path: str) -> List[str]:
        """The texts of the list at a path of keys."""
        found = self._at(path)
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    def missing(self) -> Iterator[Tuple[str, str]]:
        """What could not be read, and why."""
        found = self._at(("missing",))
        if isinstance(found, Mapping):
            yield from ((str(name), str(why)) for name, why in sorted(found.items()))

    def _at(self, path: Iterable[str]) -> Any:
        found: Any = self.data
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found

    # --- what several parts of a report ask for --------------------------------------------------

    @property
    def synapse(self) -> Optional[float]:
        """Bytes that Synapse holds: those of its container, else the PSS of its processes."""
        held = self.number("synapse", "container", "held")
        return added(each.number("pss") for each in self.items("synapse", "processes")) if held is None else held

    @property
    def postgresql(self) -> Optional[float]:
        """Bytes that PostgreSQL holds: those of its container, else its shared memory and its processes' own."""
        held = self.number("postgresql", "container", "held")
        if held is not None:
            return held
        shared, own = self.number("postgresql", "shared"), self.own(self.items("postgresql", "backends"))
        return None if shared is None or own is None else shared + own

    @property
    def together(self) -> Optional[float]:
        """Bytes that both hold."""
        parts = [each for each in (self.synapse, self.postgresql) if each is not None]
        return sum(parts) if parts else None

    def limit(self, key: str) -> Optional[float]:
        """Where the container of C(synapse) or C(postgresql) is killed, infinite for nowhere; None for not known."""
        if self.number(key, "container", "current") is None:
            return None
        found = self.number(key, "container", "limit")
        return math.inf if found is None else found

    @property
    def clients(self) -> List[Measured]:
        """The backends of PostgreSQL that serve connections."""
        return [each for each in self.items("postgresql", "backends") if each.text("kind") == "client backend"]

    @staticmethod
    def own(processes: Iterable[Measured]) -> Optional[float]:
        """Bytes that these processes hold each for itself."""
        return added(each.number("private") for each in processes)


def added(figures: Iterable[Optional[float]]) -> Optional[float]:
    """The sum of those that are known; None where none is."""
    known = [each for each in figures if each is not None]
    return sum(known) if known else None


def clean_number(value: Any) -> Optional[float]:
    """A number that can be calculated with; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:
        return None


def measured_of(data: Any) -> Measured:
    """Take a value as memory_info returned it, or as it was kept. Raises MeasurementError for anything else."""
    return Measured(Measurement.from_data(data).as_data())
