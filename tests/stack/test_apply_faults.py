# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a plan is applied: nothing is lost, the old state runs again, and the error says why."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pathlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import deployment
import play
import pytest
from client import Client, wait_until
from deployment import Deployment
from engine import Engine

pytestmark = pytest.mark.slow


OPTIONS = "SELECT reloptions FROM pg_class WHERE relname = 'state_groups_state'"
# So large that the plan has settings for a table, too: those are in no file.
LARGE = 4 * 1024**3


class Served:
    """A stock deployment with a message in a room, which must be there and answered for after every fault."""

    def __init__(self, project: Deployment) -> None:
        self.project = project
        self.user: Client = project.register("ada")
        self.room = self.user.create_room()
        self.user.send(self.room, "kept")
        self.files = play.files(project)

    def as_before(self) -> None:
        """Files byte for byte, and both servers running with what they say."""
        assert play.files(self.project) == self.files
        assert wait_until(lambda: self.user.texts(self.room), seconds=30, what="Synapse answers") == ["kept"]
        limits = {service: self.project.inspect(service)["HostConfig"]["Memory"] for service in ("db", "synapse")}
        assert limits == {"db": 0, "synapse": 0}
        assert self.project.sql("SHOW shared_buffers") == [["128MB"]]
        assert self.project.sql(OPTIONS) == [[""]]


@pytest.fixture(scope="module")
def served(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    project = deployment.create(engine, tmp_path_factory.mktemp("faults") / "faults")
    try:
        project.up()
        yield Served(project)
    finally:
        project.remove()


def planned_with(section: str, name: str, value: Any) -> dict[str, Any]:
    """A plan that was edited by hand."""
    planned: dict[str, Any] = copy.deepcopy(play.make_plan())
    planned[section].setdefault(name, {"unit": "", "why": "by hand", "source": "by hand"})["value"] = value
    return planned


# --- PostgreSQL ----------------------------------------------------------------------------------


def test_postgresql_refuses_a_value(served: Served) -> None:
    run = play.tune(served.project, planned_with("postgresql", "shared_buffers", "900GB"), wait_timeout=60)
    assert run.returncode != 0
    assert "db-1" in run.message and "Everything is as it was" in run.message, run.message
    assert "could not map anonymous shared memory" in run.message
    served.as_before()


def test_postgresql_dies_during_apply(served: Served) -> None:
    """Killed as soon as it runs with the plan; a container that was killed by hand is not restarted by the engine."""
    before = served.project.container("db")
    done = threading.Event()

    def kill_once() -> None:
        while not done.is_set():
            found = served.project.compose("ps", "--quiet", "db", check=False).stdout.split()
            if found and found[0] != before:
                served.project.engine.docker("kill", found[0])
                return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_once)
    killer.start()
    try:
        run = play.tune(served.project, play.make_plan(), wait_timeout=60)
    finally:
        done.set()
        killer.join()
    assert run.returncode != 0
    assert "Everything is as it was" in run.message, run.message
    served.as_before()


def test_postgresql_refuses_the_password(served: Served) -> None:
    """What a large database gets takes a login, which is tried before anything is written."""
    running = play.started(served.project)
    run = play.tune(
        served.project,
        play.make_plan(database_size=LARGE),
        "-vvv",
        login_password="wrong-and-secret",
    )
    assert run.returncode != 0
    assert "password authentication failed" in run.message, run.message
    assert play.started(served.project) == running
    assert "wrong-and-secret" not in run.output
    served.as_before()


# --- Synapse -------------------------------------------------------------------------------------


def test_synapse_is_never_healthy_with_the_change(served: Served) -> None:
    run = play.tune(served.project, planned_with("homeserver", "caches.global_factor", "lots"), wait_timeout=60)
    assert run.returncode != 0
    assert "synapse" in run.message and "Everything is as it was" in run.message, run.message
    # Synapse's own words.
    assert "global_factor" in run.message
    served.as_before()


def test_a_lever_that_is_not_in_effect_fails_and_is_put_back(served: Served) -> None:
    """Somebody's ALTER ROLE wins over the server's command line."""
    served.project.sql("ALTER ROLE synapse SET work_mem = '32MB'")
    try:
        run = play.tune(served.project, play.make_plan(database_size=LARGE))
        assert run.returncode != 0
        assert "Put PostgreSQL's settings back" in run.stdout
        assert "1 lever of the plan is not in effect: postgresql.work_mem (32MB, planned 4MB) overridden" in run.message
        assert "by ALTER ROLE synapse SET work_mem" in run.message
        served.as_before()
    finally:
        served.project.sql("ALTER ROLE synapse RESET work_mem")


def test_a_failure_in_override_mode(served: Served) -> None:
    """The files that the run made are gone then, also from what Compose is told to read."""
    broken = planned_with("homeserver", "caches.global_factor", "lots")
    run = play.tune(served.project, broken, mode="override", wait_timeout=60)
    assert run.returncode != 0
    assert "Everything is as it was" in run.message, run.message
    served.as_before()


# --- the host ------------------------------------------------------------------------------------


def test_no_docker_socket(served: Served, tmp_path: pathlib.Path) -> None:
    run = play.tune(served.project, play.make_plan(), docker_host=f"unix://{tmp_path}/none.sock")
    assert run.returncode != 0
    assert "the Docker Engine does not answer" in run.message and "nothing was written" in run.message
    assert "synapse_tuning_apply=false" in run.message
    served.as_before()


def test_a_forbidden_docker_socket(served: Served, tmp_path: pathlib.Path) -> None:
    """Root is forbidden nothing, so it is run without that privilege, and the socket is another user's."""
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chown(path, 65534, 65534)
        path.chmod(0o600)
        run = play.tune(
            served.project,
            play.make_plan(),
            under=("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"),
            docker_host=f"unix://{path}",
        )
    assert run.returncode != 0
    assert "Permission denied" in run.message and "run with become" in run.message, run.message
    assert "nothing was written" in run.message
    served.as_before()


@contextlib.contextmanager
def full_disk(folder: pathlib.Path) -> Iterator[None]:
    """The folder on a file system of its own that has no room left."""
    held = {path.name: path for path in folder.iterdir() if path.is_file()}
    copies = {name: (path.read_bytes(), path.stat()) for name, path in held.items()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k,mode=755", "tmpfs", str(folder)], check=True)
    try:
        for name, (content, status) in copies.items():
            (folder / name).write_bytes(content)
            os.chown(folder / name, status.st_uid, status.st_gid)
            (folder / name).chmod(status.st_mode & 0o7777)
            os.utime(folder / name, ns=(status.st_atime_ns, status.st_mtime_ns))
        with contextlib.suppress(OSError), (folder / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk(served: Served) -> None:
    """It is noticed after the compose file was written: that one is put back, and no container is touched."""
    running = play.started(served.project)
    with full_disk(served.project.directory / "data"):
        run = play.tune(served.project, play.make_plan())
    assert run.returncode != 0
    assert "the disk is full; free some space and run again" in run.message
    assert "no container was touched" in run.message
    assert play.started(served.project) == running
    served.as_before()


# --- runs ----------------------------------------------------------------------------------------


def test_two_runs_at_once(served: Served, tmp_path: pathlib.Path) -> None:
    """The second is refused, or waits if it is told to; the first one goes through."""
    lock = served.project.directory / ".synapse-tuning.lock"
    planned = play.make_plan(database_size=LARGE)
    first = play.start(served.project, planned, tmp_path / "first.log")
    try:
        wait_until(lock.exists, seconds=60, what="the first run has the lock", every=0.05)
        refused = play.tune(served.project, planned)
        assert refused.returncode != 0
        assert f"{first.pid}" in refused.message, refused.message
        waiting = play.tune(served.project, planned, lock_timeout=300).must_succeed()
        assert waiting.changed == 0
    finally:
        assert first.wait(300) == 0, (tmp_path / "first.log").read_text()
    assert not lock.exists()
    assert "autovacuum_vacuum_scale_factor" in served.project.sql(OPTIONS)[0][0]
    undone = play.tune(served.project, None, playbook=play.PLAYBOOK.with_name("rollback.yml"), rollback_to="original")
    undone.must_succeed()


def tuned_files(served: Served) -> dict[str, tuple[int, bytes]]:
    """Without backups, and without the compressor's script, which is no part of it."""
    files = play.files(served.project)
    return {name: entry for name, entry in files.items() if "Z." not in name and name != "compress-state.sh"}


def test_going_back_leaves_what_was_there(served: Served) -> None:
    """The deployment of the test before: all files but the backups are the first ones, and run."""
    now = tuned_files(served)
    assert now == served.files
    assert served.project.sql("SHOW shared_buffers") == [["128MB"]]
    assert served.project.sql(OPTIONS) == [[""]]
    assert served.user.texts(served.room) == ["kept"]
    listed = play.tune(served.project, None, "--check", playbook=play.PLAYBOOK.with_name("rollback.yml")).must_succeed()
    points = json.loads(listed.stdout[listed.stdout.index('"msg": [') + 7 :].partition("]")[0] + "]")
    assert len(points) == 2 and "went back" in points[0], points
    assert tuned_files(served) == served.files
