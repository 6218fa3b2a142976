# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock file on the host: look at it, take it, give it back.

The file says who holds the lock, for as long as it says so; empty or absent is
free. flock guards only the moment of reading and writing it, so nothing is held
by a process that may die. The file is written in place and only ever unlinked
by who has its flock, so who got the flock of the file that has the name is alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import Iterator, NamedTuple, Optional

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import Holder

__all__ = ["Outcome", "look", "release", "take"]

_MODE = 0o600
_LARGEST = 64 * 1024
# Others hold the flock for a moment; only one that is stopped right then holds it for long.
_PATIENCE = 30.0
_PAUSE = 0.01

_ADVICE = {
    errno.ENOENT: "its directory does not exist; create it, or choose another path",
    errno.ELOOP: "it is a symbolic link; remove it or choose another path",
    errno.ENOLCK: "its file system has no locks; choose a path on another one",
    errno.EOPNOTSUPP: "its file system has no locks; choose a path on another one",
    errno.ENOSYS: "its file system has no locks; choose a path on another one",
}


class Outcome(NamedTuple):
    """What became of an attempt to take the lock."""

    acquired: bool
    holder: Holder  # who has it now
    previous: Optional[Holder] = None  # who had it, where it was taken from a run


def look(path: str) -> Optional[Holder]:
    """Who holds the lock; None where nobody does. Raises FileProblem as take() does."""
    with _locked(path, os.O_RDONLY) as descriptor:
        return None if descriptor is None else _holder(path, _read(descriptor))


def take(path: str, asker: Holder, *, instead_of: Optional[Holder] = None, break_lock: bool = False) -> Outcome:
    """Take the lock where it is free, or held by the one run whose it may be taken from.

    Args:
        path: the lock file, in a directory that exists.
        asker: who takes it. One who has it already keeps it, as it stands.
        instead_of: a run that is known to be gone; the lock is taken from it, and from no other that came in between.
        break_lock: take it from whatever run.

    Raises FileProblem, in one line, where the file can't be read or written, is not a regular file, or says
    something else. Somebody's own file is never overwritten, not even by C(break_lock).
    """
    with _locked(path, os.O_RDWR | os.O_CREAT) as descriptor:
        if descriptor is None:  # not with O_CREAT
            raise FileProblem(f"{_shown(path)}: cannot be used as lock: it vanished; run again")
        text = _read(descriptor)
        damaged = break_lock and run_lock.is_lock(text)
        previous = run_lock.parse(text) if damaged else _holder(path, text)
        if previous is not None:
            if run_lock.same_run(previous, asker):
                return Outcome(True, previous)
            if not break_lock and previous != instead_of:
                return Outcome(False, previous)
        with _problems(path):
            _write(path, descriptor, run_lock.render(asker))
        return Outcome(True, asker, previous)


def release(path: str, asker: Holder) -> bool:
    """Give the lock back; False where it is not this run's, and is left as it is.

    Raises FileProblem where that can't be found out.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
    except OSError:
        pass  # absent, or opening it says better what is wrong
    with _locked(path, os.O_RDWR) as descriptor:
        holder = None if descriptor is None else run_lock.parse(_read(descriptor))
        if descriptor is None or holder is None or not run_lock.same_run(holder, asker):
            return False
        with _problems(path):
            _remove(path, descriptor)
    return True


@contextlib.contextmanager
def _locked(path: str, flags: int) -> Iterator[Optional[int]]:
    """The open lock file, which is this process's alone meanwhile; None where there is none."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with _problems(path):
            descriptor = _open(path, flags)
        if descriptor is None:
            yield None
            return
        try:
            with _problems(path):
                mine = _flock(descriptor, deadline) and _has_the_name(path, descriptor)
            if mine:
                yield descriptor
                return
        finally:
            os.close(descriptor)
        if time.monotonic() > deadline:
            raise FileProblem(
                f"{_shown(path)}: cannot be used as lock: another process has kept it busy for {_PATIENCE:.0f} s; "
                "find it (fuser, lsof), end it, and run again"
            )


def _open(path: str, flags: int) -> Optional[int]:
    # A FIFO must not block; a device must not even be opened.
    safe = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    while True:
        try:
            _must_be_regular(path, os.lstat(path))
            # Never O_CREAT on one that exists: in /tmp the kernel refuses that to all but its owner.
            descriptor = os.open(path, (flags & ~os.O_CREAT) | safe)
        except FileNotFoundError:
            if not flags & os.O_CREAT:
                return None
            try:
                descriptor = os.open(path, flags | os.O_EXCL | safe, _MODE)
            except FileExistsError:
                continue  # another one was faster
        try:
            _must_be_regular(path, os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _must_be_regular(path: str, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise FileProblem(f"{_shown(path)}: cannot be used as lock: it is {kind}; remove it or choose another path")
    if found.st_nlink > 1:
        raise FileProblem(
            f"{_shown(path)}: cannot be used as lock: the file has other names (hard links); "
            "remove it or choose another path"
        )


def _flock(descriptor: int, deadline: float) -> bool:
    """Whether the flock was got in time."""
    while True:
        try:
            # Shared would do to read; exclusive is as short, and needs no second thought.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)


def _has_the_name(path: str, descriptor: int) -> bool:
    """Whether the file was not removed, or replaced, before its flock was got."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> str:
    return os.pread(descriptor, _LARGEST, 0).decode("utf-8", errors="replace")


def _holder(path: str, text: str) -> Optional[Holder]:
    if run_lock.is_free(text):
        return None
    holder = run_lock.parse(text)
    if holder is None and run_lock.is_lock(text):
        raise FileProblem(
            f"{_shown(path)}: a lock that is damaged or of another version of this collection; if no other run is at "
            "work, break it with synapse_tuning_break_lock=true"
        )
    if holder is None:
        raise FileProblem(
            f"{_shown(path)}: cannot be used as lock: it holds something else; look what it is, then remove it or "
            "choose another path"
        )
    return holder


def _write(path: str, descriptor: int, text: str) -> None:
    data = text.encode("utf-8")
    try:
        # Empty first: who is killed in between leaves a free lock, never half a text.
        os.ftruncate(descriptor, 0)
        os.fchmod(descriptor, _MODE)
        if os.pwrite(descriptor, data, 0) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        os.fsync(descriptor)
    except OSError:
        with contextlib.suppress(OSError):
            _remove(path, descriptor)
        raise


def _remove(path: str, descriptor: int) -> None:
    # Emptied it is free already, even where the directory has become unwritable.
    os.ftruncate(descriptor, 0)
    with contextlib.suppress(OSError):
        os.unlink(path)


@contextlib.contextmanager
def _problems(path: str) -> Iterator[None]:
    """Turn an OSError into the one line that a user can act on."""
    try:
        yield
    except OSError as exc:
        reason = _ADVICE.get(exc.errno or 0) or _files.explain(exc)
        raise FileProblem(f"{_shown(path)}: cannot be used as lock: {reason}") from exc


def _shown(path: str) -> str:
    """The path on one line, whatever it holds."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in path)
