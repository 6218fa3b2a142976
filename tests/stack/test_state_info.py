# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""state_info on the made database: counted, sampled, never analyzed, compressed; beside what plain loops find."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import images
import play
import pytest
from made import Made

from ansible_collections.synapse.tuning.plugins.module_utils import _postgresql, _state
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import DatabaseProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.state import State
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

pytestmark = pytest.mark.slow

EVERYTHING = _state.Request(sample_above=5_000_000, rooms=3, unreferenced=True, timeout=120)


def _login(made: Made, **other: Any) -> Login:
    (address,) = [each["IPAddress"] for each in made.project.inspect("db")["NetworkSettings"]["Networks"].values()]
    password = made.project.settings["POSTGRES_PASSWORD"]
    given = {"host": address, "user": "synapse", "password": password, "database": "synapse", **other}
    return Login(**given)


def _read(made: Made, request: _state.Request = EVERYTHING, **login: Any) -> State:
    with _postgresql.connect(_login(made, **login)) as server:
        return _state.read(server, request)


def _numbers(made: Made, statement: str) -> Iterator[list[int]]:
    return ([int(each) for each in row] for row in made.project.sql(statement))


def _unused(made: Made, edges: dict[int, int]) -> set[int]:
    """The state groups that nothing uses, by following each that an event has."""
    used: set[int] = set()
    for (group,) in _numbers(made, "SELECT DISTINCT state_group FROM event_to_state_groups"):
        each: int | None = group
        while each is not None and each not in used:
            used.add(each)
            each = edges.get(each)
    return {group for (group,) in _numbers(made, "SELECT id FROM state_groups")} - used


def test_it_says_what_plain_loops_find(made: Made) -> None:
    state = _read(made)
    rows = Counter(group for (group,) in _numbers(made, "SELECT state_group FROM state_groups_state"))
    edges = dict(_numbers(made, "SELECT state_group, prev_state_group FROM state_group_edges"))
    rooms = dict(made.project.sql("SELECT id, room_id FROM state_groups"))
    full = {int(group) for group in rooms} - set(edges)
    groups = state.groups
    assert (groups.by, groups.state_groups, groups.rows) == ("counted", len(rooms), rows.total())
    assert (groups.deltas, groups.full, groups.full_rows) == (len(edges), len(full), sum(rows[each] for each in full))
    assert groups.largest == max(rows.values())
    heaviest = Counter(dict.fromkeys(rooms.values(), 0))
    for group, number in rows.items():
        heaviest[rooms[str(group)]] += number
    assert [(room.room_id, room.rows) for room in state.rooms] == heaviest.most_common(3)
    assert state.rooms[0].room_id == made.heavy
    unused = _unused(made, edges)
    assert (state.unreferenced.state_groups, state.unreferenced.rows) == (
        len(unused),
        sum(rows[each] for each in unused),
    )
    for each in state.tables:
        counted, size = made.project.sql(
            f"SELECT (SELECT count(*) FROM {each.name}), pg_total_relation_size('{each.name}')"
        )[0]
        assert (each.rows, each.rows_by) == (int(counted), "counted")
        assert each.total_bytes == int(size) == each.table_bytes + each.index_bytes
    assert state.compressor is None and state.background_updates == ()
    assert state.activity.last_vacuum and state.activity.last_analyze


def test_state_groups_that_nothing_uses_are_found(made: Made) -> None:
    before = _read(made).unreferenced
    project = made.project
    # Two that only one another uses, as an event that was never stored leaves behind.
    project.sql(
        "INSERT INTO state_groups (id, room_id, event_id) VALUES (900001, '!r', '$a'), (900002, '!r', '$b');"
        "INSERT INTO state_group_edges (state_group, prev_state_group) VALUES (900002, 900001);"
        "INSERT INTO state_groups_state (state_group, room_id, type, state_key, event_id) VALUES"
        " (900001, '!r', 'a', '', '$a'), (900001, '!r', 'b', '', '$b'), (900002, '!r', 'a', '', '$c')"
    )
    after = _read(made).unreferenced
    assert before.state_groups is not None and before.rows is not None
    assert (after.state_groups, after.rows) == (before.state_groups + 2, before.rows + 3)
    for table, column in (
        ("state_groups_state", "state_group"),
        ("state_group_edges", "state_group"),
        ("state_groups", "id"),
    ):
        project.sql(f"DELETE FROM {table} WHERE {column} > 900000")


def test_a_sample_is_near(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = _read(made)
    monkeypatch.setattr(_state, "_GROUPS_TO_SAMPLE", 4000)
    monkeypatch.setattr(_state, "_FEWEST_PAGES", 1)
    state = _read(made, _state.Request(sample_above=1000, rooms=3, unreferenced=True, timeout=120))
    assert state.groups.by.startswith("sampled ") and state.groups.by != "sampled 100 %"
    assert {each.rows_by for each in state.tables if each.rows > 1000} == {"statistics"}
    for name, near in (("state_groups", 0.2), ("deltas", 0.2), ("rows", 0.5)):
        assert getattr(state.groups, name) == pytest.approx(getattr(counted.groups, name), rel=near), name
    assert state.rooms[0].room_id == made.heavy
    assert state.unreferenced.because == "not looked for, as there are too many rows: raise sample_above"


def test_a_database_that_was_never_analyzed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = _read(made)
    made.project.sql(
        "UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname IN ('state_groups_state', 'state_groups')"
    )
    made.project.sql("SELECT pg_stat_reset_single_table_counters('state_groups_state'::regclass)")
    state = _read(made)
    assert state.groups == counted.groups
    assert (state.activity.last_vacuum, state.activity.last_analyze) == (None, None)
    monkeypatch.setattr(_state, "_PAGES_TO_SAMPLE", 500)
    few = _read(made, _state.Request(sample_above=1000, rooms=0, unreferenced=False, timeout=120))
    (table,) = [each for each in few.tables if each.name == "state_groups_state"]
    assert table.rows_by.startswith("sampled ")
    assert table.rows == pytest.approx(counted.groups.rows, rel=0.1)
    assert few.rooms == () and few.unreferenced.because == "not asked"
    made.project.sql("ANALYZE")


def _module(made: Made, tmp_path: Any, **arguments: Any) -> tuple[dict[str, Any], str]:
    """Run the module by Ansible; what it returned, and all that was printed."""
    given = {"project_dir": str(made.project.directory), **arguments}
    run = subprocess.run(
        [
            *("ansible", "localhost", "-i", "localhost,", "-c", "local", "-m", "synapse.tuning.state_info"),
            *("-a", json.dumps(given), "--tree", str(tmp_path)),
            *("-e", json.dumps({"ansible_python_interpreter": sys.executable})),
        ],
        env={**play.environment(made.project), "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = (tmp_path / "localhost").read_text(encoding="utf-8")
    return json.loads(text), run.stdout + run.stderr + text


def test_the_compressor_is_seen(made: Made, tmp_path: Any) -> None:
    before = _read(made)

    def compress(chunks: str) -> None:
        database = made.project.container("db")
        made.project.engine.docker(
            *("run", "--rm", "--network", f"container:{database}", images.COMPRESSOR.tag, "synapse_auto_compressor"),
            *("-p", "postgresql://synapse@127.0.0.1/synapse", "-c", "500", "-n", chunks),
        )

    compress("2")
    some = _read(made).compressor
    assert some is not None and some.newest_compressed_group and some.share_done is not None
    compress("100")
    status = tmp_path / "status"
    status.write_text("synapse_tuning_compressor_last_exit_status 0\n", encoding="utf-8")
    answer, output = _module(made, tmp_path, status_file=str(status))
    assert answer["changed"] is False
    assert made.project.settings["POSTGRES_PASSWORD"] not in output
    compressor = answer["compressor"]
    assert compressor["share_done"] > some.share_done and compressor["rooms"] > some.rooms
    assert answer["last_run"]["exit_status"] == 0
    assert answer["groups"]["rows"] < before.groups.rows * 0.7
    assert answer["groups"]["share_of_rows_in_full"] < before.groups.as_data()["share_of_rows_in_full"]
    assert f"done up to state group {compressor['lowest_uncompressed_group']:,}" in answer["table"]
    # A login of the compressor's own has its tables elsewhere.
    made.project.sql("CREATE SCHEMA compressor")
    for name in ("state", "progress", "total_progress"):
        made.project.sql(f"ALTER TABLE state_compressor_{name} SET SCHEMA compressor")
    elsewhere = _read(made).compressor
    assert elsewhere is not None and elsewhere.share_done == compressor["share_done"]


def test_what_is_no_database_of_synapse(made: Made) -> None:
    with pytest.raises(
        DatabaseProblem, match=r"The database postgres has no table state_groups_state: set login_db to"
    ):
        _read(made, database="postgres")


def test_a_role_that_may_not_read(made: Made) -> None:
    made.project.sql("CREATE ROLE reader LOGIN PASSWORD 'throw-away'")
    with pytest.raises(
        DatabaseProblem, match=r"permission denied for table \w+; log in as the tables' owner, or grant"
    ):
        _read(made, user="reader", password="throw-away")
    made.project.sql("GRANT pg_read_all_data TO reader")
    assert _read(made, user="reader", password="throw-away").groups.state_groups > 0


def test_a_query_that_takes_too_long(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = _state.Request(sample_above=5_000_000, rooms=0, unreferenced=True, timeout=1)
    # Only what may take long is lost.
    monkeypatch.setattr(_state, "_UNREFERENCED", "SELECT count(*), 0 FROM generate_series(1, 1000), pg_sleep(5)")
    state = _read(made, quick)
    assert state.unreferenced.because == "not found out within 1 seconds: raise statement_timeout"
    assert state.groups.state_groups > 0
    monkeypatch.setattr(_state, "_ACTIVITY", "SELECT pg_sleep(5)")
    with pytest.raises(DatabaseProblem, match=r"within 1 seconds: lower sample_above, or raise statement_timeout"):
        _read(made, quick)
