# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read from the texts of kernels, PostgreSQL's titles and Synapse's metrics."""

from __future__ import annotations

from typing import Any

import pytest
from kernel_texts import ID, LOG, METRICS, ROLLUP, STAT, STAT_V1, STAT_V2, STATUS

from ansible_collections.synapse.tuning.plugins.module_utils import _metrics
from ansible_collections.synapse.tuning.plugins.module_utils._core import memory_process as processes
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    CacheUse,
    Evictions,
    GarbageCollection,
    Jemalloc,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_cgroup import CgroupMemory, cgroup_memory
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import (
    caches,
    garbage_collections,
    jemalloc,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_oom import oom_kills

V1 = {
    "stat": STAT_V1,
    "current": "147980288\n",
    "peak": "160538624\n",
    "limit": "268435456\n",
    "limit_hits": "3\n",
    "swap_limit_hits": "14\n",
    "events": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
}
V2 = {
    "stat": STAT_V2,
    "current": "147980288\n",
    "peak": "160538624\n",
    "limit": "268435456\n",
    "events": "low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\noom_group_kill 0\n",
    "swap": "4096\n",
}
SEEN = CgroupMemory(
    limit=268435456,
    current=147980288,
    working_set=147980288 - 60866560,
    held=46125056 + 9080832,
    shared=21217280,
    peak=160538624,
    swap=4096,
    oom_kills=2,
    limit_hits=17,
)


@pytest.mark.parametrize(("version", "texts"), [(1, V1), (2, V2)])
def test_both_versions_say_the_same(version: int, texts: dict[str, str]) -> None:
    assert cgroup_memory(version, texts) == SEEN


def test_no_limit_is_none() -> None:
    for version, texts, unlimited in ((1, V1, "9223372036854771712\n"), (2, V2, "max\n")):
        found = cgroup_memory(version, {**texts, "limit": unlimited})
        assert found is not None and found.limit is None


def test_what_an_older_kernel_does_not_say() -> None:
    found = cgroup_memory(2, {"stat": STAT_V2, "current": "147980288\n", "limit": "max\n"})
    assert found is not None
    assert (found.peak, found.swap, found.oom_kills, found.limit_hits) == (None, None, None, None)
    assert found.held == SEEN.held


def test_a_cgroup_that_is_gone() -> None:
    assert cgroup_memory(1, {}) is None
    assert cgroup_memory(2, {"stat": STAT_V2}) is None


# --- processes ---------------------------------------------------------------------------------


def test_a_process_is_read() -> None:
    texts = {"status": STATUS, "smaps_rollup": ROLLUP, "stat": STAT, "uptime": "1477.69 1079.53\n"}
    assert processes.process_figures(texts, ticks=100) == processes.Figures(
        parent=22742,
        inner_pid=1,
        contained=True,
        rss=129041 * 1024,
        rss_peak=130040 * 1024,
        pss=125338 * 1024,
        pss_shared=5 * 1024,
        private=(29704 + 94104) * 1024,
        swap=12 * 1024,
        cpu_seconds=2.34,
        uptime=924.2,
    )


def test_who_may_not_look_is_told_less() -> None:
    found = processes.process_figures({"status": STATUS, "smaps_rollup": "", "stat": STAT}, ticks=100)
    assert (found.rss, found.swap, found.pss, found.private) == (129040 * 1024, 16 * 1024, None, None)
    assert processes.process_figures({}, ticks=100).rss is None


@pytest.mark.parametrize(
    ("line", "synapse", "main"),
    [
        ("/opt/synapse/bin/python -m synapse.app.homeserver --config-path /data/homeserver.yaml", True, True),
        ("python3.13 /usr/bin/synapse_homeserver -c x.yaml", True, True),
        ("python -m synapse.app.generic_worker --config-path /data/homeserver.yaml -c w.yaml", True, False),
        ("tini -- python -m synapse.app.homeserver", False, True),
        ("sh -c python -m synapse.app.homeserver", False, True),
        ("python backup.py /etc/synapse_worker.yaml", False, False),
        ("postgres", False, False),
    ],
)
def test_synapse_is_told_by_its_command_line(line: str, synapse: bool, main: bool) -> None:
    assert processes.is_synapse(line.split()) is synapse
    assert processes.is_main(line.split()) is main


@pytest.mark.parametrize(
    ("title", "kind", "session"),
    [
        ("postgres: synapse matrix 172.18.0.3(55108) idle in transaction", "client backend", ("synapse", "matrix")),
        ("postgres: 15/main: synapse matrix [local] SELECT", "client backend", ("synapse", "matrix")),
        ("postgres: synapse matrix ::1(55108) idle", "client backend", ("synapse", "matrix")),
        ("postgres: checkpointer ", "checkpointer", None),
        ("postgres: 15/main: walwriter ", "walwriter", None),
        ("postgres: autovacuum worker synapse", "autovacuum worker", None),
        ("postgres: parallel worker for PID 123 ", "parallel worker", None),
        ("postgres: logical replication launcher ", "logical replication launcher", None),
        ("postgres: walsender repl 10.0.0.1(5432) streaming 0/3000148", "walsender", None),
        ("postgres: something new", None, None),
    ],
)
def test_a_title_tells_what_a_process_of_postgresql_does(title: str, kind: Any, session: Any) -> None:
    assert processes.is_postgresql([title])
    assert processes.postgresql_kind([title]) == kind
    if session:
        assert processes.postgresql_session([title]) == session


def test_the_first_process_has_its_own_command_line() -> None:
    for line in (["postgres"], ["/usr/lib/postgresql/15/bin/postgres", "-D", "/data", "-c", "port=5433"]):
        assert processes.is_postgresql(line) and processes.postgresql_kind(line) == "postmaster"
    assert not processes.is_postgresql(["/bin/postgres_exporter"]) and not processes.is_postgresql([])


# --- metrics -----------------------------------------------------------------------------------


def test_metrics_are_read() -> None:
    samples = _metrics.parse_samples(METRICS, place="http://here")
    assert caches(samples) == (
        CacheUse("*getEvent*", 25, 5120, 250, 50, Evictions(3, 2, 1)),
        CacheUse("unbounded", 4, None, 0, 0, bytes=4096),
    )
    assert jemalloc(samples) == Jemalloc(34243520, None, 41488384, None, None, None)
    assert garbage_collections(samples) == (GarbageCollection(0, 4, 0.004263), GarbageCollection(1, 0, 0.0))


def test_another_allocator_is_none() -> None:
    assert jemalloc({}) is None and caches({}) == () and garbage_collections({}) == ()


# --- the kernel's log --------------------------------------------------------------------------


def test_kills_are_told_with_what_was_held() -> None:
    assert oom_kills(LOG, {ID: "matrix-synapse-1"}) == [
        "2026-11-28T16:44:32Z python (pid 26797) of matrix-synapse-1 was killed at its limit, holding 92 MiB"
    ]


def test_others_kills_are_left_out() -> None:
    assert oom_kills(LOG, {"f" * 64: "matrix-synapse-1"}) == []
    assert oom_kills(LOG[:1], {ID: "matrix-synapse-1"}) == []


def test_the_newest_are_kept_and_none_steers_a_terminal() -> None:
    line = LOG[1][1].replace("CONSTRAINT_MEMCG", "CONSTRAINT_NONE").replace("task=python", "task=a\x1b[2J,b")
    kills = oom_kills([(60.0 * number, line) for number in range(7)], {f"/docker/{ID}": "x"}, newest=2)
    assert kills == [
        f"1970-01-01T00:0{minute}:00Z a?[2J,b (pid 26797) of x was killed at the host's memory" for minute in (5, 6)
    ]
