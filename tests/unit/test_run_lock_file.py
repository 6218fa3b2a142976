# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""_run_lock against races, kills, other users, full disks and what may lie in a lock file's place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from faults import NOBODY, ignore_fork_warning, in_child, kill_at, mounted, needs_root
from test_run_lock import ADA, BOB

from ansible_collections.synapse.tuning.plugins.module_utils import _run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import parse, render
from ansible_collections.synapse.tuning.plugins.module_utils._run_lock import Outcome, look, release, take

pytestmark = ignore_fork_warning

COMPOSE = "services:\n  synapse: {}\n"


@pytest.fixture
def folder():
    """A directory that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def lock(folder):
    return folder / "x.lock"


def refused(action, *words):
    with pytest.raises(FileProblem) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


@contextlib.contextmanager
def umask(value):
    before = os.umask(value)
    try:
        yield
    finally:
        os.umask(before)


def test_taken_kept_refused_and_given_back(lock):
    assert look(str(lock)) is None
    assert take(str(lock), ADA) == Outcome(True, ADA)
    before = lock.read_bytes()
    assert before.decode() == render(ADA)
    assert look(str(lock)) == ADA
    again = replace(ADA, since="2026-01-31T23:00:00Z")
    assert take(str(lock), again) == Outcome(True, ADA)
    assert take(str(lock), BOB) == Outcome(False, ADA)
    assert release(str(lock), BOB) is False
    assert lock.read_bytes() == before
    assert release(str(lock), again) is True
    assert os.listdir(lock.parent) == []
    assert release(str(lock), ADA) is False
    assert release(str(lock.parent / "absent" / "x.lock"), ADA) is False


@pytest.mark.parametrize("bits", [0o000, 0o077, 0o777])
def test_nobody_else_reads_it(lock, bits):
    with umask(bits):
        take(str(lock), ADA)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_taken_only_from_the_run_that_was_judged(lock):
    take(str(lock), ADA)
    other = replace(ADA, pid=1, started="ticks:1")
    assert take(str(lock), BOB, instead_of=other) == Outcome(False, ADA)
    assert take(str(lock), BOB, instead_of=ADA) == Outcome(True, BOB, ADA)
    assert lock.read_text() == render(BOB)


def test_broken(lock):
    long = replace(ADA, user="a" * 200)
    take(str(lock), long)
    assert take(str(lock), BOB, break_lock=True) == Outcome(True, BOB, long)
    assert lock.read_text() == render(BOB)
    assert take(str(lock), BOB, break_lock=True) == Outcome(True, BOB)


@pytest.mark.parametrize("text", ["", "\n", "\0" * 300])
def test_an_empty_file_is_free(lock, text):
    lock.write_text(text)
    lock.chmod(0o644)
    assert look(str(lock)) is None
    assert take(str(lock), ADA) == Outcome(True, ADA)
    assert lock.read_text() == render(ADA)
    assert stat.S_IMODE(lock.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", [render(ADA)[:-9], render(ADA).replace('"version": 1', '"version": 2')])
def test_a_damaged_lock_can_be_broken(lock, text):
    lock.write_text(text)
    for action in (lambda: look(str(lock)), lambda: take(str(lock), BOB)):
        refused(action, str(lock), "damaged or of another version", "synapse_tuning_break_lock=true")
    assert release(str(lock), ADA) is False
    assert lock.read_text() == text
    assert take(str(lock), BOB, break_lock=True) == Outcome(True, BOB)
    assert lock.read_text() == render(BOB)


@pytest.mark.parametrize("data", [COMPOSE.encode(), b"{}", b"\xff\xfe\x00", b"#" * 100_000])
def test_somebodys_file_is_never_overwritten(lock, data):
    lock.write_bytes(data)
    for broken in (False, True):
        refused(lambda broken=broken: take(str(lock), ADA, break_lock=broken), "it holds something else", "remove it")
    assert release(str(lock), ADA) is False
    assert lock.read_bytes() == data


def symlink(lock):
    target = lock.with_name("target")
    target.write_text(render(ADA))
    lock.symlink_to(target)


def hard_link(lock):
    target = lock.with_name("target")
    target.write_text(render(ADA))
    os.link(target, lock)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (symlink, "symbolic link"),
        (lambda lock: lock.symlink_to(lock.with_name("target")), "symbolic link"),
        (hard_link, "hard links"),
        (Path.mkdir, "a directory"),
        (os.mkfifo, "not a regular file"),
    ],
)
def test_what_is_no_plain_file_is_refused(lock, make, says):
    make(lock)
    before = os.lstat(lock)
    for action in (
        lambda: look(str(lock)),
        lambda: take(str(lock), BOB),
        lambda: take(str(lock), BOB, break_lock=True),
        lambda: take(str(lock), BOB, instead_of=ADA),
    ):
        refused(action, str(lock), says, "remove it or choose another path")
    if says != "hard links":
        assert release(str(lock), ADA) is False
    assert os.path.samestat(before, os.lstat(lock))
    target = lock.with_name("target")
    assert not target.exists() or target.read_text() == render(ADA)


def test_a_missing_directory(folder):
    path = str(folder / "absent" / "x.lock")
    refused(lambda: take(path, ADA), path, "its directory does not exist; create it")
    assert look(path) is None


def test_a_path_below_a_file(lock):
    lock.write_text("")
    refused(lambda: take(str(lock / "x"), ADA), "not a directory")


def test_a_path_with_a_line_end(folder):
    refused(lambda: take(str(folder / "a\nb" / "x.lock"), ADA), "a\\nb")


def test_a_directory_of_somebody_else(lock):
    refused(lambda: in_child(lambda: take(str(lock), ADA), user=NOBODY), str(lock), "permission denied")


@needs_root
def test_a_lock_of_somebody_else(lock):
    take(str(lock), ADA)
    lock.parent.chmod(0o777)
    for action in (look, lambda path: take(path, BOB), lambda path: take(path, BOB, break_lock=True)):
        refused(lambda action=action: in_child(lambda: action(str(lock)), user=NOBODY), "permission denied", "become")
    assert lock.read_text() == render(ADA)


@needs_root
def test_a_full_disk_leaves_no_lock_behind(folder):
    with mounted("-t", "tmpfs", "-o", "size=8k", "none", on=folder):
        with open(folder / "filler", "wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(b"#" * 4096)
        refused(lambda: take(str(folder / "x.lock"), ADA), "disk is full")
        assert os.listdir(folder) == ["filler"]


@needs_root
def test_a_read_only_file_system(folder):
    with mounted("-t", "tmpfs", "none", on=folder):
        take(str(folder / "old.lock"), ADA)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        refused(lambda: take(str(folder / "x.lock"), ADA), "read-only")
        refused(lambda: take(str(folder / "old.lock"), BOB, instead_of=ADA), "read-only")
        refused(lambda: release(str(folder / "old.lock"), ADA), "read-only")
        assert look(str(folder / "old.lock")) == ADA


@needs_root
def test_given_back_in_a_directory_that_became_read_only(lock):
    """The file stays, and is free."""

    def action():
        take(str(lock), ADA)
        return release(str(lock), ADA)

    def locked_up():
        take(str(lock), ADA)
        os.chmod(lock.parent, 0o555)
        return release(str(lock), ADA)

    os.chown(lock.parent, NOBODY, NOBODY)
    assert in_child(action, user=NOBODY) is True
    assert in_child(locked_up, user=NOBODY) is True
    assert lock.read_text() == ""
    assert take(str(lock), BOB) == Outcome(True, BOB)


def test_a_stopped_process_does_not_hang_the_next_one(lock, monkeypatch):
    take(str(lock), ADA)
    monkeypatch.setattr(_run_lock, "_PATIENCE", 0.0)
    with open(lock, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(lambda: take(str(lock), BOB), "another process has kept it busy", "end it")


def test_a_file_system_without_locks(lock, monkeypatch):
    def without(*_arguments):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", without)
    refused(lambda: take(str(lock), ADA), "its file system has no locks; choose a path on another one")


# The last argument is how often it is called: each of them is a moment to be killed at.
@pytest.mark.parametrize("name", ["open", "lstat", "fstat", "pread", "ftruncate", "fchmod", "pwrite", "fsync", "close"])
@pytest.mark.parametrize("held", [False, True])
def test_killed_at_any_moment_it_blocks_nobody(lock, name, held):
    if held:
        take(str(lock), BOB)
    call = 0
    while True:
        call += 1
        killed = kill_at(name, lambda: take(str(lock), ADA, instead_of=BOB), call=call)
        text = lock.read_text() if lock.exists() else ""
        assert text in ("", render(ADA), render(BOB))
        if not killed:
            break
        lock.unlink(missing_ok=True)
        if held:
            take(str(lock), BOB)
    assert call > 1
    assert parse(text) == ADA


@pytest.mark.parametrize("name", ["ftruncate", "unlink"])
def test_killed_while_it_gives_back(lock, name):
    take(str(lock), ADA)
    assert kill_at(name, lambda: release(str(lock), ADA))
    assert look(str(lock)) in (None, ADA)
    assert take(str(lock), BOB, instead_of=ADA).acquired


def together(number, action):
    """Run an action in so many processes, let go at once; the answers of all."""
    read, write = os.pipe()
    answer_read, answer_write = os.pipe()
    children = []
    for index in range(number):
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                os.close(write)
                os.read(read, 1)  # ends when the parent closes the other end
                said = action(index)
                os.write(answer_write, f"{index} {said}\n".encode())
            os._exit(0)
        children.append(child)
    os.close(read)
    os.close(answer_write)
    os.close(write)
    with open(answer_read, encoding="utf-8") as stream:
        answers = [line.split() for line in stream]
    for child in children:
        os.waitpid(child, 0)
    assert sorted(int(index) for index, _said in answers) == list(range(number))
    return {int(index): said for index, said in answers}


def racer(index):
    return replace(ADA, pid=index + 1, started=f"ticks:{index}")


@pytest.mark.parametrize("start", ["absent", "empty", "stale"])
def test_of_200_racing_processes_exactly_one_wins(lock, start):
    stale = replace(ADA, pid=999_999)
    if start == "empty":
        lock.touch()
    elif start == "stale":
        take(str(lock), stale)

    def race(index):
        outcome = take(str(lock), racer(index), instead_of=stale)
        return f"{int(outcome.acquired)}:{outcome.holder.pid}"

    answers = together(200, race)
    winners = [index for index, said in answers.items() if said.startswith("1:")]
    assert len(winners) == 1
    assert {said.partition(":")[2] for said in answers.values()} == {str(winners[0] + 1)}
    assert parse(lock.read_text()) == racer(winners[0])


def test_taken_and_given_back_by_many_it_is_never_held_twice(lock):
    """The file is unlinked and made anew all the time; whoever holds it is alone."""
    inside = lock.with_name("inside")

    def churn(index):
        wins = 0
        for _turn in range(400):
            if take(str(lock), racer(index)).acquired:
                wins += 1
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # raises where two are in here
                os.unlink(inside)
                if not release(str(lock), racer(index)):
                    return "lost"
        return wins

    answers = together(8, churn)
    assert all(said.isdigit() for said in answers.values()), answers
    assert sum(map(int, answers.values())) >= 8
    assert not inside.exists()
    assert not lock.exists()
