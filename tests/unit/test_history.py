# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure core of going back: points, states, pruning, and every error's line."""

from __future__ import annotations

import datetime
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import RecordError
from ansible_collections.synapse.tuning.plugins.module_utils._core.history import (
    ABSENT,
    BAK,
    PRUNED,
    RESTORED,
    History,
    Record,
    check_run,
    parse_record,
    pruning,
    show_time,
    stamp,
)

FILES = ("/s/compose.yml", "/s/data/homeserver.yaml", "/s/plan.json")


def run(number: int) -> str:
    """The stamp of a history's so-manieth run."""
    return f"20260102T0304{number:02}.000000Z"


def history(*records: tuple[str, int, str]) -> History:
    return History(Record(path, run(number), kind) for path, number, kind in records)


def message(action) -> str:
    with pytest.raises(RecordError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# -- stamps and names ------------------------------------------------------------------------------


def test_a_stamp_is_the_time_in_utc() -> None:
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert stamp(datetime.datetime(2026, 1, 2, 5, 4, 5, 678901, zone)) == "20260102T030405.678901Z"
    assert show_time("20260102T030405.678901Z") == "2026-01-02 03:04:05 UTC"


@given(st.datetimes(min_value=datetime.datetime(1000, 1, 1), timezones=st.just(datetime.timezone.utc)))
def test_stamps_are_read_back_and_sort_as_the_times_do(moment: datetime.datetime) -> None:
    assert check_run(stamp(moment)) == stamp(moment)
    record = Record("/s/a", stamp(moment), BAK)
    assert parse_record(record.name) == record
    assert (stamp(moment) < run(0)) == (moment < datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "20260102T030405Z",
        "20260102T030405.678901",
        "20260102T030405.678901Z\n",
        "20261302T030405.678901Z",
        "20260230T030405.678901Z",
        "20260102T250405.678901Z",
        "٢٠260102T030405.678901Z",
        "../20260102T030405.678901Z",
    ],
)
def test_what_is_no_stamp(text: str) -> None:
    assert "correct it or leave it out" in message(lambda: check_run(text))
    assert parse_record(f"/s/a.{text}.bak") is None or text.startswith("..")


@pytest.mark.parametrize(
    "name",
    [
        "/s/a.bak",
        f"/s/a.{run(1)}",
        f"/s/a.{run(1)}.bak~",
        f"/s/a.{run(1)}.bak.old",
        f"/s/a.{run(1)}.BAK",
        f"/s/a{run(1)}.bak",
        f"/s/a-{run(1)}.bak",
        "/s/a.99999999T999999.999999Z.bak",
    ],
)
def test_only_names_of_our_form_are_records(name: str) -> None:
    assert parse_record(name) is None


# -- points ----------------------------------------------------------------------------------------


def test_a_point_names_what_has_changed_since() -> None:
    compose, homeserver, plan = FILES
    found = history((compose, 1, BAK), (plan, 1, ABSENT), (homeserver, 2, BAK), (compose, 3, BAK)).points()
    assert [point.run for point in found] == [run(3), run(2), run(1)]
    assert [[(each.path, each.run, each.backup_file) for each in point.records] for point in found] == [
        [(compose, run(3), f"{compose}.{run(3)}.bak")],
        [(compose, run(3), f"{compose}.{run(3)}.bak"), (homeserver, run(2), f"{homeserver}.{run(2)}.bak")],
        [
            (compose, run(1), f"{compose}.{run(1)}.bak"),
            (homeserver, run(2), f"{homeserver}.{run(2)}.bak"),
            (plan, run(1), None),
        ],
    ]


def test_a_copy_is_believed_more_than_a_marker_of_the_same_run() -> None:
    for kinds in ((BAK, ABSENT), (ABSENT, BAK)):
        found = history(*((FILES[0], 1, kind) for kind in kinds)).state_before(run(1))
        assert found[FILES[0]].kind == BAK


def test_the_latest_run_is_none_that_went_back() -> None:
    a, b, _c = FILES
    found = history((a, 1, BAK), (b, 2, BAK), (a, 3, BAK), (a, 3, RESTORED), (b, 4, RESTORED))
    assert found.resolve("latest") == run(2)
    assert found.resolve("original") == run(1)
    assert [point.restored for point in found.points()] == [True, False, False]


def test_a_point_with_a_hole_is_not_offered() -> None:
    a, b, _c = FILES
    found = history((a, 1, BAK), (a, 3, PRUNED), (a, 4, BAK), *((b, number, BAK) for number in (1, 2, 3, 4)))
    assert [point.run for point in found.points()] == [run(4), run(1)]
    assert (
        message(lambda: found.resolve(run(2)))
        == f"what {a} was before the run {run(2)} is not kept any more (see the option backups); "
        f"the nearest points are {run(1)}, {run(4)}"
    )
    assert found.resolve("original") == run(1)
    # What was discarded afterwards does not close the hole.
    assert history((a, 1, BAK), (a, 3, PRUNED), (b, 2, BAK), (b, 4, BAK)).points()[-1].run == run(1)
    assert [p.run for p in history((a, 1, BAK), (a, 3, PRUNED), (b, 2, BAK), (b, 4, BAK)).points()] == [run(4), run(1)]


def test_the_original_is_not_claimed_where_only_the_newest_was_kept() -> None:
    found = history((FILES[0], 4, PRUNED), (FILES[0], 5, BAK), (FILES[1], 3, BAK))
    assert "is not kept any more" in message(lambda: found.resolve("original"))
    assert [point.run for point in found.points()] == [run(5)]


def test_errors_name_points() -> None:
    found = history(*((FILES[0], number, BAK) for number in range(1, 7)))
    near = "20260102T030403.400000Z"
    assert found.resolve(near) is None
    assert (
        str(found.unknown(near))
        == f"no run {near} has left a backup here; the nearest points are {run(3)}, {run(4)}, {run(2)}"
    )
    said = message(lambda: found.resolve("yesterday"))
    assert "'yesterday'" in said and said.endswith(f"the newest points are {run(6)}, {run(5)}, {run(4)}")
    alone = history((FILES[0], 1, BAK), (FILES[0], 1, RESTORED))
    assert message(lambda: alone.resolve("latest")).endswith(f"the only point is {run(1)}")
    assert message(lambda: history().resolve("x")).endswith("there is no point to go back to")
    assert (history().resolve("latest"), history().resolve("original")) == (None, None)


def test_everything_since_a_run_newest_first() -> None:
    a, b, _c = FILES
    found = history((a, 1, BAK), (a, 2, BAK), (b, 2, ABSENT), (a, 3, BAK), (a, 3, RESTORED))
    assert [(each.path, each.run, each.kind) for each in found.since(run(2))] == [
        (a, run(3), RESTORED),
        (a, run(3), BAK),
        (b, run(2), ABSENT),
        (a, run(2), BAK),
    ]


# -- pruning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backups, protect, gone",
    [
        (1, [], [1, 2, 3, 4]),
        (2, [], [2, 3, 4]),
        (3, [], [2, 3]),
        (5, [], []),
        (99, [], []),
        (1, [5], [1, 2, 3, 4]),
        (2, [3, 5], [2]),
        (2, [1, 5], []),
        (1, [0], []),
    ],
)
def test_the_oldest_and_the_newest_stay(backups: int, protect: list[int], gone: list[int]) -> None:
    records = [Record("/s/a", run(number), BAK if number % 2 else ABSENT) for number in (3, 1, 5, 2, 4)]
    steps = pruning(records, backups=backups, protect=map(run, protect))
    assert steps[:1] == [Record("/s/a", run(number), PRUNED) for number in gone[-1:]]
    assert [each.run for each in steps[1:]] == [run(number) for number in gone]


def test_marks_go_with_what_they_tell_of() -> None:
    marks = [Record("/s/a", run(number), RESTORED) for number in (1, 2, 3, 4, 5)]
    marks += [Record("/s/a", run(2), PRUNED)]
    records = [Record("/s/a", run(number), BAK) for number in (1, 3, 5)]
    assert pruning(records + marks, backups=2, protect=[run(5)]) == [
        Record("/s/a", run(3), PRUNED),
        Record("/s/a", run(3), BAK),
        *(Record("/s/a", run(2), kind) for kind in (RESTORED, PRUNED)),
        *(Record("/s/a", run(number), RESTORED) for number in (3, 4)),
    ]


def test_the_mark_of_a_hole_before_a_record_that_stays_stays() -> None:
    """Of the runs 1 to 4, those that kept one backup removed 1, and those that kept two then 3."""
    records = [Record("/s/a", run(1), PRUNED), *(Record("/s/a", run(number), BAK) for number in (2, 3, 4))]
    assert [each.run for each in pruning(records, backups=2, protect=[run(4)])] == [run(3), run(3)]


# -- whole histories -------------------------------------------------------------------------------

CONTENTS = st.sampled_from([None, "one", "two", "three"])
# What each run makes of the files; a file left out is left alone.
RUNS = st.lists(st.dictionaries(st.sampled_from(FILES), CONTENTS), min_size=1, max_size=12)


class Folder:
    """Files, and the records that runs keep of them, both in memory."""

    def __init__(self, now: dict[str, Optional[str]]) -> None:
        self.now = dict(now)
        self.kept: dict[Record, Optional[str]] = {}

    def change(self, stamped: str, new: dict[str, Optional[str]], *, backups: int = 99, used: tuple = ()) -> None:
        for path, content in new.items():
            if content != self.now[path]:
                was = self.now[path]
                self.kept[Record(path, stamped, ABSENT if was is None else BAK)] = was
                self.now[path] = content
                self.prune(path, backups, protect=[stamped, *used])

    def prune(self, path: str, backups: int, protect: list[str]) -> None:
        steps = pruning((each for each in self.kept if each.path == path), backups=backups, protect=protect)
        for mark in steps[:1]:
            self.kept[mark] = None
        for each in steps[1:]:
            del self.kept[each]

    def before(self, stamped: str) -> dict[str, Optional[str]]:
        """What going back makes of the files."""
        return {
            **self.now,
            **{path: self.kept[record] for path, record in History(self.kept).state_before(stamped).items()},
        }


@given(st.fixed_dictionaries(dict.fromkeys(FILES, CONTENTS)), RUNS)
def test_going_back_gives_exactly_what_was_before_the_run(start, runs) -> None:
    folder = Folder(start)
    before = {}
    for number, new in enumerate(runs):
        before[run(number)] = dict(folder.now)
        folder.change(run(number), new)
    # Before a run that changed nothing as well: nothing else tells of it.
    assert {each: folder.before(each) for each in before} == before
    changed = [each for each in before if any(record.run == each for record in folder.kept)]
    assert [point.run for point in History(folder.kept).points()] == sorted(changed, reverse=True)


@given(st.fixed_dictionaries(dict.fromkeys(FILES, CONTENTS)), RUNS, st.data())
def test_every_point_that_pruning_leaves_is_exact(start, runs, data) -> None:
    """Also where runs go back, and where they keep now more and now less."""
    folder = Folder(start)
    before = {}
    for number, new in enumerate(runs):
        before[run(number)] = dict(folder.now)
        points = History(folder.kept).points()
        backups = data.draw(st.integers(1, 4), label="backups")
        if points and data.draw(st.booleans(), label="go back"):
            to = data.draw(st.sampled_from(points), label="to")
            uses = {record.path: record.run for record in to.records}
            for path in FILES:
                wanted = folder.before(to.run)[path]
                folder.change(run(number), {path: wanted}, backups=backups, used=(uses[path],) if path in uses else ())
            assert folder.now == before[to.run]
            # Once more changes nothing, although something may have been pruned.
            assert folder.before(to.run) == folder.now
            assert to.run in [point.run for point in History(folder.kept).points()]
        else:
            folder.change(run(number), new, backups=backups)
        for point in History(folder.kept).points():
            assert folder.before(point.run) == before[point.run]


@given(st.fixed_dictionaries(dict.fromkeys(FILES, CONTENTS)), RUNS, st.integers(2, 4))
def test_the_original_is_always_kept(start, runs, backups) -> None:
    folder = Folder(start)
    for number, new in enumerate(runs):
        folder.change(run(number), new, backups=backups)
    found = History(folder.kept)
    original = found.resolve("original")
    assert (folder.now if original is None else folder.before(original)) == start
    assert all(
        len([each for each in folder.kept if each.path == path and each.kind != PRUNED]) <= backups for path in FILES
    )
