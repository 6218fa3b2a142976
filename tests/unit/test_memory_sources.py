# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measuring on machines laid out in a folder, with made-up containers: cgroup v1 and v2, with and without Docker."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import looked as looking
import pytest
from kernel_texts import ID, LOG, METRICS, ROLLUP, STAT, STAT_V1, STAT_V2

from ansible_collections.synapse.tuning.plugins.module_utils import _memory, _postgresql
from ansible_collections.synapse.tuning.plugins.module_utils._cgroups import Cgroup
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Found
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import Wanted

SYNAPSE, WORKER, DATABASE = "5" * 64, "7" * 64, "d" * 64
MAIN = "python\0-m\0synapse.app.homeserver\0--config-path\0/data/homeserver.yaml\0"
SENDER = "python\0-m\0synapse.app.generic_worker\0-c\0/data/homeserver.yaml\0--config-path=/data/workers/sender.yaml\0"
CLIENT = "postgres: synapse synapse 172.18.0.3(55108) idle\0"
CONFIGURATION = "enable_metrics: true\nlisteners: [{port: 9000, type: metrics, bind_addresses: ['127.0.0.1']}]\n"


def lay_out(root: pathlib.Path, files: dict[str, str]) -> str:
    base = {
        "proc/meminfo": "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB\nSwapTotal: 1024 kB\nSwapFree: 1000 kB\n",
        "proc/vmstat": "nr_free_pages 1\noom_kill 3\n",
        "proc/uptime": "1477.69 1079.53\n",
        "proc/self/cgroup": "0::/\n",
        "dev/kmsg": "",
    }
    for name, text in {**base, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(root)


def process(pid: int, cmdline: str, cgroup: str = "0::/\n", *, inner: Any = 1, parent: int = 22742) -> dict[str, str]:
    numbers = f"{pid}" if inner is None else f"{pid}\t{inner}"
    return {
        f"proc/{pid}/cmdline": cmdline,
        f"proc/{pid}/cgroup": cgroup,
        f"proc/{pid}/status": f"Name:\tx\nNSpid:\t{numbers}\nVmHWM:\t 300 kB\nVmRSS:\t 200 kB\nVmSwap:\t 0 kB\n",
        f"proc/{pid}/smaps_rollup": ROLLUP,
        f"proc/{pid}/stat": STAT.replace("22742", str(parent), 1),
    }


def v1(name: str, id_: str, pids: Sequence[int]) -> dict[str, str]:
    place = f"sys/fs/cgroup/memory/docker/{id_}"
    return {
        f"{place}/memory.stat": STAT_V1,
        f"{place}/memory.usage_in_bytes": "147980288\n",
        f"{place}/memory.max_usage_in_bytes": "160538624\n",
        f"{place}/memory.limit_in_bytes": "268435456\n",
        f"{place}/memory.failcnt": "17\n",
        f"{place}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        f"{place}/cgroup.procs": "".join(f"{pid}\n" for pid in pids),
        f"sys/fs/cgroup/cpuacct/docker/{id_}/cpuacct.usage": "12500000000\n",
    }


def v2(name: str, id_: str, pids: Sequence[int]) -> dict[str, str]:
    place = f"sys/fs/cgroup/system.slice/docker-{id_}.scope"
    return {
        f"{place}/memory.stat": STAT_V2,
        f"{place}/memory.current": "147980288\n",
        f"{place}/memory.peak": "160538624\n",
        f"{place}/memory.max": "268435456\n",
        f"{place}/memory.swap.current": "4096\n",
        f"{place}/memory.events": "low 0\nhigh 0\nmax 17\noom 3\noom_kill 2\n",
        f"{place}/cpu.stat": "usage_usec 12500000\nuser_usec 1\n",
        f"{place}/cgroup.procs": f"{pids[0]}\n",
        # Systemd in a container makes more of them.
        f"{place}/init.scope/cgroup.procs": "".join(f"{pid}\n" for pid in pids[1:]),
    }


CGROUP_V1 = "9:name=systemd:/docker/{0}\n4:memory:/docker/{0}\n2:cpuacct,cpu:/docker/{0}\n0::/docker/{0}\n"
CGROUP_V2 = "0::/system.slice/docker-{0}.scope\n"


def container(service: str, id_: str, pid: int, image: str, **state: Any) -> Found:
    return Found(
        id=id_,
        name=f"matrix-{service}-1",
        labels={
            "com.docker.compose.service": service,
            "com.docker.compose.project.working_dir": "/srv/matrix",
        },
        details={
            "State": {"Running": True, "Status": "running", "Pid": pid, "StartedAt": "2026-01-02T03:04:05Z", **state},
            "RestartCount": 1,
            "Config": {
                "Image": image,
                "Env": ["POSTGRES_PASSWORD=s3cret", *(["SYNAPSE_WORKER=x"] if service == "sender" else [])],
            },
            "HostConfig": {},
        },
    )


def project(**state: Any) -> list[Found]:
    return [
        container("synapse", SYNAPSE, 100, "matrixdotorg/synapse:v1.163.2", **state),
        container("sender", WORKER, 200, "matrixdotorg/synapse:v1.163.2"),
        container("db", DATABASE, 300, "postgres:15"),
    ]


STATE = {
    "version": "15.18 (Debian 15.18-0)",
    "uptime": 7200.5,
    "max_connections": 100,
    "shared_buffers": 134217728,
    "work_mem": 4194304,
    "database_bytes": 15760743,
    "statistics": {"blks_hit": 990, "blks_read": 10, "temp_files": 4, "temp_bytes": 5, "since": None},
    "backends": [
        {
            "pid": 70,
            "kind": "client backend",
            "database": "synapse",
            "user": "synapse",
            "application": "",
            "state": "idle",
        },
        {
            "pid": 71,
            "kind": "client backend",
            "database": "synapse",
            "user": "synapse",
            "application": "",
            "state": "active",
        },
        {"pid": 51, "kind": "checkpointer", "database": None, "user": None, "application": "", "state": None},
    ],
    "dead_tuples": 7,
    "tables": [{"table": "events", "dead": 7, "live": 9, "last": "2026-01-02T03:04:05Z"}],
}


class FakeEngine:
    """Containers in which Synapse's metrics, its files and PostgreSQL are asked for."""

    def __init__(self, containers: Sequence[Found], *, state: Any) -> None:
        self.containers = list(containers)
        self.state = state

    def all(self) -> list[Found]:
        return self.containers

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        words = list(command)
        script = words[2] if words[:2] == ["sh", "-c"] else " ".join(words)
        if "[s]ynapse" in script:
            line = MAIN if container == SYNAPSE else SENDER
            return f"/proc/1/cmdline 991:991 {line}\n"
        if looking.is_look(words):
            worker = "worker_name: federation_sender1\n"
            files = {path: worker if path.endswith("sender.yaml") else CONFIGURATION for path in words[7:]}
            return looking.looked(words, *(looking.file(path, text) for path, text in files.items()))
        if "urllib" in script and "http://127.0.0.1:9000/_synapse/metrics" in words:
            return METRICS
        if words[:2] == ["df", "-Pk"]:
            return "Filesystem 1024-blocks Used Available Capacity Mounted on\nshm 65536 1052 64484 2% /dev/shm\n"
        if words[0] == "psql" and self.state is not None:
            return json.dumps(self.state)
        raise SourceError(f"'{words[0]}' fails in the container")

    def log(self, container: str) -> str:
        return ""


def machine(root: pathlib.Path, *, version: int = 1, **changes: str) -> str:
    cgroup, files = (CGROUP_V1, v1) if version == 1 else (CGROUP_V2, v2)
    return lay_out(
        root,
        {
            **process(100, MAIN, cgroup.format(SYNAPSE)),
            **process(101, "sh\0-c\0synapse.app.homeserver\0", inner=9),
            **process(200, SENDER, cgroup.format(WORKER)),
            **process(300, "postgres\0", cgroup.format(DATABASE)),
            **process(301, "postgres: checkpointer \0", inner=51),
            **process(302, CLIENT, inner=70),
            # One that PostgreSQL has no row for any more.
            **process(303, CLIENT, inner=99),
            **process(400, CLIENT, inner=70),
            **files("synapse", SYNAPSE, [100, 101]),
            **files("sender", WORKER, [200, 201]),
            **files("db", DATABASE, [300, 301, 302, 303]),
            "dev/kmsg": f"4,1,5140900,-;{LOG[1][1]}".replace(ID, SYNAPSE),
            **changes,
        },
    )


def measure(root: str, containers: Any = None, **given: Any) -> Measurement:
    engine = FakeEngine(project() if containers is None else containers, state=given.pop("state", STATE))
    wanted = given.pop("wanted", Wanted(project_dir="/srv/matrix"))
    return _memory.measure(
        _memory.Request(wanted=wanted, **given),
        connect=lambda **_options: engine,
        root=root,
    )


@pytest.mark.parametrize("version", [1, 2])
def test_a_project_is_measured(tmp_path: pathlib.Path, version: int) -> None:
    seen = measure(machine(tmp_path, version=version))
    assert seen.missing == {}
    assert seen.host is not None
    assert (seen.host.total, seen.host.available, seen.host.swap_used, seen.host.oom_kills) == (
        *(2 << 30, 1 << 30, 24 * 1024, 3),
    )
    inside = seen.synapse.container
    assert inside is not None
    assert dataclasses.asdict(inside) == {
        "name": "matrix-synapse-1",
        "limit": 268435456,
        "current": 147980288,
        "working_set": 87113728,
        "held": 55205888,
        "held_peak": 55205888,
        "peak": 160538624,
        "swap": 4096,
        "oom_kills": 2,
        "limit_hits": 17,
        "restarts": 1,
        "cpu_seconds": 12.5,
    }
    assert seen.synapse.version == "1.163.2"
    assert [(each.name, each.pid) for each in seen.synapse.processes] == [("main", 100), ("federation_sender1", 200)]
    assert {each.name for each in seen.synapse.caches} == {"*getEvent*", "unbounded"}
    assert seen.shm is not None and (seen.shm.size, seen.shm.used) == (64 << 20, 1052 * 1024)
    database = seen.postgresql
    assert (database.version, database.shared, database.blocks_hit, database.temp_files) == ("15.18", 21217280, 990, 4)
    assert (database.connections, database.connections_peak) == (2, 2)
    assert [(each.pid, each.kind, each.pss is not None) for each in database.backends] == [
        *((1, "postmaster", True), (51, "checkpointer", True)),
        *((70, "client backend", True), (71, "client backend", False)),
    ]
    assert len(seen.kernel_oom) == 1 and "(pid 26797) of matrix-synapse-1 was killed" in seen.kernel_oom[0]
    assert "s3cret" not in repr(seen)


def test_a_worker_whose_files_say_nothing_is_called_as_its_file(tmp_path: pathlib.Path) -> None:
    class Silent(FakeEngine):
        def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
            if looking.is_look(command) and command[-1].endswith("sender.yaml"):
                return looking.looked(command, looking.file(command[-1], "", age=""))
            return super().run(container, command, user=user)

    seen = _memory.measure(
        _memory.Request(wanted=Wanted(project_dir="/srv/matrix")),
        connect=lambda **_options: Silent(project(), state=STATE),
        root=machine(tmp_path),
    )
    assert [each.name for each in seen.synapse.processes] == ["main", "sender"]


def test_without_an_answer_of_postgresql_its_processes_tell(tmp_path: pathlib.Path) -> None:
    seen = measure(machine(tmp_path), state=None)
    assert seen.missing == {"database": "'psql' fails in the container"}
    database = seen.postgresql
    assert [(each.pid, each.kind, each.user, each.database) for each in database.backends] == [
        *((1, "postmaster", None, None), (51, "checkpointer", None, None)),
        *((70, "client backend", "synapse", "synapse"), (99, "client backend", "synapse", "synapse")),
    ]
    assert (database.connections, database.version, database.max_connections) == (2, None, None)


def test_a_role_that_is_told_less(tmp_path: pathlib.Path) -> None:
    hidden = [{**each, "kind": None, "user": None, "state": None} for each in STATE["backends"]]  # type: ignore[attr-defined]
    seen = measure(machine(tmp_path), state={**STATE, "backends": hidden})
    assert [each.kind for each in seen.postgresql.backends] == [
        *("postmaster", "checkpointer", "client backend", "client backend"),
    ]
    assert seen.postgresql.connections == 2


def test_who_is_not_root_is_told_what_would_help(tmp_path: pathlib.Path) -> None:
    unread = {f"proc/{pid}/smaps_rollup": "" for pid in (100, 200, 300, 301, 302, 303)}
    seen = measure(machine(tmp_path, **unread))
    assert set(seen.missing) == {"processes", "backends"}
    assert all(why.endswith("run with become") for why in seen.missing.values())
    assert [(each.rss, each.pss) for each in seen.synapse.processes] == [(200 * 1024, None)] * 2


def test_a_process_that_has_ended_is_left_out(tmp_path: pathlib.Path) -> None:
    ended = {"proc/303/status": "Name:\tpostgres\nState:\tZ (zombie)\n", "proc/303/smaps_rollup": ""}
    assert measure(machine(tmp_path, **ended)).missing == {}


def test_every_source_that_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    def refuse(**_options: Any) -> Any:
        raise SourceError("the Docker Engine does not answer")

    seen = _memory.measure(
        _memory.Request(wanted=Wanted(project_dir="/srv/matrix"), metrics_url="http://127.0.0.1:9/_synapse/metrics"),
        connect=refuse,
        root=str(tmp_path),
    )
    assert set(seen.missing) == {
        *("engine", "synapse", "postgresql", "host", "processes", "backends", "metrics", "database", "shm"),
        "kernel_log",
    }
    assert seen.missing["synapse"] == "the Docker Engine does not answer"
    assert all("\n" not in why for why in seen.missing.values())
    assert (seen.host, seen.synapse.container, seen.postgresql.connections, seen.shm) == (None, None, None, None)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"Running": False, "Status": "exited", "ExitCode": 0}, "matrix-synapse-1 exited (0); start it"),
        (
            {"Running": False, "OOMKilled": True},
            "matrix-synapse-1 was killed, as it took more memory than its limit; start it",
        ),
        ({"Pid": 200}, "matrix-synapse-1 does not run on this host"),
        ({"Pid": 12345}, "process 12345 is not one of this host's"),
    ],
)
def test_a_container_that_cannot_be_looked_at(tmp_path: pathlib.Path, state: dict[str, Any], said: str) -> None:
    seen = measure(machine(tmp_path), project(**state))
    assert said in seen.missing["synapse"]
    assert seen.synapse.container is None and seen.postgresql.container is not None


def test_what_the_engine_remembers_counts(tmp_path: pathlib.Path) -> None:
    quiet = f"sys/fs/cgroup/memory/docker/{SYNAPSE}/memory.oom_control"
    seen = measure(machine(tmp_path, **{quiet: "oom_kill 0\n"}), project(OOMKilled=True))
    assert seen.synapse.container is not None and seen.synapse.container.oom_kills == 1


# --- without Docker ----------------------------------------------------------------------------


def host(root: pathlib.Path) -> str:
    service = "0::/system.slice/matrix-synapse.service\n"
    return machine(
        root,
        **{
            **process(500, MAIN, service, inner=None),
            **process(501, SENDER, service, inner=None),
            **process(
                600, "/usr/lib/postgresql/15/bin/postgres\0-D\0/x\0", "0::/system.slice/pg.service\n", inner=None
            ),
            **process(601, "postgres: 15/main: synapse synapse [local] idle\0", inner=None, parent=600),
            **process(700, "/usr/lib/postgresql/13/bin/postgres\0-D\0/y\0", inner=None),
            **process(701, "postgres: 13/main: checkpointer \0", inner=None, parent=700),
            "dev/kmsg": f"4,1,5140900,-;{LOG[1][1]}".replace(f"/docker/{ID}", "/system.slice/pg.service"),
        },
    )


def test_services_of_the_host_are_found_by_their_processes(tmp_path: pathlib.Path) -> None:
    seen = measure(host(tmp_path), wanted=Wanted())
    # Those in containers are others'.
    assert [(each.name, each.pid) for each in seen.synapse.processes] == [("main", 500), ("sender", 501)]
    assert [(each.pid, each.kind) for each in seen.postgresql.backends] == [
        *((600, "postmaster"), (601, "client backend"), (700, "postmaster"), (701, "checkpointer")),
    ]
    assert seen.postgresql.shared == 4 * 5 * 1024
    assert (seen.postgresql.connections, seen.synapse.uptime) == (1, 924.2)
    assert seen.synapse.container is None and "give project_dir" in seen.missing["synapse"]
    assert "give metrics_url" in seen.missing["metrics"] and "give login_host" in seen.missing["database"]
    assert len(seen.kernel_oom) == 1 and "of pg.service was killed" in seen.kernel_oom[0]


@pytest.mark.parametrize(("place", "there"), [("/var/run/postgresql", True), ("db.example.org", False)])
def test_a_database_beside_the_project(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, place: str, there: bool
) -> None:
    def refuse(_login: Any) -> Any:
        raise SourceError("it does not answer")

    monkeypatch.setattr(_postgresql, "connect", refuse)
    seen = measure(host(tmp_path), project()[:2], login=Login(host=place))
    assert "no service has PostgreSQL's image" in seen.missing["postgresql"]
    assert [each.pid for each in seen.postgresql.backends] == ([600, 601, 700, 701] if there else [])
    assert [each.pid for each in seen.synapse.processes] == [100, 200]
    assert seen.missing["database"] == "it does not answer"


def test_another_server_on_the_same_host_is_told_apart(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Server:
        def text(self, _statement: str) -> str:
            session = {**STATE["backends"][0], "pid": 601}  # type: ignore[index]
            return json.dumps({**STATE, "backends": [session]})

    monkeypatch.setattr(_postgresql, "connect", lambda _login: contextlib.nullcontext(Server()))
    seen = measure(host(tmp_path), wanted=Wanted(), login=Login(user="postgres")).postgresql
    assert [each.pid for each in seen.backends] == [600, 601]
    assert (seen.shared, seen.version) == (2 * 5 * 1024, "15.18")


# --- several samples ---------------------------------------------------------------------------


def test_peaks_are_the_highest_of_the_samples(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = machine(tmp_path)
    stat = tmp_path / f"sys/fs/cgroup/memory/docker/{SYNAPSE}/memory.stat"
    held = iter([70, 90, 55])

    def pause(_seconds: float) -> None:
        # It moves from one sample to the next; a client comes and goes.
        figure = next(held, 55)
        stat.write_text(f"total_active_anon {figure}\ntotal_shmem 0\n")
        (tmp_path / "proc/301/cmdline").write_text(CLIENT if figure == 90 else "postgres: checkpointer \0")

    monkeypatch.setattr(_memory.time, "sleep", pause)
    monkeypatch.setattr(_memory.time, "monotonic", iter([0.0, 0.0, *(each / 4 for each in range(100))]).__next__)
    seen = measure(root, duration=3, interval=1)
    inside = seen.synapse.container
    assert inside is not None
    assert (inside.held, inside.held_peak) == (55, 55205888)
    assert seen.samples > 3 and seen.duration >= 3
    # The client that PostgreSQL has no row for counted, too, with the other two.
    assert (seen.postgresql.connections, seen.postgresql.connections_peak) == (2, 3)


def test_an_earlier_measurement_is_carried_on(tmp_path: pathlib.Path) -> None:
    root = machine(tmp_path / "root")
    earlier = tmp_path / "earlier.json"
    assert "previous" not in measure(root, previous=str(earlier)).missing
    first = measure(root)
    assert first.synapse.container is not None
    higher = dataclasses.replace(first.synapse.container, held_peak=99 << 20)
    before = dataclasses.replace(first, synapse=dataclasses.replace(first.synapse, container=higher))
    earlier.write_text(json.dumps(before.as_data()), encoding="utf-8")
    seen = measure(root, previous=str(earlier))
    assert seen.synapse.container is not None and seen.synapse.container.held_peak == 99 << 20
    assert seen.samples == 2
    earlier.write_text("{ half", encoding="utf-8")
    assert "holds no measurement" in measure(root, previous=str(earlier)).missing["previous"]
    assert "cannot be read (Is a directory)" in measure(root, previous=str(tmp_path)).missing["previous"]


# --- cgroups -----------------------------------------------------------------------------------


def test_a_cgroup_that_is_not_to_be_seen_from_here(tmp_path: pathlib.Path) -> None:
    root = lay_out(tmp_path, process(7, "x", "0::/../docker/abc\n"))
    with pytest.raises(SourceError, match=r"process 7 \(/\.\./docker/abc\) is not below .*: run on the host itself"):
        Cgroup(7, root=root)


def test_this_machine() -> None:
    cgroup = Cgroup(os.getpid())
    assert os.getpid() in cgroup.processes()
    assert cgroup.memory().held > 0
