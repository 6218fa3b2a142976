# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""state_compression on a running deployment: one story, from the estimate to the disk given back."""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import deployment
import psycopg
import pytest
from client import wait_until
from deployment import Deployment
from engine import Engine

pytestmark = pytest.mark.slow

MODULE = "ansible_collections.synapse.tuning.plugins.modules.state_compression"
# A small disk beside the large one, where PostgreSQL can be short of place.
SMALL = "/small"
SMALL_BYTES = 24 * 1024**2
WRONG = "throw-away-77af"


class Result(NamedTuple):
    answer: dict[str, Any]
    output: str

    @property
    def msg(self) -> str:
        assert self.answer.get("failed"), self.output
        return str(self.answer["msg"])


class Stock(NamedTuple):
    """The deployment, and rooms whose state was changed often."""

    project: Deployment
    rooms: list[str]
    user: Any

    def start(self, *, check: bool = False, **options: Any) -> subprocess.Popen[str]:
        """Start the module as Ansible does: a Python process that gets its arguments by its standard input."""
        arguments = {"project_dir": str(self.project.directory), "_ansible_check_mode": check, **options}
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self.project.engine.environment(), "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, **options: Any) -> Result:
        output = self.start(**options).communicate()[0]
        assert self.project.settings["POSTGRES_PASSWORD"] not in output
        return Result(json.loads(output.strip().splitlines()[-1]), output)

    def connect(self) -> psycopg.Connection[Any]:
        networks = self.project.inspect("db")["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        password = self.project.settings["POSTGRES_PASSWORD"]
        return psycopg.connect(host=address, user="synapse", dbname="synapse", password=password, autocommit=True)

    def number(self, statement: str) -> int:
        return int(self.project.sql(statement)[0][0])

    def rows(self) -> int:
        return self.number("SELECT count(*) FROM state_groups_state")

    def size(self) -> int:
        return self.number("SELECT pg_total_relation_size('state_groups_state')")

    def begun(self) -> bool:
        return self.number("SELECT count(*) FROM pg_class WHERE relname = 'state_compressor_progress'") > 0

    def states(self) -> list[list[str]]:
        """The whole state of every state group, as Synapse resolves it, as one hash each."""
        return self.project.sql(
            """WITH RECURSIVE chain(start, id, depth) AS (
                SELECT id, id, 0 FROM state_groups
                UNION ALL SELECT c.start, e.prev_state_group, c.depth + 1
                FROM chain c JOIN state_group_edges e ON e.state_group = c.id
            ), resolved AS (
                SELECT DISTINCT ON (c.start, s.type, s.state_key) c.start, s.type, s.state_key, s.event_id
                FROM chain c JOIN state_groups_state s ON s.state_group = c.id
                ORDER BY c.start, s.type, s.state_key, c.depth
            )
            SELECT start, md5(string_agg(type || state_key || event_id, ',' ORDER BY type, state_key))
            FROM resolved GROUP BY start ORDER BY start"""
        )

    def containers(self) -> list[str]:
        """Those that the module has made."""
        listed = self.project.engine.docker(
            "ps", "-aq", "--filter", f"name=compression-{self.project.container('db')[:12]}"
        )
        return listed.stdout.split()


@pytest.fixture(scope="module")
def stock(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stock]:
    project = deployment.create(engine, tmp_path_factory.mktemp("synapse") / "stock")
    compose = project.directory / "compose.yml"
    text = compose.read_text(encoding="utf-8")
    tmpfs = f"    tmpfs:\n      - {SMALL}:size={SMALL_BYTES},uid=999,gid=999,mode=0700\n"
    compose.write_text(text.replace("    healthcheck:\n", f"{tmpfs}    healthcheck:\n"), encoding="utf-8")
    try:
        project.up()
        user = project.register("decorator")
        # A large state, of which a little changes: Synapse stores all of it again every hundred changes.
        wall = [{"type": "org.example.wall", "state_key": str(number), "content": {}} for number in range(250)]
        rooms = [user.create_room(initial_state=wall) for _each in range(2)]

        def decorate(room: str) -> None:
            for number in range(110):
                user.set_state(room, "org.example.colour", {"number": number}, state_key=str(number % 5))

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(decorate, rooms))
        yield Stock(project, rooms, user)
    finally:
        project.remove()


@pytest.fixture(scope="module")
def wheel(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A Python that has the wheel, taken from the image."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (packages,) = (folder / "lib").glob("python*/site-packages")
    made = engine.docker("create", "ghcr.io/matrix-org/rust-synapse-compress-state", "true").stdout.strip()
    try:
        source = "/opt/compressor/lib/python3.11/site-packages/synapse_auto_compressor.abi3.so"
        engine.docker("cp", f"{made}:{source}", str(packages))
    finally:
        engine.docker("rm", made)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def expected(stock: Stock) -> dict[str, Any]:
    """What check mode says before anything is compressed."""
    before = stock.rows(), stock.size()
    told = stock.run(check=True).answer
    assert told["changed"] and (told["before"]["rows"], told["before"]["bytes"]) == before
    # Nothing was run, and nothing made.
    assert (stock.rows(), stock.begun(), stock.containers()) == (before[0], False, [])
    return told


def test_what_cannot_work_is_refused_before_anything_is_done(stock: Stock, expected: dict[str, Any]) -> None:
    refused = {
        "password authentication failed.*check login_user and its password": {"login_password": WRONG},
        "image localhost:1/none:1 is not there and cannot be pulled": {"image": "localhost:1/none:1"},
        "synapse_auto_compressor: not found; set image": {"image": "postgres:15"},
        "database postgres has no table": {"login_db": "postgres"},
        "chunk_size is 50: the compressor takes no less than 100": {"chunk_size": 50},
        "such as 02:00-05:00": {"vacuum": "full", "window": "at night"},
        "pg_repack needs a unique index, and state_groups_state has none": {"vacuum": "repack"},
        "needs the database's container": {"project_dir": None},
        "wheel_python": {"runtime": "wheel", "wheel_python": "/nowhere/python"},
    }
    for said, options in refused.items():
        result = stock.run(**options)
        assert "\n" not in result.msg and WRONG not in result.output
        assert re.search(said, result.msg), result.msg
    stock.project.sql("CREATE UNIQUE INDEX own ON state_groups_state (state_group, type, state_key)")
    missing = stock.run(vacuum="repack", check=True).msg
    assert "pg_repack is not installed in the database's container" in missing and "postgresql-15-repack" in missing
    stock.project.sql("DROP INDEX own")
    assert (stock.rows(), stock.begun(), stock.containers()) == (expected["before"]["rows"], False, [])


def test_another_run_is_not_disturbed(stock: Stock, tmp_path: pathlib.Path) -> None:
    said = "another run of the compressor has not finished yet"
    lock = tmp_path / "compress-state.sh.lock"
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert said in stock.run(lock_file=str(lock)).msg
    # Without a lock in common: the job's container.
    db = stock.project.container("db")
    image = "ghcr.io/matrix-org/rust-synapse-compress-state"
    command = ("sh", "-c", "sleep 60; : synapse_auto_compressor")
    job = stock.project.engine.docker("run", "-d", "--init", "--network", f"container:{db}", image, *command).stdout
    try:
        assert f"{said} (container " in stock.run().msg
    finally:
        stock.project.engine.docker("rm", "-f", job.strip())
    assert not stock.begun()


def held(stock: Stock, statement: str) -> psycopg.Connection[Any]:
    """A transaction that holds some rows, so that the compressor stops there."""
    connection = stock.connect()
    connection.execute("BEGIN")
    connection.execute(statement)
    return connection


def waits_for_a_lock(stock: Stock) -> bool:
    return stock.number("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") > 0


def first_full_state(stock: Stock, room: str) -> int:
    """The first state group of the room that the compressor will write anew: one that stores a whole state."""
    return stock.number(
        f"SELECT s.state_group FROM state_groups_state s WHERE s.room_id = '{room}'"
        " GROUP BY 1 HAVING count(*) > 200 ORDER BY 1 DESC LIMIT 1"
    )


def test_killed_in_the_middle_and_run_again(stock: Stock, expected: dict[str, Any], tmp_path: pathlib.Path) -> None:
    states = stock.states()
    group = first_full_state(stock, stock.rooms[0])
    with held(stock, f"SELECT 1 FROM state_groups_state WHERE state_group = {group} FOR UPDATE"):
        process = stock.start()
        wait_until(lambda: waits_for_a_lock(stock), seconds=30, what="the compressor is in the middle")
        # A second one finds it at work.
        assert "another run of the compressor has not finished yet" in stock.run().msg
        waited = stock.run(slice=1, follow={"began": time.time(), "before": size_of(expected), "free": None}).answer
        assert not waited["finished"] and "waiting for another run" in waited["progress"]
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        (left,) = stock.containers()
        stock.project.engine.docker("kill", "--signal", "KILL", left)
    assert stock.begun() and stock.states() == states
    # Some state groups are written anew already.
    rows = stock.rows()
    assert rows != expected["before"]["rows"]

    # The next one removes the container, and does what was left in slices.
    follow: dict[str, Any] | None = None
    told: list[str] = []
    while len(told) < 20:
        result = stock.run(slice=1, lock_file=str(tmp_path / "lock"), **({"follow": follow} if follow else {}))
        told.append(result.answer["progress"])
        if result.answer["finished"]:
            break
        follow = result.answer["follow"]
    done = result.answer
    assert len(told) > 1 and "100 % of the state groups" in told[-1] and "follow" not in done
    assert (done["changed"], done["ended_by"], done["percent"]) == (True, "nothing left", 100)
    assert (done["before"]["rows"], done["after"]["rows"]) == (rows, stock.rows()) and stock.rows() < rows
    assert done["saved_rows"] == rows - stock.rows() and done["after"]["bytes"] == stock.size()
    assert done["vacuum"]["done"] == "analyze"
    assert stock.number("SELECT n_dead_tup FROM pg_stat_all_tables WHERE relname = 'state_groups_state'") == 0
    assert stock.containers() == []
    # As estimated, and nobody's state is another one.
    assert done["after"]["rows"] == pytest.approx(expected["after"]["rows"], rel=0.15)
    assert stock.states() == states
    assert ("org.example.wall", "249") in stock.user.state(stock.rooms[0])


def size_of(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer["before"].items() if name != "bytes"}


def test_a_second_run_changes_nothing(stock: Stock) -> None:
    rows = stock.rows()
    for check in (True, False):
        told = stock.run(check=check).answer
        assert (told["changed"], told["saved_rows"], told["chunks"]) == (False, 0, 0)
        assert told["vacuum"] == {"wanted": "analyze", "done": "none", "reason": "nothing was compressed", "seconds": 0}
    assert stock.rows() == rows


def test_the_wheel_gets_the_password_where_nobody_sees_it(stock: Stock, wheel: pathlib.Path) -> None:
    rows = stock.rows()
    for number in range(3):
        stock.user.set_state(stock.rooms[1], "org.example.colour", {"again": number})
    pending = stock.number(
        "SELECT count(*) FROM state_groups g JOIN state_compressor_progress USING (room_id) WHERE id > last_compressed"
    )
    assert pending == 3
    password = stock.project.settings["POSTGRES_PASSWORD"]
    told, output = stock.run(runtime="wheel", wheel_python=str(wheel))
    assert (told["changed"], told["chunks"], told["ended_by"]) == (True, 1, "nothing left"), output
    assert stock.rows() == rows + 3 - told["saved_rows"] and password not in output

    with held(stock, "LOCK TABLE state_compressor_progress IN SHARE MODE"):
        stock.user.set_state(stock.rooms[1], "org.example.colour", {"and": "again"})
        process = stock.start(runtime="wheel", wheel_python=str(wheel), time_limit="20s")
        wait_until(lambda: waits_for_a_lock(stock), seconds=30, what="the compressor is at work")
        seen = subprocess.run(["ps", "axeww", "-o", "pid,args"], capture_output=True, text=True, check=True).stdout
        # With their environments; PostgreSQL's own container has the password in its.
        mine = [line for line in seen.splitlines() if str(wheel) in line or str(process.pid) in line.split()[:1]]
        assert len(mine) == 2 and password not in "".join(mine)
        (compressor,) = [int(line.split()[0]) for line in mine if str(wheel) in line.split()[1]]
        # It does not outlive the module.
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_until(lambda: not pathlib.Path(f"/proc/{compressor}").exists(), seconds=30, what="the compressor is gone")
    assert stock.run().answer["changed"]

    wrong = stock.run(runtime="wheel", wheel_python=sys.executable)
    assert "pip install synapse-auto-compressor==0.1.2" in wrong.msg


def test_it_is_stopped_when_its_time_is_over(stock: Stock) -> None:
    stock.user.set_state(stock.rooms[1], "org.example.colour", {"for": "long"})
    with held(stock, "LOCK TABLE state_compressor_progress IN SHARE MODE"):
        told = stock.run(time_limit="1.5s", vacuum="none").answer
    assert (told["ended_by"], told["chunks"]) == ("time limit", 0)
    assert stock.containers() == []
    assert stock.run().answer["ended_by"] == "nothing left"


def bloat(stock: Stock) -> None:
    stock.project.sql("UPDATE state_groups_state SET event_id = event_id")


def window(hours: int) -> str:
    """An hour of the day, so many hours from now."""
    start = time.localtime(time.time() + hours * 3600)
    return f"{start.tm_hour:02}:{start.tm_min:02}-{(start.tm_hour + 1) % 24:02}:{start.tm_min:02}"


def test_the_disk_gets_it_back_where_there_is_room(stock: Stock) -> None:
    stock.project.execute("db", "install", "-d", "-o", "postgres", "-m", "0700", f"{SMALL}/table")
    with stock.connect() as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{SMALL}/table'")
        connection.execute("ALTER TABLE state_groups_state SET TABLESPACE small")
    bloat(stock)
    rows, size = stock.rows(), stock.size()
    free = int(stock.project.execute("db", "df", "-Pk", SMALL).splitlines()[-1].split()[3]) * 1024
    stock.project.execute("db", "fallocate", "-l", str(free - 64 * 1024), f"{SMALL}/filler")

    # Refused at once, in check mode, too.
    for check in (True, False):
        refused = stock.run(vacuum="full", check=check).msg
        assert f"{SMALL}/table" in refused and "make room, or set vacuum to analyze" in refused
    # Outside of the window it would not be done, so nothing is refused.
    hour = window(2)
    later = stock.run(vacuum="full", window=hour).answer
    assert not later["changed"] and later["vacuum"]["done"] == "none"
    assert later["vacuum"]["reason"].endswith(f"outside of {hour}")
    assert (stock.rows(), stock.size()) == (rows, size)
    # PostgreSQL itself finds that there is none.
    failed = stock.run(vacuum="full", free_space_check=False).msg
    assert "No space left on device; nothing is lost" in failed
    assert (stock.rows(), stock.size()) == (rows, size)
    assert stock.user.state(stock.rooms[0])

    stock.project.execute("db", "rm", f"{SMALL}/filler")
    # Somebody reads the table all the while.
    with held(stock, "SELECT 1 FROM state_groups_state LIMIT 1"):
        locked = stock.run(vacuum="full", lock_timeout=1).msg
    assert "did not get the table within 1 s, 3 times" in locked
    planned = stock.run(vacuum="full", check=True).answer
    told = stock.run(vacuum="full", window=window(0)).answer
    assert (told["changed"], told["vacuum"]["done"], told["before"]["bytes"]) == (True, "full", size)
    assert told["after"]["bytes"] == stock.size() < 0.75 * size
    # PostgreSQL has the table's width from ANALYZE, and its indexes are guessed.
    assert planned["after"]["table_bytes"] == pytest.approx(told["after"]["table_bytes"], rel=0.15)
    assert told["disk"]["after"] > told["disk"]["before"] and stock.rows() == rows
    # And not again for nothing.
    again = stock.run(vacuum="full").answer
    assert not again["changed"] and "less than a tenth" in again["vacuum"]["reason"]


def test_a_task_shows_how_far_it_is(stock: Stock, tmp_path: pathlib.Path) -> None:
    stock.user.set_state(stock.rooms[0], "org.example.colour", {"last": True})
    arguments = {"project_dir": str(stock.project.directory)}
    run = subprocess.run(
        [
            *("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "synapse.tuning.state_compression"),
            *("-a", json.dumps(arguments), "-e", f"ansible_python_interpreter={sys.executable}"),
        ],
        env=stock.project.engine.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "localhost: state_compression: 1 of at most 100 chunks, 100 % of the state groups" in run.stdout
    assert '"changed": true' in run.stdout and '"follow"' not in run.stdout
