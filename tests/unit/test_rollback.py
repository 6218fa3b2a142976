# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going back, on real disks and against real faults: all files or none, byte for byte, and not a secret shown."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from faults import NOBODY, ROOT, ignore_fork_warning, in_child, kill_at, mounted, needs_root

from ansible_collections.synapse.tuning.plugins.module_utils import _backups, _rollback
from ansible_collections.synapse.tuning.plugins.module_utils._backups import Keep
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, RecordError

pytestmark = ignore_fork_warning

NAMES = ("compose.yml", "data/homeserver.yaml", "data/new.yaml")


def run(number: int) -> str:
    return f"20260102T0304{number:02}.000000Z"


@pytest.fixture
def project():
    """After three runs: 1 changed two files and made a third, 2 changed one, 3 changed two."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        project = Path(name)
        (project / "data").mkdir()
        (project / "compose.yml").write_bytes(b"# m\xc3\xbcnchen\r\nzero: 0")
        (project / "data" / "homeserver.yaml").write_bytes(b"\xef\xbb\xbfzero: \xff\n")
        for number, texts in ((1, "abc"), (2, " d "), (3, "e f")):
            for path, text in zip(NAMES, texts):
                if text != " ":
                    write(project / path, f"{text}: {number}\n", number)
        yield project


def write(path: Path, text: str, number: int) -> None:
    if path.exists():
        _backups.replace(str(path), text, keep=Keep(run(number)))
    else:
        _backups.create(str(path), text, mode=0o640, keep=Keep(run(number)))


# What the files held before each run.
BEFORE = {
    1: [b"# m\xc3\xbcnchen\r\nzero: 0", b"\xef\xbb\xbfzero: \xff\n", None],
    2: [b"a: 1\n", b"b: 1\n", b"c: 1\n"],
    3: [b"a: 1\n", b"d: 2\n", b"c: 1\n"],
    4: [b"e: 3\n", b"d: 2\n", b"f: 3\n"],
}


def contents(project: Path) -> list:
    return [(project / name).read_bytes() if (project / name).exists() else None for name in NAMES]


def everything(project: Path) -> dict:
    return {
        str(path.relative_to(project)): (path.stat().st_mode, path.read_bytes())
        for path in project.rglob("*")
        if path.is_file()
    }


def go_back(project, to, *, number=9, discard=False, files=None, backup=True, backups=10):
    """As the module does; the change and the warnings."""
    directories = [str(project), str(project / "data")]
    keep = Keep(run(number), backup=backup and not discard, backups=backups)
    request = _rollback.Request(directories=directories, to=to, files=files, discard=discard)
    change = _rollback.prepare(request, keep)
    return change, _rollback.apply(change, directories=directories, keep=keep)


def back(project, to, **options):
    """Go back without a warning; the change."""
    change, warnings = go_back(project, to, **options)
    assert warnings == []
    return change


def refused(action, *words, kind=FileProblem) -> str:
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message
    return message


# -- going back --------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [1, 2, 3])
@pytest.mark.parametrize("discard", [False, True])
def test_goes_back_byte_for_byte(project, to, discard) -> None:
    change = back(project, run(to), discard=discard)
    assert contents(project) == BEFORE[to]
    assert change.changed
    assert [step["path"] for step in change.restored()] == [
        str(project / name) for index, name in enumerate(NAMES) if BEFORE[4][index] != BEFORE[to][index]
    ]
    if discard:
        assert [name for name in everything(project) if any(run(n) in name for n in range(to, 10))] == []
        if to == 1:
            assert sorted(everything(project)) == ["compose.yml", "data/homeserver.yaml"]


def test_latest_and_original(project) -> None:
    back(project, "latest", number=7)
    assert contents(project) == BEFORE[3]
    before = everything(project)
    assert not back(project, "latest", number=8).changed  # and not forth again
    assert everything(project) == before
    back(project, "original", number=9)
    assert contents(project) == BEFORE[1]
    assert not back(project, "original", number=10).changed


@pytest.mark.parametrize("backups", [1, 2, 10])
@pytest.mark.parametrize("to", ["latest", "original", run(1), run(2), run(3)])
def test_a_second_time_changes_nothing(project, to, backups) -> None:
    assert back(project, to, number=8, backups=backups).changed
    before = everything(project)
    again = back(project, to, number=9, backups=backups)
    assert not again.changed and again.restored() == []
    assert everything(project) == before


def test_going_back_can_be_gone_back_from(project) -> None:
    back(project, run(1), number=7)
    assert back(project, run(7), number=8).points[0].restored
    assert contents(project) == BEFORE[4]
    back(project, run(8), number=9)
    assert contents(project) == BEFORE[1]
    assert (project / NAMES[2]).exists() is False
    write(project / NAMES[0], "new\n", 10)
    back(project, "latest", number=11)
    assert contents(project) == BEFORE[1]


def test_without_a_backup_the_points_stay_as_they_were(project) -> None:
    before = everything(project)
    back(project, run(3), backup=False)
    assert contents(project) == BEFORE[3]
    assert everything(project).keys() == before.keys()


def test_what_the_user_has_changed_since_is_kept_as_a_backup(project) -> None:
    (project / NAMES[0]).write_text("mine\n")
    back(project, run(3), number=9)
    assert (project / f"{NAMES[0]}.{run(9)}.bak").read_text() == "mine\n"


def test_files_limits_it(project) -> None:
    (project / "link").symlink_to("data/homeserver.yaml")
    change = back(project, run(1), files=[str(project / "link")])
    assert contents(project) == [BEFORE[4][0], BEFORE[1][1], BEFORE[4][2]]
    assert [point.run for point in change.points] == [run(2), run(1)]


def test_a_file_behind_a_link_is_found(project) -> None:
    etc = project / "etc"
    etc.mkdir()
    os.rename(project / "compose.yml", etc / "compose.yml")
    (project / "compose.yml").symlink_to("etc/compose.yml")
    write(project / "compose.yml", "linked\n", 4)
    back(project, run(4))
    assert (project / "compose.yml").is_symlink()
    assert (etc / "compose.yml").read_bytes() == BEFORE[4][0]


def test_owner_mode_and_attributes(project) -> None:
    home = project / NAMES[1]
    made = project / NAMES[2]
    for path in (home, made):
        path.chmod(0o604)
        if ROOT:
            os.chown(path, 991, 992)
    try:
        os.setxattr(made, "user.note", b"kept")
        with_attributes = True
    except OSError:
        with_attributes = False
    write(home, "x: 4\n", 4)
    back(project, run(1), number=7)
    assert not made.exists()
    back(project, run(7), number=8)
    for path in (home, made):
        found = path.stat()
        assert stat.S_IMODE(found.st_mode) == 0o604
        assert not ROOT or (found.st_uid, found.st_gid) == (991, 992)
    assert not with_attributes or os.getxattr(made, "user.note") == b"kept"


def test_who_may_read_a_file_now_is_not_gone_back_on(project) -> None:
    """No run changes modes: what is another than it was, its owner has made so."""
    path = project / NAMES[1]
    path.chmod(0o600)
    back(project, run(1))
    assert path.read_bytes() == BEFORE[1][1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_restored_file_is_new_and_its_backup_as_old_as_the_text(project) -> None:
    """Else a process that has read the file before would be taken for one that has read it as it is now."""
    path = project / NAMES[0]
    os.utime(path, ns=(1_700_000_000_000_000_000, 1_700_000_000_123_456_789))
    back(project, run(3))
    assert path.stat().st_mtime_ns > 1_700_000_000_123_456_789
    assert (project / f"{NAMES[0]}.{run(9)}.bak").stat().st_mtime_ns == 1_700_000_000_123_456_789


# -- a run that failed -------------------------------------------------------------------------------


def test_a_failed_run_leaves_nothing_behind(project) -> None:
    before = everything(project)
    write(project / NAMES[0], "half\n", 5)
    write(project / "data" / "extra", "half\n", 5)
    back(project, run(5), discard=True)
    assert everything(project) == before
    # It may have failed before it changed anything, or on a new host.
    change = back(project, run(5), discard=True)
    assert not change.changed
    with tempfile.TemporaryDirectory() as empty:
        for to in (run(5), "latest", "original"):
            assert not back(Path(empty) / "none", to, discard=True).changed


# -- listing -----------------------------------------------------------------------------------------


def test_lists_the_points(project) -> None:
    before = everything(project)
    keep = Keep(run(9))
    change = _rollback.prepare(_rollback.Request(directories=[str(project), str(project / "data")]), keep)
    listed = change.listed()
    assert not change.changed
    assert [(each["run"], each["time"], each["rollback"]) for each in listed] == [
        (run(number), f"2026-01-02 03:04:0{number} UTC", False) for number in (3, 2, 1)
    ]
    assert listed[2]["files"] == [
        {"path": str(project / NAMES[0]), "backup_file": str(project / f"{NAMES[0]}.{run(1)}.bak")},
        {"path": str(project / NAMES[1]), "backup_file": str(project / f"{NAMES[1]}.{run(1)}.bak")},
        {"path": str(project / NAMES[2]), "backup_file": None},
    ]
    assert everything(project) == before
    assert _rollback.prepare(_rollback.Request(directories=[str(project / "none")]), keep).points == ()


def test_says_what_was_done(project) -> None:
    assert back(project, run(1)).restored() == [
        {
            "path": str(project / NAMES[0]),
            "backup_file": str(project / f"{NAMES[0]}.{run(1)}.bak"),
            "action": "restored",
        },
        {
            "path": str(project / NAMES[1]),
            "backup_file": str(project / f"{NAMES[1]}.{run(1)}.bak"),
            "action": "restored",
        },
        {"path": str(project / NAMES[2]), "backup_file": None, "action": "removed"},
    ]


def test_secrets_are_in_no_diff(project) -> None:
    secrets = [
        "database: {args: {password: s3cret-one}}\nmacaroon_secret_key: s3cret-two\n",
        "services: {a: {labels: ['traefik.http.middlewares.a.basicauth.users=me:s3cret-three']}}\n",
        json.dumps({"schema_version": 1, "host": {"users": 1500}}),
    ]
    for number, name in enumerate(NAMES):
        write(project / name, secrets[number], 4)
    diffs = [step.diff() for step in back(project, run(4)).steps]
    assert "s3cret" not in json.dumps(diffs)
    assert [diff["before"].count("***") > 0 for diff in diffs] == [True, True, False]
    assert diffs[2]["before"] == secrets[2]  # a plan has no secret
    assert [diff["after"].encode() for diff in diffs] == BEFORE[4]
    removed = back(project, run(1), number=10).steps[2].diff()
    assert removed == {
        "before": "f: 3\n",
        "after": "",
        **dict.fromkeys(["before_header", "after_header"], str(project / NAMES[2])),
    }


# -- refusing ----------------------------------------------------------------------------------------


def test_errors_are_one_line_that_helps(project) -> None:
    before = everything(project)
    refused(
        lambda: back(project, run(8)), f"no run {run(8)} has left", f"nearest points are {run(3)}", kind=RecordError
    )
    refused(lambda: back(project, "lates"), "'lates'", "newest points", run(3), kind=RecordError)
    refused(
        lambda: back(project / "data" / "none", "latest"),
        "nothing to go back to",
        "check directories",
        kind=RecordError,
    )
    refused(
        lambda: back(project, run(1), files=[str(project / "typo.yml"), str(project / NAMES[0])]),
        "no backup of",
        "typo.yml lies in",
        kind=RecordError,
    )
    refused(lambda: back(project, run(3), number=3), "leave run out", kind=RecordError)
    assert everything(project) == before


def test_a_record_that_vanished(project, monkeypatch) -> None:
    """It was listed, and is gone when it is to be read."""
    real = _backups.find

    def find(directories):
        found = real(directories)
        (project / f"{NAMES[1]}.{run(1)}.bak").unlink()
        return found

    monkeypatch.setattr(_backups, "find", find)
    refused(lambda: back(project, run(1)), f"{NAMES[1]}.{run(1)}.bak: cannot be read: no such file")
    assert contents(project) == BEFORE[4]


def test_a_record_that_cannot_be_read(project) -> None:
    (project / f"{NAMES[1]}.{run(1)}.bak").chmod(0 if not ROOT else 0o600)
    refused(lambda: in_child(lambda: back(project, run(1)), user=NOBODY), "permission denied", "become")
    assert contents(project) == BEFORE[4]


def test_nothing_is_written_through_a_link(project) -> None:
    """A service that owns the directory could have root write, or read, any file."""
    precious = project / "precious"
    precious.write_text("x")
    path = project / NAMES[1]
    path.unlink()
    path.symlink_to(precious)
    refused(lambda: back(project, run(1)), "it is a symbolic link now", "move it away")
    path.unlink()
    path.mkdir()
    refused(lambda: back(project, run(1)), "it is no regular file now")
    path.rmdir()
    for number in (1, 2):
        record = project / f"{NAMES[1]}.{run(number)}.bak"
        record.unlink()
        record.symlink_to(precious)
    back(project, run(1))
    assert not path.exists()
    assert precious.read_text() == "x"


# -- faults ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize("point", ["unlink", "replace", "link", "fsync"])
@pytest.mark.parametrize("discard", [False, True])
def test_a_failure_at_any_file_puts_back_all(project, monkeypatch, point, call, discard) -> None:
    """Every rename, removal and sync fails in its turn."""
    back(project, run(1), number=7)  # so that going back makes, changes and removes
    write(project / "compose.override.yml", "made: 8\n", 8)
    before = everything(project)
    times = {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()}
    real, calls = getattr(os, point), []

    def fail(path, *args, **kwargs):
        if point != "unlink" or not str(path).endswith(".tmp"):
            calls.append(path)
            if len(calls) == call:
                raise OSError(5, "Input/output error")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, point, fail)
    failure = None
    try:
        warnings = go_back(project, run(7), discard=discard)[1]
    except FileProblem as problem:
        failure = str(problem)
    monkeypatch.undo()
    if failure is not None:
        assert "Input/output error" in failure and "\n" not in failure
        assert everything(project) == before
        assert {path: path.stat().st_mtime_ns for path in project.rglob("*") if path.is_file()} == times
    else:
        # It never got so far, or failed at what comes after the change.
        assert contents(project) == BEFORE[4]
        assert not (project / "compose.override.yml").exists()
        assert len(warnings) == (len(calls) >= call and point == "unlink")
    assert failure is not None or call > 1 or point == "unlink"


def test_what_cannot_be_put_back_is_named_and_keeps_its_backup(project, monkeypatch) -> None:
    real, calls = os.replace, []

    def fail(*args):
        calls.append(args)
        if len(calls) > 1:
            raise OSError(5, "Input/output error")
        real(*args)

    monkeypatch.setattr(os, "replace", fail)
    message = refused(lambda: back(project, run(1)), "Input/output error", "stays so")
    assert message.endswith(str(project / NAMES[0]))
    assert (project / f"{NAMES[0]}.{run(9)}.bak").read_bytes() == BEFORE[4][0]


@needs_root
def test_full_disk(project) -> None:
    """Room for some of it, not for all: found out before the first file is touched."""
    data = project / "data"
    for path in data.iterdir():
        path.unlink()
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=data):
        (data / "homeserver.yaml").write_bytes(b"x" * 20000)
        _backups.replace(str(data / "homeserver.yaml"), "small: 1\n", keep=Keep(run(4)))
        (data / "filler").write_bytes(b"x" * 24000)
        write(project / NAMES[0], "four: 4\n", 4)
        before = everything(project)
        refused(lambda: back(project, run(4)), "the disk is full", "free some space")
        refused(lambda: back(project, run(4), discard=True), "the disk is full", "free some space")
        assert everything(project) == before
        (data / "filler").unlink()
        back(project, run(4))
        assert (data / "homeserver.yaml").read_bytes() == b"x" * 20000


def test_read_only_directory(project) -> None:
    for path in [project, *project.rglob("*")]:
        if ROOT:
            os.chown(path, NOBODY, NOBODY)
    (project / "data").chmod(0o555)
    before = everything(project)
    try:
        refused(
            lambda: in_child(lambda: back(project, run(1)), user=NOBODY),
            f"the directory {project / 'data'} must be writable",
            "become",
        )
        assert everything(project) == before
        # Check mode says so, too.
        request = _rollback.Request(directories=[str(project), str(project / "data")], to=run(1))
        refused(lambda: in_child(lambda: _rollback.prepare(request, Keep(run(9))), user=NOBODY), "must be writable")
        # Where there is nothing to do in it, it may be as it likes.
        in_child(lambda: back(project, run(1), files=[str(project / NAMES[0])]), user=NOBODY)
    finally:
        (project / "data").chmod(0o755)
    assert contents(project) == [BEFORE[1][0], *BEFORE[4][1:]]


@needs_root
def test_read_only_file_system(project) -> None:
    data = project / "data"
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=data):
        (data / "homeserver.yaml").write_text("one\n")
        write(data / "homeserver.yaml", "two\n", 3)
        subprocess.run(["mount", "-o", "remount,ro", str(data)], check=True)
        before = everything(project)
        refused(lambda: back(project, run(3)), "the file system is read-only")
        assert everything(project) == before


@needs_root
def test_files_of_others(project) -> None:
    """Who may not give a file back to its owner must not take it; known before the first is touched."""
    for path in [project, *project.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    for path in (project / "data").glob("homeserver.yaml*"):
        os.chown(path, 991, 991)
        path.chmod(0o666)
    before = everything(project)
    refused(lambda: in_child(lambda: back(project, run(1)), user=NOBODY), "homeserver.yaml", "not permitted")
    assert everything(project) == before


@needs_root
def test_an_immutable_file(project) -> None:
    path = project / NAMES[1]
    if subprocess.run(["chattr", "+i", str(path)], capture_output=True, check=False).returncode:
        pytest.skip("this file system has no immutable flag")
    before = everything(project)
    try:
        refused(lambda: back(project, run(1)), NAMES[1], "not permitted")
        assert everything(project) == before
    finally:
        subprocess.run(["chattr", "-i", str(path)], check=True)


def test_a_file_that_changes_meanwhile_is_not_lost(project, monkeypatch) -> None:
    real = _backups.add

    def add(target, keep):
        (project / NAMES[1]).write_text("mine\n")
        return real(target, keep)

    monkeypatch.setattr(_backups, "add", add)
    refused(lambda: back(project, run(1)), "it changed while this ran; run again")
    assert contents(project) == [BEFORE[4][0], b"mine\n", BEFORE[4][2]]
    assert [name for name in everything(project) if run(9) in name] == []


@pytest.mark.parametrize("to", ["latest", run(1)])
@pytest.mark.parametrize("discard", [False, True])
@pytest.mark.parametrize("point", ["replace", "unlink", "link", "fsync", "fchmod"])
def test_killed_at_any_step_and_run_again(project, point, discard, to) -> None:
    wanted = BEFORE[1] if to == run(1) else BEFORE[3]
    backup = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    for call in range(1, 40):
        for path in [path for path in project.rglob("*") if path.is_file()]:
            path.unlink()
        for path, text in backup.items():
            path.write_bytes(text)
        if not kill_at(point, lambda: back(project, to, number=8, discard=discard), call=call):
            break
        for index, now in enumerate(contents(project)):
            assert now in (BEFORE[4][index], wanted[index])
        left = [each for each in _backups.find([str(project), str(project / "data")]) if each.kind in ("bak", "absent")]
        if discard and run(3 if to == "latest" else 1) not in [each.run for each in left]:
            assert contents(project) == wanted  # it had done all
            continue
        back(project, to, number=9, discard=discard)
        assert contents(project) == wanted
        assert [name for name in everything(project) if name.endswith(".tmp")] == []
        if run(8) in [each.run for each in left]:
            # What was done in two goes is undone in one.
            back(project, run(8), number=10)
            assert contents(project) == BEFORE[4]
    else:
        pytest.fail("it never ends")
    assert contents(project) == wanted
