# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring files back to what they were before an earlier run: all of them or none.

C(prepare) reads and thinks, C(apply) writes: check mode leaves out the latter only.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, RecordError
from ansible_collections.synapse.tuning.plugins.module_utils._core.history import (
    RESTORED,
    History,
    Point,
    Record,
    show_time,
)
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import mask

__all__ = ["Change", "Request", "apply", "prepare"]

# As for compose files: Traefik's basicauth.users and digestauth.users hold password hashes.
_SECRET_LABELS = ("users",)


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    directories: where to look for records; to: the run to go back before, None to list only;
    files: None for all; discard: remove the records from that run on.
    """

    directories: Sequence[str]
    to: Optional[str] = None
    files: Optional[Sequence[str]] = None
    discard: bool = False


@dataclass(frozen=True)
class Step:
    """One file. record: what it was; before, after: its content, None where it is not there."""

    record: Record
    before: Optional[bytes]
    after: Optional[bytes]

    @property
    def path(self) -> str:
        return self.record.path

    def diff(self) -> Dict[str, str]:
        """The step for C(--diff), secrets masked."""
        return {
            "before": _masked(self.before),
            "after": _masked(self.after),
            "before_header": self.path,
            "after_header": self.path,
        }


@dataclass(frozen=True)
class Change:
    """What is to be done.

    points: where one can go back to, newest first; run: the run to go back before, None where
    there is nothing to do; steps: the files that differ, by path; discarded: the records that go
    afterwards, in this order.
    """

    points: Tuple[Point, ...]
    run: Optional[str] = None
    steps: Tuple[Step, ...] = ()
    discarded: Tuple[Record, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps or self.discarded)

    def listed(self) -> List[Dict[str, Any]]:
        """The module's C(points)."""
        return [
            {
                "run": point.run,
                "time": show_time(point.run),
                "rollback": point.restored,
                "files": [{"path": each.path, "backup_file": each.backup_file} for each in point.records],
            }
            for point in self.points
        ]

    def restored(self) -> List[Dict[str, Any]]:
        """The module's C(restored)."""
        return [
            {
                "path": step.path,
                "backup_file": step.record.backup_file,
                "action": "removed" if step.after is None else "restored",
            }
            for step in self.steps
        ]


def prepare(request: Request, keep: _backups.Keep) -> Change:
    """Work out the change; reads records and files, writes nothing.

    Raises RecordError where there is no such point, FileProblem where a record or a file cannot
    be read or its directory not be written.
    """
    history = History(_chosen(_backups.find(request.directories), request.files))
    points = tuple(history.points())
    if request.to is None:
        return Change(points)
    if not request.discard:
        _check_known(history, request)
    run = history.resolve(request.to)
    if run is None:
        # What a failed run has not changed need not be put back.
        if request.discard:
            return Change(points)
        raise history.unknown(request.to)
    if keep.backup and run == keep.run:
        raise RecordError(f"run and to are both {run}; leave run out, for going back is a run of its own")
    steps = [_step(record) for record in history.state_before(run).values()]
    return Change(
        points=points,
        run=run,
        steps=tuple(step for step in steps if step.before != step.after),
        discarded=tuple(history.since(run)) if request.discard else (),
    )


def apply(change: Change, *, directories: Sequence[str], keep: _backups.Keep) -> List[str]:
    """Go back; returns warnings, one line each.

    Every new content, and every present one, is on the disk before the first file is touched.

    Raises FileProblem, with all files as they were and nothing new beside them.
    """
    for directory in directories:
        _files.remove_abandoned(directory)
    made: List[Record] = []
    try:
        with contextlib.ExitStack() as stack:
            staged = [(step, _stage(step, stack)) for step in change.steps]
            if keep.backup:
                for step in change.steps:
                    _record(step, keep, made)
            _swap(staged)
    except _HalfDone:
        raise  # the records are needed
    # After an interrupt files may have been changed: rather a record too many.
    except Exception:
        _backups.remove(reversed(made))
        raise
    warnings = _backups.remove(change.discarded)
    if keep.backup:
        for step in change.steps:
            warnings += _backups.prune(step.path, keep=keep, used=[step.record.run])
    return warnings


class _HalfDone(FileProblem):
    """Not even what had been done could be put back."""


def _chosen(records: List[Record], files: Optional[Sequence[str]]) -> List[Record]:
    """Those of the files that are named, by whatever way."""
    if files is None:
        return records
    wanted = {os.path.realpath(file) for file in files}
    return [record for record in records if _place(record) in wanted]


def _place(record: Record) -> str:
    # The file itself is no link, or should not be.
    return os.path.join(os.path.realpath(os.path.dirname(record.path)), os.path.basename(record.path))


def _check_known(history: History, request: Request) -> None:
    where = ", ".join(map(_files.shown, request.directories))
    if request.files is None:
        if not history.paths:
            raise RecordError(f"there is nothing to go back to: no backup of a run lies in {where}; check directories")
        return
    known = {_place(Record(path, "", "")) for path in history.paths}
    missing = [_files.shown(file) for file in request.files if os.path.realpath(file) not in known]
    if missing:
        raise RecordError(f"no backup of {', '.join(missing)} lies in {where}; check files and directories")


def _step(record: Record) -> Step:
    """What to do with a file. Checks what can be checked beforehand."""
    after = None if record.backup_file is None else _files.read_bytes(record.name, follow=False)
    try:
        found: Optional[os.stat_result] = os.lstat(record.path)
    except FileNotFoundError:
        found = None
    if found is not None and not stat.S_ISREG(found.st_mode):
        # Nothing of ours makes links: through one that somebody planted, root would write anywhere.
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise FileProblem(f"{_files.shown(record.path)}: it is {kind} now; move it away and run again")
    step = Step(record=record, before=None if found is None else _files.read_bytes(record.path), after=after)
    if step.before != step.after:
        directory = os.path.dirname(record.path)
        with _files.problems(record.path, "put back"):
            if found is not None:
                _files.check_writable(record.path)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise FileProblem(
                    f"{_files.shown(record.path)}: cannot be put back: the directory {_files.shown(directory)}"
                    " must be writable; run as its owner or with become"
                )
    return step


def _stage(step: Step, stack: contextlib.ExitStack) -> Tuple[Optional[str], Optional[str]]:
    """Temporary files beside it: what it shall be, and what it is; None for no file."""
    directory = os.path.dirname(step.path)
    with _files.problems(step.path, "put back"):
        new = old = None
        if step.before is not None:
            attributes = _files.attributes_of(step.path)
            times = os.stat(step.path)
            old = stack.enter_context(_files.staged(directory, step.before, attributes))
            with contextlib.suppress(OSError):
                os.utime(old, ns=(times.st_atime_ns, times.st_mtime_ns))
        if step.after is not None:
            # Runs change content alone: owner and mode of a file that is there are its owner's.
            attributes = _files.attributes_of(step.path if old is not None else step.record.name)
            new = stack.enter_context(_files.staged(directory, step.after, attributes))
    return new, old


def _record(step: Step, keep: _backups.Keep, made: List[Record]) -> None:
    with _files.problems(step.path, "backed up"):
        # The mark first: a record without it would count as a run of its own.
        mark = Record(step.path, keep.run, RESTORED)
        if _backups.mark(mark):
            made.append(mark)
        record, is_new = _backups.add(step.path, keep)
        if is_new:
            made.append(record)


def _swap(staged: Sequence[Tuple[Step, Tuple[Optional[str], Optional[str]]]]) -> None:
    """Put the new contents in place; all or none."""
    done: List[Tuple[Step, Optional[str]]] = []
    try:
        for step, (new, old) in staged:
            with _files.problems(step.path, "put back"):
                _check_same(step)
                if new is None:
                    os.unlink(step.path)
                elif old is not None:
                    os.replace(new, step.path)
                elif not _files.publish(new, step.path):
                    raise FileProblem(f"{_files.shown(step.path)}: it appeared while this ran; run again")
            done.append((step, old))
    except BaseException as error:
        _undo(done, error)
        raise
    for directory in sorted({os.path.dirname(step.path) for step, _contents in staged}):
        _files.sync_directory(directory)


def _check_same(step: Step) -> None:
    if step.before is not None and _files.read_bytes(step.path, follow=False) != step.before:
        raise FileProblem(f"{_files.shown(step.path)}: it changed while this ran; run again")


def _undo(done: Sequence[Tuple[Step, Optional[str]]], error: BaseException) -> None:
    left = []
    for step, old in reversed(done):
        try:
            if old is None:
                os.unlink(step.path)
            else:
                os.replace(old, step.path)
        except OSError:
            left.append(_files.shown(step.path))
    if left:
        raise _HalfDone(f"{error}; and what was put back before stays so: {', '.join(left)}") from error


def _masked(raw: Optional[bytes]) -> str:
    text = "" if raw is None else raw.decode("utf-8", errors="replace")
    return text if _is_plan(text) else mask(text, _SECRET_LABELS)


def _is_plan(text: str) -> bool:
    """Whether it is a plan, which holds no secret, but numbers under the name users."""
    if not text.startswith("{"):
        return False
    try:
        found = json.loads(text)
    except ValueError:
        return False
    return isinstance(found, Mapping) and found.get("schema_version") == 1
