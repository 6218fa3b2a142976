# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks on a running deployment: runs of them, what they left behind, and a client that syncs meanwhile."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from client import Client, MatrixError
from deployment import Deployment
from engine import ROOT
from running import ANSIBLE_PLAYBOOK, Run, ansible_playbook, leftovers_in

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

__all__ = ["Syncing", "containers", "environment", "files", "make_plan", "module", "start", "started", "tune"]

PLAYBOOK = ROOT / "playbooks" / "tune_synapse.yml"


def make_plan(**inputs: Any) -> dict[str, Any]:
    """A plan for five users on 2 GiB, which a stock deployment differs from in nearly everything."""
    return plan.make_plan(host.Inputs(**{"users": 5, "ram": 2 * 1024**3, "postgresql_version": 15, **inputs}))


def variables(project: Deployment, planned: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """The variables of a run; its entry of cron lies beside the project, never in this machine's."""
    given = {
        "project_dir": str(project.directory),
        "compressor_cron_file": str(project.directory.with_suffix(".cron")),
        **({} if planned is None else {"plan": planned}),
        **more,
    }
    return {f"synapse_tuning_{name}": value for name, value in given.items()}


def environment(project: Deployment) -> dict[str, str]:
    """What makes modules find the test engine."""
    return {**project.engine.environment(), "ANSIBLE_LOCALHOST_WARNING": "0"}


def tune(
    project: Deployment,
    planned: dict[str, Any] | None,
    *options: str,
    playbook: pathlib.Path = PLAYBOOK,
    under: Sequence[str] = (),
    **more: Any,
) -> Run:
    """Run a playbook to its end."""
    return ansible_playbook(
        playbook,
        *options,
        variables=variables(project, planned, **more),
        environment=environment(project),
        under=under,
    )


def start(project: Deployment, planned: dict[str, Any], log: pathlib.Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start the main playbook in a process group of its own."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                *(ANSIBLE_PLAYBOOK, str(PLAYBOOK), "-i", "localhost,", "-c", "local"),
                *("-e", json.dumps({"ansible_python_interpreter": "{{ ansible_playbook_python }}"})),
                *("-e", json.dumps(variables(project, planned, **more))),
            ],
            env={**environment(project), **leftovers_in(log.parent)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def module(project: Deployment, name: str, **options: Any) -> tuple[str, str]:
    """Run a module as a process of its own, as Ansible does; its output, which is JSON, and its standard error."""
    run = subprocess.run(
        [sys.executable, "-m", f"ansible_collections.synapse.tuning.plugins.modules.{name}"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env={**project.engine.environment(), "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    return run.stdout, run.stderr


def files(project: Deployment) -> dict[str, tuple[int, bytes]]:
    """Mode and content of what the collection may write, backups and all; not of what servers write."""
    folders = (project.directory, project.directory / "data")
    names = ("media_store", "homeserver.pid")
    return {
        str(path.relative_to(project.directory)): (path.stat().st_mode & 0o7777, path.read_bytes())
        for folder in folders
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in names
    }


def containers(project: Deployment) -> dict[str, str]:
    """The container of each service."""
    return {service: project.container(service) for service in ("db", "synapse")}


def started(project: Deployment) -> dict[str, str]:
    """When each service was last started."""
    return {service: project.inspect(service)["State"]["StartedAt"] for service in ("db", "synapse")}


class Syncing:
    """A client that syncs all the time in a thread; `with Syncing(user) as syncing: ...`.

    Attributes:
        outages: (start, end) of the times in which nothing was answered.
        texts: What it was sent, in order.
    """

    def __init__(self, user: Client) -> None:
        self._user = user
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.outages: list[tuple[float, float]] = []
        self.texts: list[str] = []

    def __enter__(self) -> Syncing:
        self._since = self._user.sync()["next_batch"]
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        failing_since: float | None = None
        while not self._stop.is_set() or failing_since is not None:
            try:
                answer = self._user.sync(self._since, wait=0.5)
            except (OSError, MatrixError):
                failing_since = failing_since or time.monotonic()
                time.sleep(0.1)
                if time.monotonic() - failing_since > 120:
                    raise
                continue
            if failing_since is not None:
                self.outages.append((failing_since, time.monotonic()))
                failing_since = None
            self._since = answer["next_batch"]
            for room in answer.get("rooms", {}).get("join", {}).values():
                for event in room["timeline"]["events"]:
                    if event["type"] == "m.room.message":
                        self.texts.append(event["content"]["body"])
