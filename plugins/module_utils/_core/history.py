# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files were before earlier runs, as the records beside them tell it.

A run leaves one record of each file that it changes, C(FILE.STAMP.bak) with what
the file held before, or C(FILE.STAMP.absent) where there was none. So what a file
was before a run is told by its earliest record from that run on; a file without
one has not changed since.

Two marks keep this true. C(FILE.STAMP.pruned) says up to which run records were
removed: a point among those would take the file from a later one, and is not
offered. C(FILE.STAMP.restored) says that the run went back, so that going back
before the latest run twice is not going forth again.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Set, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import RecordError

__all__ = [
    "ABSENT",
    "BAK",
    "LATEST",
    "ORIGINAL",
    "PRUNED",
    "RESTORED",
    "History",
    "Point",
    "Record",
    "check_run",
    "parse_record",
    "pruning",
    "show_time",
    "stamp",
]

BAK = "bak"
ABSENT = "absent"
PRUNED = "pruned"
RESTORED = "restored"

LATEST = "latest"
ORIGINAL = "original"

_FORMAT = "%Y%m%dT%H%M%S.%fZ"
_STAMP = r"\d{8}T\d{6}\.\d{6}Z"
_NAME = re.compile(rf"(.+)\.({_STAMP})\.({BAK}|{ABSENT}|{PRUNED}|{RESTORED})", re.DOTALL | re.ASCII)
_EXAMPLE = "20260102T030405.678901Z"
# So many points an error names.
_NAMED = 3


@dataclass(frozen=True)
class Record:
    """What one run left beside one file.

    path: the file; run: the run's stamp; kind: BAK, ABSENT, or one of the marks PRUNED and RESTORED.
    """

    path: str
    run: str
    kind: str

    @property
    def name(self) -> str:
        """The path of the record itself."""
        return f"{self.path}.{self.run}.{self.kind}"

    @property
    def backup_file(self) -> Optional[str]:
        """The copy that it is; None where it says that the file was not there."""
        return self.name if self.kind == BAK else None


@dataclass(frozen=True)
class Point:
    """The moment before a run.

    run: its stamp; records: what going back there uses, one for each file that has changed since,
    sorted by path; restored: whether that run itself went back.
    """

    run: str
    records: Tuple[Record, ...]
    restored: bool


def stamp(moment: datetime.datetime) -> str:
    """The stamp of a run that began at this moment, which must know its time zone."""
    return moment.astimezone(datetime.timezone.utc).strftime(_FORMAT)


def check_run(text: str) -> str:
    """The stamp, if it is one. Raises RecordError."""
    if not _is_stamp(text):
        raise RecordError(
            f"run is {text!r}, which is no time in UTC of the form {_EXAMPLE}; correct it or leave it out"
        )
    return text


def show_time(run: str) -> str:
    """A stamp for people: C(2026-01-02 03:04:05 UTC)."""
    return f"{_moment(run):%Y-%m-%d %H:%M:%S} UTC"


def parse_record(name: str) -> Optional[Record]:
    """The record that a path names; None for any other file."""
    found = _NAME.fullmatch(name)
    if found is None or not _is_stamp(found.group(2)):
        return None
    return Record(path=found.group(1), run=found.group(2), kind=found.group(3))


def pruning(records: Iterable[Record], *, backups: int, protect: Iterable[str]) -> List[Record]:
    """What pruning does to one file's records: the mark to make first, then those to remove; mostly nothing.

    Args:
        records: all that lie beside the file, marks included.
        backups: how many are to stay: the oldest and the newest, or with 1 the newest alone.
        protect: runs whose records stay in any case, and all later ones with them: what is
            removed has to be without gaps, for one mark to tell of it.
    """
    found = sorted(records, key=lambda each: each.run)
    ordered = sorted({each.run for each in found if each.kind in (BAK, ABSENT)})
    oldest = 0 if backups == 1 else 1
    limit = min(protect, default=None)
    gone = [
        run
        for run in ordered[oldest : max(oldest, len(ordered) - max(backups - oldest, 1))]
        if limit is None or run < limit
    ]
    if not gone:
        return []
    last = gone[-1]
    stay = set(ordered) - set(gone)
    removed = [each for each in found if each.run in gone and each.kind in (BAK, ABSENT)]
    for each in found:
        # A mark tells of the runs before the next record; this one tells of them as well unless there is one.
        hole = each.kind == PRUNED and each.run < last and not any(each.run < run < last for run in stay)
        if hole or (each.kind == RESTORED and each.run not in stay and (limit is None or each.run < limit)):
            removed.append(each)
    return [Record(found[0].path, last, PRUNED), *removed]


class History:
    """The records of any number of files, of which each file has at most one a run."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._all = sorted(set(records), key=lambda each: (each.run, each.path, each.kind))
        self._changes: Dict[str, Dict[str, Record]] = {}
        self._pruned: List[Record] = []
        restored: Set[Tuple[str, str]] = set()
        for record in self._all:
            if record.kind == PRUNED:
                self._pruned.append(record)
            elif record.kind == RESTORED:
                restored.add((record.path, record.run))
            else:
                # Both kinds are never made; of the two a copy loses nothing.
                known = self._changes.setdefault(record.path, {})
                if record.kind == BAK or record.run not in known:
                    known[record.run] = record
        self._restored = {run for path, run in restored if run in self._changes.get(path, {})}
        self._runs = sorted({run for known in self._changes.values() for run in known}, reverse=True)

    @property
    def paths(self) -> List[str]:
        """The files that have records."""
        return sorted(self._changes)

    def points(self) -> List[Point]:
        """The points that can be gone back to, newest first."""
        return [
            Point(run=run, records=tuple(self.state_before(run).values()), restored=run in self._restored)
            for run in self._runs
            if self._lost(run) is None
        ]

    def state_before(self, run: str) -> Dict[str, Record]:
        """For each file that has changed since, by path, the record of what it was before that run."""
        found = {}
        for path in self.paths:
            record = self._earliest(path, run)
            if record is not None:
                found[path] = record
        return found

    def resolve(self, to: str) -> Optional[str]:
        """The run that C(to) means: its stamp, LATEST or ORIGINAL; None where there is no record of it.

        LATEST is the last run that did not itself go back.

        Raises RecordError for what is no stamp, and for a point that is not kept any more.
        """
        if to == LATEST:
            run = next((each for each in self._runs if each not in self._restored), None)
            if run is None and self._runs:
                raise RecordError(f"no run is left that did not itself go back; {self._hint()}")
        elif to == ORIGINAL:
            run = min([*self._runs, *(mark.run for mark in self._pruned)], default=None)
        elif not _is_stamp(to):
            raise RecordError(
                f"to is {to!r}, which is neither {LATEST} nor {ORIGINAL} nor a run such as {_EXAMPLE}; {self._hint()}"
            )
        else:
            run = to
        lost = self._lost(run) if run is not None else None
        if lost is not None:
            raise RecordError(
                f"what {lost} was before the run {run} is not kept any more (see the option backups); {self._hint(run)}"
            )
        return run if run in self._runs else None

    def unknown(self, run: str) -> RecordError:
        """The error for a stamp that left no record."""
        return RecordError(f"no run {run} has left a backup here; {self._hint(run)}")

    def since(self, run: str) -> List[Record]:
        """Everything that this and later runs left, marks included, newest first."""
        return [record for record in reversed(self._all) if record.run >= run]

    def _earliest(self, path: str, run: str) -> Optional[Record]:
        known = self._changes.get(path, {})
        earliest = min((each for each in known if each >= run), default=None)
        return None if earliest is None else known[earliest]

    def _lost(self, run: str) -> Optional[str]:
        """A file whose record of this point was pruned: it would be taken from a later one, or not at all."""
        for mark in self._pruned:
            record = self._earliest(mark.path, run)
            if run <= mark.run and (record is None or mark.run < record.run):
                return mark.path
        return None

    def _hint(self, near: Optional[str] = None) -> str:
        runs = [point.run for point in self.points()]
        if not runs:
            return "there is no point to go back to"
        if near is not None:
            moment = _moment(near)
            runs.sort(key=lambda run: abs(_moment(run) - moment))
        many = "points are" if len(runs) > 1 else "only point is"
        which = "" if len(runs) == 1 else "nearest " if near is not None else "newest "
        return f"the {which}{many} {', '.join(runs[:_NAMED])}"


def _is_stamp(text: str) -> bool:
    if not re.fullmatch(_STAMP, text, re.ASCII):
        return False
    try:
        _moment(text)
    except ValueError:
        return False
    return True


def _moment(run: str) -> datetime.datetime:
    return datetime.datetime.strptime(run, _FORMAT)
