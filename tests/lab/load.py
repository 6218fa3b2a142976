# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load on a homeserver, decided by its seed: what is asked, by whom and when is the same for every configuration.

Requests begin at the moments of a schedule, whether or not earlier ones were answered, as people do not wait for one
another; a server that falls behind shows it in its latencies.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import random
import time
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp

__all__ = ["KINDS", "Client", "Latencies", "Load", "Moment", "Profile", "User", "in_turns", "profile"]

_CLIENT = "/_matrix/client/v3"
_TIMEOUT = 60.0
_KEPT_ERRORS = 5

# Kind of request to its share of all: chatting clients mostly send and ask what is new.
KINDS: Mapping[str, float] = {
    "send": 0.34,
    "sync_incremental": 0.34,
    "backfill": 0.12,
    "receipt": 0.08,
    "members": 0.05,
    "sync_initial": 0.04,
    "join": 0.03,
}


@dataclasses.dataclass(frozen=True)
class User:
    """Somebody with an account: id, access token, the rooms that they are in, and of those the ones they talk in.

    Most used first.
    """

    id: str
    token: str
    rooms: tuple[str, ...]
    talks_in: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Profile:
    """How much a number of users ask: requests a second, clients that wait for news, first syncs at the start."""

    users: int
    rate: float
    waiting: int
    first_syncs: int


def profile(users: int) -> Profile:
    """What a number of users ask at a busy hour, as far as two cores for all of the lab can serve it.

    Of many only some are there at a time: a hundred times the users ask twice as much, by four times as many clients,
    each of which Synapse tells of each message in its rooms. One alone makes light use of it: something every five
    seconds, and a client that is open.
    """
    if users == 1:
        return Profile(users=users, rate=0.2, waiting=1, first_syncs=1)
    clients = min(users, round(5 * (users / 5) ** 0.3))
    return Profile(users=users, rate=round(1.5 * (users / 5) ** 0.15, 2), waiting=clients, first_syncs=clients)


@dataclasses.dataclass(frozen=True)
class Moment:
    """A request of a schedule: seconds after its start, kind, and what decides who asks for what."""

    at: float
    kind: str
    seed: float


class Latencies:
    """How long requests took, in ms by kind, and what failed."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}
        self.failed: dict[str, int] = {}
        self.samples: list[str] = []

    def add(self, kind: str, seconds: float) -> None:
        self.taken.setdefault(kind, []).append(seconds * 1000)

    def fail(self, kind: str, why: str) -> None:
        self.failed[kind] = self.failed.get(kind, 0) + 1
        if len(self.samples) < _KEPT_ERRORS:
            self.samples.append(f"{kind}: {why}"[:200])

    def summary(self, mixed: Iterable[str] = tuple(KINDS)) -> dict[str, dict[str, float]]:
        """By kind, and in `all` for those of the mix: count, errors, and p50, p95, p99 in ms."""
        kinds = sorted({*self.taken, *self.failed})
        said = {kind: _figures(self.taken.get(kind, []), self.failed.get(kind, 0)) for kind in kinds}
        mix = [kind for kind in kinds if kind in set(mixed)]
        every = [each for kind in mix for each in self.taken.get(kind, [])]
        return {**said, "all": _figures(every, sum(self.failed.get(kind, 0) for kind in mix))}


def _figures(taken: Sequence[float], failed: int) -> dict[str, float]:
    figures: dict[str, float] = {"count": len(taken), "errors": failed}
    if taken:
        ordered = sorted(taken)
        for share in (50, 95, 99):
            figures[f"p{share}"] = round(ordered[min(math.ceil(len(ordered) * share / 100), len(ordered)) - 1], 1)
    return figures


class Client:
    """Requests to one server over kept connections; every call raises RuntimeError for an answer that is no success."""

    def __init__(self, url: str, *, connections: int = 200) -> None:
        self._url = url
        # The server is this machine's: no proxy, whatever the environment names.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT),
            trust_env=False,
        )

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str,
        within: float = _TIMEOUT,
        prefix: str = _CLIENT,
        **query: Any,
    ) -> Any:
        """Call an endpoint as the owner of a token; return its answer."""
        async with self._session.request(
            method,
            f"{self._url}{prefix}{path}",
            params={name: str(value) for name, value in query.items()},
            json={} if body is None and method in ("POST", "PUT") else body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=within),
        ) as response:
            if response.status != 200:
                raise RuntimeError(f"{response.status} {(await response.text())[:150]}")
            return await response.json()


class Load:
    """The load of a number of users on one server.

    Attributes:
        latencies: Of everything asked so far.
    """

    def __init__(self, client: Client, users: Sequence[User], *, seed: int, public: Sequence[str]) -> None:
        """Give the active users in the order of the manifest, and public rooms that anybody may join."""
        self._client = client
        self._users = list(users)
        self._public = list(public)
        self._seed = seed
        self._since: dict[str, str] = {}
        self._transactions = 0
        self.latencies = Latencies()

    async def first_syncs(self, count: int) -> None:
        """Each of the first users opens their client for the first time, two at a time."""
        waiting = iter(self._users[:count])

        async def one_after_the_other() -> None:
            for user in waiting:
                await self.measured("sync_initial", lambda user=user: self._sync(user, initial=True))  # type: ignore[misc]

        await asyncio.gather(*(one_after_the_other() for _each in range(2)))

    async def steady(self, seconds: float, rate: float, waiting: int) -> None:
        """Ask `rate` requests a second, while `waiting` clients hold a /sync open and get what is new."""
        async with self.listening(waiting):
            await self.ask(self.schedule(seconds, rate))

    def schedule(self, seconds: float, rate: float) -> list[Moment]:
        """Requests of `seconds`, `rate` of them a second: what is asked and when, by the seed alone."""
        chance = random.Random(f"{self._seed} steady")
        moments = []
        moment = 0.0
        while (moment := moment + chance.expovariate(rate)) < seconds:
            kind = chance.choices(list(KINDS), list(KINDS.values()))[0]
            moments.append(Moment(moment, kind, chance.random()))
        return moments

    @contextlib.asynccontextmanager
    async def listening(self, clients: int) -> AsyncIterator[None]:
        """Have the first users' clients hold a /sync open."""
        listeners = [asyncio.create_task(self._listen(user)) for user in self._users[:clients]]
        try:
            yield
        finally:
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)

    async def ask(self, moments: Sequence[Moment], *, since: float = 0.0) -> None:
        """Ask what a schedule has, of which `since` seconds are over; return when all is answered."""
        began = time.monotonic() - since
        asked = []
        for moment in moments:
            await asyncio.sleep(max(began + moment.at - time.monotonic(), 0))
            request = self._request(moment.kind, random.Random(moment.seed))
            asked.append(asyncio.create_task(self.measured(moment.kind, request)))
        await asyncio.gather(*asked)

    async def measured(self, kind: str, request: Callable[[], Awaitable[Any]]) -> Any:
        """Do one request and keep how long it took, or why it failed; return its answer, None where it failed."""
        began = time.monotonic()
        try:
            answer = await request()
        except (aiohttp.ClientError, asyncio.TimeoutError, RuntimeError, OSError) as error:
            self.latencies.fail(kind, f"{type(error).__name__} {error}")
            return None
        self.latencies.add(kind, time.monotonic() - began)
        return answer

    # --- what a user asks -----------------------------------------------------------------------

    def _request(self, kind: str, chance: random.Random) -> Callable[[], Awaitable[Any]]:
        user = chance.choice(self._users)
        rooms = user.talks_in if kind == "send" else user.rooms
        # Of the rooms that one is in, few get most of what is said.
        room = rooms[min(int(chance.expovariate(0.5)), len(rooms) - 1)]
        quoted = urllib.parse.quote(room)
        call = self._client.call
        if kind == "send":
            self._transactions += 1
            path = f"/rooms/{quoted}/send/m.room.message/{self._seed}.{self._transactions}"
            text = " ".join(chance.choices(_WORDS, k=int(chance.lognormvariate(2.2, 0.8)) + 1))
            return lambda: call("PUT", path, {"msgtype": "m.text", "body": text}, token=user.token)
        if kind == "sync_incremental":
            return lambda: self._sync(user)
        if kind == "sync_initial":
            return lambda: self._sync(user, initial=True)
        if kind == "backfill":
            return lambda: self._backfill(user, quoted, pages=chance.randint(1, 3))
        if kind == "members":
            return lambda: call("GET", f"/rooms/{quoted}/members", token=user.token)
        if kind == "receipt":
            return lambda: self._read(user, quoted)
        return lambda: self._visit(user, chance.choice(self._public))

    async def _sync(self, user: User, *, initial: bool = False, wait: float = 0) -> Any:
        since = None if initial else self._since.get(user.id)
        query = {"timeout": int(wait * 1000), **({"since": since} if since else {})}
        answer = await self._client.call("GET", "/sync", token=user.token, within=_TIMEOUT + wait, **query)
        self._since[user.id] = answer["next_batch"]
        return answer

    async def _listen(self, user: User) -> None:
        while True:
            try:
                await self._sync(user, wait=5)
            except (aiohttp.ClientError, asyncio.TimeoutError, RuntimeError, OSError) as error:
                self.latencies.fail("listening", f"{type(error).__name__} {error}")
                await asyncio.sleep(0.5)

    async def _backfill(self, user: User, room: str, *, pages: int) -> None:
        start: dict[str, str] = {}
        for _page in range(pages):
            answer = await self._client.call(
                "GET", f"/rooms/{room}/messages", token=user.token, dir="b", limit=50, **start
            )
            if "end" not in answer:
                return
            start = {"from": answer["end"]}

    async def _read(self, user: User, room: str) -> None:
        newest = await self._client.call("GET", f"/rooms/{room}/messages", token=user.token, dir="b", limit=1)
        if newest["chunk"]:
            event = urllib.parse.quote(newest["chunk"][0]["event_id"])
            await self._client.call("POST", f"/rooms/{room}/receipt/m.read/{event}", token=user.token)

    async def _visit(self, user: User, room: str) -> None:
        quoted = urllib.parse.quote(room)
        await self._client.call("POST", f"/join/{quoted}", token=user.token)
        # Whoever was in it stays, and goes on talking there.
        if room not in user.rooms:
            await self._client.call("POST", f"/rooms/{quoted}/leave", token=user.token)


async def in_turns(loads: Sequence[Load], seconds: float, rate: float, waiting: int, *, slice_seconds: float) -> None:
    """The same steady load on each of several servers, which take turns: a slice of it, answered whole, on one after the other.

    Whatever else slows the machine down for a while then slows all of them down; who is first alternates.
    """
    schedules = [load.schedule(seconds, rate) for load in loads]
    async with contextlib.AsyncExitStack() as stack:
        for load in loads:
            await stack.enter_async_context(load.listening(waiting))
        for number in range(math.ceil(seconds / slice_seconds)):
            begin, end = number * slice_seconds, (number + 1) * slice_seconds
            turn = list(zip(loads, schedules))
            for load, moments in turn if number % 2 == 0 else reversed(turn):
                await load.ask([each for each in moments if begin <= each.at < end], since=begin)


_WORDS = [
    "the",
    "a",
    "and",
    "so",
    "but",
    "then",
    "when",
    "we",
    "they",
    "you",
    "it",
    "is",
    "was",
    "will",
    "can",
    "see",
    "know",
    "think",
    "said",
    "made",
    "good",
    "late",
    "early",
    "room",
    "tea",
    "server",
    "garden",
    "morning",
    "tomorrow",
    "nothing",
    "everything",
    "yes",
    "no",
    "maybe",
    "please",
    "thanks",
    "really",
    "again",
    "before",
    "after",
]
