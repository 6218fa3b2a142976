# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ranking over the admin API, beside a server on the loopback interface that has 100,000 rooms."""

from __future__ import annotations

import functools
import http.server
import json
import threading
import tracemalloc
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import Access, AdminApi
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import AdminProblem, SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import DAY, Filters
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_answer import Answer, Request
from ansible_collections.synapse.tuning.plugins.module_utils._rooms_admin import rank

NOW = 1_790_000_000_000
COUNT = 100_000
TOKEN = "syt_throw_away"


def state_events(number: int) -> int:
    """Each room has another figure, in no order of their IDs."""
    return number * 7919 % COUNT


def listed(number: int) -> dict[str, Any]:
    """A room as the server's list has it, as long as real ones are."""
    return {
        "room_id": f"!room{number}:remote{number % 97}.example",
        "name": f"Room {number} of those that are here",
        "canonical_alias": f"#alias{number}:localhost" if number % 3 == 0 else None,
        "joined_members": number % 1000,
        "joined_local_members": number % 5,
        "version": "10",
        "creator": f"@creator{number}:remote{number % 97}.example",
        "encryption": "m.megolm.v1.aes-sha2" if number % 2 else None,
        "federatable": True,
        "public": number % 7 == 0,
        "join_rules": "invite",
        "guest_access": "can_join",
        "history_visibility": "shared",
        "state_events": state_events(number),
        "room_type": None,
    }


@functools.cache
def order() -> tuple[int, ...]:
    return tuple(sorted(range(COUNT), key=state_events, reverse=True))


@functools.cache
def page(start: int, limit: int) -> bytes:
    """A part of the list, as the server sends it."""
    answer: dict[str, Any] = {
        "offset": start,
        "rooms": [listed(number) for number in order()[start : start + limit]],
        "total_rooms": COUNT,
    }
    if start + limit < COUNT:
        answer["next_batch"] = start + limit
    return json.dumps(answer).encode()


class Server(http.server.ThreadingHTTPServer):
    """The part of the admin API that lists rooms."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.tombstones = True
        self.fails_at: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        self.asked.append(path)
        parts = [urllib.parse.unquote(part) for part in path.split("/")[3:]]
        if parts == ["v1", "rooms"]:
            return self._list(int(query.get("from", 0)), int(query["limit"]), query)
        number = int(parts[2].split(":")[0][5:])
        if number >= COUNT:
            return 404, {"errcode": "M_NOT_FOUND", "error": "Room not found"}
        if parts[3:] == ["forward_extremities"]:
            return 200, {"count": 1, "results": [{"received_ts": NOW - number * DAY}]}
        more = {"tombstoned": number % 23 == 0} if self.tombstones else {}
        return 200, {**listed(number), **more}

    def _list(self, start: int, limit: int, query: dict[str, str]) -> tuple[int, Any]:
        if query.get("order_by", "state_events") != "state_events" or query.get("dir", "f") != "f":
            return 400, {"errcode": "M_INVALID_PARAM", "error": "not here"}
        if self.fails_at is not None and start >= self.fails_at:
            return 500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}
        return 200, page(start, limit)


class Handler(http.server.BaseHTTPRequestHandler):
    """Only reads; anything else is 501."""

    server: Server

    def do_GET(self) -> None:
        path, _mark, query = self.path.partition("?")
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            status, answer = 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token"}
        else:
            status, answer = self.server.answer(path, dict(urllib.parse.parse_qsl(query)))
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def ask(server: Server, *, limit: int = 20, order_by: str = "state_events", **filters: Any) -> Answer:
    request = Request(filters=Filters(**filters), order_by=order_by, limit=limit, now=NOW)
    return rank(AdminApi(Access(server.url, TOKEN, patience=0)), request)


def ids(answer: Answer) -> list[int]:
    return [int(room.room_id.split(":")[0][5:]) for room in answer.rooms]


def test_without_filters_one_page_is_enough(server: Server) -> None:
    answer = ask(server)
    assert tuple(ids(answer)) == order()[:20] and (answer.count, answer.matched) == (COUNT, COUNT)
    assert server.asked.count("/_synapse/admin/v1/rooms") == 1
    assert answer.rooms[0].forward_extremities == 1 and answer.rooms[0].last_activity is not None
    assert answer.percent is None and answer.methods.state is None
    assert not any("statistics" in path for path in server.asked)


@pytest.mark.slow
def test_a_hundred_thousand_rooms_are_filtered_in_the_memory_of_a_page(server: Server) -> None:
    def judge(number: int) -> bool:
        return number % 5 == 0 and number % 97 == 13

    pattern = {"pattern": "*REMOTE13.exam?le", "no_local_members": True}
    # What the server sends was made before: its thread's memory counts, too.
    for start in range(0, COUNT, 1000):
        page(start, 1000)
    tracemalloc.start()
    try:
        answer = ask(server, **pattern)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    matching = [number for number in order() if judge(number)]
    assert ids(answer) == matching[:20] and answer.matched == len(matching)
    assert server.asked.count("/_synapse/admin/v1/rooms") == COUNT // 1000
    # All rooms together are some 200 MB of Python's objects.
    assert peak < 20 * 1024**2


def test_the_list_is_left_where_no_other_room_can_match(server: Server) -> None:
    assert ask(server, min_state_events=COUNT - 1003).matched == 1003
    assert server.asked.count("/_synapse/admin/v1/rooms") == 2


def test_a_look_at_each_stops_when_there_are_enough(server: Server) -> None:
    answer = ask(server, tombstoned=True, inactive_days=100, limit=2)
    assert ids(answer) == [n for n in order() if n % 23 == 0 and n > 100][:2]
    assert answer.matched is None and answer.count == COUNT
    assert len(server.asked) < 250


def test_named_rooms(server: Server) -> None:
    answer = ask(server, rooms=("!room5:remote5.example", "!room7:remote7.example", "!room999999:x"))
    assert sorted(ids(answer)) == [5, 7] and answer.matched == 2 and answer.absent == ("!room999999:x",)
    assert answer.count == COUNT


def test_a_server_that_does_not_tell_tombstones(server: Server) -> None:
    server.tombstones = False
    with pytest.raises(SourceError, match="does not say over the admin API which rooms are tombstoned"):
        ask(server, tombstoned=True)
    assert "tombstoned" in ask(server).missing


def test_a_server_that_fails_half_way(server: Server) -> None:
    server.fails_at = 50_000
    with pytest.raises(AdminProblem, match="failed at GET"):
        ask(server, pattern="!room1:*")


@pytest.mark.parametrize("order_by", ["state_rows", "state_bytes", "events", "disk"])
def test_what_the_api_cannot_rank_by(server: Server, order_by: str) -> None:
    with pytest.raises(SourceError, match=f"does not say the {order_by} of rooms: order_by state_events or members"):
        ask(server, order_by=order_by)
    assert server.asked == []
