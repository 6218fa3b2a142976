# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps of the files that it changes, in records beside them.

Of a file that was there a copy, of a new one an empty marker; see _core/history.
The first record of a run stays, however often the run changes the file. A kill
may leave a record of a change that was not made, never a change without one.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, RecordError
from ansible_collections.synapse.tuning.plugins.module_utils._core.history import (
    ABSENT,
    BAK,
    Record,
    check_run,
    parse_record,
    pruning,
    stamp,
)

__all__ = ["OPTIONS", "Keep", "Written", "add", "create", "find", "mark", "prune", "remove", "replace"]

# The options of the doc fragment of this name, for a module's argument spec.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "backup": {"type": "bool", "default": True},
    "backups": {"type": "int", "default": 10},
    "run": {"type": "str"},
}


@dataclass(frozen=True)
class Keep:
    """What a run keeps.

    run: its stamp; backup: whether it keeps anything; backups: how many records of a file stay.
    """

    run: str
    backup: bool = True
    backups: int = 10

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Keep:
        """From a module's options. Raises RecordError."""
        if options["backups"] < 1:
            raise RecordError(f"backups is {options['backups']}; give at least 1, or set backup to false to keep none")
        run = options["run"]
        if run is None:
            run = stamp(datetime.datetime.now(datetime.timezone.utc))
        return cls(run=check_run(run), backup=options["backup"], backups=options["backups"])


class Written(NamedTuple):
    """What became of a write: the copy of the file as it was before the run, if there is one; one line each."""

    backup_file: Optional[str]
    warnings: Tuple[str, ...]


def replace(path: str, data: str, *, keep: Keep) -> Written:
    """Give an existing file new content, as _files.replace does, with a record.

    The record of a file behind a symbolic link lies beside the file itself.
    Raises FileProblem, with the file as it was and nothing new beside it.
    """
    target = os.path.realpath(path)
    with _files.problems(path, "backed up"), _recorded(target, keep) as record:
        _files.replace(path, data)
    return _written(target, record, keep)


def create(
    path: str, data: str, *, mode: int, owner: Optional[int] = None, group: Optional[int] = None, keep: Keep
) -> Written:
    """Write a new file, as _files.create does, with a record.

    Raises FileProblem, with nothing new left; also where the path is taken by now.
    """
    target = os.path.realpath(path)
    taken = FileProblem(f"{_files.shown(path)}: it appeared while this ran; run again")
    if os.path.lexists(path):
        raise taken
    with _files.problems(path, "backed up"), _recorded(target, keep) as record:
        if not _files.create(path, data, mode=mode, owner=owner, group=group):
            raise taken
    return _written(target, record, keep)


def find(directories: Iterable[str]) -> List[Record]:
    """The records in these directories, not below them, and those of files that are linked from there.

    A directory that does not exist has none. Raises FileProblem for one that cannot be read.
    """
    found: List[Record] = []
    seen: Set[str] = set()
    linked: Set[str] = set()
    for directory in map(os.path.abspath, directories):
        if os.path.realpath(directory) in seen:
            continue
        seen.add(os.path.realpath(directory))
        entries = _entries(directory)
        found += _records(entries)
        linked.update(os.path.realpath(entry.path) for entry in entries if entry.is_symlink())
    for target in sorted(linked):
        if os.path.dirname(target) not in seen:
            # Nobody asked for that directory: where it is closed, there is nothing to go back to.
            with contextlib.suppress(FileProblem):
                found += [record for record in _records(_entries(os.path.dirname(target))) if record.path == target]
    return found


def add(target: str, keep: Keep) -> Tuple[Record, bool]:
    """Record what a file is now, unless the run has done so; and whether it was done now.

    Raises OSError or FileProblem, with no record made.
    """
    for kind in (BAK, ABSENT):
        record = Record(target, keep.run, kind)
        if os.path.lexists(record.name):
            return record, False
    try:
        times = os.stat(target)
    except FileNotFoundError:
        return Record(target, keep.run, ABSENT), mark(Record(target, keep.run, ABSENT))
    record = Record(target, keep.run, BAK)
    attributes = _files.attributes_of(target)
    with _files.staged(os.path.dirname(target), _files.read_bytes(target), attributes) as temp:
        # Its age says whether a process that runs meanwhile has read just this.
        with contextlib.suppress(OSError):
            os.utime(temp, ns=(times.st_atime_ns, times.st_mtime_ns))
        return record, _files.publish(temp, record.name)


def mark(record: Record) -> bool:
    """Make an empty record; False where it is there. Raises OSError."""
    with _files.staged(os.path.dirname(record.path), b"", _files.Attributes(0o600)) as temp:
        return _files.publish(temp, record.name)


def remove(records: Iterable[Record]) -> List[str]:
    """Remove records, in this order; a warning for each that stays."""
    warnings = []
    for record in records:
        try:
            with _files.problems(record.name, "removed"), contextlib.suppress(FileNotFoundError):
                os.unlink(record.name)
        except FileProblem as problem:
            warnings.append(str(problem))
    return warnings


def prune(target: str, *, keep: Keep, used: Iterable[str] = ()) -> List[str]:
    """Remove the records of a file that are too many; a warning where that fails.

    Args:
        target: the file, no symbolic link.
        keep: the run, whose own record stays, and how many do.
        used: further runs whose records stay this time.
    """
    try:
        found = [record for record in _records(_entries(os.path.dirname(target))) if record.path == target]
        steps = pruning(found, backups=keep.backups, protect=[keep.run, *used])
        if not steps:
            return []
        # First of all, as a point that is offered must be whole.
        with _files.problems(target, "rid of old backups"):
            mark(steps[0])
    except FileProblem as problem:
        return [str(problem)]
    return remove(steps[1:])


@contextlib.contextmanager
def _recorded(target: str, keep: Keep) -> Iterator[Optional[Record]]:
    """A record, taken back where what follows fails; None where none is wanted."""
    if not keep.backup:
        yield None
        return
    record, is_new = add(target, keep)
    try:
        yield record
    # After an interrupt the change may have been made: rather a record too many.
    except Exception:
        if is_new:
            remove([record])
        raise


def _written(target: str, record: Optional[Record], keep: Keep) -> Written:
    if record is None:
        return Written(None, ())
    return Written(record.backup_file, tuple(prune(target, keep=keep)))


def _entries(directory: str) -> List[os.DirEntry[str]]:
    try:
        with _files.problems(directory, "searched for backups"):
            with os.scandir(directory) as entries:
                return sorted(entries, key=lambda entry: entry.name)
    except FileProblem as problem:
        if isinstance(problem.__cause__, FileNotFoundError):
            return []
        raise


def _records(entries: Iterable[os.DirEntry[str]]) -> List[Record]:
    parsed = [(entry, parse_record(entry.path)) for entry in entries]
    return [record for entry, record in parsed if record is not None and entry.is_file(follow_symlinks=False)]
