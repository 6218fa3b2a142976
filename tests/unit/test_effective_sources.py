# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sources of effective_info, each with a made-up system behind its protocol."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import looked as looking
import pytest
from sample_plan import sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils import _docker, _effective, _metrics, _postgresql
from ansible_collections.synapse.tuning.plugins.module_utils import _effective_postgresql as postgresql
from ansible_collections.synapse.tuning.plugins.module_utils._compose_said import read_compose_files
from ansible_collections.synapse.tuning.plugins.module_utils._core import effective, readings
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import FileEntry, RoleSetting
from ansible_collections.synapse.tuning.plugins.module_utils._cron import read_cron
from ansible_collections.synapse.tuning.plugins.module_utils._deps import Library
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_look import look
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_process import SynapseProcess, started_at

METRICS = """\
# HELP synapse_build_info Build information
# TYPE synapse_build_info gauge
synapse_build_info{osversion="Linux",pythonversion="3.13",version="1.163.2 (b=develop,abc)"} 1.0
# TYPE synapse_util_caches_cache_max_size gauge
synapse_util_caches_cache_max_size{name="*getEvent*",server_name="a\\"b"} 5120.0
synapse_util_caches_cache_max_size{name="state_cache",server_name="a"} 5e+04
"""


def found(service: str, *, image: str = "", running: bool = True, **changes: Any) -> _docker.Found:
    labels = {
        "com.docker.compose.service": service,
        "com.docker.compose.project.working_dir": changes.pop("working_dir", "/srv/matrix"),
        **changes.pop("labels", {}),
    }
    return _docker.Found(
        id=f"id-of-{service}",
        name=f"matrix-{service}-1",
        labels=labels,
        details={
            "State": {"Running": running, "StartedAt": "2026-01-02T03:04:05.5Z"},
            "Config": {"Image": image, "Env": changes.pop("environment", []), "Cmd": None},
            "HostConfig": {"Memory": 1024**3, "MemoryReservation": 512 * 1024**2, "ShmSize": 64 * 1024**2},
        },
    )


SYNAPSE = found("synapse", image="matrixdotorg/synapse:v1.163.2", environment=["MALLOC_CONF=x", "SECRET=s3cret"])
DATABASE = found("db", image="postgres:17", environment=["POSTGRES_USER=me", "POSTGRES_PASSWORD=s3cret"])


class FakeEngine:
    """Answers by the words of a command; an answer that is missing is a failure."""

    def __init__(self, containers: Sequence[_docker.Found] = (), **answers: str) -> None:
        self.containers = list(containers)
        self.answers = answers
        self.users: list[str] = []

    def all(self) -> list[_docker.Found]:
        return self.containers

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        self.users.append(user)
        # A script's arguments tell it apart, not its text.
        words = list(command)
        key = " ".join(words[:1] + words[4:] if words[:2] == ["sh", "-c"] and words[3:] else words)
        for name, answer in self.answers.items():
            if name in key:
                return answer
        raise SourceError(f"'{command[0]}' fails in the container: {key}")


# --- metrics -----------------------------------------------------------------------------------


def test_metrics_are_read() -> None:
    read = _metrics.parse_metrics(METRICS, place="http://here")
    assert read == readings.Metrics("1.163.2", {"*getEvent*": 5120, "state_cache": 50000})


@pytest.mark.parametrize("text", ["<html>not here</html>", "go_threads 5\n", ""])
def test_other_texts_are_no_metrics(text: str) -> None:
    with pytest.raises(SourceError, match="correct metrics_url"):
        _metrics.parse_metrics(text, place="http://here")


class _Handler(BaseHTTPRequestHandler):
    failures = 0

    def do_GET(self) -> None:
        there = self.path == "/_synapse/metrics"
        failing = there and _Handler.failures > 0
        if failing:
            _Handler.failures -= 1
        self.send_response(500 if failing else 200 if there else 404)
        self.end_headers()
        self.wfile.write(METRICS.encode() if there else b"")

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_metrics_come_over_http(address: str) -> None:
    assert _metrics.read_metrics(f"http://{address}/_synapse/metrics", timeout=5).version == "1.163.2"
    with pytest.raises(SourceError, match=r"gives no metrics: .*Not Found") as refused:
        _metrics.read_metrics(f"http://{address}/metrics", timeout=5)
    assert "\n" not in str(refused.value)


def test_a_start_may_break_an_answer(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://{address}/_synapse/metrics"
    monkeypatch.setattr(_metrics, "_PAUSES", (0.0, 0.0))
    _Handler.failures = 2
    assert _metrics.read_metrics(url, timeout=5).version == "1.163.2"
    _Handler.failures = 3
    with pytest.raises(SourceError, match=r"gives no metrics: .*Internal Server Error"):
        _metrics.read_metrics(url, timeout=5)
    assert _Handler.failures == 0


@pytest.mark.parametrize("url", ["file:///etc/passwd", "127.0.0.1:9000"])
def test_only_http_is_asked(url: str) -> None:
    with pytest.raises(SourceError, match="must start with http"):
        _metrics.read_metrics(url, timeout=5)


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(SourceError) as refused:
        _metrics.read_metrics("http://me:s3cret@127.0.0.1:1/_synapse/metrics", timeout=5)
    assert "s3cret" not in str(refused.value)


# --- libraries ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "name", "use"),
    [
        (_metrics, "PROMETHEUS_CLIENT", lambda: _metrics.parse_metrics(METRICS, place="http://here")),
        (_docker, "DOCKER", _docker.Engine),
        (_postgresql, "PSYCOPG", lambda: _postgresql.connect(Login()).__enter__()),
    ],
)
def test_a_missing_library_is_one_line(monkeypatch: pytest.MonkeyPatch, adapter: Any, name: str, use: Any) -> None:
    library = getattr(adapter, name)
    monkeypatch.setattr(adapter, name, Library(name=library.name, reason=library.reason, error="Traceback"))
    with pytest.raises(TuningError, match=f"^the library {library.name} is missing, needed to .*pip install") as said:
        use()
    assert "\n" not in str(said.value)


# --- containers --------------------------------------------------------------------------------


def test_containers_of_a_project_are_those_of_its_directory(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    mine = found("db", working_dir=str(tmp_path / "real"))
    stopped = found("db", working_dir=str(tmp_path / "real"), running=False)
    once = found("db", working_dir=str(tmp_path / "real"), labels={"com.docker.compose.oneoff": "True"})
    everything = [stopped, once, found("db"), mine]
    assert _docker.of_project(everything, str(tmp_path / "link")) == [mine, stopped]


def test_a_container_by_name() -> None:
    assert _docker.by_name([SYNAPSE, DATABASE], "matrix-db-1") is DATABASE
    with pytest.raises(SourceError, match="no container 'nobody'"):
        _docker.by_name([SYNAPSE], "nobody")


def test_a_command_ends_after_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine the engine says that a command runs when all that it prints is there."""

    class Client:
        def __init__(self, *said: dict[str, Any]) -> None:
            self.said = list(said)

        def exec_create(self, *_arguments: Any, **_options: Any) -> dict[str, str]:
            return {"Id": "a command"}

        def exec_start(self, _command: str, demux: bool) -> tuple[bytes, bytes]:
            assert demux
            return b"said", b"and complained"

        def exec_inspect(self, _command: str) -> dict[str, Any]:
            return self.said.pop(0) if len(self.said) > 1 else self.said[0]

    pauses: list[float] = []
    monkeypatch.setattr(_docker.time, "sleep", pauses.append)
    running = {"Running": True, "ExitCode": None}
    engine = object.__new__(_docker.Engine)
    engine._client = Client(running, running, {"Running": False, "ExitCode": 0})
    assert engine.run("it", ["cat"]) == "said" and len(pauses) == 2
    engine._client = Client(running, {"Running": False, "ExitCode": 3})
    with pytest.raises(SourceError, match="'cat' fails in the container: and complained"):
        engine.run("it", ["cat"])
    engine._client = Client(running)
    with pytest.raises(SourceError, match="'cat' fails in the container"):
        engine.run("it", ["cat"])
    assert sum(pauses) < 20


# --- Synapse's process -------------------------------------------------------------------------

PROCESS = {
    "[s]ynapse": (
        "/proc/17/cmdline\n"  # it has ended since
        "/proc/7/cmdline 991:992 python3\0-m\0synapse.app.homeserver\0"
        "--config-path\0/data/homeserver.yaml\0-c\0/data/conf.d\0\n"
        "/proc/1/cmdline 0:0 tini\0--\0python\0-m\0synapse.app.homeserver\0\n"
    ),
}
ENVIRONMENT = "MALLOC_CONF=x\0SYNAPSE_CACHE_FACTOR_GETEVENT=3\0SECRET=s3cret\0"


class Looking(FakeEngine):
    """One in which the process and these files are seen; `cut`: how many letters of the answer are lost."""

    def __init__(self, *files: looking.Parts, cut: int = 0, **answers: str) -> None:
        super().__init__(**PROCESS, **answers)
        self.files = files
        self.cut = cut
        self.looks: list[list[str]] = []

    def run(self, container: str, command: Sequence[str], *, user: str = "") -> str:
        if not looking.is_look(command):
            return super().run(container, command, user=user)
        self.users.append(user)
        self.looks.append([command[4], *command[6:]])
        answer = looking.looked(command, *self.files, environment=ENVIRONMENT)
        return answer[: len(answer) - self.cut]


def test_the_process_is_found_behind_an_init() -> None:
    engine = Looking()
    process = SynapseProcess(engine, SYNAPSE).process(["MALLOC_CONF", "PYTHONMALLOC"])
    assert process == readings.Process({"MALLOC_CONF": "x"}, {"SYNAPSE_CACHE_FACTOR_GETEVENT": "3"}, jemalloc=True)
    # Its memory is its own user's to look at.
    assert engine.users == ["", "991:992"]


def test_the_files_it_was_started_with_are_read() -> None:
    started = int(started_at(SYNAPSE))
    stamps = ("20260102T030400.000000Z", "20260102T030500.000000Z", "20260102T030600.000000Z")
    backups = [
        f"{age} /data/conf.d/a.yaml.{stamp}.bak" for age, stamp in zip((started - 9, started - 5, started + 60), stamps)
    ]
    engine = Looking(
        looking.file("/data/homeserver.yaml", "caches: {}\n", age=f"{started} 4711"),
        looking.file(
            *("/data/conf.d/a.yaml", "caches: {global_factor: 0.2}\n"), age=f"{started + 0.9} 4712", backups=backups
        ),
        **{f"cat /data/conf.d/a.yaml.{stamps[1]}.bak": "caches: {global_factor: 0.5}\n"},
    )
    process = SynapseProcess(engine, SYNAPSE)
    assert process.configuration() == readings.Configuration(
        (
            readings.ConfigurationFile("/data/homeserver.yaml", {"caches": {}}, changed=False),
            # Of three backups one was made after the start, and from a text of before it.
            readings.ConfigurationFile(
                "/data/conf.d/a.yaml",
                {"caches": {"global_factor": 0.2}},
                changed=True,
                started={"caches": {"global_factor": 0.5}},
            ),
        )
    )
    # Both come from one look.
    assert process.process([]).jemalloc
    assert engine.looks == [["7", "homeserver.tuning.yaml", "/data/homeserver.yaml", "/data/conf.d"]]


def test_a_drop_in_that_it_was_not_started_with_is_told() -> None:
    factor = "caches: {global_factor: 0.2}\n"
    dropin = "/data/homeserver.tuning.yaml"
    main = looking.file("/data/homeserver.yaml", "caches: {}\n")

    def read(*files: looking.Parts) -> readings.Configuration:
        return SynapseProcess(Looking(*files), SYNAPSE).configuration()

    unread = read(main, looking.file(dropin, factor, kind="unread")).unread
    assert unread is not None and (unread.path, unread.data) == (dropin, {"caches": {"global_factor": 0.2}})
    assert read(main, looking.file(dropin, "a: [", kind="unread")).unread is None
    assert read(main, looking.file(dropin, factor), looking.file(dropin, factor, kind="unread")).unread is None
    with pytest.raises(SourceError, match=r"^/data/homeserver.yaml, which Synapse was started with, can't be read$"):
        read(looking.file("/data/homeserver.yaml", "", age=""))


@pytest.mark.parametrize("cut", [2, 5, 40, 100])
def test_an_answer_that_was_cut_off_is_no_answer(cut: int) -> None:
    engine = Looking(looking.file("/data/homeserver.yaml", "caches: {}\n"), cut=cut)
    with pytest.raises(SourceError, match="cut off; try again"):
        SynapseProcess(engine, SYNAPSE).configuration()


def test_the_script_says_what_is_there(tmp_path: pathlib.Path) -> None:
    """On a process of this machine, as it needs no container to run."""

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    folder = tmp_path / "conf d"
    folder.mkdir()
    for name, text in {"b.yaml": "b: 1", "a.yaml": "a: 1\n\n", "not.txt": "c", "zz.yaml": "z: 1\n"}.items():
        (folder / name).write_text(text, encoding="utf-8")
    backup = folder / "b.yaml.20260102T030500.000000Z.bak"
    backup.write_text("b: 0", encoding="utf-8")
    os.utime(backup, (1000, 1000.5))
    process = subprocess.Popen(["sleep", "60"], cwd=tmp_path, env={"NAME": "two\nlines=x"})
    try:
        seen = look(run, str(process.pid), ["conf d/b.yaml", "gone.yaml"], dropin="zz.yaml")
        everything = look(run, str(process.pid), ["conf d"], dropin="zz.yaml")
    finally:
        process.kill()
        process.wait()
    assert (seen.environment, seen.jemalloc) == ({"NAME": "two\nlines=x"}, False)
    first, gone = seen.files
    status = (folder / "b.yaml").stat()
    assert (first.path, first.text, first.inode) == ("conf d/b.yaml", "b: 1", status.st_ino)
    assert first.modified == pytest.approx(status.st_mtime, abs=1e-3)
    assert first.backups == (f"1000.500000000 {backup}",)
    assert (gone.path, gone.modified, gone.inode) == ("gone.yaml", None, None)
    assert seen.unread is not None and (seen.unread.path, seen.unread.text) == ("conf d/zz.yaml", "z: 1\n")
    # Sorted, and a drop-in that is among them is not beside them.
    texts = [(each.path, each.text) for each in everything.files]
    assert texts == [("conf d/a.yaml", "a: 1\n\n"), ("conf d/b.yaml", "b: 1"), ("conf d/zz.yaml", "z: 1\n")]
    assert everything.unread is None
    assert not look(run, str(os.getpid()), [], dropin="zz.yaml").files


def test_a_file_that_was_replaced_under_its_mount_is_seen(tmp_path: pathlib.Path) -> None:
    # Such a mount is of the file: the container has the old one until it starts again.
    outside = tmp_path / "homeserver.yaml"
    outside.write_text("caches: {global_factor: 0.2}\n", encoding="utf-8")
    mounts = [{"Type": "bind", "Source": str(outside), "Destination": "/data/homeserver.yaml"}]
    container = dataclasses.replace(SYNAPSE, details={**SYNAPSE.details, "Mounts": mounts})
    inodes = {"old": 1, "same": outside.stat().st_ino}

    def file_with(inode: int) -> readings.ConfigurationFile:
        engine = Looking(looking.file("/data/homeserver.yaml", "caches: {}\n", age=f"1 {inode}"))
        (file,) = SynapseProcess(engine, container).configuration().files
        return file

    assert file_with(inodes["same"]) == readings.ConfigurationFile("/data/homeserver.yaml", {"caches": {}}, False)
    assert file_with(inodes["old"]) == readings.ConfigurationFile(
        "/data/homeserver.yaml", {"caches": {"global_factor": 0.2}}, changed=True, started={"caches": {}}
    )


def test_a_container_without_synapse_says_so() -> None:
    with pytest.raises(SourceError, match="not to be found"):
        SynapseProcess(FakeEngine(), SYNAPSE)
    with pytest.raises(SourceError, match="does not run; start it"):
        SynapseProcess(Looking(), found("synapse", running=False))


# --- PostgreSQL --------------------------------------------------------------------------------


class FakeServer:
    def __init__(self, *, superuser: bool = True) -> None:
        self.superuser = superuser

    def text(self, statement: str) -> str:
        if "pg_file_settings" in statement:
            if not self.superuser:
                raise SourceError("permission denied")
            return json.dumps([dataclasses.asdict(FileEntry("/x.conf", 1, "work_mem", each)) for each in "12"])
        row = dataclasses.asdict(Parameter("", None, None, "string", "user", "default"))
        state: dict[str, Any] = {
            "database": "synapse",
            "parameters": [
                {**row, "name": "server_version", "setting": "15.18 (Debian 15.18-0)"},
                {**row, "name": "work_mem", "setting": "4096", "unit": "kB", "vartype": "integer"},
                {**row, "name": "krb_server_keyfile", "setting": "secret"},
            ],
            "role_settings": [
                {"role": "synapse", "database": None, "assignment": "work_mem=1MB"},
                {"role": None, "database": "synapse", "assignment": "search_path=a=b"},
            ],
            "connections": [{"role": "synapse", "database": "synapse", "count": 4}],
            "tables": [
                {"table": "big", "options": ["fillfactor=90", "autovacuum_enabled=on"]},
                *({"table": name, "options": []} for name in ("plain", "other")),
            ],
        }
        return json.dumps(state)


def test_a_database_is_read() -> None:
    database = postgresql.read_database(FakeServer(), ["work_mem", "jit"], ["big", "plain", "absent"])
    assert database.version == "15.18"
    assert database.parameters == {"work_mem": Parameter("work_mem", "4096", "kB", "integer", "user", "default")}
    # Of two lines in the files the last one counts.
    assert database.file_settings == {"work_mem": FileEntry("/x.conf", 1, "work_mem", "2")}
    assert database.role_settings == (RoleSetting("synapse", None, "work_mem", "1MB"),)
    assert database.connections == {("synapse", "synapse"): 4}
    assert database.name == "synapse"
    assert database.tables == {"big": {"fillfactor": "90", "autovacuum_enabled": "on"}, "plain": {}}


def test_who_is_no_superuser_reads_no_files() -> None:
    assert postgresql.read_database(FakeServer(superuser=False), ["work_mem"]).file_settings is None


def test_psql_is_asked_as_the_images_own_user() -> None:
    engine = FakeEngine(psql="text\n")
    server = postgresql.InContainer(engine, DATABASE)
    assert server.text("SELECT 1") == "text"
    with pytest.raises(SourceError, match=r"fails in the container: psql .* -U me -d me -c SELECT 1"):
        postgresql.InContainer(FakeEngine(), DATABASE).text("SELECT 1")
    with pytest.raises(SourceError, match=r"-U me -d other -c SELECT 1"):
        postgresql.InContainer(FakeEngine(), DATABASE, "other").text("SELECT 1")


# --- compose files and cron --------------------------------------------------------------------


def test_compose_files_are_read_in_order(tmp_path: pathlib.Path) -> None:
    compose, override = tmp_path / "compose.yml", tmp_path / "compose.override.yml"
    compose.write_text(
        "services:\n  synapse: {environment: [PYTHONMALLOC=malloc, SECRET=s3cret]}\n"
        "  db: {mem_limit: '${LIMIT:-1g}', command: postgres -c jit=off}\n",
        encoding="utf-8",
    )
    override.write_text("services: {db: {deploy: {resources: {limits: {memory: 300M}}}}}\n", encoding="utf-8")
    services = {"synapse": "synapse", "postgresql": "db"}
    # The override file came after the containers.
    files = read_compose_files([str(compose)], str(tmp_path), services, ["PYTHONMALLOC"])
    assert files == [
        readings.ComposeFile(
            str(compose),
            {
                "synapse": {"environment.PYTHONMALLOC": "malloc"},
                "postgresql": {"memory_limit": "1g", "postgresql.jit": "off"},
            },
        ),
        readings.ComposeFile(str(override), {"synapse": {}, "postgresql": {"memory_limit": "300M"}}),
    ]


def test_compose_files_that_are_gone_are_left_out(tmp_path: pathlib.Path) -> None:
    assert read_compose_files([str(tmp_path / "none.yml")], str(tmp_path), {"synapse": "synapse"}, []) == []


def test_the_entry_of_cron_is_read(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "50% done.sh"
    script.write_text("#!/bin/sh\nchunk_size=500\nnumber_of_chunks=100\n", encoding="utf-8")
    script.chmod(0o755)
    file = tmp_path / "cron"
    command = f"'{script}' --random-delay 1800".replace("%", r"\%")
    file.write_text(f"# comment\nSHELL=/bin/sh\n17 3 * * 0 root {command}\n", encoding="utf-8")
    job = read_cron(str(file))
    assert job == readings.CronJob(
        str(file), ("17", "3", "*", "*", "0"), str(script), True, {"chunk_size": "500", "number_of_chunks": "100"}
    )
    script.chmod(0o644)
    file.write_text("#17 3 * * 0 root x\n", encoding="utf-8")
    assert read_cron(str(file)).fields is None
    assert read_cron(str(tmp_path / "none")).fields is None


def test_a_timer_is_read(tmp_path: pathlib.Path) -> None:
    script = tmp_path / '50% "done".sh'
    script.write_text("#!/bin/sh\nchunk_size=500\n", encoding="utf-8")
    script.chmod(0o755)
    timer = tmp_path / "x.timer"
    timer.write_text("[Timer]\nOnCalendar=Sun *-*-* 03:17:00\nPersistent=true\n", encoding="utf-8")
    quoted = str(script).replace('"', '\\"').replace("%", "%%")
    (tmp_path / "x.service").write_text(f'[Service]\nExecStart="{quoted}"\n', encoding="utf-8")
    # Not enabled, it is due at no time.
    assert read_cron(str(timer)).fields is None
    (tmp_path / "timers.target.wants").mkdir()
    (tmp_path / "timers.target.wants" / "x.timer").symlink_to(timer)
    assert read_cron(str(timer)) == readings.CronJob(
        str(timer), ("17", "03", "*", "*", "Sun"), str(script), True, {"chunk_size": "500"}
    )
    timer.write_text("[Timer]\nOnCalendar=Sat,Sun 03:00\n", encoding="utf-8")
    assert read_cron(str(timer)).fields == ("Sat,Sun", "03:00")


# --- all together ------------------------------------------------------------------------------


def _request(**changes: Any) -> _effective.Request:
    return _effective.Request(plan=sample_plan(), project_dir="/srv/matrix", **changes)


def test_every_source_that_is_missing_is_named() -> None:
    def refuse(**_options: Any) -> Any:
        raise SourceError("the Docker Engine does not answer")

    read = _effective.read(_request(), connect=refuse)
    verdicts = effective.judge(sample_plan(), read)
    assert {each.state for each in verdicts} == {"unknown"}
    assert {each.because for each in verdicts} == {"the Docker Engine does not answer"}
    assert set(read.missing) == {"engine", "metrics", "configuration", "process", "synapse", "postgresql", "database"}


def test_services_are_found_by_their_images() -> None:
    other = found("redis", image="redis:7")
    read = _effective.read(_request(), connect=lambda **_options: FakeEngine([other, DATABASE, SYNAPSE], **PROCESS))
    assert (read.synapse.name, read.postgresql.name) == ("matrix-synapse-1", "matrix-db-1")  # type: ignore[union-attr]
    # df gave no answer, and no variable but the plan's is kept.
    assert read.postgresql.dev_shm is None and read.postgresql.environment == {}  # type: ignore[union-attr]
    assert "s3cret" not in repr(read)


def test_a_service_that_is_not_there_is_named() -> None:
    engine = FakeEngine([SYNAPSE])
    read = _effective.read(_request(db_service="database"), connect=lambda **_options: engine)
    assert isinstance(read.postgresql, readings.Missing)
    assert "there is no service 'database' (there are: synapse)" in read.postgresql.why


def test_a_project_without_containers_is_named() -> None:
    read = _effective.read(_request(), connect=lambda **_options: FakeEngine())
    assert isinstance(read.synapse, readings.Missing)
    assert read.synapse.why == "no container is of the Compose project in /srv/matrix; start it"
