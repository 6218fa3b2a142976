# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""run_lock between real runs of ansible-playbook: side by side, killed, and of another controller."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from running import ANSIBLE_PLAYBOOK, Run, ansible_playbook, leftovers_in

from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.plugin_utils import _controller

pytestmark = pytest.mark.slow

# What a run does while it holds the lock: it says so, and goes on when it is told to.
WORK = 'echo $$ > "{{ folder }}/inside-{{ me }}"; while [ ! -e "{{ folder }}/go-{{ me }}" ]; do sleep 0.1; done'

# Far more than a busy machine needs. Nothing is judged by it but a test that would hang.
PATIENCE = 120


def playbook(folder: Path, **play: Any) -> Path:
    """Take the lock, work, give it back."""
    lock = {"path": "{{ lock }}"}
    tasks: list[dict[str, Any]] = [
        {
            "name": "Take",
            "synapse.tuning.run_lock": {
                **lock,
                "timeout": "{{ seconds | default(0) }}",
                "break_lock": "{{ break_lock | default(false) }}",
            },
            "register": "taken",
        },
        {"name": "Taken", "ansible.builtin.debug": {"msg": "TAKEN {{ taken | to_json }}"}},
        {"name": "Again", "synapse.tuning.run_lock": lock},
        {
            "name": "Work",
            "ansible.builtin.command": {"argv": ["/bin/sh", "-c", "{{ work }}"]},
            "when": "me is defined",
            "changed_when": False,
        },
        {"name": "Give back", "synapse.tuning.run_lock": {**lock, "state": "absent"}, "register": "given"},
        {"name": "Given back", "ansible.builtin.debug": {"msg": "RELEASED {{ given.released }}"}},
    ]
    path = folder / "locked.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks, **play}]), encoding="utf-8")
    return path


def one(folder: Path, *options: str, **variables: Any) -> Run:
    """One whole run."""
    variables = {"lock": str(folder / "x.lock"), "folder": str(folder), **variables}
    return ansible_playbook(playbook(folder), *options, variables=variables)


class Started:
    """A run that is under way."""

    def __init__(self, folder: Path, me: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.folder, self.me, self.process, self._log = folder, me, process, log

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None and time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def until_inside(self) -> None:
        inside = self.folder / f"inside-{self.me}"
        self.until(lambda: inside.exists() and inside.read_text().endswith("\n"))

    def until_it_says(self, words: str) -> None:
        self.until(lambda: words in self.output)

    def go(self) -> None:
        (self.folder / f"go-{self.me}").touch()

    def finish(self) -> Run:
        self.go()
        returncode = self.process.wait(PATIENCE)
        return Run(returncode, self.output, "")


@contextlib.contextmanager
def started(folder: Path, me: str, *options: str, **variables: Any) -> Iterator[Started]:
    """A run in a process group of its own; nothing of it stays."""
    given = {
        "ansible_python_interpreter": sys.executable,
        "lock": str(folder / "x.lock"),
        "folder": str(folder),
        "me": me,
        "work": WORK,
        **variables,
    }
    log = folder / f"{me}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                ANSIBLE_PLAYBOOK,
                str(playbook(folder)),
                "-i",
                "localhost,",
                "-c",
                "local",
                "-e",
                json.dumps(given),
                *options,
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **leftovers_in(folder), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_FORCE_COLOR": "0"},
            start_new_session=True,
        )
    try:
        yield Started(folder, me, process, log)
    finally:
        (folder / f"go-{me}").touch()  # the work ends, also that of a worker whose run was killed
        if process.poll() is None:
            process.kill()
        process.wait()


def plant(folder: Path, **values: Any) -> Path:
    """The lock of a run of another controller."""
    other = replace(
        _controller.this_run(), user="ada", controller="elsewhere.example.org", pid=4711, since="2026-01-31T20:15:00Z"
    )
    path = folder / "x.lock"
    path.write_text(run_lock.render(replace(other, **values)), encoding="utf-8")
    path.chmod(0o600)
    return path


def taken(run: Run) -> dict[str, Any]:
    found = re.search(r"TAKEN (\{.*?\})\"?$", run.stdout, re.MULTILINE)
    assert found, run.output
    text = found.group(1)
    return dict(json.loads(text if '\\"' not in text else json.loads(f'"{text}"')))


def no_lock(folder: Path) -> bool:
    return not [path for path in folder.iterdir() if path.suffix == ".lock"]


@pytest.mark.parametrize("strategy", ["linear", "free"])
@pytest.mark.parametrize("forks", [1, 5])
def test_several_hosts_are_one_run(tmp_path: Path, strategy: str, forks: int) -> None:
    """Each task has a worker of its own, and all are of the same run."""
    run = ansible_playbook(
        playbook(tmp_path, strategy=strategy),
        *("-i", "one,two,three,", "--limit", "one,two,three", "--forks", str(forks)),
        variables={"lock": f"{tmp_path}/{{{{ inventory_hostname }}}}.lock", "folder": str(tmp_path)},
    ).must_succeed()
    assert run.changed == 0
    assert run.stdout.count("RELEASED True") == 3
    found = re.findall(r'\\"pid\\": (\d+)', run.stdout)
    assert len(found) == 3 and len(set(found)) == 1
    assert no_lock(tmp_path)


def test_hosts_that_share_a_path_share_the_lock(tmp_path: Path) -> None:
    run = ansible_playbook(
        playbook(tmp_path),
        *("-i", "one,two,", "--limit", "one,two"),
        variables={"lock": str(tmp_path / "x.lock"), "folder": str(tmp_path)},
    ).must_succeed()
    assert run.stdout.count("RELEASED True") == 1
    assert no_lock(tmp_path)


def test_the_lock_says_who_has_it(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    with started(tmp_path, "first") as first:
        first.until_inside()
        assert lock.stat().st_mode & 0o7777 == 0o600
        holder = json.loads(lock.read_text(encoding="utf-8"))
        assert holder["pid"] == first.process.pid
        assert holder["started"] == _controller.start_of(first.process.pid)
        run = first.finish().must_succeed()
    assert run.changed == 0
    assert "WARNING" not in run.output
    said = taken(run)
    assert said["acquired"] is True and said["changed"] is False and said["previous"] is None
    assert said["holder"] == {name: holder[name] for name in ("user", "controller", "pid", "since")}
    assert no_lock(tmp_path)


def test_two_at_once_the_second_is_refused(tmp_path: Path) -> None:
    with started(tmp_path, "first") as first:
        first.until_inside()
        before = (tmp_path / "x.lock").read_bytes()
        second = one(tmp_path)
        assert second.returncode != 0
        assert "\n" not in second.message
        assert f"process {first.process.pid}, since 2" in second.message
        assert "wait until it has ended, or break its lock with synapse_tuning_break_lock=true" in second.message
        assert "can't be asked" not in second.message
        assert (tmp_path / "x.lock").read_bytes() == before
        assert "RELEASED True" in first.finish().must_succeed().stdout
    one(tmp_path).must_succeed()


def test_three_at_once_work_one_after_the_other(tmp_path: Path) -> None:
    """Started together, with nobody to say who is first."""
    work = f'mkdir "{tmp_path}/alone" && sleep 1 && rmdir "{tmp_path}/alone" && echo >> "{tmp_path}/done"'
    with contextlib.ExitStack() as stack:
        runs = [
            stack.enter_context(started(tmp_path, f"run{number}", seconds=10 * PATIENCE, work=work))
            for number in range(3)
        ]
        for run in runs:
            run.finish().must_succeed()
    assert (tmp_path / "done").read_text() == "\n" * 3
    assert no_lock(tmp_path)


def test_it_waits_says_so_once_and_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, "first") as first:
        first.until_inside()
        with started(tmp_path, "second", seconds=10 * PATIENCE) as second:
            second.until_it_says("waiting up to")
            time.sleep(5)  # several more questions
            assert not (tmp_path / "inside-second").exists()
            first.finish().must_succeed()
            second.until_inside()
            run = second.finish().must_succeed()
    assert run.stdout.count("waiting up to") == 1
    assert f"localhost: waiting up to {10 * PATIENCE} s for another run to end: " in run.stdout
    assert f"process {first.process.pid}, since" in run.stdout
    assert "WARNING" not in run.output
    assert run.changed == 0


def test_it_waits_for_no_longer_than_it_was_told(tmp_path: Path) -> None:
    lock = plant(tmp_path)
    before = lock.read_bytes()
    run = one(tmp_path, seconds=3)
    assert run.returncode != 0
    assert "another run still holds this lock after 3 s: ada on elsewhere.example.org" in run.message
    assert lock.read_bytes() == before


def kill_group(run: Started) -> None:
    """As a terminal that is closed by force; the workers have sessions of their own, so each is ended by the work."""
    os.killpg(run.process.pid, signal.SIGKILL)


def kill_main(run: Started) -> None:
    os.kill(run.process.pid, signal.SIGKILL)


@pytest.mark.parametrize("reaped", [True, False])
@pytest.mark.parametrize("kill", [kill_group, kill_main])
def test_a_killed_run_blocks_nobody(tmp_path: Path, kill: Callable[[Started], None], reaped: bool) -> None:
    """Not even while its parent has not read how it ended."""
    with started(tmp_path, "first") as first:
        first.until_inside()
        kill(first)
        os.waitid(os.P_PID, first.process.pid, os.WEXITED | os.WNOWAIT)
        if reaped:
            first.process.wait()
        second = one(tmp_path).must_succeed()
        said = re.sub(r"\s+", " ", second.output)
        assert "took over the lock of a run that has ended without giving it back" in said
        assert f"process {first.process.pid}, since" in said
        assert taken(second)["previous"]["pid"] == first.process.pid
        assert second.changed == 0
    assert no_lock(tmp_path)


def test_a_run_that_is_killed_while_another_waits_for_it(tmp_path: Path) -> None:
    with started(tmp_path, "first") as first:
        first.until_inside()
        with started(tmp_path, "second", seconds=10 * PATIENCE) as second:
            second.until_it_says("waiting up to")
            kill_main(first)
            second.until_inside()
            run = second.finish().must_succeed()
    assert "took over the lock of a run that has ended" in re.sub(r"\s+", " ", run.output)


def test_a_run_that_is_killed_while_it_waits_takes_nothing(tmp_path: Path) -> None:
    """Its worker stays behind, and must not take the lock for a run that is over."""
    with started(tmp_path, "first") as first:
        first.until_inside()
        with started(tmp_path, "second", seconds=10 * PATIENCE) as second:
            second.until_it_says("waiting up to")
            listed = subprocess.run(
                ["ps", "-o", "pid=", "--ppid", str(second.process.pid)], capture_output=True, text=True, check=True
            )
            (worker,) = map(int, listed.stdout.split())
            started_at = _controller.start_of(worker)
            assert started_at
            os.kill(worker, signal.SIGSTOP)
            try:
                kill_main(second)
                second.process.wait()
                first.finish().must_succeed()
            finally:
                os.kill(worker, signal.SIGCONT)
            deadline = time.monotonic() + PATIENCE
            while _controller.start_of(worker) == started_at:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert no_lock(tmp_path)
            assert not (tmp_path / "inside-second").exists()


def test_a_reused_pid_is_another_run(tmp_path: Path) -> None:
    ours = _controller.this_run()  # alive, but not since then
    plant(tmp_path, controller=ours.controller, pid=ours.pid, started="ticks:1")
    assert taken(one(tmp_path).must_succeed())["previous"]["pid"] == ours.pid


def test_another_controller_cannot_be_asked(tmp_path: Path) -> None:
    lock = plant(tmp_path)
    before = lock.read_bytes()
    run = one(tmp_path)
    assert run.returncode != 0
    assert "ada on elsewhere.example.org (process 4711, since 2026-01-31T20:15:00Z)" in run.message
    assert "can't be asked from here" in run.message
    assert "\n" not in run.message
    assert lock.read_bytes() == before

    broken = one(tmp_path, break_lock="true").must_succeed()
    assert "broke the lock of another run: ada on elsewhere.example.org" in re.sub(r"\s+", " ", broken.output)
    assert broken.changed == 0
    assert no_lock(tmp_path)


def test_a_run_whose_lock_was_broken_leaves_the_new_one(tmp_path: Path) -> None:
    with started(tmp_path, "first") as first:
        first.until_inside()
        with started(tmp_path, "second", break_lock=True) as second:
            second.until_inside()
            before = (tmp_path / "x.lock").read_bytes()
            assert "RELEASED False" in first.finish().must_succeed().stdout
            assert (tmp_path / "x.lock").read_bytes() == before
            assert "RELEASED True" in second.finish().must_succeed().stdout


@pytest.mark.parametrize("held", [False, True])
def test_check_mode_only_looks(tmp_path: Path, held: bool) -> None:
    before = plant(tmp_path).read_bytes() if held else None
    run = one(tmp_path, "--check", seconds=10 * PATIENCE).must_succeed()
    said = taken(run)
    assert said["acquired"] is False
    assert run.changed == 0
    assert ("another run still holds this lock" in re.sub(r"\s+", " ", run.output)) is held
    if held:
        assert said["holder"]["controller"] == "elsewhere.example.org"
        assert (tmp_path / "x.lock").read_bytes() == before
    else:
        assert said["holder"] is None
        assert no_lock(tmp_path)


def foreign(folder: Path) -> None:
    (folder / "x.lock").write_text("services: {}\n", encoding="utf-8")


def link(folder: Path) -> None:
    (folder / "x.lock").symlink_to(folder / "target")


@pytest.mark.parametrize(
    ("make", "variables", "says"),
    [
        (foreign, {}, "it holds something else; look what it is, then remove it or choose another path"),
        (foreign, {"break_lock": True}, "it holds something else"),
        (link, {}, "it is a symbolic link; remove it or choose another path"),
        (lambda _folder: None, {"lock": "/nonexistent/x.lock"}, "its directory does not exist; create it"),
        (lambda _folder: None, {"seconds": -1}, "timeout is -1: set it to a number of seconds, 0 or more"),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, make: Callable[[Path], None], variables: dict[str, Any], says: str
) -> None:
    make(tmp_path)
    run = one(tmp_path, **variables)
    assert run.returncode != 0
    assert says in run.message
    assert "\n" not in run.message
    if "seconds" not in variables:
        check = one(tmp_path, "--check", **variables).must_succeed()
        assert says in re.sub(r"\s+", " ", check.output) or make not in (foreign, link)


def test_a_path_is_the_hosts_to_expand(tmp_path: Path) -> None:
    """~ is the home of the user on the host, not of the one on the controller."""
    home = tmp_path / "home"
    home.mkdir()
    tasks = [
        {
            "synapse.tuning.run_lock": {"path": "~/x.lock"},
            "environment": {"HOME": str(home)},
            "register": "taken",
        },
        {"ansible.builtin.debug": {"msg": "PATH {{ taken.path }}"}},
    ]
    path = tmp_path / "home.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
    run = ansible_playbook(path).must_succeed()
    assert f"PATH {home}/x.lock" in run.stdout
    assert (home / "x.lock").exists()


def test_no_task_can_speak_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / "record.yml"
    task = {"synapse.tuning.run_lock": {"path": str(tmp_path / "x.lock"), "record": "{}"}}
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]), encoding="utf-8")
    run = ansible_playbook(path)
    assert run.returncode != 0
    assert "record" in run.message
    assert no_lock(tmp_path)
