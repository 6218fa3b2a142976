# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are made once, through the real client API, and restored into fresh deployments.

What is kept is PostgreSQL's data directory, copied while it is stopped: it is back as fast as files are copied, with
statistics, indexes and all, and needs the same PostgreSQL only, whose recipe is in its key. A dump by pg_dump would
have to build the indexes again.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from typing import Any

import deployment
import images
from deployment import Deployment
from engine import Engine, StackError, say

__all__ = ["Kept", "Recipe", "ensure", "key"]

_KEEP = 2  # of each name: this checkout's, and another one's
_MANIFEST = "made.json"
_KEY = "localhost.signing.key"


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a database is made.

    Attributes:
        name: What it is kept under.
        key: What `key` returned for all that decides what is in it.
        title: What it is called while it is made.
        seconds: What making it takes on two cores, about.
        configure: Sets up a deployment that was created and not started.
        generate: Fills it once it is up, and returns what is in it, for JSON.
    """

    name: str
    key: str
    title: str
    seconds: int
    configure: Callable[[Deployment], None]
    generate: Callable[[Deployment], dict[str, Any]]


class Kept:
    """A database that is kept.

    Attributes:
        manifest: What the recipe's generate returned, with `seconds`, `rows` and `bytes` of the making.
    """

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self.manifest: dict[str, Any] = json.loads((directory / _MANIFEST).read_text(encoding="utf-8"))

    def create(self, engine: Engine, directory: pathlib.Path) -> Deployment:
        """Have a stock deployment on it in a directory that does not exist yet, and start nothing."""
        signing_key = (self._directory / _KEY).read_text(encoding="ascii")
        project = deployment.create(engine, directory, password=self.manifest["password"], signing_key=signing_key)
        self._copy(directory)
        return project

    def restore(self, directory: pathlib.Path) -> None:
        """Have the database again as it was made; PostgreSQL must be stopped."""
        if not self._directory.is_dir():
            # Another one would have other rooms and passwords.
            raise StackError(f"{self._directory} is gone, so the database cannot be restored again: start once more")
        shutil.rmtree(directory / "postgres")
        self._copy(directory)

    def _copy(self, directory: pathlib.Path) -> None:
        """Copy it with its owners and modes; files share their blocks where the file system can."""
        run = subprocess.run(
            ["cp", "--archive", "--reflink=auto", str(self._directory / "postgres"), str(directory / "postgres")],
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode != 0:
            raise StackError(f"the database that is kept could not be copied: {run.stderr.strip()}")


def key(*files: pathlib.Path, more: str = "") -> str:
    """Return the hash of what decides what is in a database, and what can read it: these files, the stock project and the images."""
    digest = hashlib.sha256(f"{images.SYNAPSE.recipe()} {images.POSTGRES.recipe()}{more}".encode())
    for path in (*files, *sorted(deployment.STOCK.iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def ensure(engine: Engine, recipe: Recipe) -> Kept:
    """Return the database of a recipe; make it where it is not. The engine must run and have the images."""
    place = engine.directory / recipe.name
    place.mkdir(exist_ok=True)
    directory = place / recipe.key
    # Not the engine's lock: other tests go on meanwhile.
    with (engine.directory / f"{recipe.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / _MANIFEST).is_file():
            _forget_old(place)
            _make(engine, recipe, directory)
        os.utime(directory)
    return Kept(directory)


def _make(engine: Engine, recipe: Recipe, kept: pathlib.Path) -> None:
    say(f"making {recipe.title} (about {recipe.seconds} s on two cores)")
    began = time.monotonic()
    directory = kept.with_name(f"making-{secrets.token_hex(4)}")
    project = deployment.create(engine, directory / "project")
    try:
        recipe.configure(project)
        project.up()
        manifest = recipe.generate(project)
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
