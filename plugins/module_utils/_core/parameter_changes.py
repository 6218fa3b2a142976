# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ALTER SYSTEM is to write, parameter by parameter, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

__all__ = ["COMMAND_LINE", "ChangeSet", "ParameterChange"]

COMMAND_LINE = "command line"


@dataclass(frozen=True)
class ParameterChange:
    """One wanted parameter.

    current: in effect now; pending: another value in the files, which waits for a reload or
    restart; planned: None for no value in C(postgresql.auto.conf); differs: whether current and
    planned mean different things; action: what makes the planned value effective, C(none),
    C(reload) or C(restart); overridden_by: what wins over it, and for whom; auto_before,
    auto_after: the value in C(postgresql.auto.conf), None for none.
    """

    name: str
    current: Optional[str]
    pending: Optional[str]
    planned: Optional[str]
    context: str
    differs: bool
    action: str
    overridden_by: Tuple[str, ...]
    auto_before: Optional[str]
    auto_after: Optional[str]

    @property
    def written(self) -> bool:
        """Whether C(postgresql.auto.conf) has to change."""
        return self.auto_before != self.auto_after

    def as_data(self) -> Dict[str, Any]:
        """For a module's answer."""
        return {
            "name": self.name,
            "current": self.current,
            "pending": self.pending,
            "planned": self.planned,
            "context": self.context,
            "differs": self.differs,
            "action": self.action,
            "overridden_by": list(self.overridden_by),
        }


@dataclass(frozen=True)
class ChangeSet:
    """All wanted parameters, by name, and what to know besides."""

    changes: Tuple[ParameterChange, ...]
    warnings: Tuple[str, ...]

    @property
    def writes(self) -> Tuple[ParameterChange, ...]:
        """Those that differ in C(postgresql.auto.conf)."""
        return tuple(change for change in self.changes if change.written)

    @property
    def reload(self) -> bool:
        """Whether PostgreSQL has to read its files again."""
        return any(change.written or change.action == "reload" for change in self.changes)

    @property
    def pending_restart(self) -> Tuple[str, ...]:
        """The parameters that wait for a restart once all is written."""
        return tuple(change.name for change in self.changes if change.action == "restart")

    @property
    def overridden(self) -> Tuple[str, ...]:
        """The parameters that keep another value because of the command line."""
        return tuple(change.name for change in self.changes if change.differs and COMMAND_LINE in change.overridden_by)

    def before(self) -> str:
        """The wanted parameters' lines in C(postgresql.auto.conf)."""
        return _lines((change.name, change.auto_before) for change in self.changes)

    def after(self) -> str:
        """The same once all is written."""
        return _lines((change.name, change.auto_after) for change in self.changes)


def _lines(settings: Any) -> str:
    return "".join(f"{name} = '{value}'\n" for name, value in settings if value is not None)
