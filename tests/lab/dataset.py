# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's database: people and rooms, made once from a seed through the real API, and restored for each run.

Every run starts from the same bytes.
"""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import functools
import itertools
import json
import pathlib
import random
import sys
import urllib.parse
from collections.abc import Iterable, Sequence
from typing import Any

import kept
import made_rooms
from deployment import Deployment
from engine import Engine, say
from federation import federate
from load import Client, User

__all__ = ["BIG", "SERVER_NAME", "Dataset", "Size", "ensure", "sizes"]

SEED = 5
SERVER_NAME = "near:8448"

_ALIAS = "near"
_AT_ONCE = 8
_TALKING = 200  # active members that a room may have in which people talk
_TOKEN = "as-token-of-the-lab"

_SERVICE = {
    "id": "lab",
    "url": None,
    "as_token": _TOKEN,
    "hs_token": "unused",
    "sender_localpart": "lab",
    "rate_limited": False,
    "namespaces": {"users": [{"exclusive": False, "regex": "@p[0-9]{4}:.*"}], "rooms": [], "aliases": []},
}


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is in a database.

    Attributes:
        people: With an account.
        active: The first of them, whose clients ask.
        rooms: Of three members or more.
        private: Rooms of two.
        largest: Members of the largest room.
        messages: In all rooms.
    """

    people: int
    active: int
    rooms: int
    private: int
    largest: int
    messages: int


BIG = Size(people=2100, active=500, rooms=70, private=160, largest=2050, messages=4000)
"""That of the benchmarks."""


def sizes(size: Size = BIG) -> list[int]:
    """Members of each room, the largest first: a long tail, most rooms are small."""
    return [max(3, int(size.largest / number**1.8)) for number in range(1, size.rooms + 1)]


class Dataset:
    """The database as it is kept."""

    def __init__(self, database: kept.Kept) -> None:
        self._database = database
        self.public: list[str] = database.manifest["public"]
        """Rooms that anybody may join."""
        self.admin_token: str = database.manifest["admin"]

    def users(self, count: int) -> list[User]:
        """The first people; every number of them is in the largest rooms and in small ones."""
        people = self._database.manifest["people"]
        members = collections.Counter(room for each in people for room in each["rooms"])
        # Where thousands are, few of them talk.
        quiet = {room for room, number in members.items() if number > _TALKING}
        return [
            User(
                each["id"],
                each["token"],
                tuple(each["rooms"]),
                tuple(room for room in each["rooms"] if room not in quiet) or tuple(each["rooms"]),
            )
            for each in people[:count]
        ]

    def create(self, engine: Engine, directory: pathlib.Path) -> Deployment:
        """A stock deployment on it, in a directory that does not exist yet; nothing is started."""
        project = self._database.create(engine, directory)
        federate(project, server_name=SERVER_NAME, alias=_ALIAS)
        return project


def ensure(engine: Engine, size: Size = BIG) -> Dataset:
    """The database, made where it is missing. The engine must run and have the images."""
    files = (pathlib.Path(module.__file__) for module in (sys.modules[__name__], made_rooms))
    recipe = kept.Recipe(
        # One for each number of people: a small one must not make a big one be forgotten.
        name=f"near-{size.people}",
        key=kept.key(*files, more=f" {size}"),
        title=f"the lab's database of {size.people} people",
        seconds=30 + size.messages // 10,
        configure=_configure,
        generate=functools.partial(_generate, size=size),
    )
    return Dataset(kept.ensure(engine, recipe))


def _configure(project: Deployment) -> None:
    made_rooms.configure(project)
    federate(project, server_name=SERVER_NAME, alias=_ALIAS)
    (project.directory / "data" / "service.yaml").write_text(json.dumps(_SERVICE), encoding="utf-8")


def _generate(project: Deployment, *, size: Size) -> dict[str, Any]:
    admin = project.register("admin", admin=True)
    manifest = asyncio.run(_fill(project, size))
    project.settle()
    return {**manifest, "admin": admin.token}


async def _fill(project: Deployment, size: Size) -> dict[str, Any]:
    async with Client(project.url, connections=32) as client:
        filling = _Filling(client, size)
        await filling.register()
        await filling.rooms()
        await filling.talk()
        return filling.manifest()


class _Filling:
    def __init__(self, client: Client, size: Size) -> None:
        self._client = client
        self._size = size
        self._chance = random.Random(SEED)
        self._names = [f"p{number:04}" for number in range(self._size.people)]
        self._tokens: dict[str, str] = {}
        self._rooms: dict[str, list[str]] = {name: [] for name in self._names}
        self._public: list[str] = []
        self._all: list[tuple[str, list[str]]] = []

    async def register(self) -> None:
        async def one(name: str) -> None:
            body = {"type": "m.login.application_service", "username": name}
            answer = await self._client.call("POST", "/register", body, token=_TOKEN)
            self._tokens[name] = answer["access_token"]

        await _pool(one(name) for name in self._names)
        say(f"registered {len(self._names)} people")

    async def rooms(self) -> None:
        """The largest first. Whoever comes first is in more rooms: few are very active, and most are not."""
        plans: list[tuple[str, list[str]]] = []
        for number, size in enumerate(sizes(self._size), 1):
            weights = [1 / (index + 4) ** 0.7 for index in range(self._size.people)]
            plans.append((f"Room {number} of {size}", _drawn(self._chance, self._names, weights, size)))
        for number in range(self._size.private):
            one = self._names[number % self._size.active]
            other = self._chance.choice([each for each in self._names[: self._size.active] if each != one])
            plans.append((f"Two {number}", [one, other]))
        done = itertools.count(1)

        made: dict[str, str] = {}

        async def make(name: str, members: Sequence[str]) -> None:
            made[name] = await self._make(name, members)
            if (count := next(done)) % 20 == 0:
                say(f"made {count} of {len(plans)} rooms")

        await _pool(make(name, members) for name, members in plans)
        for name, members in plans:
            self._all.append((made[name], members))
            if 2 < len(members) < 50:
                self._public.append(made[name])
            for member in members:
                self._rooms[member].append(made[name])
        # Which of their rooms somebody uses most has nothing to do with its size.
        for rooms in self._rooms.values():
            self._chance.shuffle(rooms)

    async def _make(self, name: str, members: Sequence[str]) -> str:
        creator, *others = members
        states = [
            {"type": "org.example.thing", "state_key": str(each), "content": {}}
            for each in range(min(len(members), 400))
        ]
        answer = await self._client.call(
            "POST",
            "/createRoom",
            {"preset": "public_chat", "name": name, "initial_state": states},
            token=self._tokens[creator],
            within=600,
        )
        room = str(answer["room_id"])
        for other in others:
            await self._client.call("POST", f"/join/{urllib.parse.quote(room)}", token=self._tokens[other], within=600)
        return room

    async def talk(self) -> None:
        """What was said so far: much in the rooms of many, a little in each."""
        weights = [len(members) ** 0.8 for _room, members in self._all]
        spoken = self._chance.choices(self._all, weights, k=self._size.messages)
        done = itertools.count(1)

        async def say_something(number: int, room: str, member: str, length: int) -> None:
            path = f"/rooms/{urllib.parse.quote(room)}/send/m.room.message/{number}"
            body = {"msgtype": "m.text", "body": "word " * length}
            await self._client.call("PUT", path, body, token=self._tokens[member], within=600)
            if (count := next(done)) % 1000 == 0:
                say(f"said {count} of {self._size.messages} messages")

        await _pool(
            say_something(number, room, self._chance.choice(members), int(self._chance.lognormvariate(2.2, 0.8)) + 1)
            for number, (room, members) in enumerate(spoken)
        )

    def manifest(self) -> dict[str, Any]:
        people = [
            {"id": f"@{name}:{SERVER_NAME}", "token": self._tokens[name], "rooms": self._rooms[name]}
            for name in self._names[: self._size.active]
        ]
        return {"people": [each for each in people if each["rooms"]], "public": self._public}


def _drawn(chance: random.Random, names: Sequence[str], weights: Sequence[float], size: int) -> list[str]:
    """`size` different names, by their weights."""
    keys = {name: chance.random() ** (1 / weight) for name, weight in zip(names, weights)}
    return sorted(names, key=lambda name: -keys[name])[:size]


async def _pool(tasks: Iterable[Any]) -> None:
    """Run them, a few at a time."""
    waiting = iter(tasks)

    async def run() -> None:
        for task in waiting:
            await task

    await asyncio.gather(*(run() for _each in range(_AT_ONCE)))
