# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole files, changed atomically: read, replace, create.

A file is either as it was or as it should be, whatever happens in between: the
new content is written beside it under a temporary name, synced and renamed.
Owner, group, mode and extended attributes are kept. Every failure is a
FileProblem with one line that says what to do.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from typing import Iterator, NamedTuple, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    FileProblem,
)

__all__ = [
    "Attributes",
    "attributes_of",
    "check_writable",
    "create",
    "explain",
    "make_directory",
    "problems",
    "publish",
    "read_bytes",
    "read_text",
    "remove_abandoned",
    "replace",
    "shown",
    "staged",
    "sync_directory",
]

_TEMP_PREFIX = ".synapse-tuning-"
_TEMP_SUFFIX = ".tmp"

_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and run again",
    errno.EDQUOT: "the disk quota is used up; free some space and run again",
    errno.EFBIG: "it would pass the file size limit; raise the limit (ulimit -f) and run again",
    errno.EROFS: "the file system is read-only; remount it read-write and run again",
    errno.EACCES: "permission denied; run as the owner or with become",
    errno.EPERM: "operation not permitted; run as the owner or with become",
    errno.EEXIST: "something else has this name; move it away or choose another path",
    errno.ENOENT: "no such file or directory; check the path",
    errno.ENOTDIR: "a part of the path is not a directory; check the path",
    errno.EISDIR: "it is a directory; give the path of a file",
    errno.EBUSY: "it is a mount point of its own; run where the file itself lies, not on the mount",
    errno.ELOOP: "its symbolic links go in circles; check the path",
}


class Attributes(NamedTuple):
    """What a file keeps besides its content; None leaves what the system gives."""

    mode: int
    uid: Optional[int] = None
    gid: Optional[int] = None
    like: Optional[str] = None  # the file whose extended attributes are copied


def read_text(path: str) -> str:
    """The text of a UTF-8 file, with its line endings and byte order mark.

    Raises FileProblem where the file is missing, unreadable or not UTF-8.
    """
    raw = read_bytes(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        line = raw.count(b"\n", 0, exc.start) + 1
        raise FileProblem(
            f"{shown(path)}:{line}: not UTF-8 (byte {raw[exc.start]:#04x}); convert the file to UTF-8 and run again"
        ) from exc


def replace(path: str, data: str) -> None:
    """Give an existing file new content; everything else about it stays.

    A symbolic link stays one: the file that it leads to is replaced. Other hard
    links keep the old content.

    Args:
        path: the file; it must exist.
        data: the new text, written as UTF-8 without any translation.

    Raises FileProblem, with the file as it was and no temporary file left behind.
    """
    with problems(path, "changed"):
        target = os.path.realpath(path)
        attributes = attributes_of(target)
        check_writable(target)
        directory = os.path.dirname(target)
        with staged(directory, data.encode("utf-8"), attributes) as temp:
            os.replace(temp, target)
        sync_directory(directory)


def create(
    path: str,
    data: str,
    *,
    mode: int,
    owner: Optional[int] = None,
    group: Optional[int] = None,
) -> bool:
    """Write a new file, complete or not at all; False where the path is taken.

    Args:
        path: the new file, in a directory that exists. A dangling symbolic link counts as taken.
        data: its text.
        mode: its permission bits, whatever the umask says.
        owner: its numeric user id; None is the user who runs this.
        group: its numeric group id; None is what the directory gives.
    """
    if os.path.lexists(path):
        return False
    directory = os.path.dirname(os.path.abspath(path))
    with problems(path, "written"):
        with staged(directory, data.encode("utf-8"), Attributes(mode, owner, group)) as temp:
            if not publish(temp, path):
                return False
        sync_directory(directory)
    return True


def make_directory(path: str, *, mode: int, owner: Optional[int] = None, group: Optional[int] = None) -> bool:
    """Make one directory (its parent exists); False where there is one, which is left as it is.

    Args: as in create().
    """
    with problems(path, "made"):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
            return False
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _apply(descriptor, Attributes(mode, owner, group))
        finally:
            os.close(descriptor)
    return True


def remove_abandoned(directory: str) -> None:
    """Remove what a killed run left in a directory: our temporary files that no process holds.

    Writing a file there does it as well; this is for directories that get nothing new.
    """
    try:
        names = os.listdir(directory)
    except OSError:
        return  # whatever is wrong with it, creating the file says it better
    for name in names:
        if not (name.startswith(_TEMP_PREFIX) and name.endswith(_TEMP_SUFFIX)):
            continue
        path = os.path.join(directory, name)
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def check_writable(path: str) -> None:
    """Raise the OSError of a file that its owner made read-only: a rename would replace it all the same."""
    if not os.access(path, os.W_OK):
        with open(path, "r+b"):
            pass


def attributes_of(path: str) -> Attributes:
    """What a regular file keeps when its content changes. Raises FileProblem for anything else."""
    found = os.stat(path)
    if not stat.S_ISREG(found.st_mode):
        kind = "a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file"
        raise FileProblem(f"{shown(path)}: cannot be changed: it is {kind}; give the path of a file")
    return Attributes(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, like=path)


@contextlib.contextmanager
def staged(directory: str, data: bytes, attributes: Attributes) -> Iterator[str]:
    """A complete, synced temporary file in the directory; gone afterwards unless renamed."""
    remove_abandoned(directory)
    descriptor, temp = _open_temp(directory)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        _apply(descriptor, attributes)
        os.fsync(descriptor)
        yield temp
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temp)
        os.close(descriptor)


def _open_temp(directory: str) -> tuple[int, str]:
    """An open and locked new file, readable by nobody else yet."""
    while True:
        temp = os.path.join(directory, _TEMP_PREFIX + secrets.token_hex(8) + _TEMP_SUFFIX)
        descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # The lock says that its writer is alive (see remove_abandoned); a file
        # system without locks only loses that clean-up.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, temp
        os.close(descriptor)  # taken for abandoned before it was locked


def _apply(descriptor: int, attributes: Attributes) -> None:
    found = os.fstat(descriptor)
    uid = found.st_uid if attributes.uid is None else attributes.uid
    gid = found.st_gid if attributes.gid is None else attributes.gid
    if (uid, gid) != (found.st_uid, found.st_gid):
        os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, attributes.mode)
    if attributes.like is None or not hasattr(os, "listxattr"):
        return
    # Best effort: SELinux labels and ACLs travel here, and not every file
    # system or user can set them.
    with contextlib.suppress(OSError):
        for name in os.listxattr(attributes.like):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(attributes.like, name))


def publish(temp: str, path: str) -> bool:
    """Give a staged file a name that is still free; False where it is taken."""
    try:
        os.link(temp, path)
        return True
    except FileExistsError:
        return False
    except OSError as exc:
        if exc.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
    # No hard links here (vfat, some network mounts): claim the name, then rename over it.
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    os.replace(temp, path)
    return True


def sync_directory(directory: str) -> None:
    """Have the names in a directory outlive a power cut."""
    # The change is made already: a file system that cannot sync a directory is no failure.
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_bytes(path: str, *, follow: bool = True) -> bytes:
    """A file's content; unless follow, a symbolic link is refused. Raises FileProblem."""
    flags = os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
    with problems(path, "read"):
        with open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags)) as stream:
            return stream.read()


@contextlib.contextmanager
def problems(path: str, wanted: str) -> Iterator[None]:
    """Turn an OSError into the one line that a user can act on."""
    try:
        yield
    except OSError as exc:
        raise FileProblem(f"{shown(path)}: cannot be {wanted}: {explain(exc)}{_culprit(exc)}") from exc


def explain(error: OSError) -> str:
    """What went wrong with a file, and what to do about it, in a few words."""
    return _ADVICE.get(error.errno or 0, f"{error.strerror or error}; check the path and its file system")


def _culprit(exc: OSError) -> str:
    """Name the directory where that, and not the file, is what refused."""
    if exc.errno in (errno.EACCES, errno.EPERM) and isinstance(exc.filename, str):
        if os.path.basename(exc.filename).startswith(_TEMP_PREFIX):
            directory = os.path.dirname(exc.filename)
            return f" (the directory {shown(directory)} must be writable)"
    return ""


def shown(path: str) -> str:
    """The path on one line, whatever it holds."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in path)
