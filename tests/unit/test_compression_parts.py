# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What compressing needs beside the model: times, sizes, what the compressor prints, its URL."""

from __future__ import annotations

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._compressor_runs import database_url
from ansible_collections.synapse.tuning.plugins.module_utils._core import compressor_output, vacuum
from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import CompressionProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError
from ansible_collections.synapse.tuning.plugins.module_utils._core.periods import (
    Window,
    duration_seconds,
    show_duration,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB, MIB
from ansible_collections.synapse.tuning.plugins.module_utils._free_space import Disk, Location
from ansible_collections.synapse.tuning.plugins.module_utils._vacuum import check_room


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("02:00-05:00", [(2, 0), (4, 59)], [(1, 59), (5, 0), (14, 0)]),
        ("22:30-1:15", [(22, 30), (23, 59), (0, 0), (1, 14)], [(1, 15), (12, 0), (22, 29)]),
    ],
)
def test_a_window(text: str, inside: list[tuple[int, int]], outside: list[tuple[int, int]]) -> None:
    window = Window.parse(text)
    assert all(window.holds(hour * 60 + minute) for hour, minute in inside)
    assert not any(window.holds(hour * 60 + minute) for hour, minute in outside)


@pytest.mark.parametrize("text", ["", "2-5", "02:00", "24:00-05:00", "02:60-05:00", "02:00-02:00", "02:00-05:00 UTC"])
def test_no_window(text: str) -> None:
    with pytest.raises(UnitError, match="such as 02:00-05:00"):
        Window.parse(text)


@pytest.mark.parametrize(("text", "seconds"), [("6h", 21600), ("90", 90), ("0.05s", 0.05), ("1.5m", 90), ("1d", 86400)])
def test_a_duration(text: str, seconds: float) -> None:
    assert duration_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-1s", "6 h", "6h30m", "much"])
def test_no_duration(text: str) -> None:
    with pytest.raises(UnitError, match="such as 6h"):
        duration_seconds(text)


def test_durations_for_people() -> None:
    assert [show_duration(each) for each in (4.9, 125, 12000)] == ["4 s", "2 min 5 s", "3 h 20 min"]


def test_a_full_table_is_not_written_anew() -> None:
    # As VACUUM FULL has left it, measured: 3096 rows of 107 bytes in 475136.
    packed = vacuum.packed_bytes(rows=3096, width=107)
    assert packed == pytest.approx(475136, rel=0.1)
    assert not vacuum.worth_it(table_bytes=packed, rows=3096, width=107)
    assert vacuum.worth_it(table_bytes=2 * packed, rows=3096, width=107)
    # Without statistics nobody knows.
    assert vacuum.worth_it(table_bytes=packed, rows=3096, width=0)
    assert vacuum.gain(table_bytes=0, rows=0, width=107) == 0


@pytest.mark.parametrize(
    ("free", "tablespace", "logs_all", "fits"),
    [
        (11 * GIB, None, False, True),
        (11 * GIB, None, True, False),  # the log grows beside it
        (11 * GIB, "/fast", True, True),
        (9 * GIB, "/fast", False, False),
    ],
)
def test_room_for_a_second_copy(free: int, tablespace: str | None, logs_all: bool, fits: bool) -> None:
    place = Location("/data", tablespace, 0, logs_all, 2 * GIB)
    if fits:
        check_room(place, Disk(place.path, free), size=10 * GIB)
    else:
        with pytest.raises(CompressionProblem, match=r"GiB free.*nothing is lost: make room") as error:
            check_room(place, Disk(place.path, free), size=10 * GIB)
        assert "\n" not in str(error.value)


def test_nobody_knows_how_much_is_free() -> None:
    with pytest.raises(CompressionProblem, match=r"free_space_check to false.*256 MiB"):
        check_room(Location(None, None, 0, True, GIB), Disk(None, None), size=256 * MIB)


def test_what_the_compressor_says() -> None:
    line = "INFO synapse_auto_compressor::manager] Finished running compressor. Saved 477 rows. Skipped 1/3 chunks"
    assert compressor_output.done(f"noise\n{line}\n") == compressor_output.Done(chunks=3, skipped=1, saved=477)
    assert compressor_output.done("killed") is None


def test_its_last_lines_are_one_line() -> None:
    assert compressor_output.last_lines("\x1b[31ma\x1b[0m\n\nb\r\nc\n") == "a / b / c"
    assert compressor_output.last_lines("".join(f"{number}\n" for number in range(9))) == "4 / 5 / 6 / 7 / 8"
    assert compressor_output.last_lines("\n") == "it printed nothing"


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("db error: FATAL: password authentication failed", "set runtime to wheel"),
        ("invalid configuration: password missing", "set runtime to wheel"),
        ("ERROR: could not extend file: No space left on device", "make room"),
        ("thread main panicked", "run again"),
    ],
)
def test_advice(said: str, advised: str) -> None:
    assert advised in compressor_output.advice(said)


def test_a_url_holds_any_password_and_a_socket() -> None:
    assert (
        database_url(
            host="db.example.org", port=5433, user="a b", database="x/y", password="p@ss:/?#", sslmode="verify-full"
        )
        == "postgresql://a%20b:p%40ss%3A%2F%3F%23@db.example.org:5433/x%2Fy?sslmode=require"
    )
    assert database_url(host="/run/postgresql", port=5432, user="u", database="d") == (
        "postgresql://u@%2Frun%2Fpostgresql:5432/d"
    )
    assert database_url(host="::1", port=5432, user="u", database="d") == "postgresql://u@[::1]:5432/d"
