# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run keeps of the files that it changes, on real disks; test_files has the faults of writing itself."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from faults import NOBODY, ignore_fork_warning, in_child, kill_at, mounted, needs_root

from ansible_collections.synapse.tuning.plugins.module_utils import _backups
from ansible_collections.synapse.tuning.plugins.module_utils._backups import Keep
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, RecordError
from ansible_collections.synapse.tuning.plugins.module_utils._core.history import History

pytestmark = ignore_fork_warning

OPTIONS = {"backup": True, "backups": 10, "run": None}


def run(number: int) -> str:
    return f"20260102T0304{number:02}.000000Z"


@pytest.fixture
def folder():
    """A directory that every user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.fixture
def file(folder):
    path = folder / "homeserver.yaml"
    path.write_text("zero\n")
    return path


def records(file: Path) -> dict[str, str]:
    """Content by what follows the file's name."""
    return {path.name[len(file.name) + 1 :]: path.read_text() for path in file.parent.glob(f"{file.name}.*")}


# -- a run's stamp -----------------------------------------------------------------------------------


def test_the_default_run_is_now() -> None:
    made = datetime.strptime(Keep.from_options(OPTIONS).run, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=timezone.utc)
    assert abs(datetime.now(timezone.utc) - made) < timedelta(hours=1)
    assert Keep.from_options({**OPTIONS, "run": run(1), "backups": 3, "backup": False}) == Keep(run(1), False, 3)


@pytest.mark.parametrize("wrong", [{"run": "now"}, {"run": ""}, {"run": f"{run(1)}/../x"}, {"backups": 0}])
def test_wrong_options_are_refused_in_one_line(wrong) -> None:
    with pytest.raises(RecordError) as caught:
        Keep.from_options({**OPTIONS, **wrong})
    assert "\n" not in str(caught.value)
    assert next(iter(wrong)) in str(caught.value)


# -- keeping -----------------------------------------------------------------------------------------


def test_what_was_before_the_run_is_kept_however_often_it_writes(file) -> None:
    first = _backups.replace(str(file), "one\n", keep=Keep(run(1)))
    second = _backups.replace(str(file), "two\n", keep=Keep(run(1)))
    assert first == second == (f"{file}.{run(1)}.bak", ())
    _backups.replace(str(file), "three\n", keep=Keep(run(2)))
    assert records(file) == {f"{run(1)}.bak": "zero\n", f"{run(2)}.bak": "two\n"}


def test_a_new_file_gets_a_marker(folder) -> None:
    file = folder / "compose.override.yml"
    written = _backups.create(str(file), "one\n", mode=0o644, keep=Keep(run(1)))
    assert written == (None, ())
    marker = folder / f"{file.name}.{run(1)}.absent"
    assert stat.S_IMODE(marker.stat().st_mode) == 0o600
    assert file.read_text() == "one\n"
    # It was not there before the run, whatever the run makes of it.
    assert _backups.replace(str(file), "two\n", keep=Keep(run(1))).backup_file is None
    assert records(file) == {f"{run(1)}.absent": ""}


def test_the_marker_is_there_before_the_file(folder) -> None:
    file = folder / "new"
    assert kill_at("link", lambda: _backups.create(str(file), "x", mode=0o600, keep=Keep(run(1))), call=2)
    assert not file.exists()
    assert records(file) == {f"{run(1)}.absent": ""}


def test_nothing_is_kept_where_nothing_is_wanted(file) -> None:
    keep = Keep(run(1), backup=False)
    assert _backups.replace(str(file), "one\n", keep=keep) == (None, ())
    _backups.create(str(file.with_name("new")), "x", mode=0o600, keep=keep)
    assert sorted(os.listdir(file.parent)) == ["homeserver.yaml", "new"]


def test_a_backup_is_as_old_as_the_text_in_it(file) -> None:
    os.utime(file, ns=(1_700_000_000_000_000_000, 1_700_000_000_123_456_789))
    backup = _backups.replace(str(file), "two\n", keep=Keep(run(1))).backup_file
    assert os.stat(backup).st_mtime_ns == 1_700_000_000_123_456_789
    assert file.stat().st_mtime_ns > 1_700_000_000_123_456_789


def test_a_backup_is_no_second_name_of_the_live_file(file) -> None:
    backup = _backups.replace(str(file), "one\n", keep=Keep(run(1))).backup_file
    with open(file, "a") as stream:
        stream.write("later\n")
    assert Path(backup).read_text() == "zero\n"


def test_a_backup_lies_beside_the_file_and_not_beside_a_link_to_it(folder) -> None:
    (folder / "real").mkdir()
    target = folder / "real" / "homeserver.yaml"
    target.write_text("zero\n")
    link = folder / "link.yaml"
    link.symlink_to("real/homeserver.yaml")
    assert _backups.replace(str(link), "one\n", keep=Keep(run(1))).backup_file == f"{target}.{run(1)}.bak"
    assert os.listdir(folder / "real") != ["homeserver.yaml"]
    assert sorted(os.listdir(folder)) == ["link.yaml", "real"]
    # The directory's own links, too.
    (folder / "way").symlink_to("real")
    _backups.create(str(folder / "way" / "new"), "x", mode=0o600, keep=Keep(run(1)))
    assert (folder / "real" / f"new.{run(1)}.absent").exists()
    names = {record.name for record in _backups.find([str(folder)])}
    assert names == {f"{target}.{run(1)}.bak"}


# -- failing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["link", "fsync"])
def test_where_the_file_cannot_be_made_its_marker_goes(folder, monkeypatch, name) -> None:
    real, calls = getattr(os, name), []

    def second_fails(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(5, "Input/output error")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, second_fails)
    with pytest.raises(FileProblem, match="new: cannot be written: Input/output error"):
        _backups.create(str(folder / "new"), "x", mode=0o600, keep=Keep(run(1)))
    assert os.listdir(folder) == []


def test_a_file_that_appears_meanwhile_is_left_alone(folder, monkeypatch) -> None:
    file = folder / "new"
    file.write_text("mine")
    with pytest.raises(FileProblem, match="appeared while this ran; run again"):
        _backups.create(str(file), "x", mode=0o600, keep=Keep(run(1)))
    monkeypatch.setattr(os.path, "lexists", lambda path: False)  # it appears a moment later
    with pytest.raises(FileProblem, match="appeared while this ran; run again"):
        _backups.create(str(file), "x", mode=0o600, keep=Keep(run(1)))
    assert file.read_text() == "mine"
    assert os.listdir(folder) == ["new"]


def test_an_earlier_backup_of_the_run_survives_a_failure(file, monkeypatch) -> None:
    _backups.replace(str(file), "one\n", keep=Keep(run(1)))

    def fail(*_args, **_kwargs):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileProblem):
        _backups.replace(str(file), "two\n", keep=Keep(run(1)))
    assert records(file) == {f"{run(1)}.bak": "zero\n"}


@needs_root
def test_disk_full_at_the_backup(folder) -> None:
    """The new text alone would fit."""
    with mounted("-t", "tmpfs", "-o", "size=64k", "tmpfs", on=folder):
        path = folder / "f"
        path.write_bytes(b"x" * 28000)
        with pytest.raises(FileProblem, match="the disk is full"):
            _backups.replace(str(path), "y" * 28000, keep=Keep(run(1)))
        assert path.read_bytes() == b"x" * 28000
        assert os.listdir(folder) == ["f"]
        _backups.replace(str(path), "y" * 28000, keep=Keep(run(1), backup=False))
        assert path.read_bytes() == b"y" * 28000


def test_only_regular_files_are_replaced(folder) -> None:
    os.mkfifo(folder / "pipe")
    for name, words in (("none", "no such file"), (".", "a directory"), ("pipe", "not a regular file")):
        with pytest.raises(FileProblem, match=words):
            _backups.replace(str(folder / name), "x", keep=Keep(run(1)))
    assert os.listdir(folder) == ["pipe"]


# -- pruning -----------------------------------------------------------------------------------------


def test_the_oldest_and_the_newest_are_kept(file) -> None:
    for number in range(1, 8):
        assert _backups.replace(str(file), f"{number}\n", keep=Keep(run(number), backups=3)).warnings == ()
    assert records(file) == {
        f"{run(1)}.bak": "zero\n",
        f"{run(5)}.pruned": "",
        f"{run(6)}.bak": "5\n",
        f"{run(7)}.bak": "6\n",
    }
    _backups.replace(str(file), "8\n", keep=Keep(run(8), backups=1))
    assert records(file) == {f"{run(7)}.pruned": "", f"{run(8)}.bak": "7\n"}


def test_twenty_backups_in_a_row_keep_ten(file) -> None:
    for number in range(20):
        _backups.replace(str(file), f"{number}\n", keep=Keep.from_options(OPTIONS))
    kept = sorted(name for name in records(file) if name.endswith(".bak"))
    assert [records(file)[name] for name in kept] == ["zero\n", *(f"{number}\n" for number in range(10, 19))]


def test_a_runs_own_backup_stays_though_the_clock_was_put_back(file) -> None:
    for number in (2, 3, 1):
        _backups.replace(str(file), f"{number}\n", keep=Keep(run(number), backups=1))
    assert records(file)[f"{run(1)}.bak"] == "3\n"


def test_only_backups_of_this_file_are_removed(file) -> None:
    others = [
        "homeserver.yaml.bak",
        "homeserver.yaml.20260102.bak",
        f"homeserver.yaml.{run(1)}.bak.mine",
        f"homeserver.yaml.mine.{run(1)}.bak",
        f"other.yaml.{run(1)}.bak",
        "homeserver.yaml.99999999T999999.999999Z.bak",
    ]
    for name in others:
        (file.parent / name).write_text(name)
    (file.parent / f"homeserver.yaml.{run(1)}.bak").mkdir()
    precious = file.parent / "precious"
    precious.write_text("x")
    (file.parent / f"homeserver.yaml.{run(2)}.bak").symlink_to(precious)
    for number in range(3, 8):
        _backups.replace(str(file), f"{number}\n", keep=Keep(run(number), backups=1))
    for name in others:
        assert (file.parent / name).read_text() == name
    assert (file.parent / f"homeserver.yaml.{run(1)}.bak").is_dir()
    assert (file.parent / f"homeserver.yaml.{run(2)}.bak").is_symlink()
    assert precious.read_text() == "x"
    assert {path.name for path in file.parent.glob("*.0[3-7]*")} == set()
    assert f"{run(7)}.bak" in [path.name[len(file.name) + 1 :] for path in file.parent.iterdir()]


def test_pruning_comes_after_the_change_and_its_failure_is_a_warning(file, monkeypatch) -> None:
    _backups.replace(str(file), "one\n", keep=Keep(run(1)))
    _backups.replace(str(file), "two\n", keep=Keep(run(2)))
    real = os.unlink

    def unlink(path, *args, **kwargs):
        if str(path).endswith((".bak", ".absent", ".pruned")):
            assert file.read_text() == "three\n"
            raise PermissionError(13, "Permission denied", path)
        real(path, *args, **kwargs)

    monkeypatch.setattr(os, "unlink", unlink)
    written = _backups.replace(str(file), "three\n", keep=Keep(run(3), backups=1))
    assert written.backup_file == f"{file}.{run(3)}.bak"
    assert [warning.split(": ")[:2] for warning in written.warnings] == [
        [f"{file}.{run(number)}.bak", "cannot be removed"] for number in (1, 2)
    ]


@pytest.mark.parametrize("call", range(1, 12))
@pytest.mark.parametrize("point", ["link", "unlink"])
def test_killed_while_pruning(file, point, call) -> None:
    for number in range(1, 5):
        _backups.replace(str(file), f"{number}\n", keep=Keep(run(number)))
    before = {run(number): "zero\n" if number == 1 else f"{number - 1}\n" for number in range(1, 6)}
    kill_at(point, lambda: _backups.replace(str(file), "5\n", keep=Keep(run(5), backups=2)), call=call)
    # What is offered is whole.
    history = History(_backups.find([str(file.parent)]))
    offered = [each.run for each in history.points()]
    assert run(1) in offered
    for each in offered:
        assert Path(history.state_before(each)[str(file)].name).read_text() == before[each]
    # The next run clears away the rest.
    assert _backups.replace(str(file), "6\n", keep=Keep(run(6), backups=2)).warnings == ()
    assert {name for name in records(file) if not name.endswith("pruned")} == {f"{run(1)}.bak", f"{run(6)}.bak"}
    assert len(records(file)) == 3


# -- finding -----------------------------------------------------------------------------------------


def test_records_are_found_where_they_are_looked_for(folder) -> None:
    for name in ("a", "b", "b/below"):
        (folder / name).mkdir()
        (folder / name / f"f.{run(1)}.bak").write_text("x")
    (folder / "c").symlink_to("b")
    found = _backups.find([str(folder / name) for name in ("a", "b", "c", "none")])
    assert [record.name for record in found] == [str(folder / name / f"f.{run(1)}.bak") for name in ("a", "b")]
    assert _backups.find([str(folder)]) == []


def test_a_directory_that_cannot_be_read_is_an_error(folder) -> None:
    closed = folder / "closed"
    closed.mkdir()
    (folder / "file").write_text("x")
    closed.chmod(0)
    try:
        with pytest.raises(FileProblem, match="closed: cannot be searched for backups: permission denied"):
            in_child(lambda: _backups.find([str(closed)]), user=NOBODY)
        # Where only a link leads there, nobody asked.
        (folder / "link").symlink_to(closed / "homeserver.yaml")
        assert in_child(lambda: _backups.find([str(folder)]), user=NOBODY) == []
    finally:
        closed.chmod(0o755)
    with pytest.raises(FileProblem, match="not a directory"):
        _backups.find([str(folder / "file")])


@needs_root
def test_pruning_on_a_file_system_that_has_become_read_only_is_a_warning(folder) -> None:
    with mounted("-t", "tmpfs", "-o", "size=1m", "tmpfs", on=folder):
        file = folder / "f"
        file.write_text("zero\n")
        for number in (1, 2, 3):
            _backups.replace(str(file), f"{number}\n", keep=Keep(run(number)))
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        (warning,) = _backups.prune(str(file), keep=Keep(run(3), backups=2))
        assert "f: cannot be rid of old backups: the file system is read-only" in warning
        assert len(records(file)) == 3


def test_a_link_in_circles_is_no_trouble(folder) -> None:
    (folder / "loop").symlink_to("loop")
    assert _backups.find([str(folder)]) == []
    with pytest.raises(FileProblem, match="circles"):
        _backups.replace(str(folder / "loop"), "x", keep=Keep(run(1)))
    assert os.listdir(folder) == ["loop"]
