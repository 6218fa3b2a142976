# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The room that was named is gone, and the other one is not."""

from __future__ import annotations

import json

from conftest import Project


def test_one_room_is_gone(project: Project) -> None:
    rooms = json.loads(project.text("rooms.json"))
    query = "SELECT room_id FROM rooms UNION SELECT room_id FROM state_groups_state"
    listed = project.host.check_output(
        "cd %s && docker compose exec -T db psql -XAtU synapse -c %s", str(project.directory), query
    )
    assert listed.splitlines() == [rooms["used"]]
