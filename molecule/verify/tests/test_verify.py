# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role passes on a project that was tuned (that was the converge), and finds a lie."""

from __future__ import annotations

import os
import pathlib

from conftest import Project

HERE = pathlib.Path(__file__).resolve().parents[1]


def test_a_limit_that_was_changed_by_hand_is_named(applied: Project) -> None:
    container = applied.inspect("synapse")["Id"]
    applied.host.check_output("docker update --memory 900m --memory-swap 1800m %s", container)
    inventory = pathlib.Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent
    run = applied.host.run(
        "ansible-playbook --tags verify --inventory %s %s", str(inventory), str(HERE / "converge.yml")
    )
    assert run.rc != 0
    assert "1 lever of the plan is not in effect: compose.synapse.memory_limit (" in run.stdout
