# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the whole play leaves behind."""

from __future__ import annotations

import json

import pytest
from conftest import Project

MIB = 1 << 20


@pytest.mark.parametrize("name", ["compose.yml", "data/homeserver.yaml"])
def test_a_file_has_a_backup(project: Project, name: str) -> None:
    assert len(project.backups(name)) == 1


def test_the_plan_is_kept(project: Project) -> None:
    assert json.loads(project.text("plan.json"))["host"]["users"] == 5


def test_the_next_run_is_not_locked_out(project: Project) -> None:
    assert not project.host.file(str(project.directory / ".synapse-tuning.lock")).exists


def test_the_containers_are_as_planned(applied: Project) -> None:
    assert applied.inspect("synapse")["HostConfig"]["Memory"] == 1024 * MIB
    assert applied.inspect("synapse")["State"]["Health"]["Status"] == "healthy"
    assert applied.inspect("db")["HostConfig"]["ShmSize"] == 256 * MIB


def test_postgresql_has_its_parameters(applied: Project) -> None:
    assert applied.sql("SHOW shared_buffers") == "64MB"
