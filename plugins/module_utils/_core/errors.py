# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors that the collection raises on purpose.

Every message is one line that says what is wrong and what to do about it:
a module passes it to the user as it stands.
"""

from __future__ import annotations

from typing import Optional

__all__ = [
    "AdminProblem",
    "DatabaseProblem",
    "FileProblem",
    "MeasurementError",
    "ParameterError",
    "PlanError",
    "RecordError",
    "RoomError",
    "ServiceError",
    "SourceError",
    "TuningError",
    "UnitError",
    "YamlProblem",
]


class TuningError(Exception):
    """Base of all; caught in a module's C(main()) and nowhere else."""


class UnitError(TuningError):
    """A size or a duration that cannot be read."""


class PlanError(TuningError):
    """Inputs that no plan can be made from, or a plan that does not fit the host."""


class MeasurementError(TuningError):
    """What is no measurement, or one that this version cannot read."""


class FileProblem(TuningError):
    """A file that cannot be read, written or backed up."""


class RecordError(TuningError):
    """A run's stamp that is malformed, or a point that cannot be gone back to; names those that can."""


class YamlProblem(TuningError):
    """A YAML text that cannot be parsed or edited; names file, line and column."""


class ServiceError(TuningError):
    """A compose service that was not found, or found more than once."""


class SourceError(TuningError):
    """A running system, or what is needed to ask it, that cannot be read; says which and what would help."""


class DatabaseProblem(TuningError):
    """A PostgreSQL that cannot be reached, refuses, or is not ready for the change."""


class AdminProblem(TuningError):
    """What Synapse's admin API refuses, or that it does not answer.

    status: the HTTP status, 0 where there was no answer at all. errcode: Matrix's, such as C(M_FORBIDDEN), else empty.
    retry_after: the seconds that Synapse asks to wait (429), else None.
    """

    def __init__(
        self, message: str, *, status: int = 0, errcode: str = "", retry_after: Optional[float] = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.errcode = errcode
        self.retry_after = retry_after


class RoomError(TuningError):
    """A room that is not named as rooms are, that no alias stands for, or that cannot be changed as asked."""


class ParameterError(TuningError):
    """A parameter that PostgreSQL does not know, or a value that it would refuse."""
