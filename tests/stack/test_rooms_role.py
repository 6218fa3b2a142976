# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rooms on a running deployment: it ranks, and purges nothing but what was named or confirmed."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
from client import wait_until
from deployment import Deployment
from engine import ROOT
from play import environment
from running import Run, ansible_playbook

pytestmark = pytest.mark.slow

PLAYBOOK = ROOT / "playbooks" / "rooms.yml"


class Server:
    """A deployment with a room of each sort, and the playbook."""

    def __init__(self, project: Deployment, folder: pathlib.Path) -> None:
        self.project = project
        self.admin = project.register("admin", admin=True)
        self.alice = project.register("alice")
        self.token = folder / "token"
        self.token.write_text(str(self.admin.token), encoding="ascii")
        self.token.chmod(0o600)
        self.active = self._room("active", alias="lobby")

    def _room(self, name: str, *, alias: str | None = None) -> str:
        return self.alice.create_room(name=name, **({"room_alias_name": alias} if alias else {}))

    def left(self, name: str) -> str:
        """A room that everybody here has left."""
        room = self._room(name)
        for number in range(10):
            self.alice.set_state(room, "org.example.state", {"n": number})
        self.alice.call("POST", f"/_matrix/client/v3/rooms/{room}/leave", {})
        return room

    def run(self, *options: str, **variables: Any) -> Run:
        given = {"project_dir": str(self.project.directory), "access_token_file": str(self.token), **variables}
        run = ansible_playbook(
            PLAYBOOK,
            *options,
            variables={f"synapse_tuning_{name}": value for name, value in given.items()},
            environment=environment(self.project),
        )
        assert str(self.admin.token) not in run.output
        return run

    def rooms(self) -> set[str]:
        return {row[0] for row in self.project.sql("SELECT room_id FROM rooms")}


@pytest.fixture(scope="module")
def server(stock: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Server:
    made = Server(stock, tmp_path_factory.mktemp("token"))
    # Synapse writes down who was here some seconds later.
    seen = "SELECT count(*) FROM devices WHERE user_id = '@alice:localhost' AND last_seen IS NOT NULL"
    wait_until(lambda: stock.sql(seen) == [["1"]], seconds=60, what="alice was seen")
    return made


def test_nothing_is_purged_that_was_not_named(server: Server) -> None:
    room = server.left("not named")
    before = server.rooms()
    alone = server.run().must_succeed()
    assert alone.changed == 0 and room in alone.output and "Purging all of them would free" in alone.output
    unconfirmed = server.run(rooms_filter={"no_local_members": True}).must_succeed()
    assert unconfirmed.changed == 0 and "the filter matches 1 more" in unconfirmed.output
    assert server.rooms() == before


def test_a_named_room_is_purged_once(server: Server) -> None:
    room, other = server.left("named"), server.left("other")
    checked = server.run("--check", rooms_purge=[room]).must_succeed()
    assert f"would purge {room}" in checked.output and room in server.rooms()
    done = server.run(rooms_purge=[room]).must_succeed()
    assert done.changed and f"purge {room}" in done.output and " 0 are left of these rooms" in done.output
    assert "Memory comes back only when Synapse is restarted" in done.output
    assert room not in server.rooms() and other in server.rooms()
    assert server.run(rooms_purge=[room]).must_succeed().changed == 0


def test_a_named_room_that_must_stay_fails_before_anything_is_purged(server: Server) -> None:
    room, protected = server.left("to purge"), server.left("protected")
    before = server.rooms()
    for variables, said in (
        ({"rooms_purge": [room, server.active]}, "1 users of this server are active in it, more than 0"),
        ({"rooms_purge": [room, protected], "rooms_protect": [protected]}, "it is protected"),
        (
            {
                "rooms_purge": [room, server.active],
                "rooms_protect": ["#lobby:localhost"],
                "rooms_max_active_local_users": 9,
            },
            "it is protected",
        ),
        ({"rooms_purge": [room], "rooms_protect": ["#loby:localhost"]}, "names aliases that lead to no room"),
    ):
        run = server.run(**variables)
        assert run.returncode != 0 and said in run.message, run.output
        assert server.rooms() == before


def test_a_confirmed_filter_purges_what_it_matches_and_leaves_out_what_must_stay(server: Server) -> None:
    rooms = [server.left(f"batch {number}") for number in range(3)]
    kept = server.left("batch kept")
    by_id = server.run(
        rooms_filter={"no_local_members": True},
        rooms_confirm=True,
        rooms_at_once=2,
        rooms_protect=[kept],
        rooms_restart=True,
    ).must_succeed()
    assert f"keep {kept}: it is protected" in by_id.output
    assert kept in server.rooms() and not set(rooms) & server.rooms() and server.active in server.rooms()
    assert "Synapse is restarted now" in by_id.output
    server.project.wait()
