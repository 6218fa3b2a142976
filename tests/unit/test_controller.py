# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""_controller against real processes: alive, gone, undead, of others, and workers whose run was killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from faults import NOBODY, ignore_fork_warning, in_child, needs_root

from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.plugin_utils import _controller

pytestmark = ignore_fork_warning

both_ways = pytest.mark.parametrize("start_of", [_controller._start_by_proc, _controller._start_by_ps])


@pytest.fixture
def sleeper():
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def test_this_run_is_alive_and_can_be_written_down():
    run = _controller.this_run()
    assert run.pid == os.getpid()
    assert run.started == _controller.start_of(run.pid)
    assert run.boot
    assert run_lock.parse(run_lock.render(run)) == run
    assert run_lock.same_run(run, _controller.this_run())
    assert not _controller.is_orphan()


def test_the_machine_id_itself_is_not_told():
    found = Path("/etc/machine-id")
    machine_id = found.read_text().strip() if found.exists() else ""
    run = _controller.this_run()
    assert bool(run.machine) == bool(machine_id)
    assert not machine_id or machine_id not in run_lock.render(run)


@both_ways
def test_a_process_has_one_start(sleeper, start_of):
    started = start_of(sleeper.pid)
    assert started
    assert started == start_of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGSTOP)
    assert start_of(sleeper.pid) == started


@both_ways
def test_a_zombie_has_ended(sleeper, start_of):
    assert start_of(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and its entry stays
    assert start_of(sleeper.pid) is None


def test_an_ended_process_is_none(sleeper):
    sleeper.kill()
    sleeper.wait()
    assert _controller.start_of(sleeper.pid) is None


def test_ps_speaks_one_language(sleeper, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    one = _controller._start_by_ps(sleeper.pid)
    monkeypatch.setenv("TZ", "America/New_York")
    assert one == _controller._start_by_ps(sleeper.pid)
    assert one.startswith("lstart:")


def test_without_ps_a_process_is_not_known_to_be_gone(sleeper, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert _controller._start_by_ps(sleeper.pid) == ""


@needs_root
def test_a_process_of_another_user_is_there(sleeper):
    assert in_child(lambda: _controller.start_of(sleeper.pid), user=NOBODY) == _controller.start_of(sleeper.pid)


def test_a_name_with_parentheses(tmp_path):
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([str(program), "600"]) as process:
        started = _controller._start_by_proc(process.pid)
        process.kill()
    assert started and started.partition(":")[2].isdigit()


def test_a_user_without_a_name():
    assert in_child(lambda: _controller.this_run().user, user=54321) in ("54321", _controller.this_run().user)


def worker(pipe):
    """What a worker of ansible-playbook sees, before and after its main process was killed."""
    pipe.send((_controller.this_run().pid, _controller.is_orphan()))
    pipe.recv()
    while os.getppid() == _controller._main_pid():
        pass
    pipe.send((_controller.this_run().pid, _controller.is_orphan(), os.getpid()))


def test_a_worker_whose_main_process_was_killed():
    """It still knows which run it is of, and that this run is over."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    main = os.fork()
    if main == 0:
        context.Process(target=worker, args=(theirs,)).start()
        signal.pause()
    try:
        assert ours.poll(60)
        assert ours.recv() == (main, False)
    finally:
        os.kill(main, signal.SIGKILL)
        os.waitpid(main, 0)
    ours.send(None)
    assert ours.poll(60)
    pid, orphan, own = ours.recv()
    assert (pid, orphan) == (main, True)
    assert own != main
