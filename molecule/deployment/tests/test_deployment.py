# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A deployment that can be started, and whose secrets only their owners can read."""

from __future__ import annotations

import pytest
from conftest import Project


@pytest.mark.parametrize("name", ["secrets/postgres_password", "data/signing.key", "data/secrets/pgpass"])
def test_a_secret_is_its_owners(project: Project, name: str) -> None:
    assert project.host.file(str(project.directory / name)).mode == 0o600


def test_compose_takes_it(project: Project) -> None:
    assert project.compose("config", "--services").split() == ["db", "synapse"]
