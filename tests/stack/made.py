# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The made database: heavy rooms, made once through the real client API and restored into fresh deployments.

What is kept is PostgreSQL's data directory, copied while it is stopped: it is back as fast as files are copied, with
statistics, indexes and all, and needs the same PostgreSQL only, whose recipe is in its key. A dump by pg_dump would
have to build the indexes again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import deployment
import images
import made_rooms
from client import Client
from deployment import Deployment
from engine import Engine, StackError, say

__all__ = ["Made", "ensure", "restored"]

_SECONDS = 150  # about, on two cores
_KEEP = 2  # made databases: this checkout's, and another one's
_MANIFEST = "made.json"
_KEY = "localhost.signing.key"


class Made:
    """A running deployment on the made database.

    Attributes:
        project: The deployment, with the stock configuration.
        manifest: What made_rooms.generate returned, with `seconds`, `rows` and `bytes` of the making.
        heavy: The id of the room with thousands of members.
        rooms: Each with room_id, name, shape, members and state, as they were made.
    """

    def __init__(self, project: Deployment, kept: pathlib.Path) -> None:
        self.project = project
        self._kept = kept
        self.manifest = _manifest(kept)
        self.heavy = str(self.manifest["heavy"])
        self.rooms: list[dict[str, Any]] = self.manifest["rooms"]

    def user(self, name: str) -> Client:
        """Return admin, alice or bob, logged in; all three are in the heavy room."""
        user = self.manifest["users"][name]
        return Client(self.project.url, user["token"], user["user_id"])

    def shaped(self, shape: str) -> list[dict[str, Any]]:
        """Return the rooms of a shape, such as left, old, tombstoned, alias, encrypted, private, direct, space."""
        return [room for room in self.rooms if room["shape"] == shape]

    def restore(self) -> None:
        """Have the database again as it was made, and Synapse and PostgreSQL up."""
        if not self._kept.is_dir():
            # Another one would have other rooms and passwords.
            raise StackError(f"{self._kept} is gone, so the database cannot be restored again: run the tests again")
        self.project.compose("stop", "--timeout", "10", "synapse", "db")
        shutil.rmtree(self.project.directory / "postgres")
        _copy(self._kept / "postgres", self.project.directory / "postgres")
        self.project.compose("start")
        self.project.wait()


@contextlib.contextmanager
def restored(engine: Engine, directory: pathlib.Path) -> Iterator[Made]:
    """Have a deployment on the made database run in a directory that does not exist yet, and remove it then."""
    kept = ensure(engine)
    manifest = _manifest(kept)
    signing_key = (kept / _KEY).read_text(encoding="ascii")
    project = deployment.create(engine, directory, password=manifest["password"], signing_key=signing_key)
    try:
        _copy(kept / "postgres", directory / "postgres")
        project.up()
        yield Made(project, kept)
    finally:
        project.remove()


def ensure(engine: Engine) -> pathlib.Path:
    """Return where the made database is kept; make it where it is not. The engine must run and have the images."""
    place = engine.directory / "made"
    place.mkdir(exist_ok=True)
    kept = place / _key()
    # Not the engine's lock: other tests go on meanwhile.
    with (engine.directory / "made.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (kept / _MANIFEST).is_file():
            _forget_old(place)
            _make(engine, kept)
        os.utime(kept)
    return kept


def _key() -> str:
    """Return the hash of all that decides what is in the database, and what can read it."""
    digest = hashlib.sha256(f"{images.SYNAPSE.recipe()} {images.POSTGRES.recipe()}".encode())
    for path in (pathlib.Path(made_rooms.__file__), *sorted(deployment.STOCK.iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make(engine: Engine, kept: pathlib.Path) -> None:
    say(f"making the database of heavy rooms (about {_SECONDS} s on two cores)")
    began = time.monotonic()
    directory = kept.with_name(f"making-{secrets.token_hex(4)}")
    project = deployment.create(engine, directory / "project")
    try:
        made_rooms.configure(project)
        project.up()
        manifest = made_rooms.generate(project)
        project.sql("VACUUM (ANALYZE)")
        manifest["rows"] = int(project.sql("SELECT count(*) FROM state_groups_state")[0][0])
        manifest["password"] = project.settings["POSTGRES_PASSWORD"]
        project.compose("stop", "--timeout", "30", "synapse")
        # Nothing of it stays in the log to be written ahead, which else is larger than the database.
        project.sql("CHECKPOINT")
        project.compose("stop", "--timeout", "60", "db")
        fresh = directory / "kept"
        fresh.mkdir(mode=0o700)
        (project.directory / "postgres").rename(fresh / "postgres")
        shutil.copyfile(project.directory / "data" / _KEY, fresh / _KEY)
        manifest["bytes"] = sum(path.lstat().st_size for path in fresh.rglob("*"))
        manifest["seconds"] = round(time.monotonic() - began)
        (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        fresh.rename(kept)
    finally:
        project.remove()
        shutil.rmtree(directory)
    say(f"made {manifest['rows']} rows in {manifest['seconds']} s, {manifest['bytes'] / 1e6:.0f} MB")


def _forget_old(place: pathlib.Path) -> None:
    """Remove what was used least lately, and what a run that was killed has left."""
    kept = sorted(place.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    finished = [each for each in kept if (each / _MANIFEST).is_file()]
    for each in kept:
        if each not in finished[: _KEEP - 1]:
            shutil.rmtree(each)


def _manifest(kept: pathlib.Path) -> dict[str, Any]:
    return dict(json.loads((kept / _MANIFEST).read_text(encoding="utf-8")))


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy a directory with its owners and modes; files share their blocks where the file system can."""
    run = subprocess.run(
        ["cp", "--archive", "--reflink=auto", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if run.returncode != 0:
        raise StackError(f"the made database could not be copied: {run.stderr.strip()}")
