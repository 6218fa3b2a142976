# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from the figures of Synapse's tables of state."""

from __future__ import annotations

import pathlib
from dataclasses import replace

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils import _state
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.state import (
    Activity,
    Compressor,
    Groups,
    LastRun,
    RoomGroups,
    State,
    TableSize,
    Unreferenced,
    last_run,
    report,
    sampled,
    share_of_ids,
)

GROUPS = Groups(state_groups=200, rows=5000, deltas=198, full=2, full_rows=4800, largest=2500, by="counted")
STATE = State(
    tables=(TableSize("state_groups_state", 8192, 1024**3, 1024**3 + 8192, 12_345_678, "statistics"),),
    groups=GROUPS,
    rooms=(RoomGroups("!abc:example.org", 4900, 150),),
    activity=Activity(dead_rows=17, last_vacuum=None, last_analyze="2026-11-24T00:48:05Z"),
    unreferenced=Unreferenced(because="not asked"),
    compressor=None,
    background_updates=(),
)
RAN = Compressor(lowest_uncompressed_group=101, newest_group=200, rooms=7, newest_compressed_group=180, share_done=0.5)


def test_means_and_shares() -> None:
    data = GROUPS.as_data()
    assert (data["rows_per_state_group"], data["share_of_deltas"], data["share_of_rows_in_full"]) == (25.0, 0.99, 0.96)


def test_an_empty_database_has_none() -> None:
    data = Groups(0, 0, 0, 0, 0, 0, "counted").as_data()
    assert (data["rows_per_state_group"], data["share_of_deltas"], data["share_of_rows_in_full"]) == (None, None, None)
    assert "none" in "\n".join(report(replace(STATE, groups=Groups(0, 0, 0, 0, 0, 0, "counted"))))


@pytest.mark.parametrize(
    ("oldest", "newest", "lowest", "share"),
    [
        (None, None, 0, None),
        (1, 100, 0, 0.0),  # as the compressor's table is made
        (1, 100, 1, 0.0),
        (1, 100, 51, 0.5),
        (1, 100, 101, 1.0),
        (1, 100, 5000, 1.0),  # the newest were purged since
        (901, 1000, 51, 0.0),  # the oldest were
    ],
)
def test_how_far_the_compressor_is(oldest: int, newest: int, lowest: int, share: float) -> None:
    assert share_of_ids(oldest=oldest, newest=newest, lowest_uncompressed=lowest) == share


def test_the_status_file() -> None:
    text = (
        "# HELP synapse_tuning_compressor_last_start_timestamp_seconds When the last run started.\n"
        "# TYPE synapse_tuning_compressor_last_start_timestamp_seconds gauge\n"
        'synapse_tuning_compressor_last_start_timestamp_seconds{project="/opt/synapse"} 1763942400\n'
        'synapse_tuning_compressor_last_exit_status{project="/opt/synapse"} 124\n'
        "synapse_tuning_compressor_last_saved_rows 1.5e3\n"
        "synapse_tuning_compressor_last_end_timestamp_seconds NaN\n"
    )
    assert last_run(text) == LastRun(1763942400, None, None, 124, 1500)
    assert last_run("something else") == LastRun(None, None, None, None, None)


def test_a_status_file_that_is_not_there_yet(tmp_path: pathlib.Path) -> None:
    assert _state.read_last_run(str(tmp_path / "none")) is None
    with pytest.raises(FileProblem, match=r"cannot be read \(Is a directory\); correct status_file"):
        _state.read_last_run(str(tmp_path))


def test_the_table_says_everything_and_fits() -> None:
    room = RoomGroups("!" + "r" * 43, 123_456_789, 1_234_567)
    state = replace(
        STATE,
        rooms=(room,),
        compressor=RAN,
        unreferenced=Unreferenced(state_groups=3, rows=900),
        background_updates=("state_groups_room_id_idx",),
    )
    lines = report(state)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 100
    for part in (
        *(
            "12,345,678",
            "statistics",
            "1 GiB",
            "8 KiB",
            "25.0, at most 2,500",
            "99.0 %",
            "2, with 4,800 rows (96.0 % of all)",
        ),
        *("3 state groups with 900 rows", "17", "never, 2026-11-24T00:48:05Z", "state_groups_room_id_idx"),
        *("worked on 7 rooms, done up to state group 101 of 200 (50.0 %)", room.room_id, "123,456,789"),
    ):
        assert part in text, part
    assert "has never run on this database" in "\n".join(report(STATE))
    assert "not asked" in "\n".join(report(STATE))


def test_as_data_is_plain() -> None:
    data = replace(STATE, compressor=RAN).as_data()
    assert data["compressor"]["share_done"] == 0.5
    assert data["rooms"] == [{"room_id": "!abc:example.org", "rows": 4900, "state_groups": 150}]
    assert data["dead_rows"] == 17 and data["last_vacuum"] is None
    assert data["unreferenced"] == {"state_groups": None, "rows": None, "because": "not asked"}


def test_a_sample_says_its_size() -> None:
    assert [sampled(each) for each in (100.0, 12.3456, 0.01234)] == [
        "sampled 100 %",
        "sampled 12.3 %",
        "sampled 0.0123 %",
    ]
