# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the real ansible-playbook against this machine, each time in folders of the test's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks" / "tune-synapse.yml"
ANSIBLE_PLAYBOOK = str(Path(sys.executable).with_name("ansible-playbook"))

_RECAP = re.compile(r"^\S+\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)
_MESSAGE = re.compile(r'"msg": ("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class Run:
    """A finished run of ansible-playbook."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr

    @property
    def changed(self) -> int:
        return sum(int(found[1]) for found in _RECAP.findall(self.stdout))

    @property
    def message(self) -> str:
        """What the task that failed says; the last one, for what a rescue makes of it."""
        fatal = self.stdout[self.stdout.rindex("fatal: [") :]
        found = _MESSAGE.search(fatal)
        assert found, fatal
        return str(json.loads(found.group(1)))

    def must_succeed(self) -> Run:
        assert self.returncode == 0, self.output
        return self


def ansible_playbook(
    playbook: Path | str,
    *options: str,
    variables: Optional[dict[str, Any]] = None,
    environment: Optional[dict[str, str]] = None,
    commands: Optional[Path] = None,
    cwd: Optional[Path] = None,
    under: Sequence[str] = (),
) -> Run:
    """Run a playbook with local connections.

    commands: a folder of programs that come before the machine's. under: a command that runs it.
    """
    given = {"ansible_python_interpreter": sys.executable, **(variables or {})}
    env = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", **(environment or {})}
    # A callback that the developer prefers would write something else than these tests read.
    for name in ("ANSIBLE_STDOUT_CALLBACK", "ANSIBLE_CALLBACK_RESULT_FORMAT", "ANSIBLE_VERBOSITY"):
        env.pop(name, None)
    if commands is not None:
        env["PATH"] = f"{commands}{os.pathsep}{env['PATH']}"
    done = subprocess.run(
        [
            *(*under, ANSIBLE_PLAYBOOK, str(playbook), "-i", "localhost,", "-c", "local"),
            *("-e", json.dumps(given), *options),
        ],
        capture_output=True,
        text=True,
        env=env,
        cwd=cwd,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def leftovers_in(folder: Path) -> dict[str, str]:
    """Variables of the environment by which what a killed run leaves behind lies in that folder."""
    return {name: str(folder) for name in ("TMPDIR", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_REMOTE_TMP")}


def command(folder: Path, name: str, script: str) -> Path:
    """Write a stand-in for a program into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def root_with_cron(folder: Path) -> Path:
    """Commands of a machine where root installs jobs for cron, whoever runs the tests."""
    command(folder, "crontab", "exit 0")
    command(folder, "id", "echo 0")
    return folder


def user_without_cron(folder: Path) -> Path:
    """Commands of a machine where an ordinary user asks."""
    command(folder, "id", "echo 1000")
    return folder


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file below a folder."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode & 0o7777, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
