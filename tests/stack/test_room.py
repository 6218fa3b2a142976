# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""room against a running Synapse: its tasks, those of others, restarts, failures, and who may do it."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any, ClassVar

import deployment
import play
import pytest
from client import Client, wait_until
from deployment import Deployment
from engine import Engine

from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import Access, AdminApi
from ansible_collections.synapse.tuning.plugins.module_utils._room import Outcome, Request, manage

pytestmark = pytest.mark.slow

ADMIN = "/_synapse/admin"
# Where a room leaves something in a stock Synapse.
TABLES = (
    *("events", "event_json", "event_edges", "room_memberships", "local_current_membership", "current_state_events"),
    *("rooms", "state_groups", "state_groups_state"),
)
# The module without Ansible's transport.
MODULE = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
from ansible.module_utils import basic
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = sys.stdin.buffer.read()
runpy.run_module("ansible_collections.synapse.tuning.plugins.modules.room", run_name="__main__")
"""


@pytest.fixture(scope="module")
def stock(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A stock deployment, but for one task at a time: so a queue is easily had."""
    project = deployment.create(engine, tmp_path_factory.mktemp("synapse") / "stock")
    configure(project, "task_scheduler: {max_concurrent_tasks: 1}\n")
    try:
        project.up()
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def admin(stock: Deployment) -> Client:
    return stock.register("admin", admin=True)


@pytest.fixture(scope="module")
def user(stock: Deployment) -> Client:
    return stock.register("user")


def configure(project: Deployment, text: str) -> None:
    with (project.directory / "data" / "homeserver.yaml").open("a", encoding="utf-8") as stream:
        stream.write(text)


def environment(project: Deployment, token: str) -> dict[str, str]:
    return {**play.environment(project), "SYNAPSE_TUNING_ACCESS_TOKEN": token}


class Room:
    """The module, as one administrator calls it."""

    def __init__(self, project: Deployment, collections: pathlib.Path, token: str) -> None:
        self._command = [sys.executable, "-c", MODULE, str(collections)]
        self._environment = environment(project, token)
        self._token = token
        self._url = project.url

    def __call__(self, room: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        place = {} if "project_dir" in arguments or "url" in arguments else {"url": self._url}
        given = {"room": room, **place, **arguments, "_ansible_check_mode": check, "_ansible_diff": True}
        done = subprocess.run(
            self._command,
            input=json.dumps({"ANSIBLE_MODULE_ARGS": given}),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout, done.stderr
        assert self._token not in done.stdout + done.stderr
        answer = dict(json.loads(done.stdout))
        assert bool(answer.get("failed")) is (done.returncode != 0)
        return answer

    def ok(self, room: str, **arguments: Any) -> dict[str, Any]:
        answer = self(room, **arguments)
        assert not answer.get("failed"), answer
        return answer

    def refused(self, room: str, **arguments: Any) -> str:
        answer = self(room, **arguments)
        assert answer.get("failed"), answer
        assert "\n" not in answer["msg"]
        return str(answer["msg"])


@pytest.fixture(scope="module")
def room(stock: Deployment, admin: Client, collections_path: pathlib.Path) -> Room:
    return Room(stock, collections_path, admin.token or "")


def rows(project: Deployment, room_id: str) -> int:
    """How much of a room is left in the tables, its state groups included."""
    counts = [f"SELECT count(*) AS n FROM {table} WHERE room_id = '{room_id}'" for table in TABLES]
    return int(project.sql(f"SELECT sum(n) FROM ({' UNION ALL '.join(counts)}) AS all_of_them")[0][0])


def tasks(admin: Client, room_id: str) -> list[str]:
    found = admin.call("GET", f"{ADMIN}/v1/scheduled_tasks", resource_id=room_id)["scheduled_tasks"]
    return [each["status"] for each in found]


def delete(admin: Client, room_id: str, **body: Any) -> str:
    return str(admin.call("DELETE", f"{ADMIN}/v2/rooms/{urllib.parse.quote(room_id)}", body)["delete_id"])


@contextlib.contextmanager
def held(project: Deployment, room_id: str) -> Iterator[None]:
    """No purge of the room gets past the table room_depth: somebody else has the row."""
    # The one lock that stops a deletion, and nothing else.
    statement = f"BEGIN; SELECT 1 FROM room_depth WHERE room_id = '{room_id}' FOR KEY SHARE; SELECT pg_sleep(600)"
    container = project.container("db")
    project.engine.docker(
        *("exec", "--detach", "--env", "PGAPPNAME=held", container),
        *("psql", "-XAt", "-U", "synapse", "-d", "synapse", "-c", statement),
    )
    found = "FROM pg_stat_activity WHERE application_name = 'held'"
    wait_until(
        lambda: project.sql(f"SELECT pid {found} AND wait_event = 'PgSleep'"), seconds=30, what="the row is held"
    )
    try:
        yield
    finally:
        project.sql(f"SELECT pg_terminate_backend(pid) {found}")
        wait_until(lambda: not project.sql(f"SELECT pid {found}"), seconds=30, what="the row is let go")


def purging(project: Deployment) -> bool:
    """Whether a purge waits for the held row."""
    waiting = "wait_event_type = 'Lock' AND query LIKE 'DELETE FROM room_depth%'"
    return bool(project.sql(f"SELECT 1 FROM pg_stat_activity WHERE {waiting}"))


# --- purging -----------------------------------------------------------------------------------


def test_a_room_is_left_and_purged(stock: Deployment, room: Room, admin: Client, user: Client) -> None:
    room_id = user.create_room(name="Big", room_alias_name="big", invite=[admin.user_id])
    user.send(room_id, "text")
    assert rows(stock, room_id) > 0
    # Found in its container, without a published port.
    place = {"project_dir": str(stock.directory)}
    would = room.ok("#big:localhost", check=True, **place)
    assert would["changed"] and would["exists"] and would["room_id"] == room_id
    assert tasks(admin, room_id) == [] and user.texts(room_id) == ["text"]
    done = room.ok("#big:localhost", **place)
    assert (done["changed"], done["finished"], done["exists"], done["status"]) == (True, True, False, "complete")
    assert sorted(done["kicked_users"]) == [admin.user_id, user.user_id] and done["failed_to_kick_users"] == []
    assert done["diff"] == would["diff"] and done["room"] == would["room"]
    assert rows(stock, room_id) == 0
    again = room.ok(room_id)
    assert not again["changed"] and again["task_id"] == "" and tasks(admin, room_id) == ["complete"]
    # The alias has gone with the room: it can't be told from a misspelt one.
    assert "give the room's ID" in room.refused("#big:localhost")


def test_a_new_room_for_those_who_were_made_to_leave(
    stock: Deployment, room: Room, admin: Client, user: Client
) -> None:
    room_id = user.create_room(room_alias_name="moved")
    talk = {
        "new_room_user_id": admin.user_id,
        "new_room_name": "Moved",
        "new_room_message": "It took half of the disk.",
    }
    assert "give the ID" in room.refused("#moved:localhost", **talk)
    assert "User must be our own" in room.refused(room_id, **{**talk, "new_room_user_id": "@a:elsewhere"})
    assert "new_room_user_id" in room.refused(room_id, new_room_message="lost")
    done = room.ok(room_id, block=True, **talk)
    assert done["local_aliases"] == ["#moved:localhost"] and rows(stock, room_id) == 0
    assert user.texts(done["new_room_id"]) == ["It took half of the disk."]
    blocked = f"{ADMIN}/v1/rooms/{urllib.parse.quote(room_id)}/block"
    assert admin.call("GET", blocked)["block"] is True
    # A block is not lifted, and is a change of its own.
    assert not room.ok(room_id, block=False)["changed"] and admin.call("GET", blocked)["block"] is True
    admin.call("PUT", blocked, {"block": False})
    assert [room.ok(room_id, block=True, check=True)["changed"], admin.call("GET", blocked)["block"]] == [True, False]
    assert [room.ok(room_id, block=True)["changed"] for _each in range(2)] == [True, False]
    assert admin.call("GET", blocked)["block"] is True


def test_anothers_tasks_are_adopted(stock: Deployment, room: Room, admin: Client, user: Client) -> None:
    first, second = user.create_room(), user.create_room()
    with held(stock, first):
        running = delete(admin, first)
        wait_until(lambda: purging(stock), seconds=30, what="the purge waits")
        queued = delete(admin, second)
        for room_id, task, status in ((first, running, "active"), (second, queued, "scheduled")):
            found = room.ok(room_id, wait=False)
            assert (found["task_id"], found["status"], found["adopted"]) == (task, status, True)
            assert (found["changed"], found["finished"]) == (False, False) and found["progress"]
            assert room.ok(room_id, check=True)["adopted"]
            late = room(room_id, wait_timeout=1)
            assert late["failed"] and "run again" in late["msg"] and late["task_id"] == task
        assert (tasks(admin, first), tasks(admin, second)) == (["active"], ["scheduled"])
    for room_id in (first, second):
        # Synapse looks for what is queued once a minute, or when there is a new task.
        delete(admin, "!none:localhost")
        done = room.ok(room_id)
        assert not done["exists"] and rows(stock, room_id) == 0 and tasks(admin, room_id) == ["complete"]


def test_synapse_is_restarted_while_it_purges(
    stock: Deployment, admin: Client, user: Client, tmp_path: pathlib.Path, collections_path: pathlib.Path
) -> None:
    room_id = user.create_room()
    token = tmp_path / "token"
    token.write_text(f"{admin.token}\n", encoding="ascii")
    token.chmod(0o600)
    given = {"room": room_id, "project_dir": str(stock.directory), "access_token_file": str(token)}
    command = [
        *("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "synapse.tuning.room"),
        *("-a", json.dumps(given), "--tree", str(tmp_path / "tree"), "-vvv"),
        *("-e", json.dumps({"ansible_python_interpreter": sys.executable})),
    ]
    said = tmp_path / "said"
    with said.open("wb") as output_file:
        run = subprocess.Popen(
            command,
            env={**play.environment(stock), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"},
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=subprocess.STDOUT,
        )
    try:
        with held(stock, room_id):
            wait_until(lambda: purging(stock), seconds=60, what="the purge waits")
            # It would wait for the database for ever.
            stock.compose("stop", "--timeout", "2", "synapse")
            wait_until(lambda: b"room: the purge was begun, but " in said.read_bytes(), seconds=60, what="it is missed")
        assert run.poll() is None and rows(stock, room_id) > 0
        # As if it were two minutes later, when the locks of a Synapse that was killed have expired.
        stock.sql("DELETE FROM worker_read_write_locks")
        stock.compose("start", "synapse")
        stock.wait()
        # Synapse takes up its tasks within a minute, or when there is a new one.
        delete(admin, "!none:localhost")
        run.wait(timeout=120)
    finally:
        run.kill()
    output = said.read_text(encoding="utf-8")
    answer = json.loads((tmp_path / "tree" / "localhost").read_text(encoding="utf-8"))
    assert run.returncode == 0, output
    assert (answer["changed"], answer["exists"], answer["status"]) == (
        True,
        False,
        "complete",
    ) and "follow" not in answer
    # A Synapse that has just started refers to the room for a while; then the first purge fails, and another follows.
    assert tasks(admin, room_id)[-1] == "complete" and rows(stock, room_id) == 0
    assert answer["kicked_users"] == [user.user_id]
    assert (admin.token or "") not in output + json.dumps(answer)


def test_users_who_are_still_joined(stock: Deployment, room: Room, user: Client) -> None:
    room_id = user.create_room()
    # As it is on servers with a history: Synapse has lost sight of somebody, who therefore is not made to leave.
    stock.sql(f"DELETE FROM local_current_membership WHERE room_id = '{room_id}'")
    failed = room(room_id)
    assert failed["failed"] and "Users are still joined to this room" in failed["msg"]
    assert "force_purge: true" in failed["msg"] and failed["status"] == "failed"
    assert failed["exists"] and failed["error"] == "400: Users are still joined to this room"
    assert rows(stock, room_id) > 0
    assert room.ok(room_id, force_purge=True)["changed"]
    assert rows(stock, room_id) == 0


# --- forgetting, trimming ------------------------------------------------------------------------


def test_a_room_is_forgotten_and_stays(stock: Deployment, room: Room, admin: Client, user: Client) -> None:
    room_id = user.create_room(invite=[admin.user_id])
    before = rows(stock, room_id)
    assert room.ok(room_id, state="forgotten", check=True)["changed"] and rows(stock, room_id) == before
    done = room.ok(room_id, state="forgotten")
    assert (done["changed"], done["exists"], done["forgotten"]) == (True, True, True)
    assert sorted(done["kicked_users"]) == [admin.user_id, user.user_id]
    assert int(stock.sql(f"SELECT count(*) FROM events WHERE room_id = '{room_id}'")[0][0]) > 0
    for check in (True, False):
        assert not room.ok(room_id, state="forgotten", check=check)["changed"]
    assert len(tasks(admin, room_id)) == 1
    assert not room.ok("!none:localhost", state="forgotten")["changed"]


def test_who_left_by_himself_has_not_forgotten(room: Room, admin: Client, user: Client) -> None:
    room_id = user.create_room()
    admin.join(room_id)
    admin.call("POST", f"/_matrix/client/v3/rooms/{urllib.parse.quote(room_id)}/leave", {})
    done = room.ok(room_id, state="forgotten")
    assert (
        done["kicked_users"] == [user.user_id]
        and done["forgotten"] is False
        and "have not forgotten" in str(done["warnings"])
    )
    for check in (True, False):
        again = room.ok(room_id, state="forgotten", check=check)
        assert (again["changed"], again["forgotten"], again["kicked_users"]) == (False, False, [])


def test_history_is_trimmed(stock: Deployment, room: Room, admin: Client, user: Client) -> None:
    room_id = user.create_room()
    bodies = [[f"{name} {number}" for number in range(4)] for name in ("old", "new", "newest")]
    times = []
    for texts in bodies:
        for text in texts:
            user.send(room_id, text)
        time.sleep(0.1)
        times.append(time.time())
        time.sleep(0.1)
    local = f"SELECT count(*) FROM events WHERE room_id = '{room_id}' AND type = 'm.room.message'"

    def trim(before: float, **more: Any) -> Outcome:
        """As if it were a day later, so that no machine is too slow for it."""
        api = AdminApi(Access(stock.url, admin.token or ""))
        return manage(api, Request(room_id, "trimmed", older_than="1d", **more), now=lambda: before + 24 * 3600)

    assert trim(times[0], check_mode=True).changed and len(user.texts(room_id)) == 12
    done = trim(times[0]).as_data()
    assert (done["changed"], done["status"], done["exists"]) == (True, "complete", True)
    # Hidden, but kept, as they are local. The last of the old ones may stay.
    assert user.texts(room_id)[-8:] == [*bodies[1], *bodies[2]] and len(user.texts(room_id)) <= 9
    assert int(stock.sql(local)[0][0]) == 12
    assert not any(trim(times[0], check_mode=check).changed for check in (True, False))
    assert trim(times[1], delete_local_events=True).changed and int(stock.sql(local)[0][0]) <= 5
    # The newest event of a room always stays.
    assert trim(times[2] + 9, delete_local_events=True).changed and user.texts(room_id) == ["newest 3"]
    assert user.send(room_id, "and on") and not trim(times[2] + 9, delete_local_events=True).failure
    assert not room.ok(room_id, state="trimmed", older_than="1d")["changed"]
    assert "correct room" in room.refused("!none:localhost", state="trimmed", older_than="1d")
    assert "older_than" in room.refused(room_id, state="trimmed")


# --- who may --------------------------------------------------------------------------------------


def test_bad_input(stock: Deployment, room: Room, user: Client, collections_path: pathlib.Path) -> None:
    room_id = user.create_room()
    wrong, nobody = (Room(stock, collections_path, token) for token in ("syt_wrong_token", user.token or ""))
    assert "is wrong or has expired" in wrong.refused(room_id)
    assert "lets only its administrators" in nobody.refused(room_id)
    assert "leads to no room" in room.refused("#none:localhost")
    assert "leads to no room" in room.refused("#none:127.0.0.1:9")
    assert "give an ID such as" in room.refused("nonsense")
    assert not room.ok("!none:localhost")["changed"]
    metrics = stock.metrics_url
    assert "is not Synapse's admin API" in room.refused(room_id, url=metrics)
    assert rows(stock, room_id) > 0


class _Mas(http.server.BaseHTTPRequestHandler):
    """The one endpoint of the Matrix Authentication Service that Synapse asks about a token."""

    scopes: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        token = urllib.parse.parse_qs(body)["token"][0]
        found = (
            {"active": True, "scope": self.scopes[token], "username": "user"}
            if token in self.scopes
            else {"active": False}
        )
        text = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_arguments: object) -> None:
        pass


def test_with_mas_it_takes_the_scope(stock: Deployment, user: Client, collections_path: pathlib.Path) -> None:
    """The last test: from here on Synapse knows the tokens of MAS only."""
    room_id = user.create_room()
    api = "urn:matrix:client:api:*"
    _Mas.scopes = {"mat_without": api, "mat_admin": f"{api} urn:synapse:admin:*"}
    networks = stock.inspect("synapse")["NetworkSettings"]["Networks"]
    gateway = next(iter(networks.values()))["Gateway"]
    with http.server.ThreadingHTTPServer((gateway, 0), _Mas) as mas:
        threading.Thread(target=mas.serve_forever, daemon=True).start()
        endpoint = f"http://{gateway}:{mas.server_address[1]}/"
        configure(
            stock,
            f'matrix_authentication_service: {{enabled: true, endpoint: "{endpoint}", secret: "throw-away"}}\n'
            "password_config: {enabled: false}\n",
        )
        stock.compose("restart", "synapse")
        stock.wait()
        tokens = ("mat_without", "mat_admin", "mat_unknown")
        without, with_scope, unknown = (Room(stock, collections_path, token) for token in tokens)
        assert "urn:synapse:admin:*" in without.refused(room_id)
        assert "is wrong or has expired" in unknown.refused(room_id)
        assert rows(stock, room_id) > 0
        assert with_scope.ok(room_id)["changed"] and rows(stock, room_id) == 0
        mas.shutdown()
