# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's remote server, on a small room: a deployment joins it over federation, talks in it and purges it."""

from __future__ import annotations

import pathlib
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

import deployment
import federation
import pytest
from client import Client, wait_until
from deployment import Deployment
from engine import Engine

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "lab"))

import remote

pytestmark = pytest.mark.slow

SIZE = remote.Size(members=31, state=20, changes=40)


@pytest.fixture(scope="module")
def near(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stock deployment that other servers reach."""
    project = deployment.create(engine, tmp_path_factory.mktemp("near") / "near")
    try:
        federation.federate(project, server_name="near:8448", alias="near")
        project.up(wait=False)
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def far(engine: Engine, near: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[remote.Far]:
    directory = tmp_path_factory.mktemp("far") / "far"
    with remote.serving(engine, directory, network=federation.network(near), size=SIZE) as far:
        near.wait()
        yield far


def test_a_room_is_joined_over_federation_and_purged(near: Deployment, far: remote.Far) -> None:
    admin = near.register("admin", admin=True)
    assert admin.user_id == "@admin:near:8448"
    path = f"/_matrix/client/v3/directory/room/{urllib.parse.quote(far.alias)}"
    assert admin.call("GET", path)["room_id"] == far.room_id
    far.join(admin)
    far.joined(near)
    member = far.user()
    assert len(member.state(far.room_id)) > SIZE.members + SIZE.state
    wait_until(
        lambda: admin.state(far.room_id) == member.state(far.room_id), seconds=60, what="both have the same state"
    )

    far.send("from far")
    wait_until(lambda: "from far" in admin.texts(far.room_id), seconds=60, what="near hears far")
    admin.send(far.room_id, "from near")
    wait_until(lambda: "from near" in member.texts(far.room_id), seconds=60, what="far hears near")

    purge(admin, far.room_id)
    assert near.sql(f"SELECT count(*) FROM events WHERE room_id = '{far.room_id}'") == [["0"]]
    wait_until(lambda: admin.user_id not in joined(member, far.room_id), seconds=60, what="far knows who left")
    assert len(joined(member, far.room_id)) == far.members == SIZE.members


def joined(user: Client, room: str) -> dict[str, Any]:
    return dict(user.call("GET", f"/_matrix/client/v3/rooms/{urllib.parse.quote(room)}/joined_members")["joined"])


def purge(admin: Client, room: str) -> None:
    task = admin.call("DELETE", f"/_synapse/admin/v2/rooms/{urllib.parse.quote(room)}", {"purge": True})["delete_id"]
    path = f"/_synapse/admin/v2/rooms/delete_status/{task}"
    wait_until(lambda: admin.call("GET", path)["status"] == "complete", seconds=60, what="the room is purged")
