# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""_files against real faults: full disks, read-only mounts, other users' files, kills."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import stat
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from faults import NOBODY, ROOT, ignore_fork_warning, in_child, kill_at, mounted, needs_root

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    FileProblem,
)

pytestmark = ignore_fork_warning

OLD = "# mine: a comment\r\nserver_name: 'münchen'\r\n"
NEW = OLD.replace("mine", "yours")


@pytest.fixture
def folder():
    """A directory that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def file(folder):
    path = folder / "homeserver.yaml"
    path.write_bytes(OLD.encode())
    return path


@pytest.fixture(params=["alone", "with a backup"])
def replace(request):
    """The two ways to give a file new content; what holds for one must hold for the other."""
    if request.param == "alone":
        return _files.replace
    return lambda path, data: _backups.replace(path, data, keep=_backups.Keep("20260102T030405.678901Z"))


def refused(action, *words):
    """The action fails with one line that holds the words."""
    with pytest.raises(FileProblem) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# --- reading ---------------------------------------------------------------------------


def test_reads_line_endings_and_byte_order_mark_as_they_are(folder):
    path = folder / "f"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: \xc3\xa9\r\rc: 3")
    assert _files.read_text(str(path)) == "\ufeffa: 1\r\nb: é\r\rc: 3"


def test_what_was_read_is_written_back_byte_for_byte(folder):
    path = folder / "f"
    raw = b"\xef\xbb\xbfa: 1\r\n\tb\n\xf0\x9f\x90\xb3\x00\xc2\x85 no newline"
    path.write_bytes(raw)
    _files.replace(str(path), _files.read_text(str(path)))
    assert path.read_bytes() == raw


def test_reading_says_what_is_wrong(folder):
    refused(lambda: _files.read_text(str(folder / "none")), "none: cannot be read", "no such file", "check the path")
    refused(lambda: _files.read_text(str(folder)), "it is a directory")
    latin = folder / "latin"
    latin.write_bytes(b"a: 1\nb: caf\xe9\n")
    refused(lambda: _files.read_text(str(latin)), "latin:2:", "not UTF-8", "0xe9", "convert")
    loop = folder / "loop"
    loop.symlink_to(loop)
    refused(lambda: _files.read_text(str(loop)), "circles")
    refused(lambda: _files.read_text(str(folder / "two\nlines")), r"two\nlines")


def test_a_secret_file_is_refused_to_another_user(folder):
    path = folder / "f"
    path.write_text("x")
    path.chmod(0o600 if ROOT else 0)
    refused(lambda: in_child(lambda: _files.read_text(str(path)), user=NOBODY), "permission denied", "become")


# --- replacing ---------------------------------------------------------------------------


def test_replaces_content_only(file):
    file.chmod(0o640)
    assert _files.replace(str(file), NEW) is None
    assert file.read_bytes() == NEW.encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert os.listdir(file.parent) == [file.name]


@needs_root
@pytest.mark.parametrize("mode", [0o600, 0o664, 0o4755, 0o444])
def test_owner_group_and_mode_stay(file, mode, replace):
    os.chown(file, 991, 992)
    file.chmod(mode)
    replace(str(file), NEW)
    for path in file.parent.iterdir():
        found = os.stat(path)
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (991, 992, mode)


def test_modes_do_not_depend_on_the_umask(file):
    file.chmod(0o666)
    old = os.umask(0o077)
    try:
        _files.replace(str(file), NEW)
        _files.create(str(file.parent / "new"), "x", mode=0o664)
    finally:
        os.umask(old)
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    assert stat.S_IMODE((file.parent / "new").stat().st_mode) == 0o664


def test_extended_attributes_stay(file, replace):
    try:
        os.setxattr(file, "user.note", b"kept")
    except OSError:
        pytest.skip("this file system has no user attributes")
    # ACL: owner rw, user 4711 r, group r, mask r, others nothing
    entries = [(1, 6, -1), (2, 4, 4711), (4, 4, -1), (16, 4, -1), (32, 0, -1)]
    acl = (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + rights.to_bytes(2, "little") + (who % 2**32).to_bytes(4, "little")
        for tag, rights, who in entries
    )
    os.setxattr(file, "system.posix_acl_access", acl)
    replace(str(file), NEW)
    for path in file.parent.iterdir():
        assert os.getxattr(path, "user.note") == b"kept"
        assert os.getxattr(path, "system.posix_acl_access") == acl


def test_a_symbolic_link_stays_one(folder):
    (folder / "real").mkdir()
    target = folder / "real" / "homeserver.yaml"
    target.write_bytes(OLD.encode())
    link = folder / "link.yaml"
    link.symlink_to("real/homeserver.yaml")
    _files.replace(str(link), NEW)
    assert os.readlink(link) == "real/homeserver.yaml"
    assert target.read_bytes() == NEW.encode()


def test_other_hard_links_keep_the_old_content(file):
    other = file.parent / "other"
    os.link(file, other)
    _files.replace(str(file), NEW)
    assert other.read_bytes() == OLD.encode()
    assert file.read_bytes() == NEW.encode()


def test_only_regular_files_are_replaced(folder):
    refused(lambda: _files.replace(str(folder / "none"), NEW), "no such file")
    refused(lambda: _files.replace(str(folder), NEW), "a directory")
    os.mkfifo(folder / "pipe")
    refused(lambda: _files.replace(str(folder / "pipe"), NEW), "not a regular file")
    assert os.listdir(folder) == ["pipe"]


def test_the_temporary_file_is_private_while_it_is_written(file, monkeypatch):
    file.chmod(0o644)
    seen = []
    real_write = os.write

    def spying_write(descriptor, data):
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real_write(descriptor, data)

    monkeypatch.setattr(os, "write", spying_write)
    _files.replace(str(file), NEW)
    assert seen
    assert set(seen) == {0o600}


# --- creating ------------------------------------------------------------------------------


def test_creates_only_what_is_missing(folder):
    path = folder / "secret"
    assert _files.create(str(path), "first\n", mode=0o600) is True
    assert _files.create(str(path), "second\n", mode=0o644) is False
    assert path.read_text() == "first\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(folder) == ["secret"]


def test_a_dangling_link_is_not_written_through(folder):
    (folder / "link").symlink_to(folder / "elsewhere")
    assert _files.create(str(folder / "link"), "x", mode=0o600) is False
    assert not (folder / "elsewhere").exists()


@needs_root
def test_creates_for_another_owner(folder):
    _files.create(str(folder / "f"), "x", mode=0o640, owner=991, group=992)
    _files.make_directory(str(folder / "d"), mode=0o750, owner=991, group=992)
    for name, mode in (("f", 0o640), ("d", 0o750)):
        found = (folder / name).stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (991, 992, mode)


def test_one_of_many_creators_wins(folder):
    """Twelve processes want to create the same file: one does, and its text is complete."""
    path = str(folder / "f")
    children = []
    for number in range(12):
        child = os.fork()
        if child == 0:
            won = False
            with contextlib.suppress(BaseException):
                won = _files.create(path, f"{number}\n" * 20000, mode=0o600)
            os._exit(7 if won else 0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert Counter(codes) == {7: 1, 0: 11}
    assert Path(path).read_text() == f"{codes.index(7)}\n" * 20000
    assert os.listdir(folder) == ["f"]


def test_creates_where_hard_links_are_not_to_be_had(folder, monkeypatch):
    def no_links(*_args, **_kwargs):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    path = folder / "f"
    assert _files.create(str(path), "one", mode=0o600) is True
    assert _files.create(str(path), "two", mode=0o600) is False
    assert _files.publish(str(folder / "unused"), str(path)) is False
    assert path.read_text() == "one"
    assert os.listdir(folder) == ["f"]


def test_makes_directories(folder):
    path = folder / "data"
    assert _files.make_directory(str(path), mode=0o750) is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    path.chmod(0o700)
    assert _files.make_directory(str(path), mode=0o750) is False
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    (folder / "file").write_text("")
    refused(lambda: _files.make_directory(str(folder / "file"), mode=0o750), "something else has this name")
    refused(lambda: _files.make_directory(str(folder / "no" / "d"), mode=0o750), "no such file or directory")


# --- faults --------------------------------------------------------------------------------


@needs_root
def test_full_disk(folder, replace):
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=folder):
        path = folder / "f"
        path.write_bytes(OLD.encode() * 400)  # 20 kB of the 64
        new = NEW * 2000  # 100 kB
        refused(lambda: replace(str(path), new), "the disk is full", "free some space")
        refused(lambda: _files.create(str(folder / "n"), new, mode=0o600), "the disk is full")
        assert path.read_bytes() == OLD.encode() * 400
        assert os.listdir(folder) == ["f"]


def test_file_size_limit(file, replace):
    """What an unprivileged user can have of a full disk: the write stops half way."""

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        replace(str(file), NEW * 1000)

    refused(lambda: in_child(limited), "file size limit", "ulimit -f")
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


@needs_root
def test_read_only_file_system(folder, replace):
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=folder):
        path = folder / "f"
        path.write_bytes(OLD.encode())
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        refused(lambda: replace(str(path), NEW), "read-only", "remount it read-write")
        refused(lambda: _files.create(str(folder / "n"), NEW, mode=0o600), "read-only")
        assert path.read_bytes() == OLD.encode()
        assert os.listdir(folder) == ["f"]


@needs_root
def test_a_file_that_is_a_mount_point(file, replace):
    """As one sees it inside a container that got a single file mounted."""
    with mounted("--bind", str(file), on=file):
        refused(lambda: replace(str(file), NEW), "mount point")
        assert file.read_bytes() == OLD.encode()
        assert os.listdir(file.parent) == [file.name]


@needs_root
def test_immutable_file(file, replace):
    if subprocess.run(["chattr", "+i", str(file)], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable flag")
    try:
        refused(lambda: replace(str(file), NEW), "not permitted", "become")
        assert file.read_bytes() == OLD.encode()
        assert os.listdir(file.parent) == [file.name]
    finally:
        subprocess.run(["chattr", "-i", str(file)], check=True)


def test_read_only_directory(file, replace):
    if ROOT:
        os.chown(file, NOBODY, NOBODY)
    file.parent.chmod(0o555)
    try:
        refused(
            lambda: in_child(lambda: replace(str(file), NEW), user=NOBODY),
            "permission denied",
            f"the directory {file.parent} must be writable",
        )
    finally:
        file.parent.chmod(0o755)
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


def test_a_file_made_read_only_on_purpose(file, replace):
    """Its directory would allow the rename; the file's mode says no."""
    file.chmod(0o444)
    if ROOT:
        os.chown(file, NOBODY, NOBODY)
        os.chown(file.parent, NOBODY, NOBODY)
    refused(lambda: in_child(lambda: replace(str(file), NEW), user=NOBODY), "permission denied")
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


@needs_root
def test_somebody_elses_writable_file_does_not_change_hands(file, replace):
    """A rename would give it a new owner; a user who cannot give it back is refused."""
    file.chmod(0o666)
    os.chown(file, 991, 991)
    file.parent.chmod(0o777)
    refused(lambda: in_child(lambda: replace(str(file), NEW), user=NOBODY), "not permitted")
    assert file.stat().st_uid == 991
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


def test_a_failed_rename_leaves_nothing_behind(file, monkeypatch, replace):
    def fail(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    refused(lambda: replace(str(file), NEW), "Input/output error", "check the path")
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


def test_an_interrupt_leaves_nothing_behind(file, monkeypatch, replace):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace(str(file), NEW)
    assert file.read_bytes() == OLD.encode()
    assert os.listdir(file.parent) == [file.name]


# --- killed --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["write", "fchmod", "fsync", "replace"])
def test_killed_before_the_rename(file, point, replace):
    assert kill_at(point, lambda: replace(str(file), NEW))
    assert file.read_bytes() == OLD.encode()
    for left in file.parent.iterdir():
        if left.suffix == ".tmp":
            assert stat.S_IMODE(left.stat().st_mode) in (0o600, stat.S_IMODE(file.stat().st_mode))
        elif left != file:  # a backup appears only whole
            assert left.read_bytes() == OLD.encode()

    # The next run clears away what the killed one left, and does the job.
    replace(str(file), NEW)
    assert file.read_bytes() == NEW.encode()
    assert [p for p in file.parent.iterdir() if p.suffix == ".tmp"] == []


def test_killed_while_creating(folder):
    path = folder / "secret"
    assert kill_at("link", lambda: _files.create(str(path), "half", mode=0o600))
    assert not path.exists()
    assert _files.create(str(path), "whole", mode=0o600) is True
    assert os.listdir(folder) == ["secret"]
    assert path.read_text() == "whole"


def test_killed_at_any_moment_it_is_old_or_new(file):
    texts = (OLD * 300, NEW * 300)
    file.write_bytes(texts[0].encode())
    chance = random.Random(2)
    for _attempt in range(25):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                while True:
                    for text in texts:
                        _files.replace(str(file), text)
            os._exit(0)
        time.sleep(chance.uniform(0.001, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert file.read_bytes() in (texts[0].encode(), texts[1].encode())
    _files.replace(str(file), OLD)
    assert os.listdir(file.parent) == [file.name]


def test_another_runs_temporary_file_is_left_alone(file):
    """Only an abandoned one is removed: two runs in one directory do not disturb each other."""
    other = file.parent / "compose.yml"
    other.write_text("old")
    at_rename, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        real_replace = os.replace

        def waiting_replace(source, target):
            os.write(at_rename[1], b"x")
            os.read(go[0], 1)
            real_replace(source, target)

        os.replace = waiting_replace
        code = 1
        with contextlib.suppress(BaseException):
            _files.replace(str(other), "new")
            code = 0
        os._exit(code)
    os.read(at_rename[0], 1)
    assert [p for p in file.parent.iterdir() if p.suffix == ".tmp"]
    _files.replace(str(file), NEW)
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert other.read_text() == "new"
    assert sorted(os.listdir(file.parent)) == ["compose.yml", "homeserver.yaml"]


def test_a_strangers_file_of_that_name_is_not_followed(file):
    """A link planted under our name must not get what it leads to removed."""
    precious = file.parent / "precious"
    precious.write_text("x")
    planted = file.parent / ".synapse-tuning-0.tmp"
    planted.symlink_to(precious)
    _files.replace(str(file), NEW)
    assert precious.read_text() == "x"
