# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan that fits the host."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import Project


@pytest.fixture(scope="module")
def plan(project: Project) -> dict[str, Any]:
    return dict(json.loads(project.text("plan.json")))


def test_it_is_for_these_users(plan: dict[str, Any]) -> None:
    assert plan["host"]["users"] == 5


def test_the_budget_is_the_memory(plan: dict[str, Any]) -> None:
    assert sum(row["bytes"] for row in plan["budget"]) == 2 * 1024**3
