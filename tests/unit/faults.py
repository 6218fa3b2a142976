# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real faults for the tests: other users, kills in the middle, mounts that are full or read-only."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess

import pytest

ROOT = os.geteuid() == 0
NOBODY = 65534

needs_root = pytest.mark.skipif(not ROOT, reason="needs root: mounts, chown, other users")

# pytest-xdist has threads of its own; the children here run a few calls and are gone.
ignore_fork_warning = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def in_child(action, *, user=None):
    """Run an action in a forked child; return what it returned, raise what it raised.

    A fork, because another user may not be able to read this Python's own files.
    As root the child becomes the given user; else it stays who it is.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            if user is not None and ROOT:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
            try:
                answer = (True, action())
            except BaseException as exc:
                answer = (False, exc)
            os.write(writer, pickle.dumps(answer))
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as stream:
        raw = stream.read()
    os.waitpid(child, 0)
    assert raw, "the child died without an answer"
    ok, value = pickle.loads(raw)
    if ok:
        return value
    raise value


def kill_at(name, action, *, call=1):
    """Run an action in a child that dies by SIGKILL at the given call of os.<name>; whether it got there."""
    child = os.fork()
    if child == 0:
        real = getattr(os, name)
        left = call

        def deadly(*args, **kwargs):
            nonlocal left
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, deadly)
        with contextlib.suppress(BaseException):
            action()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


@contextlib.contextmanager
def mounted(*arguments, on):
    """Have something mounted for a while; skips the test where not even root may, as in a container."""
    mount = subprocess.run(["mount", *arguments, str(on)], text=True, capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"cannot mount: {mount.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(on)], check=True)
