# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in the made database: users and rooms, made through the real client API of a running deployment.

The seed decides names, sizes, shapes and the order within a room; the server gives ids of its own each time.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import os
import random
import threading
import urllib.parse
from collections.abc import Mapping
from typing import Any

from deployment import SYNAPSE_ID, Deployment
from engine import StackError, say

__all__ = ["MEMBERS", "ROOMS", "ROWS", "configure", "generate"]

SEED = 4
MEMBERS = 2010
"""Users, all of whom join the heavy room."""
ROOMS = 24
"""Rooms beside the heavy one; a tombstoned one has a successor besides."""
ROWS = 205_000
"""The least rows of state_groups_state, of the heavy room alone."""

_HEAVY_STATE = 600  # events of the heavy room's state before anybody joins
_HOPS = 100  # state groups that Synapse chains to one another before it writes the whole state again
_AT_ONCE = 7  # events sent at the same moment; the next one can stand on ten
_LONG_AGO = 1_577_836_800_000  # 2020, in ms
_CLIENT = "/_matrix/client/v3"
_TOKEN = "as-token-of-the-made-database"

# An application service acts as any of its users, is not limited, and may say when an event was sent.
_SERVICE = {
    "id": "made",
    "url": None,
    "as_token": _TOKEN,
    "hs_token": "unused",
    "sender_localpart": "made",
    "rate_limited": False,
    "namespaces": {
        "users": [{"exclusive": False, "regex": "@u[0-9]{4}:localhost"}],
        "rooms": [],
        "aliases": [{"exclusive": False, "regex": "#.*"}],
    },
}
# Push rules are evaluated for each member at each event, and nobody is there to be told.
_HOMESERVER = """
app_service_config_files: [/data/service.yaml]
push: {enabled: false}
presence: {enabled: false}
log_config: /data/log.yaml
event_cache_size: 100K
caches: {global_factor: 10}
gc_min_interval: [30s, 1m, 2m]
background_updates: {sleep_enabled: false}
"""
_LOG = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"level": "WARNING", "handlers": ["console"]},
}
# Nothing in it must outlive a crash. A database that was never analyzed gets plans for the empty one it was: at
# 10 ms for each count of a chain of state groups that is most of the time.
_POSTGRESQL = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
    "shared_buffers": "256MB",
    "autovacuum": "off",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "max_parallel_workers_per_gather": "0",
}


def configure(project: Deployment) -> None:
    """Set a new deployment up for speed, and for the application service by which `generate` acts."""
    data = project.directory / "data"
    homeserver = data / "homeserver.yaml"
    text = homeserver.read_text(encoding="utf-8").replace("enable_metrics: true", "enable_metrics: false")
    # Each event is some forty transactions: a socket answers sooner than a bridge.
    homeserver.write_text(text.replace("host: db\n", "host: /socket\n") + _HOMESERVER, encoding="utf-8")
    for name, content in (("service.yaml", _SERVICE), ("log.yaml", _LOG)):
        (data / name).write_text(json.dumps(content), encoding="utf-8")
        os.chown(data / name, SYNAPSE_ID, SYNAPSE_ID)
    command = ["postgres", *(part for item in _POSTGRESQL.items() for part in ("-c", "=".join(item)))]
    override = {
        "services": {
            "db": {"command": command, "volumes": ["./socket:/var/run/postgresql"]},
            "synapse": {"volumes": ["./socket:/socket"]},
        }
    }
    (project.directory / "compose.override.yml").write_text(json.dumps(override), encoding="utf-8")


def generate(project: Deployment) -> dict[str, Any]:
    """Fill a deployment that `configure` set up and that is up; return what is in it.

    The answer: `heavy` (the id of the room with MEMBERS members), `rooms` (each with id, name, shape, members that
    joined, state events), `users` (name to id and token of admin, alice and bob, whose passwords are `login`'s).
    """
    users = {name: project.register(name, admin=name == "admin") for name in ("admin", "alice", "bob")}
    made = _Generator(project)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(made.register, made.users))
    say(f"registered {len(made.users)} users")
    # The heavy room's events wait for one another; the other rooms use the time between.
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        others = [pool.submit(made.room, number) for number in range(1, ROOMS + 1)]
        heavy = made.heavy([user.user_id for user in users.values()], [str(user.token) for user in users.values()])
        rooms = [heavy, *(room for other in others for room in other.result())]
    project.settle()
    return {
        "heavy": heavy["room_id"],
        "rooms": rooms,
        "users": {name: {"user_id": user.user_id, "token": user.token} for name, user in users.items()},
    }


class _Api:
    """Requests of the application service; each thread has a connection that stays open."""

    def __init__(self, url: str) -> None:
        self._host = urllib.parse.urlsplit(url).netloc
        self._thread = threading.local()

    def call(
        self, method: str, path: str, body: Any = None, *, user: str = "", token: str = _TOKEN, **query: Any
    ) -> Any:
        if user:
            query["user_id"] = user
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        if not hasattr(self._thread, "connection"):
            self._thread.connection = http.client.HTTPConnection(self._host, timeout=300)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._thread.connection.request(method, f"{_CLIENT}{path}{suffix}", json.dumps(body or {}), headers)
        with self._thread.connection.getresponse() as response:
            answer = response.read()
        if response.status != 200:
            raise StackError(f"the made database: {method} {path}: {response.status} {answer[:300]!r}")
        return json.loads(answer)


class _Generator:
    def __init__(self, project: Deployment) -> None:
        self._project = project
        self._api = _Api(project.url)
        self.users = [f"@u{number:04}:localhost" for number in range(MEMBERS)]

    def register(self, user: str) -> None:
        body = {"type": "m.login.application_service", "username": user[1:].partition(":")[0], "inhibit_login": True}
        self._api.call("POST", "/register", body)

    # --- the heavy room -------------------------------------------------------------------------

    def heavy(self, guests: list[str], tokens: list[str]) -> dict[str, Any]:
        """A room that everybody joins, one after the other.

        Synapse stores a state group as the difference from the one before, until a chain of those is 100 long; then
        it stores the whole state. Events that are sent at the same moment stand on the same group: at the end of a
        chain each of them has the whole state stored. That is what makes rooms heavy, and here it happens on purpose.
        """
        creator, *members = self.users
        room = self._create(
            creator,
            name="The heavy room",
            room_alias_name="heavy",
            initial_state=_states("org.example.device", _HEAVY_STATE),
        )
        for token in tokens:
            self._api.call("POST", f"/join/{urllib.parse.quote(room)}", token=token)
        waiting = iter(members)
        joined = rows = 0
        for cycle in range(100):
            # One fewer than it seems: the first event after those sent at once brings their groups together in another.
            while (hops := self._hops(room)) < _HOPS:
                for _each in range(max(1, _HOPS - hops - 1)):
                    member = next(waiting, None)
                    if member is not None:
                        self._member(room, member, displayname=f"Member {member[2:6]}")
                        joined += 1
                    else:
                        self._member(room, creator, displayname=f"Member {cycle} {_each}")
            self._at_once(room, creator, cycle)
            if cycle % 5 == 4:
                say(f"{joined} of {len(members)} users are in the heavy room")
            if joined == len(members):
                rows = self._rows(room)
                if rows >= ROWS:
                    break
        else:
            raise StackError(f"the made database: the heavy room has {rows} rows, and should have {ROWS}")
        for number in range(40):
            self._message(room, self.users[number * 7], f"Text {number}")
        return {
            "room_id": room,
            "name": "The heavy room",
            "shape": "heavy",
            "members": len(self.users) + len(guests),
            "state": _HEAVY_STATE,
        }

    def _at_once(self, room: str, user: str, cycle: int) -> None:
        barrier = threading.Barrier(_AT_ONCE)

        def change(number: int) -> None:
            # The connection is open before the others are waited for.
            self._api.call("GET", "/account/whoami", user=user)
            barrier.wait(60)
            self._state(room, user, "org.example.burst", {"cycle": cycle}, str(number))

        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(change, range(_AT_ONCE)))

    def _hops(self, room: str) -> int:
        """How long the chain is at the room's newest event."""
        return int(
            self._project.sql(
                "WITH RECURSIVE chain(id) AS ("
                " (SELECT state_group FROM event_to_state_groups JOIN events USING (event_id)"
                f" WHERE room_id = '{room}' ORDER BY stream_ordering DESC LIMIT 1)"
                " UNION ALL SELECT prev_state_group FROM state_group_edges JOIN chain ON state_group = id"
                ") SELECT count(*) FROM chain"
            )[0][0]
        )

    def _rows(self, room: str) -> int:
        return int(self._project.sql(f"SELECT count(*) FROM state_groups_state WHERE room_id = '{room}'")[0][0])

    # --- the others -----------------------------------------------------------------------------

    def room(self, number: int) -> list[dict[str, Any]]:
        """One of the others, or two where it has a successor; the first is the largest, and then they soon get small."""
        chance = random.Random(f"{SEED} {number}")
        shape = _SHAPES.get(number, "plain")
        state = max(2, 600 // number)
        creator, *members = chance.sample(self.users, max(2, 80 // number))
        name = f"{chance.choice(_ADJECTIVES)} {chance.choice(_NOUNS)} {number}"
        options: dict[str, Any] = {"name": name, "initial_state": _states("org.example.thing", state)}
        if shape == "alias":
            options["room_alias_name"] = name.lower().replace(" ", "-")
        elif shape == "encrypted":
            encryption = {"type": "m.room.encryption", "content": {"algorithm": "m.megolm.v1.aes-sha2"}}
            options["initial_state"].append(encryption)
        elif shape == "space":
            options["creation_content"] = {"type": "m.space"}
        elif shape == "private":
            options.update(preset="private_chat", invite=members)
        elif shape == "direct":
            options.update(preset="trusted_private_chat", invite=members, is_direct=True)
        # Both kinds of room ids: with the server's name and, from 12 on, without.
        room = self._create(creator, room_version="12" if number % 3 == 0 else "10", **options)
        then = {"ts": _LONG_AGO + number * 1000} if shape == "old" else {}
        for member in members:
            self._member(room, member, displayname=f"Member {member[2:6]}", **then)
        for each in range(max(1, 60 // number)):
            self._state(
                room, creator, "org.example.thing", {"value": chance.randrange(1000)}, str(each % state), **then
            )
        for each in range(max(1, 30 // number)):
            self._message(room, chance.choice([creator, *members]), f"Text {each}", **then)
        made = [{"room_id": room, "name": name, "shape": shape, "members": 1 + len(members), "state": state}]
        if shape == "left":
            for member in (*members, creator):
                self._api.call("POST", f"/rooms/{urllib.parse.quote(room)}/leave", user=member)
            made[0]["members"] = 0
        elif shape == "tombstoned":
            path = f"/rooms/{urllib.parse.quote(room)}/upgrade"
            successor = self._api.call("POST", path, {"new_version": "11"}, user=creator)["replacement_room"]
            made.append({"room_id": successor, "name": name, "shape": "successor", "members": 1, "state": state})
        return made

    # --- events ---------------------------------------------------------------------------------

    def _create(self, user: str, **options: Any) -> str:
        return str(self._api.call("POST", "/createRoom", {"preset": "public_chat", **options}, user=user)["room_id"])

    def _member(self, room: str, user: str, *, displayname: str, **query: Any) -> None:
        self._state(room, user, "m.room.member", {"membership": "join", "displayname": displayname}, user, **query)

    def _state(self, room: str, user: str, kind: str, content: Mapping[str, Any], key: str, **query: Any) -> None:
        path = f"/rooms/{urllib.parse.quote(room)}/state/{kind}/{urllib.parse.quote(key)}"
        self._api.call("PUT", path, content, user=user, **query)

    def _message(self, room: str, user: str, text: str, **query: Any) -> None:
        path = f"/rooms/{urllib.parse.quote(room)}/send/m.room.message/{urllib.parse.quote(f'{room} {text}', safe='')}"
        self._api.call("PUT", path, {"msgtype": "m.text", "body": text}, user=user, **query)


_ADJECTIVES = ("Quiet", "Busy", "Green", "Early", "Small", "Northern", "Second", "Open")
_NOUNS = ("garden", "kitchen", "workshop", "library", "harbour", "office", "choir", "market")
_SHAPES = {
    1: "bridged",  # much state, and users of a bridge
    2: "encrypted",
    3: "left",
    4: "tombstoned",
    5: "old",
    6: "alias",
    7: "encrypted",
    8: "private",
    9: "old",
    10: "left",
    11: "alias",
    12: "space",
    13: "left",
    14: "tombstoned",
    15: "old",
    **dict.fromkeys(range(20, ROOMS + 1), "direct"),
}


def _states(kind: str, count: int) -> list[dict[str, Any]]:
    """State for createRoom, which makes these events in one go."""
    return [{"type": kind, "state_key": str(number), "content": {"value": number}} for number in range(count)]
