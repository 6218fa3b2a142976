# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's load and its recorder, as far as they need no server: figures that were worked out by hand."""

from __future__ import annotations

import asyncio
import itertools
import pathlib
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import dataset
import load
import recorder
from load import Latencies, Load, User, in_turns, profile

# As the kernel gives them, shortened: version 1 has shared memory among what is anonymous.
STAT_1 = """\
cache 36794368
rss 98361344
shmem 8192
inactive_anon 98357248
active_anon 4096
total_cache 36794368
total_rss 98361344
total_shmem 8192
total_inactive_anon 98357248
total_active_anon 12288
total_inactive_file 24563712
total_unevictable 0
"""
STAT_2 = """\
anon 98000000
file 36794368
kernel 500
shmem 8192
inactive_anon 97000000
active_anon 4096
unevictable 0
"""


@pytest.mark.parametrize(("text", "size"), [(STAT_1, 98357248 + 12288), (STAT_2, 98000000 + 8192)], ids=["v1", "v2"])
def test_what_is_held_has_no_page_cache(tmp_path: pathlib.Path, text: str, size: int) -> None:
    (tmp_path / "memory.stat").write_text(text, encoding="ascii")
    assert recorder.held(tmp_path) == size


def sampled(*samples: tuple[float, int, int]) -> recorder.Recorder:
    """A recorder that has seen (seconds, Synapse, PostgreSQL)."""
    made = recorder.Recorder(None, {"synapse": "synapse", "db": "postgresql"})  # type: ignore[arg-type]
    made.samples = [(seconds, {"synapse": one, "postgresql": other}) for seconds, one, other in samples]
    return made


def test_the_total_peak_is_of_one_moment() -> None:
    peaks = sampled((0, 100, 10), (1, 50, 90), (2, 60, 20)).peaks()
    assert peaks == {"synapse": 100, "postgresql": 90, "total": 140}


def test_a_peak_since_a_moment() -> None:
    assert sampled((0, 100, 10), (5, 50, 20)).peaks(since=3)["total"] == 70


def test_the_timeline_keeps_the_highest_of_each_interval() -> None:
    line = sampled(*((each / 10, each, 1) for each in range(100))).timeline(points=10)
    assert len(line) <= 11
    assert line[-1][1] == 99
    assert [size for _seconds, size, _other in line] == sorted(size for _seconds, size, _other in line)


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    latencies = Latencies()
    for number in range(1, 101):
        latencies.add("send", number / 1000)
    latencies.add("federated_join", 9)
    latencies.fail("send", "500 no")
    said = latencies.summary()
    assert said["send"] == {"count": 100, "errors": 1, "p50": 50.0, "p95": 95.0, "p99": 99.0}
    assert said["all"] == said["send"], "what is not of the mix is no part of all"
    assert said["federated_join"]["p95"] == 9000.0


def test_few_errors_are_kept_and_all_are_counted() -> None:
    latencies = Latencies()
    for number in range(20):
        latencies.fail("send", f"{number} " + "long " * 100)
    assert len(latencies.samples) == 5 and all(len(each) <= 200 for each in latencies.samples)
    assert latencies.summary()["all"] == {"count": 0, "errors": 20}


def test_more_users_ask_more() -> None:
    profiles = [profile(users) for users in (1, 2, 5, 10, 20, 50, 100, 200, 500)]
    assert all(one.rate < other.rate and one.waiting <= other.waiting for one, other in zip(profiles, profiles[1:]))
    assert all(each.waiting <= each.users and each.first_syncs <= each.users for each in profiles)
    assert profile(5) == load.Profile(users=5, rate=1.5, waiting=5, first_syncs=5)


def test_the_shares_of_the_kinds_add_up() -> None:
    assert sum(load.KINDS.values()) == pytest.approx(1)


class Asked:
    """In place of a server: it keeps what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    async def call(self, method: str, path: str, body: Any = None, **_more: Any) -> Any:
        self.calls.append((method, path))
        if path == "/sync":
            await asyncio.sleep(0.001)
            return {"next_batch": "s1"}
        return {"chunk": [], "event_id": "$1"}


def asked(seed: int) -> list[tuple[str, str]]:
    server = Asked()
    users = [User(f"@p{number}", f"token {number}", (f"!a{number}", "!b", "!c"), ("!b",)) for number in range(3)]
    running = Load(server, users, seed=seed, public=["!p"])  # type: ignore[arg-type]
    asyncio.run(running.steady(0.3, rate=200, waiting=0))
    return server.calls


def test_the_seed_decides_what_is_asked() -> None:
    assert sorted(asked(1)) == sorted(asked(1)) != sorted(asked(2))


def test_people_talk_only_where_they_do() -> None:
    sent = {path.split("/")[2] for _method, path in asked(1) if "/send/" in path}
    assert sent == {"%21b"} and any("%21c" in path for _method, path in asked(1))


def test_a_visitor_leaves_again_and_a_member_stays() -> None:
    def left(public: str) -> bool:
        server = Asked()
        user = User("@p", "t", ("!a",), ("!a",))
        running = Load(server, [user], seed=1, public=[public])  # type: ignore[arg-type]
        asyncio.run(running.steady(0.5, rate=400, waiting=0))
        assert any("/join/" in path for _method, path in server.calls)
        return any("/leave" in path for _method, path in server.calls)

    assert left("!p") and not left("!a")


def test_a_failure_is_counted_and_ends_nothing() -> None:
    class Failing(Asked):
        async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
            raise RuntimeError("500 no")

    running = Load(Failing(), [User("@p", "t", ("!a",), ("!a",))], seed=1, public=["!p"])  # type: ignore[arg-type]
    asyncio.run(running.steady(0.3, rate=100, waiting=0))
    assert running.latencies.summary()["all"]["errors"] > 5


def test_rooms_have_a_long_tail() -> None:
    sizes = dataset.sizes()
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 2000 and sizes[-1] == 3
    assert sum(size < 20 for size in sizes) > len(sizes) / 2


def test_servers_take_turns_at_the_same_load() -> None:
    asked: list[tuple[str, str]] = []

    class Server(Asked):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
            asked.append((self.name, path))
            return await super().call(method, path, body, **more)

    servers = [Server("one"), Server("other")]
    users = [User(f"@p{number}", f"token {number}", ("!a", "!b"), ("!b",)) for number in range(3)]
    loads = [Load(server, users, seed=1, public=["!p"]) for server in servers]  # type: ignore[arg-type]
    asyncio.run(in_turns(loads, 0.4, rate=300, waiting=0, slice_seconds=0.1))
    assert sorted(servers[0].calls) == sorted(servers[1].calls) and len(servers[0].calls) > 60
    assert loads[0].latencies.summary()["all"]["count"] == len(loads[0].schedule(0.4, 300))
    # A slice is answered whole before the other server is asked, and who was last is first in the next one.
    turns = [name for name, _paths in itertools.groupby(name for name, _path in asked)]
    assert turns == ["one", "other", "one", "other", "one"]
