# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made database: heavy rooms, made once and restored into fresh deployments."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator
from typing import Any

import kept
import made_rooms
from client import Client
from deployment import Deployment
from engine import Engine

__all__ = ["Made", "ensure", "restored"]


class Made:
    """A running deployment on the made database.

    Attributes:
        project: The deployment, with the stock configuration.
        manifest: What made_rooms.generate returned, with `seconds`, `rows` and `bytes` of the making.
        heavy: The id of the room with thousands of members.
        rooms: Each with room_id, name, shape, members and state, as they were made.
    """

    def __init__(self, project: Deployment, database: kept.Kept) -> None:
        self.project = project
        self._database = database
        self.manifest = database.manifest
        self.heavy = str(self.manifest["heavy"])
        self.rooms: list[dict[str, Any]] = self.manifest["rooms"]

    def user(self, name: str) -> Client:
        """Return admin, alice or bob, logged in; all three are in the heavy room."""
        user = self.manifest["users"][name]
        return Client(self.project.url, user["token"], user["user_id"])

    def shaped(self, shape: str) -> list[dict[str, Any]]:
        """Return the rooms of a shape, such as left, old, tombstoned, alias, encrypted, private, direct, space."""
        return [room for room in self.rooms if room["shape"] == shape]

    def restore(self) -> None:
        """Have the database again as it was made, and Synapse and PostgreSQL up."""
        self.project.compose("stop", "--timeout", "10", "synapse", "db")
        self._database.restore(self.project.directory)
        self.project.compose("start")
        self.project.wait()


@contextlib.contextmanager
def restored(engine: Engine, directory: pathlib.Path) -> Iterator[Made]:
    """Have a deployment on the made database run in a directory that does not exist yet, and remove it then."""
    database = ensure(engine)
    project = database.create(engine, directory)
    try:
        project.up()
        yield Made(project, database)
    finally:
        project.remove()


def ensure(engine: Engine) -> kept.Kept:
    """Return the made database; make it where it is not. The engine must run and have the images."""
    recipe = kept.Recipe(
        name="made",
        key=kept.key(pathlib.Path(made_rooms.__file__)),
        title="the database of heavy rooms",
        seconds=150,
        configure=made_rooms.configure,
        generate=made_rooms.generate,
    )
    return kept.ensure(engine, recipe)
