# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compose file's levers, in the file and in the containers."""

from __future__ import annotations

from conftest import Project

MIB = 1 << 20


def test_the_file_stays_its_owners(project: Project) -> None:
    text = project.text("compose.yml")
    assert "# nginx is in front of it" in text
    assert "shm_size: 256m" in text
    assert len(project.backups("compose.yml")) == 1


def test_the_limits_of_the_containers(applied: Project) -> None:
    assert applied.inspect("synapse")["HostConfig"]["Memory"] == 1024 * MIB
    db = applied.inspect("db")["HostConfig"]
    assert db["Memory"] == 512 * MIB
    assert db["ShmSize"] == 256 * MIB


def test_postgresql_has_its_parameters(applied: Project) -> None:
    assert applied.sql("SHOW shared_buffers") == "64MB"
    assert applied.sql("SHOW jit") == "off"


def test_synapse_is_up(applied: Project) -> None:
    assert applied.inspect("synapse")["State"]["Health"]["Status"] == "healthy"
