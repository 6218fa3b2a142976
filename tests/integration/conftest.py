# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that show the collection's work to the real PostgreSQL and the real Synapse."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Iterator

import pytest

# For `import real`, whatever import mode pytest runs in.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from real import postgres

_INSTALLATIONS = postgres.installations()


@pytest.fixture(scope="session", params=_INSTALLATIONS, ids=lambda each: f"postgresql-{each.major}")
def validator(request: pytest.FixtureRequest) -> Iterator[postgres.Validator]:
    """``postgres -C`` of each major version that this machine has."""
    with postgres.Validator.open(request.param) as opened:
        yield opened


@pytest.fixture(scope="session")
def newest_postgresql() -> postgres.Installation:
    """The newest PostgreSQL that this machine has."""
    return _INSTALLATIONS[-1]
