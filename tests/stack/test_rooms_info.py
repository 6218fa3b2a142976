# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rooms_info against a running Synapse and PostgreSQL, beside what plain SELECTs say."""

from __future__ import annotations

import collections
import contextlib
import io
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import play
import psycopg
import pytest
from ansible.module_utils.testing import patch_module_args
from client import Client, MatrixError, wait_until
from deployment import Deployment
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import glob_as_like, glob_as_pattern
from ansible_collections.synapse.tuning.plugins.modules import rooms_info

pytestmark = pytest.mark.slow

ODD_NAME = "100%_Off \\ ÜBER"


class Rooms:
    """Rooms of all sorts on one server, and the module that is asked about them."""

    def __init__(self, project: Deployment) -> None:
        self.project = project
        # No test changes what was made here, and nothing may analyze it.
        for table in ("state_groups_state", "events", "event_json"):
            project.sql(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        self.admin = project.register("admin", admin=True)
        self.alice, self.bob = project.register("alice"), project.register("bob")
        self.ids = {name: self._make(name) for name in ("heavy", "light", "members", "talk", "left", "old", "odd")}
        self.ids |= {f"small{number}": self.alice.create_room(name=f"Small {number}") for number in range(3)}
        for client in (self.bob, self.admin):
            client.join(self.ids["members"])
        for room, states in {"heavy": 120, "light": 15, "small1": 3}.items():
            for number in range(states):
                self.alice.set_state(self.ids[room], "org.example.state", {"n": number}, str(number % 7))
        for number in range(60):
            self.alice.send(self.ids["talk"], f"text {number}")
        self._as(self.alice, "leave", "left")
        self._as(self.alice, "upgrade", "old", new_version="10")
        # Indexes that it makes are weight of the tables, and its own statistics are what the admin API answers from.
        project.settle(seconds=240)

    def _make(self, name: str) -> str:
        more = {"room_alias_name": "aliased"} if name == "talk" else {}
        return self.alice.create_room(name=ODD_NAME if name == "odd" else f"Room {name}", **more)

    def _as(self, client: Client, action: str, room: str, **body: Any) -> None:
        client.call("POST", f"/_matrix/client/v3/rooms/{self.ids[room]}/{action}", body)

    # --- asking ---------------------------------------------------------------------------------

    def ask(self, **options: Any) -> dict[str, Any]:
        """Run the module, in the container's own database unless the options say otherwise."""
        if not {"login_host", "access_token", "project_dir"} & set(options):
            options["project_dir"] = str(self.project.directory)
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, patch_module_args({"limit": 100, **options}):
            for name, value in self.project.engine.variables().items():
                patch.setenv(name, value)
            with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
                rooms_info.main()
        return self._read(said.getvalue())

    def ask_process(self, **options: Any) -> dict[str, Any]:
        """The same as a process of its own, as Ansible runs it."""
        said, errors = play.module(self.project, "rooms_info", **options)
        assert errors == ""
        return self._read(said)

    def _read(self, said: str) -> dict[str, Any]:
        answer = json.loads(said)
        answer.pop("invocation", None)
        assert self.project.settings["POSTGRES_PASSWORD"] not in said and str(self.admin.token) not in said
        return dict(answer)

    def api(self, **options: Any) -> dict[str, Any]:
        return self.ask(url=self.project.url, access_token=self.admin.token, source="admin_api", **options)

    def refused(self, **options: Any) -> str:
        answer = self.ask(**options)
        assert answer.get("failed"), answer
        assert "\n" not in answer["msg"]
        return str(answer["msg"])

    def named(self, answer: dict[str, Any]) -> set[str]:
        names = {room_id: name for name, room_id in self.ids.items()}
        return {names.get(room["room_id"], "the new one") for room in answer["rooms"]}

    def login(self, **other: Any) -> dict[str, Any]:
        (address,) = [each["IPAddress"] for each in self.project.inspect("db")["NetworkSettings"]["Networks"].values()]
        return {
            "login_host": address,
            "login_user": "synapse",
            "login_password": self.project.settings["POSTGRES_PASSWORD"],
            "login_db": "synapse",
            **other,
        }

    # --- the truth ------------------------------------------------------------------------------

    def count(self, table: str, where: str = "true") -> collections.Counter[str]:
        """How often each room's ID is in a table, counted here."""
        return collections.Counter(row[0] for row in self.project.sql(f"SELECT room_id FROM {table} WHERE {where}"))

    def everyone(self) -> set[str]:
        return {row[0] for row in self.project.sql("SELECT room_id FROM rooms")}


def ranked(figures: collections.Counter[str], rooms: set[str]) -> list[tuple[str, int]]:
    return sorted(((room, figures[room]) for room in rooms), key=lambda each: (-each[1], each[0]))


@pytest.fixture(scope="module")
def rooms(stock: Deployment) -> Rooms:
    return Rooms(stock)


@pytest.fixture(scope="module")
def sampled(rooms: Rooms) -> str:
    """Another database of the same schema, of rooms whose rows are spread over many pages."""
    rooms.project.sql("CREATE DATABASE sampled TEMPLATE template0")
    rooms.project.execute("db", "sh", "-c", "pg_dump -U synapse -s synapse | psql -q -U synapse -d sampled")
    # Room n has n * n times as many rows, in no order by room.
    statement = """
        INSERT INTO rooms (room_id, is_public) SELECT '!r' || n || ':x', false FROM generate_series(1, 30) n;
        INSERT INTO state_groups_state SELECT r, '!r' || n || ':x', 'm.room.member', '@u' || r, '$' || md5(r::text)
        FROM generate_series(1, 30) n, generate_series(1, n * n * 10) r ORDER BY md5(n || '.' || r);
        INSERT INTO events (topological_ordering, event_id, type, room_id, processed, outlier, depth, origin_server_ts,
                            stream_ordering)
        SELECT r, '$' || n || '.' || r, 'm.room.message', '!r' || n || ':x', true, false, r, 1000 * r, n * 100000 + r
        FROM generate_series(1, 30) n, generate_series(1, n * n * 4) r ORDER BY md5(n || '.' || r);
    """
    rooms.project.execute(
        "db", "psql", "-q", "-v", "ON_ERROR_STOP=1", "-U", "synapse", "-d", "sampled", "-c", statement
    )
    return "sampled"


# --- the database ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order_by", "table", "where"),
    [
        ("state_rows", "state_groups_state", "true"),
        ("events", "events", "true"),
        ("state_events", "current_state_events", "true"),
        ("members", "current_state_events", "type = 'm.room.member' AND membership = 'join'"),
    ],
)
def test_the_ranking_is_that_of_plain_counts(rooms: Rooms, order_by: str, table: str, where: str) -> None:
    answer = rooms.ask(order_by=order_by)
    truth = ranked(rooms.count(table, where), rooms.everyone())
    assert [(room["room_id"], room[order_by]) for room in answer["rooms"]] == truth
    assert answer["source"] == "database" and not answer["sampled"] and answer["percent"] == 100
    assert answer["total"] == answer["matched"] == len(truth)
    assert answer["missing"] == [] and answer["changed"] is False
    few = rooms.ask(order_by=order_by, limit=3)
    assert [room["room_id"] for room in few["rooms"]] == [room for room, _figure in truth[:3]]
    assert few["matched"] == len(truth)


def test_a_database_that_was_never_analyzed(rooms: Rooms) -> None:
    """Such a one as the module is right about in these tests; Synapse's own statistics fail on it."""
    tables = "'events', 'event_json', 'state_groups_state'"
    assert rooms.project.sql(f"SELECT count(*) FROM pg_stats WHERE tablename IN ({tables})") == [["0"]]
    with pytest.raises(MatrixError, match="500"):
        rooms.admin.call("GET", "/_synapse/admin/v1/statistics/database/rooms")


def test_each_figure_is_that_of_plain_counts(rooms: Rooms) -> None:
    answer = rooms.ask()
    by_id = {room["room_id"]: room for room in answer["rooms"]}
    counts = {
        "state_rows": rooms.count("state_groups_state"),
        "events": rooms.count("events"),
        "state_events": rooms.count("current_state_events"),
        "members": rooms.count("current_state_events", "type = 'm.room.member' AND membership = 'join'"),
        "local_members": rooms.count("local_current_membership", "membership = 'join'"),
        "forward_extremities": rooms.count("event_forward_extremities"),
    }
    for figure, truth in counts.items():
        assert {room_id: room[figure] for room_id, room in by_id.items()} == {each: truth[each] for each in by_id}, (
            figure
        )
    newest = dict(
        rooms.project.sql(
            "SELECT DISTINCT ON (room_id) room_id, received_ts FROM events ORDER BY 1, stream_ordering DESC"
        )
    )
    assert {room_id: str(room["last_activity"]) for room_id, room in by_id.items()} == newest
    # What all rooms have together is what the tables have.
    sizes = {
        name: int(size)
        for name, size in rooms.project.sql(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relname IN ('events', 'event_json', 'state_groups_state')"
        )
    }
    assert sum(room["state_bytes"] for room in by_id.values()) == pytest.approx(sizes["state_groups_state"], rel=0.01)
    assert sum(room["event_bytes"] for room in by_id.values()) == pytest.approx(
        sizes["events"] + sizes["event_json"], rel=0.01
    )
    talk = by_id[rooms.ids["talk"]]
    assert (talk["name"], talk["canonical_alias"]) == ("Room talk", "#aliased:localhost")
    assert [name for name, room_id in rooms.ids.items() if by_id[room_id]["tombstoned"]] == ["old"]
    assert all(room["known"] and room["version"] for room in by_id.values())
    # All users were here just now; their devices say so a little later.
    wait_until(
        lambda: rooms.ask(rooms=[rooms.ids["members"]])["rooms"][0]["active_local_members"] == 3,
        seconds=60,
        what="the three of them were seen",
        every=3,
    )


def test_the_orders_by_bytes(rooms: Rooms) -> None:
    by_disk = rooms.ask(order_by="disk")["rooms"]
    assert [room["disk_bytes"] for room in by_disk] == sorted((room["disk_bytes"] for room in by_disk), reverse=True)
    assert all(room["disk_bytes"] == room["state_bytes"] + room["event_bytes"] for room in by_disk)
    by_state = rooms.ask(order_by="state_bytes")["rooms"]
    assert by_state[0]["room_id"] == rooms.ids["heavy"]
    # One room's figures are the same however they are ranked.
    for other in (by_state, rooms.ask(order_by="events")["rooms"], rooms.ask(order_by="members")["rooms"]):
        assert {room["room_id"]: (room["state_rows"], room["state_bytes"], room["events"]) for room in other} == {
            room["room_id"]: (room["state_rows"], room["state_bytes"], room["events"]) for room in by_disk
        }


def test_filters(rooms: Rooms) -> None:
    assert rooms.named(rooms.ask(no_local_members=True)) == {"left"}
    assert rooms.named(rooms.ask(tombstoned=True)) == {"old"}
    assert rooms.named(rooms.ask(pattern="small ?")) == {"small0", "small1", "small2"}
    assert rooms.named(rooms.ask(pattern="#ALIASED*")) == {"talk"}
    assert rooms.named(rooms.ask(pattern=rooms.ids["light"])) == {"light"}
    assert rooms.named(rooms.ask(pattern="small*", limit=1)) < {"small0", "small1", "small2"}
    assert rooms.ask(pattern="small*", limit=1)["matched"] == 3
    assert rooms.ask(inactive_days=1)["rooms"] == []
    assert rooms.ask(inactive_days=1)["matched"] == 0
    assert len(rooms.ask(inactive_days=0)["rooms"]) == len(rooms.everyone())
    enough = {room for room, states in rooms.count("current_state_events").items() if states >= 12}
    assert {room["room_id"] for room in rooms.ask(min_state_events=12)["rooms"]} == enough
    assert rooms.named(rooms.ask(rooms=[rooms.ids["heavy"], "#aliased:localhost"])) == {"heavy", "talk"}
    gone = rooms.ask(rooms=["!gone:localhost", "#gone:localhost", rooms.ids["heavy"]])
    assert rooms.named(gone) == {"heavy"} and gone["absent"] == ["!gone:localhost", "#gone:localhost"]
    assert rooms.named(rooms.ask(rooms=[rooms.ids["heavy"], rooms.ids["old"]], tombstoned=True)) == {"old"}


TEXTS = st.text(st.sampled_from("aAüÜ%_\\*?'\n.[]-€😀"), max_size=6)


def test_a_pattern_means_the_same_in_postgresql_and_here(rooms: Rooms) -> None:
    login = rooms.login()
    names = {"login_host": "host", "login_user": "user", "login_password": "password", "login_db": "dbname"}
    with psycopg.connect(**{names[name]: value for name, value in login.items()}) as connection:

        @given(glob=TEXTS.filter(bool), text=TEXTS)
        @example(glob="100%*", text=ODD_NAME)
        @example(glob="*ü*", text=ODD_NAME)
        def same(glob: str, text: str) -> None:
            query = """SELECT lower(%s COLLATE "C") LIKE %s"""
            there = connection.execute(query, (text, glob_as_like(glob))).fetchone()
            assert there == (glob_as_pattern(glob).fullmatch(text) is not None,)

        same()
    assert rooms.named(rooms.ask(pattern="100%_o*Ü*")) == rooms.named(rooms.api(pattern="100%_o*Ü*")) == {"odd"}
    assert rooms.named(rooms.ask(pattern="*ü*")) == rooms.named(rooms.api(pattern="*ü*")) == set()


def test_what_is_left_of_a_room_is_found(rooms: Rooms) -> None:
    rooms.project.sql(
        "INSERT INTO state_groups_state SELECT 900000 + n, '!gone:x', 'm.room.member', '@u' || n, '$e'"
        " FROM generate_series(1, 5000) n"
    )
    try:
        first = rooms.ask()["rooms"][0]
        assert (first["room_id"], first["known"], first["state_rows"], first["events"]) == ("!gone:x", False, 5000, 0)
    finally:
        rooms.project.sql("DELETE FROM state_groups_state WHERE room_id = '!gone:x'")


def test_statistics_that_are_turned_off(rooms: Rooms) -> None:
    rooms.project.sql("ALTER TABLE room_stats_current RENAME TO kept; CREATE TABLE room_stats_current (LIKE kept)")
    try:
        truth = ranked(rooms.count("current_state_events"), rooms.everyone())
        answer = rooms.ask(order_by="state_events")
    finally:
        rooms.project.sql("DROP TABLE room_stats_current; ALTER TABLE kept RENAME TO room_stats_current")
    assert [(room["room_id"], room["state_events"]) for room in answer["rooms"]] == truth


# --- a sample, and other schemas ----------------------------------------------------------------


def test_a_sample_puts_the_heaviest_first_and_says_so(rooms: Rooms, sampled: str) -> None:
    login = rooms.login(login_db=sampled)
    counted, part = rooms.ask(**login), rooms.ask(**login, sample_above=30_000)
    assert not counted["sampled"] and part["sampled"] and 0 < part["percent"] < 60
    assert part["estimate"]["state_method"] == f"sampled {part['percent']:.3g} %"
    assert "sampled" in part["table"] and any("sample_above" in str(warning) for warning in part["warnings"])
    truth = {room["room_id"]: room["state_rows"] for room in counted["rooms"]}
    assert truth == {f"!r{n}:x": n * n * 10 for n in range(1, 31)}
    heaviest = [room["room_id"] for room in part["rooms"][:10]]
    assert set(heaviest[:3]) <= {"!r30:x", "!r29:x", "!r28:x", "!r27:x", "!r26:x"}
    assert set(heaviest) <= {f"!r{n}:x" for n in range(18, 31)}
    for room in part["rooms"][:10]:
        assert room["state_rows"] == pytest.approx(truth[room["room_id"]], rel=0.25)
    # The same sample each time.
    assert rooms.ask(**login, sample_above=30_000)["rooms"] == part["rooms"]
    events = rooms.ask(**login, sample_above=10_000, order_by="events")
    assert events["sampled"] and events["rooms"][0]["events"] == pytest.approx(3600, rel=0.3)
    # Where events do not rank they are counted by the index, even so.
    assert rooms.ask(**login, sample_above=30_000, limit=3)["estimate"]["events_method"] == "counted"


def test_a_schema_that_lacks_something(rooms: Rooms, sampled: str) -> None:
    rooms.project.sql(f"CREATE DATABASE lesser TEMPLATE {sampled}")
    lesser = ("psql", "-q", "-v", "ON_ERROR_STOP=1", "-U", "synapse", "-d", "lesser", "-c")
    rooms.project.execute(
        "db",
        *lesser,
        "DROP TABLE event_forward_extremities, user_ips, devices, sliding_sync_membership_snapshots, room_stats_state CASCADE;"
        " ALTER TABLE rooms DROP COLUMN room_version; ALTER TABLE events DROP COLUMN received_ts",
    )
    answer = rooms.ask(**rooms.login(login_db="lesser"), pattern="!R3*", inactive_days=1)
    assert {room["room_id"] for room in answer["rooms"]} == {"!r3:x", "!r30:x"}
    assert answer["rooms"][0]["last_activity"] == 3_600_000 and answer["rooms"][0]["public"] is False
    assert answer["missing"] == [
        "active_local_members",
        "canonical_alias",
        "encrypted",
        "forward_extremities",
        "name",
        "version",
    ]
    rooms.project.execute(
        "db", *lesser, "DROP TABLE current_state_events, local_current_membership, room_stats_current"
    )
    answer = rooms.ask(**rooms.login(login_db="lesser"), limit=1)
    assert answer["rooms"][0]["state_rows"] == 9000 and answer["rooms"][0]["members"] is None
    assert {"members", "local_members", "state_events", "tombstoned"} <= set(answer["missing"])
    said = rooms.refused(**rooms.login(login_db="lesser"), order_by="members")
    assert "order by another figure" in said
    rooms.project.execute("db", *lesser, "DROP TABLE state_groups_state CASCADE")
    assert "it has no table state_groups_state: set login_db" in rooms.refused(**rooms.login(login_db="lesser"))


def test_as_a_process(rooms: Rooms) -> None:
    answer = rooms.ask_process(project_dir=str(rooms.project.directory), limit=3)
    assert answer["rooms"] == rooms.ask(limit=3)["rooms"] and "invocation" not in answer["table"]
    assert [line.split()[0] for line in answer["table"].splitlines() if line.startswith("!")] == [
        room["room_id"] for room in answer["rooms"]
    ]


# --- faults -------------------------------------------------------------------------------------


def test_logins_that_do_not_work(rooms: Rooms) -> None:
    assert "check login_user and its password" in rooms.refused(**rooms.login(login_password="wrong"))
    # A login that was given is not passed over for the admin API.
    both = rooms.login(login_password="wrong", url=rooms.project.url, access_token=rooms.admin.token)
    assert "check login_user and its password" in rooms.refused(**both)
    assert "is not Synapse's, it has no table" in rooms.refused(**rooms.login(login_db="postgres"))
    assert "correct login_user and login_db" in rooms.refused(**rooms.login(login_db="nowhere"))
    rooms.project.sql("CREATE ROLE reader LOGIN PASSWORD 'reader'")
    said = rooms.refused(**rooms.login(login_user="reader", login_password="reader"))
    assert "permission denied" in said and "log in as Synapse's own role" in said


@contextlib.contextmanager
def locked(project: Deployment, table: str) -> Iterator[None]:
    """Hold the lock of VACUUM FULL."""
    statement = f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(30)"
    command = ["docker", "exec", project.container("db"), "psql", "-U", "synapse", "-d", "synapse", "-c", statement]
    with subprocess.Popen(command, env=project.engine.environment(), stdout=subprocess.DEVNULL) as holder:
        try:
            held = f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'AccessExclusiveLock' AND granted"
            wait_until(lambda: project.sql(held) == [["1"]], seconds=30, what="the lock is held")
            yield
        finally:
            project.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'")
            holder.wait()


def test_a_table_that_is_locked_and_a_query_that_takes_too_long(rooms: Rooms) -> None:
    with locked(rooms.project, "state_groups_state"):
        assert "within 1 seconds: lower sample_above" in rooms.refused(statement_timeout=1)
        assert "VACUUM FULL holds a table; run again" in rooms.refused()


# --- the admin API ------------------------------------------------------------------------------


def test_the_api_ranks_by_current_state(rooms: Rooms) -> None:
    answer = rooms.api()
    assert (answer["source"], answer["order_by"], answer["percent"]) == ("admin_api", "state_events", None)
    counts = rooms.count("current_state_events")
    joined = [room for room in answer["rooms"] if counts[room["room_id"]]]
    assert {room["room_id"]: room["state_events"] for room in joined} == dict(counts)
    figures = [room["state_events"] for room in answer["rooms"]]
    assert figures == sorted(figures, reverse=True) and answer["total"] == answer["matched"] == len(rooms.everyone())
    database = {room["room_id"]: room for room in rooms.ask()["rooms"]}
    for room in joined:
        same = (
            "name",
            "canonical_alias",
            "members",
            "local_members",
            "forward_extremities",
            "last_activity",
            "tombstoned",
        )
        assert {name: room[name] for name in same} == {name: database[room["room_id"]][name] for name in same}
        assert room["state_rows"] is None and room["disk_bytes"] is None
    assert "state_rows" in answer["missing"] and answer["estimate"]["rows"] is None
    by_members = rooms.api(order_by="members", limit=1)
    assert by_members["rooms"][0]["room_id"] == rooms.ids["members"]


def test_the_api_filters_as_the_database_does(rooms: Rooms) -> None:
    for filters in (
        {"no_local_members": True},
        {"tombstoned": True},
        {"pattern": "small*"},
        {"min_state_events": 12},
        {"inactive_days": 1},
        {"inactive_days": 0, "pattern": "Room *"},
        {"rooms": [rooms.ids["heavy"], "#aliased:localhost", "!gone:localhost"]},
    ):
        by_api, by_database = rooms.api(**filters), rooms.ask(**filters, order_by="state_events")
        assert rooms.named(by_api) == rooms.named(by_database), filters
        assert by_api["matched"] == by_database["matched"], filters
        assert by_api["absent"] == by_database["absent"], filters


def test_the_source_that_is_there(rooms: Rooms) -> None:
    token = {"access_token": rooms.admin.token}
    here = {"project_dir": str(rooms.project.directory)}
    assert rooms.ask(**here, **token)["source"] == "database"
    fallen_back = rooms.ask(**here, **token, db_service="nothing")
    assert fallen_back["source"] == "admin_api" and "asked the admin API, since" in str(fallen_back["warnings"])
    assert rooms.ask(url=rooms.project.url, **token)["source"] == "admin_api"
    assert "does not say the state_rows of rooms" in rooms.refused(
        url=rooms.project.url, **token, order_by="state_rows"
    )


def test_tokens_that_do_not_work(rooms: Rooms) -> None:
    access = {"url": rooms.project.url, "source": "admin_api"}
    assert "does not take the access token" in rooms.refused(**access, access_token="wrong")
    assert "only its administrators" in rooms.refused(**access, access_token=rooms.alice.token)
    assert "no access token: give access_token" in rooms.refused(**access, project_dir=str(rooms.project.directory))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limit": 0}, "limit cannot be 0"),
        ({"inactive_days": -1}, "inactive_days cannot be -1"),
        ({"pattern": ""}, "pattern is empty"),
        ({"rooms": ["Room heavy"]}, "'Room heavy' is no room"),
        ({"login_db": "x", "db_container": "nothing-like-it"}, "nothing-like-it"),
    ],
)
def test_options_that_cannot_be(rooms: Rooms, options: dict[str, Any], said: str) -> None:
    assert said in rooms.refused(**options)
