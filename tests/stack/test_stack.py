# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test stack is what it says: a real engine, and images that keep the contract of the official ones."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator

import client
import images
import pytest
from deployment import Deployment
from engine import Engine, StackError

pytestmark = pytest.mark.slow

MIB = 1024**2


# --- the engine --------------------------------------------------------------------------------


def test_limits_are_the_kernels(engine: Engine) -> None:
    shown = engine.docker(
        *("run", "--rm", "--memory", "64m", "--shm-size", "48m", images.BASE.tag, "sh", "-c"),
        # cgroup v1 and v2 name it differently.
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null;"
        " df -B1 --output=size /dev/shm | tail -n 1",
    ).stdout.split()
    assert [int(each) for each in shown] == [64 * MIB, 48 * MIB]


def test_a_process_over_its_limit_is_killed(engine: Engine) -> None:
    run = engine.docker(
        *("run", "--rm", "--memory", "32m", "--memory-swap", "32m", images.BASE.tag, "sh", "-c"),
        "head -c 128m /dev/zero | tail -c 128m >/dev/null",
        check=False,
    )
    assert run.returncode == 137, run.stderr


def test_nothing_of_this_machines_other_engine_is_used(engine: Engine) -> None:
    assert json.loads(engine.docker("info", "--format", "{{json .}}").stdout)["DockerRootDir"] == str(
        engine.directory / "data"
    )
    assert "compose" in engine.docker("compose", "version").stdout.lower()


def test_images_are_made_once(engine: Engine) -> None:
    before = {
        image.tag: engine.docker("image", "inspect", "--format", "{{.Id}}", image.tag).stdout for image in images.IMAGES
    }
    images.build_all(engine)
    after = {
        image.tag: engine.docker("image", "inspect", "--format", "{{.Id}}", image.tag).stdout for image in images.IMAGES
    }
    assert after == before
    assert all(images.present(engine, image) for image in images.IMAGES)


def test_images_hold_nothing_of_the_machine_that_made_them(engine: Engine) -> None:
    for image in images.IMAGES:
        config = engine.docker("image", "inspect", "--format", "{{json .Config}}", image.tag).stdout
        names = {each.partition("=")[0] for each in json.loads(config)["Env"]}
        # systemd is told by "container" that it runs in one.
        assert names <= {"PATH", "PGDATA", "PG_MAJOR", "LANG", "container"}, image.tag


# --- Synapse -----------------------------------------------------------------------------------


def test_synapse_is_process_1_without_roots_rights_and_with_jemalloc(stock: Deployment) -> None:
    assert "synapse.app.homeserver" in stock.execute("synapse", "cat", "/proc/1/cmdline")
    status = stock.execute("synapse", "cat", "/proc/1/status")
    ids = {line.split()[0]: line.split()[1:] for line in status.splitlines() if line.startswith(("Uid", "Gid"))}
    assert ids == {"Uid:": ["991"] * 4, "Gid:": ["991"] * 4}
    maps = stock.engine.docker("exec", "--user", "991:991", stock.container("synapse"), "cat", "/proc/1/maps").stdout
    assert "libjemalloc.so.2" in maps


def test_synapse_says_the_version_that_its_image_is_tagged_with(stock: Deployment) -> None:
    assert f"matrixdotorg/synapse:v{stock.anonymous().server_version()}" == images.SYNAPSE.tag


def test_synapse_becomes_healthy(stock: Deployment) -> None:
    status = client.wait_until(
        lambda: stock.inspect("synapse")["State"]["Health"]["Status"] == "healthy", seconds=60, what="healthy"
    )
    assert status


def test_messages_go_through(stock: Deployment) -> None:
    alice, bob = stock.register("alice"), stock.register("bob")
    room = alice.create_room(name="here")
    since = bob.sync()["next_batch"]
    bob.join(room)
    for number in range(3):
        alice.send(room, f"message {number}")
    joined = bob.sync(since, wait=5)["rooms"]["join"]
    assert room in joined
    assert bob.texts(room) == ["message 0", "message 1", "message 2"]


def test_an_admin_may_what_users_may_not(stock: Deployment) -> None:
    admin, user = stock.register("boss", admin=True), stock.register("clerk")
    admin.create_room(name="one room")
    assert admin.call("GET", "/_synapse/admin/v1/rooms")["total_rooms"] >= 1
    with pytest.raises(client.MatrixError) as refused:
        user.call("GET", "/_synapse/admin/v1/rooms")
    assert refused.value.status == 403


def test_metrics_show_the_stock_cache_size(stock: Deployment) -> None:
    # Only caches that were used have a size.
    alice = stock.register("reader")
    alice.send(alice.create_room(), "text")
    sizes = {labels["name"]: value for labels, value in stock.metrics()["synapse_util_caches_cache_max_size"]}
    assert sizes["*getEvent*"] == 5120


def test_ports_are_on_loopback_alone(stock: Deployment) -> None:
    ports = stock.inspect("synapse")["NetworkSettings"]["Ports"]
    published = [each["HostIp"] for bindings in ports.values() for each in bindings or []]
    assert published == ["127.0.0.1", "127.0.0.1"]


def test_synapse_reloads_its_factor_on_a_hangup(stock: Deployment) -> None:
    alice = stock.register("factor")
    alice.create_room()
    before = stock.inspect("synapse")["State"]["Pid"]
    path = stock.directory / "data" / "homeserver.yaml"
    stock_text = path.read_text(encoding="utf-8")

    def size() -> float:
        sizes = {labels["name"]: value for labels, value in stock.metrics()["synapse_util_caches_cache_max_size"]}
        return sizes["*getEvent*"]

    for text, expected in ((f"{stock_text}caches: {{global_factor: 0.25}}\n", 2560), (stock_text, 5120)):
        path.write_text(text, encoding="utf-8")
        stock.compose("kill", "--signal", "HUP", "synapse")
        client.wait_until(lambda wanted=expected: size() == wanted, seconds=20, what=f"a cache of {expected}")
    assert stock.inspect("synapse")["State"]["Pid"] == before


def test_synapse_generates_a_configuration_that_runs(engine: Engine, tmp_path: pathlib.Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    environment = {"SYNAPSE_SERVER_NAME": "example.org", "SYNAPSE_REPORT_STATS": "no", "UID": "1234", "GID": "1235"}
    options = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    volume = f"--volume={data}:/data"
    engine.docker("run", "--rm", volume, *options, images.SYNAPSE.tag, "generate")
    made = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in data.iterdir()}
    assert made["homeserver.yaml"] == made["example.org.signing.key"] == (1234, 1235)
    # Arguments after `run` reach Synapse, which is that user.
    keys = ("run", "--generate-missing-configs")
    engine.docker("run", "--rm", volume, *options, images.SYNAPSE.tag, *keys)
    assert (data / "homeserver.yaml").stat().st_uid == 1234


def test_synapse_without_a_configuration_says_so(engine: Engine) -> None:
    run = engine.docker("run", "--rm", "--env=SYNAPSE_CONFIG_PATH=/data/none.yaml", images.SYNAPSE.tag, check=False)
    assert run.returncode == 1
    assert "/data/none.yaml does not exist" in run.stderr


# --- PostgreSQL --------------------------------------------------------------------------------


def _psql(
    stock: Deployment, host: str, statement: str = "SELECT 1", **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
    command = ["psql", "-XAt", "-w", "-h", host, "-U", "synapse", "-d", "synapse", "-c", statement]
    return stock.engine.docker("exec", *variables, stock.container("db"), *command, check=False)


def test_postgresql_is_the_one_that_its_image_is_tagged_with(stock: Deployment) -> None:
    ((version,),) = stock.sql("SHOW server_version_num")
    assert images.POSTGRES.tag == f"postgres:{int(version) // 10000}"


def test_the_database_is_as_it_was_asked_for(stock: Deployment) -> None:
    rows = stock.sql(
        "SELECT pg_encoding_to_char(encoding), datcollate, datctype, pg_get_userbyid(datdba)"
        " FROM pg_database WHERE datname = 'synapse'"
    )
    assert rows == [["UTF8", "C", "C", "synapse"]]


def test_the_socket_and_loopback_are_trusted_and_nobody_else(stock: Deployment) -> None:
    assert _psql(stock, "/var/run/postgresql").returncode == 0
    assert _psql(stock, "127.0.0.1").returncode == 0
    refused = _psql(stock, "db")
    assert refused.returncode == 2
    assert "no password supplied" in refused.stderr
    assert _psql(stock, "db", PGPASSWORD=stock.settings["POSTGRES_PASSWORD"]).returncode == 0
    ((method,),) = stock.sql("SELECT auth_method FROM pg_hba_file_rules ORDER BY line_number DESC LIMIT 1")
    assert method == "scram-sha-256"


def test_postgresql_is_process_1_and_takes_flags(engine: Engine, tmp_path: pathlib.Path) -> None:
    scripts = tmp_path / "init"
    scripts.mkdir()
    (scripts / "10.sql").write_text("CREATE TABLE made_by_sql (number integer);\n", encoding="utf-8")
    (scripts / "20.sh").write_text('psql -U "$POSTGRES_USER" -c "INSERT INTO made_by_sql VALUES (7)" "$POSTGRES_DB"\n')
    (tmp_path / "password").write_text("from a file\n", encoding="utf-8")
    run = engine.docker(
        *("run", "--detach"),
        # Only what everybody may read: the server is not root when it reads them.
        *(f"--volume={scripts}:/docker-entrypoint-initdb.d:ro", f"--volume={tmp_path / 'password'}:/password:ro"),
        *("--env=POSTGRES_PASSWORD_FILE=/password", "--env=POSTGRES_USER=me", "--env=POSTGRES_DB=it's mine"),
        *(images.POSTGRES.tag, "postgres", "-c", "shared_buffers=64MB", "-c", "random_page_cost=1.1"),
    )
    container = run.stdout.strip()
    query = ("exec", container, "psql", "-XAt", "-h", "127.0.0.1", "-U", "me", "-d", "it's mine", "-c")
    try:
        client.wait_until(
            lambda: engine.docker(*query, "SELECT 1", check=False).returncode == 0,
            seconds=60,
            what="PostgreSQL answers",
        )
        assert engine.docker(*query, "SELECT number FROM made_by_sql").stdout.strip() == "7"
        shown = engine.docker(*query, "SELECT setting, source FROM pg_settings WHERE name = 'shared_buffers'").stdout
        assert shown.strip() == "8192|command line"
        assert engine.docker(*query, "SHOW random_page_cost").stdout.strip() == "1.1"
        assert engine.docker("exec", container, "cat", "/proc/1/comm").stdout.strip() == "postgres"
        assert "Uid:\t999\t999" in engine.docker("exec", container, "cat", "/proc/1/status").stdout
    finally:
        engine.docker("rm", "--force", "--volumes", container)


def test_postgresql_without_a_password_says_so(engine: Engine) -> None:
    run = engine.docker("run", "--rm", images.POSTGRES.tag, check=False)
    assert run.returncode == 1
    assert "POSTGRES_PASSWORD" in run.stderr


def test_data_outlives_the_container(stock: Deployment) -> None:
    user = stock.register("keeper")
    room = user.create_room()
    user.send(room, "kept")
    stock.down()
    stock.up()
    assert user.texts(room) == ["kept"]


# --- the compressor ----------------------------------------------------------------------------


def _compress(stock: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    network = f"--network=container:{stock.container('db')}"
    command = ("synapse_auto_compressor", *arguments)
    return stock.engine.docker("run", "--rm", "--init", network, images.COMPRESSOR.tag, *command, check=False)


def _rows(stock: Deployment) -> int:
    ((count,),) = stock.sql("SELECT count(*) FROM state_groups_state")
    return int(count)


def test_the_compressor_compresses_and_changes_no_state(stock: Deployment) -> None:
    user = stock.register("decorator")
    room = user.create_room()
    # Each change of the state makes a state group.
    for number in range(240):
        user.set_state(room, "org.example.colour", {"number": number}, state_key=str(number % 60))
    before, state_before = _rows(stock), user.state(room)
    run = _compress(stock, "-p", "postgresql://synapse@127.0.0.1/synapse", "-c", "100", "-n", "20")
    assert run.returncode == 0, run.stderr
    assert _rows(stock) < before
    stock.compose("restart", "synapse")
    stock.wait()
    assert user.state(room) == state_before


def test_the_compressor_fails_where_it_cannot_work(stock: Deployment) -> None:
    run = _compress(stock, "-p", "postgresql://synapse@127.0.0.1/nothing", "-c", "100", "-n", "1")
    assert run.returncode == 1
    assert 'database "nothing" does not exist' in run.stderr
    assert _compress(stock, "-p", "postgresql://synapse@127.0.0.1/synapse").returncode == 2


# --- an engine of its own, for what the others must not meet -----------------------------------


@pytest.fixture
def lone(engine: Engine) -> Iterator[Engine]:
    """Another engine, which is not up and has no images."""
    # Beside the first one: a test's own folder may be too deep for a socket.
    other = Engine(pathlib.Path(f"{engine.directory}-test-{os.getpid()}"))
    yield other
    other.purge()
    assert not other.directory.exists()


def _pid(engine: Engine) -> int:
    return int((engine.directory / "dockerd.pid").read_text())


def test_an_engine_ends_with_the_last_who_needs_it(lone: Engine) -> None:
    with lone.lease(), Engine(lone.directory).lease():
        pid = _pid(lone)
        with Engine(lone.directory).lease():
            assert _pid(lone) == pid
        assert lone.running()
    assert not lone.running()
    assert not pathlib.Path(f"/proc/{pid}").exists()
    lone.keep()
    with lone.lease():
        pass
    assert lone.running()


def test_an_engine_that_was_killed_starts_again_without_its_containers(engine: Engine, lone: Engine) -> None:
    command = ["sleep", f"1000000.{os.getpid()}"]
    lone.keep()
    with subprocess.Popen(
        ["docker", "save", images.BASE.tag], env=engine.environment(), stdout=subprocess.PIPE
    ) as archive:
        subprocess.run(
            ["docker", "load"], env=lone.environment(), stdin=archive.stdout, check=True, capture_output=True
        )
    lone.docker("run", "--detach", "--restart=always", images.BASE.tag, *command)
    client.wait_until(lambda: _processes(command) == 1, seconds=10, what="the container runs")
    os.kill(_pid(lone), signal.SIGKILL)
    client.wait_until(lambda: not lone.running(), seconds=10, what="the engine is dead")
    lone.keep()
    assert lone.docker("ps", "--all", "--quiet").stdout == ""
    assert lone.docker("image", "inspect", images.BASE.tag).returncode == 0
    assert _processes(command) == 0


def _processes(command: list[str]) -> int:
    """Count the processes of this machine with that command line."""
    count = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            count += path.read_bytes() == b"".join(word.encode() + b"\0" for word in command)
    return count


def test_a_missing_package_is_named(lone: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine._which", lambda command: None if command == "debootstrap" else command)
    with pytest.raises(StackError, match=r"^missing Debian packages: apt-get install \S+ debootstrap$"):
        lone.keep()


@pytest.mark.parametrize("ci, outcome", [("true", "failed"), ("", "skipped")])
def test_without_an_engine_ci_fails_and_others_skip(tmp_path: pathlib.Path, ci: str, outcome: str) -> None:
    # A path that is too long for a socket stands for whatever keeps an engine from starting.
    environment = {**os.environ, "CI": ci, "XDG_CACHE_HOME": str(tmp_path / ("deep" * 30))}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", __file__, "-k", "limits_are_the_kernels"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ("1 error" if outcome == "failed" else "1 skipped") in run.stdout
    assert "the path of the socket is too long" in run.stdout
