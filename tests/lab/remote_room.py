# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The big room of the remote server: thousands of members and a long history of state, made through the client API.

The seed decides who does what in which order; the server gives ids of its own each time.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import json
import os
import random
import urllib.parse
from collections.abc import Iterator
from typing import Any

import made_rooms
from client import Client, wait_until
from deployment import SYNAPSE_ID, Deployment
from engine import say
from federation import federate

__all__ = ["ALIAS", "HOST", "SERVER_NAME", "Size", "configure", "generate", "user"]

HOST = "far"
SERVER_NAME = "far:8448"
ALIAS = f"#big:{SERVER_NAME}"

_TOKEN = "as-token-of-the-remote-server"
# An application service acts as any of its users, and is not limited.
_SERVICE = {
    "id": "remote",
    "url": None,
    "as_token": _TOKEN,
    "hs_token": "unused",
    "sender_localpart": "remote",
    "rate_limited": False,
    "namespaces": {
        "users": [{"exclusive": False, "regex": "@m[0-9]{4}:far:8448"}],
        "rooms": [],
        "aliases": [{"exclusive": False, "regex": "#.*"}],
    },
}
# Nobody asks for either, and they would take time from what is measured beside it.
_HOMESERVER = """
stats: {enabled: false}
update_user_directory_from_worker: nobody
"""
_CHANGES = {"rename": 10, "thing": 5, "power": 3, "topic": 2}  # how often, relative to one another
_MODERATORS = 50


@dataclasses.dataclass(frozen=True)
class Size:
    """How large the room is.

    Attributes:
        members: How many join.
        state: Pieces of its state beside them.
        changes: How often one of these, or a member's name, is changed later.
        seed: What decides all else.
    """

    members: int
    state: int
    changes: int
    seed: int = 1


def configure(project: Deployment) -> None:
    """Set a new deployment up as the remote server, for speed and for nothing else."""
    made_rooms.configure(project)
    federate(project, server_name=SERVER_NAME, alias=HOST)
    data = project.directory / "data"
    with (data / "homeserver.yaml").open("a", encoding="utf-8") as stream:
        stream.write(_HOMESERVER)
    (data / "service.yaml").write_text(json.dumps(_SERVICE), encoding="utf-8")
    os.chown(data / "service.yaml", SYNAPSE_ID, SYNAPSE_ID)


def user(project: Deployment, number: int) -> RemoteUser:
    """Return one of the members, the first of whom is number 0 and made the room."""
    return RemoteUser(project.url, _TOKEN, f"@m{number:04}:{SERVER_NAME}")


class RemoteUser(Client):
    """A user whom the application service acts as."""

    def call(self, method: str, path: str, body: Any = None, *, within: float = 300, **query: Any) -> Any:
        """Call any endpoint as this user."""
        return super().call(method, path, body, within=within, user_id=self.user_id, **query)

    def register(self) -> None:
        """Make the user."""
        name = self.user_id[1:].partition(":")[0]
        body = {"type": "m.login.application_service", "username": name, "inhibit_login": True}
        Client(self.base_url, self.token).call("POST", "/_matrix/client/v3/register", body)


def generate(project: Deployment, size: Size) -> dict[str, Any]:
    """Fill a deployment that `configure` set up and that is up; return the room's `room_id` and the figures of its size."""
    members = [user(project, number) for number in range(size.members)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        # The others are made while these join: joins wait for one another.
        registered = [pool.submit(member.register) for member in members]
        registered[0].result()
        room = _Room(members, size)
        for number, step in enumerate(_steps(size)):
            if step == "join":
                registered[room.joined].result()
            room.do(step)
            if number % 500 == 499:
                say(f"{room.joined} of {size.members} users are in the big room, {number + 1} events")
    unfinished = "SELECT count(*) FROM background_updates"
    wait_until(lambda: project.sql(unfinished) == [["0"]], seconds=300, what="Synapse has made its indexes")
    return {"room_id": room.room_id, **dataclasses.asdict(size)}


def _steps(size: Size) -> Iterator[str]:
    """Yield the joins, and the changes among them in an order that the seed decides."""
    chance = random.Random(f"{size.seed} steps")
    changes = chance.choices(list(_CHANGES), list(_CHANGES.values()), k=size.changes)
    steps = [*("join" for _each in range(1, size.members)), *changes]
    chance.shuffle(steps)
    return iter(steps)


class _Room:
    """The room while it grows.

    Attributes:
        joined: How many are in it; the next one to join has this number.
    """

    def __init__(self, members: list[RemoteUser], size: Size) -> None:
        self._members = members
        self._size = size
        self._chance = random.Random(f"{size.seed} room")
        self._creator = members[0]
        self.room_id = self._creator.create_room(
            name="The big room",
            topic="A long history",
            room_alias_name="big",
            initial_state=[
                {"type": "org.example.thing", "state_key": str(number), "content": {"value": number}}
                for number in range(size.state)
            ],
        )
        path = f"/_matrix/client/v3/rooms/{urllib.parse.quote(self.room_id)}/state/m.room.power_levels/"
        self._power = {"users": {}, **self._creator.call("GET", path)}
        self.joined = 1

    def do(self, step: str) -> None:
        """Have somebody join, or change something: rename, thing, power, topic."""
        value = self._chance.randrange(100_000)
        if step == "join":
            self._enter(self.joined, f"Member {self.joined}")
            self.joined += 1
        elif step == "rename":
            self._enter(self._chance.randrange(self.joined), f"Renamed {value}")
        elif step == "thing":
            key = str(self._chance.randrange(max(1, self._size.state)))
            self._creator.set_state(self.room_id, "org.example.thing", {"value": value}, key)
        elif step == "topic":
            self._creator.set_state(self.room_id, "m.room.topic", {"topic": f"Topic {value}"})
        else:
            # Every event from here on is allowed by this one, and so it is in each one's auth chain.
            number = self._chance.randrange(1, max(2, min(self.joined, _MODERATORS)))
            self._power["users"][self._members[number].user_id] = self._chance.choice([0, 25, 50])
            self._creator.set_state(self.room_id, "m.room.power_levels", self._power)

    def _enter(self, number: int, name: str) -> None:
        member = self._members[number]
        content = {"membership": "join", "displayname": name}
        member.set_state(self.room_id, "m.room.member", content, member.user_id)
