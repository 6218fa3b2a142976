# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of a given size: a memory cgroup around all containers of a deployment, as the RAM is around them on a real one."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import secrets
import time
from collections.abc import Iterator

from deployment import Deployment
from engine import StackError

__all__ = ["Host", "host"]

_MOUNT = pathlib.Path("/sys/fs/cgroup")


class Host:
    """A cgroup that containers are put below.

    Attributes:
        name: What `cgroup_parent` must say.
        directory: Where its files are.
        limit: Bytes that all of it may hold.
    """

    def __init__(self, limit: int) -> None:
        self.name = f"/synapse-tuning-lab-{secrets.token_hex(4)}"
        self.limit = limit
        old = (_MOUNT / "memory").is_dir()
        self.directory = (_MOUNT / "memory" if old else _MOUNT) / self.name.lstrip("/")
        self._limit_file = "memory.limit_in_bytes" if old else "memory.max"

    def make(self) -> None:
        """Make it; raises StackError where this machine lets nobody."""
        try:
            self.directory.mkdir()
            (self.directory / self._limit_file).write_text(str(self.limit), encoding="ascii")
        except OSError as error:
            raise StackError(f"no memory cgroup can be made at {self.directory}: {error}") from error

    def contain(self, project: Deployment) -> None:
        """Have a deployment that is not started yet run in it, by an override file that Compose finds by itself."""
        services = {name: {"cgroup_parent": self.name} for name in ("synapse", "db")}
        path = project.directory / "compose.override.yml"
        if path.exists():
            raise StackError(f"{path} is there already, and would be lost")
        path.write_text(json.dumps({"services": services}), encoding="utf-8")

    def remove(self) -> None:
        """Remove it. The engine removes its containers' cgroups a moment after the containers."""
        for controller in _MOUNT.glob(f"*{self.name}"):
            self._remove(controller)
        self._remove(self.directory)

    @staticmethod
    def _remove(directory: pathlib.Path) -> None:
        deadline = time.monotonic() + 10
        while directory.is_dir():
            with contextlib.suppress(OSError):
                for below in sorted(directory.rglob("*/"), key=lambda each: -len(each.parts)):
                    if below.is_dir():
                        os.rmdir(below)
                os.rmdir(directory)
            if time.monotonic() > deadline:
                raise StackError(f"the cgroup {directory} can't be removed: something still runs in it")
            time.sleep(0.1)


@contextlib.contextmanager
def host(limit: int) -> Iterator[Host]:
    """Have a host of `limit` bytes for the containers, and remove it then."""
    made = Host(limit)
    made.make()
    try:
        yield made
    finally:
        made.remove()
