# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said before anything is interrupted."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.interruptions import interruptions

CONTAINERS = [{"Name": "p-db-1", "Service": "db"}, {"Name": "p-synapse-1", "Service": "synapse"}]


def composed(*actions: tuple[str, str]) -> dict[str, Any]:
    return {
        "actions": [{"what": "container", "id": name, "status": status} for name, status in actions],
        "containers": CONTAINERS,
    }


RESTART = {"service": "synapse", "action": "restart", "because": ["event_cache_size", "presence.enabled"]}
RELOAD = {"service": "synapse", "action": "reload", "because": ["caches.global_factor"]}
RECREATED = "is recreated: its part of the compose files has changed"


@pytest.mark.parametrize(
    ("results", "restarts", "lines"),
    [
        ([composed()], [], []),
        ([composed()], [RESTART], ["synapse is restarted for event_cache_size, presence.enabled"]),
        ([composed()], [RELOAD], ["synapse takes up, without an interruption, caches.global_factor"]),
        # As Compose says it in a dry run: the container, and then the one in its place.
        ([composed(("p-db-1", "Recreate"), ("9fd851b16dff_p-db-1", "Starting"))], [], [f"db {RECREATED}"]),
        ([composed(("p-db-1", "Starting"))], [], ["db is started"]),
        ([composed(("q-db-1", "Creating"), ("q-db-1", "Starting"))], [], ["q-db-1 is created"]),
        (
            [composed(("p-db-1", "Recreate")), composed(("p-synapse-1", "Recreating"))],
            [RESTART],
            [f"db {RECREATED}", f"synapse {RECREATED}"],
        ),
        (
            [composed(("p-db-1", "Recreate"))],
            [RELOAD],
            [f"db {RECREATED}", "synapse takes up, without an interruption, caches.global_factor"],
        ),
        ([{"actions": [{"what": "network", "id": "p_default", "status": "Creating"}], "containers": []}], [], []),
    ],
)
def test_lines(results: list[dict[str, Any]], restarts: list[dict[str, Any]], lines: list[str]) -> None:
    assert interruptions(results, restarts) == lines


def test_a_new_container_is_called_by_the_service_that_was_asked_for() -> None:
    made = {**composed(("q-db-1", "Creating")), "service": "db"}
    assert interruptions([made], []) == ["db is created"]
