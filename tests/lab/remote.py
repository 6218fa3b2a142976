# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second server with a big room, for joins over federation: made once, and up beside the deployment that is measured."""

from __future__ import annotations

import contextlib
import functools
import json
import pathlib
import time
import urllib.parse
from collections.abc import Iterator

import kept
import made_rooms
import remote_room
from client import Client, wait_until
from deployment import Deployment
from engine import Engine
from remote_room import Size

__all__ = ["BIG", "Far", "Size", "ensure", "serving"]

BIG = Size(members=5200, state=800, changes=2000)
"""The room of the benchmarks."""


class Far:
    """The remote server, up.

    Attributes:
        project: Its deployment.
        server_name: Its name, by which a join says where to ask: ``far:8448``.
        room_id: The big room.
        alias: The big room's alias.
        members: How many are in it, all of them this server's.
    """

    def __init__(self, project: Deployment, database: kept.Kept) -> None:
        self.project = project
        self.server_name = remote_room.SERVER_NAME
        self.room_id = str(database.manifest["room_id"])
        self.alias = remote_room.ALIAS
        self.members = int(database.manifest["members"])

    def send(self, text: str, *, member: int = 0) -> str:
        """Have a member say something in the room; return the event's id."""
        return self.user(member).send(self.room_id, text)

    def user(self, number: int = 0) -> Client:
        """Return a member, who may do all that a client does; number 0 made the room."""
        return remote_room.user(self.project, number)

    def join(self, user: Client, *, within: float = 600) -> float:
        """Have another server's user join the room; return the seconds until its server answered.

        That is not all of it: see `joined`.
        """
        began = time.monotonic()
        path = f"/_matrix/client/v3/join/{urllib.parse.quote(self.room_id)}"
        user.call("POST", path, {}, within=within, server_name=self.server_name)
        return time.monotonic() - began

    def joined(self, near: Deployment, *, seconds: float = 600) -> float:
        """Wait until a deployment that joins the room has all of its state, not only what it needs at first.

        Returns the seconds waited; raises TimeoutError.
        """
        began = time.monotonic()
        whole = (
            f"SELECT count(*) FILTER (WHERE type = 'm.room.member') >= {self.members}"
            f"  AND NOT EXISTS (SELECT FROM partial_state_rooms WHERE room_id = '{self.room_id}')"
            f" FROM current_state_events WHERE room_id = '{self.room_id}'"
        )
        wait_until(lambda: near.sql(whole) == [["t"]], seconds=seconds, what="the room's whole state is there")
        return time.monotonic() - began


def ensure(engine: Engine, size: Size = BIG) -> kept.Kept:
    """Return the remote server's database; make it where it is not. The engine must run and have the images."""
    recipe = kept.Recipe(
        # One for each number of members: a small one must not make a big one be forgotten.
        name=f"remote-{size.members}",
        key=kept.key(pathlib.Path(remote_room.__file__), pathlib.Path(made_rooms.__file__), more=f" {size}"),
        title=f"the remote server's room of {size.members} members",
        seconds=30 + (size.members + size.changes) // 12,
        configure=remote_room.configure,
        generate=functools.partial(remote_room.generate, size=size),
    )
    return kept.ensure(engine, recipe)


@contextlib.contextmanager
def serving(
    engine: Engine, directory: pathlib.Path, *, network: str, size: Size = BIG, host_cgroup: str | None = None
) -> Iterator[Far]:
    """Have the remote server run in a directory that does not exist yet, and remove it then.

    Args:
        engine: A running engine that has the images.
        directory: Where its project goes.
        network: The Docker network of those who are to reach it as `far`; it stays as long as the server does.
        size: Which room.
        host_cgroup: The parent of its containers' cgroups, where they are not to be the engine's.
    """
    database = ensure(engine, size)
    project = database.create(engine, directory)
    try:
        remote_room.configure(project)
        if host_cgroup:
            _place(project, host_cgroup)
        project.up()
        # Not by Compose, which would give the name of the service there, too: another Synapse has it.
        engine.docker("network", "connect", "--alias", remote_room.HOST, network, project.container("synapse"))
        yield Far(project, database)
    finally:
        project.remove()


def _place(project: Deployment, cgroup: str) -> None:
    override = project.directory / "compose.override.yml"
    services = json.loads(override.read_text(encoding="utf-8"))
    for service in services["services"].values():
        service["cgroup_parent"] = cgroup
    override.write_text(json.dumps(services), encoding="utf-8")
