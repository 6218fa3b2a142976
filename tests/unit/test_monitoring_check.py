# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role monitoring's check makes of what it reads; tests/stack has the real thing."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import memory_shapes as shapes
import pytest
from watching import THRESHOLDS, alerts, sources, watch

HOUR, DAY, MIB = alerts.HOUR, alerts.DAY, alerts.MIB
NOW = shapes.HOURS * HOUR


def _series(name: str) -> list[list[float]]:
    values = shapes.sampled({**shapes.LEAKS, **shapes.HEALTHY}[name])
    return [[number * shapes.STEP, value * MIB] for number, value in enumerate(values)]


def _leak(series: list[list[float]], *, started: float = 1) -> float | None:
    return alerts.leak(series, now=NOW, started=started, limit=shapes.LIMIT * MIB, rules=THRESHOLDS)


# --- leaks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shapes.LEAKS)
def test_a_leak_is_seen(name: str) -> None:
    daily = _leak(_series(name))
    assert daily is not None
    assert 150 < daily / MIB < 350


@pytest.mark.parametrize("name", shapes.HEALTHY)
def test_what_is_no_leak(name: str) -> None:
    assert _leak(_series(name)) is None


def test_a_start_in_the_last_day_is_waited_for() -> None:
    assert _leak(_series("steady"), started=NOW - 26 * HOUR) is None
    assert _leak(_series("steady"), started=NOW - 27 * HOUR) is not None


def test_hours_without_samples_say_nothing() -> None:
    series = [each for each in _series("steady") if not 12.1 * HOUR < each[0] < 19 * HOUR]
    assert _leak(series) is None
    assert _leak([]) is None


def test_what_is_a_leak_depends_on_the_limit() -> None:
    small = [[at, value] for at, value in _series("little a day")]
    assert alerts.leak(small, now=NOW, started=1, limit=128 * MIB, rules={**THRESHOLDS, "leak_mib": 32}) is not None


# --- caches, tables, the compressor ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("lookups", "hits", "evicted", "thrashes"),
    [
        (36000, 18000, 17000, True),
        (36000, 18000, 100, False),  # they miss what was never there
        (36000, 34000, 2000, False),  # busy and nearly all hits
        (1800, 0, 1800, False),  # hardly asked
        (0, 0, 0, False),
    ],
)
def test_a_cache_that_thrashes(lookups: int, hits: int, evicted: int, thrashes: bool) -> None:
    snapshots = [
        {"t": 0, "caches": {"*getEvent*": [100, 50, 10]}},
        {"t": 1800, "caches": {"*getEvent*": [100 + lookups, 50 + hits, 10 + evicted]}},
    ]
    assert list(alerts.thrashing(snapshots, rules=THRESHOLDS)) == (["*getEvent*"] if thrashes else [])
    assert alerts.thrashing(snapshots[:1], rules=THRESHOLDS) == {}


@pytest.mark.parametrize(
    ("mib", "grows"),
    [
        (lambda hours: 1000 + 10 * hours, True),
        (lambda hours: 1000 + 2 * hours, False),
        (lambda hours: 10000 + 10 * hours, False),  # 240 MiB of 10 GiB
        (lambda hours: 1000 + 500 * (hours > 20), False),  # a room was joined
        (lambda hours: 1000 + 500 * (hours > 10), False),
        (lambda hours: 5000 - 100 * hours, False),
    ],
)
def test_a_table_that_grows(mib: Any, grows: bool) -> None:
    tables = [[hours * HOUR, mib(hours) * MIB] for hours in range(26)]
    assert (alerts.growth(tables, now=25 * HOUR, rules=THRESHOLDS) is not None) == grows
    assert alerts.growth(tables[5:], now=25 * HOUR, rules=THRESHOLDS) is None


def _state(**more: Any) -> dict[str, Any]:
    parts = {part: {"held": 100.0, "limit": 1000.0, "started": 1} for part in ("host", "synapse", "postgresql")}
    base = {
        "now": parts,
        "missing": {},
        "held": {},
        "kills": [],
        "caches": [],
        "tables": [],
        "compressed": {"started": None, "succeeded": None},
    }
    return {**base, **more}


def _found(**more: Any) -> list[tuple[str, str]]:
    return sorted(alerts.conditions(_state(**more), now=100 * DAY, rules=THRESHOLDS))


def test_nothing_is_the_matter() -> None:
    assert _found() == []


def test_memory_near_its_limit() -> None:
    full = {"held": 940.0, "limit": 1000.0, "started": 1}
    parts = {"host": full, "synapse": full, "postgresql": {**full, "held": 100.0}}
    assert _found(now=parts) == [("SynapseTuningMemoryNearLimit", "synapse")]
    parts["host"] = {**full, "held": 960.0}
    assert _found(now=parts)[0] == ("SynapseTuningMemoryNearLimit", "host")


@pytest.mark.parametrize(
    ("started", "succeeded", "alerts_"),
    [(None, None, 0), (99, 99, 0), (99, 86, 0), (99, 84, 1), (98, None, 1), (99.5, None, 0)],
)
def test_a_compressor_that_does_not_run(started: float | None, succeeded: float | None, alerts_: int) -> None:
    compressed = {"started": started and started * DAY, "succeeded": succeeded and succeeded * DAY}
    assert len(_found(compressed=compressed)) == alerts_


def test_what_is_not_seen_is_told() -> None:
    assert _found(now={"host": _state()["now"]["host"]}, missing={"synapse": "x"}) == [
        ("SynapseTuningNotSeen", "postgresql"),
        ("SynapseTuningNotSeen", "synapse"),
    ]


# --- when it is told ----------------------------------------------------------------------------


class Teller:
    """Checks, ten minutes from one to the next; each tells at once."""

    def __init__(self) -> None:
        self.now = 0.0
        self.known: dict[str, Any] = {}

    def check(self, *found: tuple[str, str], seen: tuple[str, ...] = alerts.PARTS) -> list[tuple[str, str]]:
        self.now += 600
        news = alerts.transitions(self.known, dict.fromkeys(found, "text"), now=self.now, rules=THRESHOLDS, seen=seen)
        for each in news:
            if each["state"] == "firing":
                self.known[each["name"]]["told"] = self.now
            else:
                del self.known[each["name"]]
        return [(each["alert"], each["state"]) for each in news]


LEAK, NEAR = ("SynapseTuningMemoryLeak", "synapse"), ("SynapseTuningMemoryNearLimit", "synapse")


def test_once_when_it_begins_and_once_when_it_ends() -> None:
    teller = Teller()
    assert teller.check(LEAK) == [(LEAK[0], "firing")]
    assert teller.check(LEAK) == []
    assert teller.check() == [(LEAK[0], "resolved")]
    assert teller.check() == [] and teller.known == {}


def test_again_after_a_day() -> None:
    teller = Teller()
    assert [teller.check(LEAK) for _each in range(145)] == [[(LEAK[0], "firing")], *([[]] * 143), [(LEAK[0], "firing")]]


def test_a_moment_is_nothing() -> None:
    teller = Teller()
    assert [teller.check(NEAR), teller.check(), teller.check(NEAR)] == [[], [], []]
    assert teller.check(NEAR) == [(NEAR[0], "firing")]
    # Nor is a moment of rest: it ends where that lasts.
    teller.now -= 300
    assert teller.check() == []
    assert teller.check(NEAR) == []
    assert teller.check() == [(NEAR[0], "resolved")]


def test_what_is_not_seen_stays_as_it_was() -> None:
    teller = Teller()
    teller.check(LEAK)
    assert teller.check(seen=("postgresql",)) == []
    assert teller.check() == [(LEAK[0], "resolved")]


# --- what is read ---------------------------------------------------------------------------------


def test_memory_of_both_versions_of_cgroups() -> None:
    first = [
        *("memory.stat total_rss 1", "memory.stat total_active_anon 10", "memory.stat total_inactive_anon 20"),
        *("memory.stat total_unevictable 5", "memory.stat total_inactive_file 7", "memory.stat total_swap 3"),
        *("memory.stat hierarchical_memory_limit 9223372036854771712", "memory.usage_in_bytes 50"),
        *("memory.oom_control oom_kill 2", "memory.oom_control under_oom 0"),
    ]
    second = [
        *("memory.stat anon 30", "memory.stat shmem 5", "memory.stat inactive_file 7", "memory.current 50"),
        *("memory.max 90", "memory.events oom 4", "memory.events oom_kill 2", "memory.swap.current 3"),
    ]
    same = {"held": 35, "swap": 3, "working_set": 43, "oom_kills": 2}
    assert sources.memory(sources.numbers(first), ram=100) == {**same, "limit": 100}
    assert sources.memory(sources.numbers(second), ram=100) == {**same, "limit": 90}
    without = [each for each in second if "max" not in each]
    assert sources.memory(sources.numbers([*without, "memory.max max"]), ram=100)["limit"] == 100
    with pytest.raises(sources.Unread):
        sources.memory({}, ram=100)


def test_caches_of_the_metrics() -> None:
    text = (
        'synapse_util_caches_cache{name="*getEvent*",server_name="a"} 10.0\n'
        'synapse_util_caches_cache_hits{name="*getEvent*",server_name="a"} 4.0\n'
        'synapse_util_caches_cache_evicted_size{name="*getEvent*",reason="size",server_name="a"} 3.0\n'
        'synapse_util_caches_cache_evicted_size{name="*getEvent*",reason="time",server_name="a"} 7.0\n'
        'synapse_util_caches_cache_size{name="*getEvent*",server_name="a"} 9.0\n'
        'synapse_util_caches_response_cache{name="x",server_name="a"} 9.0\n'
    )
    assert sources.parse_caches(text) == {"*getEvent*": [10, 4, 3]}


def _kills(state: dict[str, Any], host: int, **parts: tuple[str, int, int]) -> dict[str, int]:
    """A check where each part has (when it was started, its restarts, its cgroup's count)."""
    containers = {
        part: {"Id": part, "State": {"StartedAt": begun}, "RestartCount": restarts}
        for part, (begun, restarts, _count) in parts.items()
    }
    state["now"] = {
        "host": {"oom_kills": host},
        **{part: {"oom_kills": count} for part, (_begun, _restarts, count) in parts.items()},
    }
    watch.remember_kills(state, containers, now=0)
    return dict(state["oom"]["total"])


def test_whose_processes_were_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch.os.path, "exists", lambda _path: False)
    state = json.loads(json.dumps(watch.NEW))
    none = {"synapse": 0, "postgresql": 0, "other": 0}
    # What was before the first check is nobody's business.
    assert _kills(state, 7, synapse=("a", 0, 2), postgresql=("a", 0, 0)) == none
    # A process of PostgreSQL's: its cgroup counts it, and so does the host.
    assert _kills(state, 8, synapse=("a", 0, 2), postgresql=("a", 0, 1)) == {**none, "postgresql": 1}
    # Synapse's first: only the host has counted it, and Docker has restarted it.
    assert _kills(state, 9, synapse=("b", 1, 0), postgresql=("a", 0, 1)) == {**none, "postgresql": 1, "synapse": 1}
    # Somebody else's.
    assert _kills(state, 10, synapse=("b", 1, 0), postgresql=("a", 0, 1))["other"] == 1
    # The host was booted.
    after = _kills(state, 0, synapse=("c", 0, 0), postgresql=("c", 0, 0))
    assert after == {"synapse": 1, "postgresql": 1, "other": 1}
    assert len(state["kills"]) == 3


def test_a_broken_memory_is_a_first_check(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "state.json"
    assert watch.load(path) == watch.NEW
    path.write_text("{", encoding="utf-8")
    assert watch.load(path) == watch.NEW
    assert "cannot be read" in capsys.readouterr().err
