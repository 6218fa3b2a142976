# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of the stock compose project in project/, each with its own secrets, ports and data."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Sequence
from typing import Any

import client
from engine import Engine, StackError

__all__ = ["Deployment", "create", "free_ports", "load"]

STOCK = pathlib.Path(__file__).with_name("project")
SYNAPSE_ID = 991
"""The user and the group that Synapse's image runs as."""

_START_SECONDS = 180
_PASSWORD = "correct horse battery staple"


class Deployment:
    """A compose project with the services synapse and db.

    Attributes:
        directory: Where compose.yml, .env and data/ are.
        settings: What .env says: ports, the database's password, the project's name.
    """

    def __init__(self, engine: Engine, directory: pathlib.Path, settings: dict[str, str], shared_secret: str) -> None:
        self.engine = engine
        self.directory = directory
        self.settings = settings
        self._shared_secret = shared_secret
        self.url = f"http://127.0.0.1:{settings['SYNAPSE_PORT']}"
        self.metrics_url = f"http://127.0.0.1:{settings['METRICS_PORT']}"

    # --- Compose --------------------------------------------------------------------------------

    def compose(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run `docker compose` in the project; raises StackError where it fails and `check` is true."""
        run = subprocess.run(
            ["docker", "compose", *arguments],
            cwd=self.directory,
            env=self.engine.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and run.returncode != 0:
            raise StackError(
                f"docker compose {' '.join(arguments)}: exit status {run.returncode}: {run.stderr.strip()}"
            )
        return run

    def up(self, *, wait: bool = True) -> None:
        """Start what is not up as the files say; by default wait until Synapse answers."""
        # Never from a registry: what is not here was not made.
        self.compose("up", "--detach", "--pull", "never", "--quiet-pull")
        if wait:
            self.wait()

    def wait(self, seconds: float = _START_SECONDS) -> None:
        """Wait until Synapse answers; raises StackError with its last lines where it does not."""
        probe = client.Client(self.url)
        try:
            client.wait_until(probe.server_version, seconds=seconds, what="Synapse answers")
        except TimeoutError as error:
            raise StackError(f"{error}; its last lines:\n{self.logs('synapse', 30)}") from None

    def settle(self, seconds: float = 180) -> None:
        """Wait until Synapse has made its indexes, and what it counts by and by (statistics, the directory) is up to date.

        Raises StackError where it does not in time.
        """
        settled = (
            "SELECT NOT EXISTS (SELECT FROM background_updates) AND (SELECT max(stream_id) FROM current_state_delta_stream)"
            " <= least((SELECT stream_id FROM stats_incremental_position), (SELECT stream_id FROM user_directory_stream_pos))"
        )
        try:
            client.wait_until(lambda: self.sql(settled) == [["t"]], seconds=seconds, what="Synapse's own work is done")
        except TimeoutError as error:
            raise StackError(str(error)) from None

    def down(self) -> None:
        """Remove the containers and the network; the files and the data stay."""
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "10")

    def remove(self) -> None:
        """Remove everything: containers, network, files and data."""
        self.down()
        shutil.rmtree(self.directory)

    def container(self, service: str) -> str:
        """Return the id of a service's container; raises StackError where there is none."""
        found = self.compose("ps", "--all", "--quiet", service).stdout.split()
        if not found:
            raise StackError(f"the service {service} has no container")
        return found[0]

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what `docker inspect` says of a service's container."""
        return dict(json.loads(self.engine.docker("inspect", self.container(service)).stdout)[0])

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a service's container and return what it printed."""
        return self.engine.docker("exec", self.container(service), *command).stdout

    def logs(self, service: str, lines: int = 100) -> str:
        """Return the last lines of a service's log."""
        run = self.compose("logs", "--no-color", "--no-log-prefix", f"--tail={lines}", service, check=False)
        return run.stdout + run.stderr

    # --- what is in it --------------------------------------------------------------------------

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement in Synapse's database; return its rows as texts."""
        command = ("psql", "-XAt", "-F", "\x1f", "-v", "ON_ERROR_STOP=1", "-U", "synapse", "-d", "synapse", "-c")
        return [line.split("\x1f") for line in self.execute("db", *command, statement).splitlines()]

    def anonymous(self) -> client.Client:
        """Return a client that is not logged in."""
        return client.Client(self.url)

    def register(self, user: str, *, admin: bool = False) -> client.Client:
        """Make a user and return it."""
        return client.register(self.url, self._shared_secret, user, _PASSWORD, admin=admin)

    def login(self, user: str) -> client.Client:
        """Log in as a user that `register` made."""
        return client.Client.login(self.url, user, _PASSWORD)

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return Synapse's metrics, as client.metrics says."""
        return client.metrics(self.metrics_url)


def free_ports(count: int) -> Sequence[int]:
    """Return ports of 127.0.0.1 that nobody listens on."""
    sockets = [socket.socket() for _each in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def create(
    engine: Engine,
    directory: pathlib.Path,
    *,
    ports: Sequence[int] | None = None,
    password: str | None = None,
    signing_key: str | None = None,
) -> Deployment:
    """Copy the stock project to a directory that does not exist yet, and start nothing.

    Without `ports` (Synapse's, the metrics') it gets free ones, so that several may run at once. `password` is the
    database's and `signing_key` Synapse's where there are any already.
    """
    synapse_port, metrics_port = ports or free_ports(2)
    settings = {
        # Directories of two tests may have the same name.
        "COMPOSE_PROJECT_NAME": f"{re.sub('[^a-z0-9]+', '-', directory.name.lower()).strip('-')}-{secrets.token_hex(4)}",
        "SYNAPSE_PORT": str(synapse_port),
        "METRICS_PORT": str(metrics_port),
        "POSTGRES_PASSWORD": password or secrets.token_urlsafe(24),
    }
    shared_secret = secrets.token_urlsafe(24)
    data = directory / "data"
    data.mkdir(parents=True)
    shutil.copyfile(STOCK / "compose.yml", directory / "compose.yml")
    (directory / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), encoding="utf-8")
    (directory / ".env").chmod(0o600)
    homeserver = (STOCK / "homeserver.yaml").read_text(encoding="utf-8")
    for name, value in {
        "POSTGRES_PASSWORD": settings["POSTGRES_PASSWORD"],
        "REGISTRATION_SHARED_SECRET": shared_secret,
        "MACAROON_SECRET_KEY": secrets.token_urlsafe(24),
        "FORM_SECRET": secrets.token_urlsafe(24),
    }.items():
        homeserver = homeserver.replace(f"<{name}>", value)
    (data / "homeserver.yaml").write_text(homeserver, encoding="utf-8")
    key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    signing_key = signing_key or f"ed25519 a_{secrets.token_hex(2)} {key}\n"
    (data / "localhost.signing.key").write_text(signing_key, encoding="ascii")
    for each in (data, *data.iterdir()):
        os.chown(each, SYNAPSE_ID, SYNAPSE_ID)
        each.chmod(0o700 if each.is_dir() else 0o600)
    return Deployment(engine, directory, settings, shared_secret)


def load(engine: Engine, directory: pathlib.Path) -> Deployment:
    """Return what `create` made there, in another process."""
    lines = (directory / ".env").read_text(encoding="utf-8").splitlines()
    homeserver = (directory / "data" / "homeserver.yaml").read_text(encoding="utf-8")
    found = re.search(r'^registration_shared_secret: "(.*)"$', homeserver, re.MULTILINE)
    if found is None:
        raise StackError(f"there is no registration_shared_secret in {directory / 'data' / 'homeserver.yaml'}")
    return Deployment(engine, directory, dict(line.split("=", 1) for line in lines), found.group(1))
