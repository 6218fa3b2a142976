# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A running Synapse on the loopback interface, and the few requests of a client that warm its caches."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Homeserver", "jemalloc"]

# The first start makes the database's schema.
_START_SECONDS = 90


def jemalloc() -> dict[str, str]:
    """The environment that preloads jemalloc as the official image does; none where it is not installed."""
    for library in sorted(pathlib.Path("/usr/lib").glob("**/libjemalloc.so.2")):
        return {"LD_PRELOAD": str(library)}
    return {}


def _text(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())


class Homeserver:
    """One Synapse process, its number, and where its metrics are."""

    def __init__(self, process: subprocess.Popen[bytes], ports: Mapping[str, int]) -> None:
        self._process = process
        self._url = f"http://127.0.0.1:{ports['http']}"
        self.pid = process.pid
        self.metrics_url = f"http://127.0.0.1:{ports['metrics']}/_synapse/metrics"

    @classmethod
    @contextlib.contextmanager
    def start(
        cls, configs: list[pathlib.Path], *, ports: Mapping[str, int], environment: Mapping[str, str], log: pathlib.Path
    ) -> Iterator[Homeserver]:
        """Start on these configuration files, wait until it is healthy, and stop at the end.

        :param ports: of its listeners on the loopback interface, by their type: http, metrics.
        :param environment: the variables of the container; nothing else of this process's reaches it.
        :param log: receives the server's output.
        """
        given = [part for config in configs for part in ("--config-path", str(config))]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "synapse.app.homeserver", *given],
                cwd=log.parent,
                env={"PATH": os.environ["PATH"], **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            server = cls(process, ports)
            server._wait(log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _wait(self, log: pathlib.Path) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError):
                if _text(f"{self._url}/health") == "OK":
                    return
            time.sleep(0.2)
        raise AssertionError(f"Synapse did not start: {log.read_text(encoding='utf-8')[-8000:]}")

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> dict[str, Any]:
        """One request of the client-server API; an answer that is an error fails with its text."""
        request = urllib.request.Request(self._url + path, method=method)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        if body is not None:
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def register(self, name: str, *, shared_secret: str) -> dict[str, Any]:
        """A new user, by the registration shared secret: {"user_id", "access_token", ...}."""
        nonce = self.call("GET", "/_synapse/admin/v1/register")["nonce"]
        password = "not-a-secret"
        message = "\0".join([nonce, name, password, "notadmin"]).encode()
        mac = hmac.new(shared_secret.encode(), message, hashlib.sha1).hexdigest()
        body = {"nonce": nonce, "username": name, "password": password, "admin": False, "mac": mac}
        return self.call("POST", "/_synapse/admin/v1/register", body)

    def converse(self, *, shared_secret: str) -> None:
        """Two users meet in a room, write and read: what touches the caches of an everyday server."""
        alice = self.register("alice", shared_secret=shared_secret)
        bob = self.register("bob", shared_secret=shared_secret)
        client = "/_matrix/client/v3"
        quote = urllib.parse.quote
        made = self.call("POST", f"{client}/createRoom", {"preset": "public_chat"}, token=alice["access_token"])
        room = f"{client}/rooms/{quote(made['room_id'])}"
        self.call("POST", f"{room}/join", {}, token=bob["access_token"])
        for number in range(3):
            event = self.call(
                "PUT",
                f"{room}/send/m.room.message/{number}",
                {"msgtype": "m.text", "body": f"message {number}"},
                token=alice["access_token"],
            )
        self.call("POST", f"{room}/receipt/m.read/{quote(event['event_id'])}", {}, token=bob["access_token"])
        for user in (alice, bob):
            token = user["access_token"]
            self.call("PUT", f"{room}/typing/{quote(user['user_id'])}", {"typing": True, "timeout": 1000}, token=token)
            self.call("POST", f"{client}/keys/query", {"device_keys": {alice["user_id"]: []}}, token=token)
            self.call("GET", f"{client}/pushrules/", token=token)
            self.call("GET", f"{client}/profile/{quote(alice['user_id'])}", token=token)
            self.call("GET", f"{room}/members", token=token)
            self.call("GET", f"{room}/messages?dir=b", token=token)
            self.call("GET", f"{client}/sync", token=token)

    def _metrics(self) -> str:
        # Where a cache is made while they are listed, as after a start, Synapse answers 500.
        for _again in range(3):
            with contextlib.suppress(urllib.error.HTTPError):
                return _text(self.metrics_url)
            time.sleep(0.5)
        return _text(self.metrics_url)

    def cache_sizes(self) -> dict[str, int]:
        """The maximum size of each cache that is in use, by the server's own metrics."""
        families = text_string_to_metric_families(self._metrics())
        return {
            sample.labels["name"]: int(sample.value)
            for family in families
            for sample in family.samples
            if sample.name == "synapse_util_caches_cache_max_size"
        }
