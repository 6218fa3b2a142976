# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of tables, in a PostgreSQL that publishes no port."""

from __future__ import annotations

from conftest import Project


def test_autovacuum_comes_sooner_to_the_large_table(project: Project) -> None:
    options = project.sql("SELECT array_to_string(reloptions, ',') FROM pg_class WHERE relname = 'state_groups_state'")
    assert sorted(options.split(",")) == ["autovacuum_analyze_scale_factor=0.05", "autovacuum_vacuum_scale_factor=0.02"]
