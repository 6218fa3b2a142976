# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Matrix client and a reader of metrics for tests, on the standard library."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Client", "MatrixError", "metrics", "register", "wait_until"]

_CLIENT = "/_matrix/client/v3"
_ADMIN = "/_synapse/admin"


class MatrixError(Exception):
    """What a server answered that is no success.

    Attributes:
        status: The HTTP status.
        body: The answer: errcode and error, where it was Matrix's.
    """

    def __init__(self, method: str, url: str, status: int, body: Any) -> None:
        super().__init__(f"{method} {url}: {status} {body}")
        self.status = status
        self.body = body


# Straight to the server, whatever proxies the environment names.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _call(method: str, url: str, body: Any = None, *, token: str | None = None, timeout: float = 60) -> Any:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with _opener.open(request, timeout=timeout) as response:
            answer = response.read()
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            raise MatrixError(method, url, error.code, json.loads(text)) from None
        except ValueError:
            raise MatrixError(method, url, error.code, text) from None
    return json.loads(answer)


class Client:
    """One user of one server; every call raises MatrixError for an error and OSError where nobody answers."""

    def __init__(self, base_url: str, token: str | None = None, user_id: str = "") -> None:
        self.base_url = base_url.rstrip("/")
        self.token = token
        self.user_id = user_id
        self._transactions = 0

    @classmethod
    def login(cls, base_url: str, user: str, password: str) -> Client:
        """Log in with a password."""
        answer = _call(
            "POST",
            f"{base_url.rstrip('/')}{_CLIENT}/login",
            {"type": "m.login.password", "identifier": {"type": "m.id.user", "user": user}, "password": password},
        )
        return cls(base_url, answer["access_token"], answer["user_id"])

    def call(self, method: str, path: str, body: Any = None, *, within: float = 60, **query: Any) -> Any:
        """Call any endpoint as this user, such as ``call("GET", "/_synapse/admin/v1/rooms", limit=5)``.

        The answer must come `within` that many seconds.
        """
        suffix = f"?{urllib.parse.urlencode(query)}" if query else ""
        return _call(method, f"{self.base_url}{path}{suffix}", body, token=self.token, timeout=within)

    def create_room(self, **options: Any) -> str:
        """Make a room, a public one unless the options say otherwise; return its id."""
        return str(self.call("POST", f"{_CLIENT}/createRoom", {"preset": "public_chat", **options})["room_id"])

    def join(self, room: str) -> None:
        """Join a room by its id."""
        self.call("POST", f"{_CLIENT}/join/{urllib.parse.quote(room)}", {})

    def send(self, room: str, text: str) -> str:
        """Send a text; return the event's id."""
        self._transactions += 1
        transaction = f"{time.time_ns()}.{self._transactions}"
        path = f"{_CLIENT}/rooms/{urllib.parse.quote(room)}/send/m.room.message/{transaction}"
        return str(self.call("PUT", path, {"msgtype": "m.text", "body": text})["event_id"])

    def set_state(self, room: str, event_type: str, content: Mapping[str, Any], state_key: str = "") -> str:
        """Set a piece of a room's state; return the event's id."""
        key = urllib.parse.quote(state_key, safe="")
        path = f"{_CLIENT}/rooms/{urllib.parse.quote(room)}/state/{event_type}/{key}"
        return str(self.call("PUT", path, content)["event_id"])

    def state(self, room: str) -> dict[tuple[str, str], str]:
        """Return a room's current state: type and state key to the id of the event that set it."""
        events = self.call("GET", f"{_CLIENT}/rooms/{urllib.parse.quote(room)}/state")
        return {(event["type"], event["state_key"]): event["event_id"] for event in events}

    def sync(self, since: str | None = None, *, wait: float = 0) -> Any:
        """Return what is new since that token of an earlier sync, waiting for it as many seconds."""
        query = {"timeout": int(wait * 1000), **({"since": since} if since else {})}
        return self.call("GET", f"{_CLIENT}/sync", within=60 + wait, **query)

    def texts(self, room: str, limit: int = 100) -> list[str]:
        """Return the newest texts of a room, the oldest of them first."""
        path = f"{_CLIENT}/rooms/{urllib.parse.quote(room)}/messages"
        chunk = self.call("GET", path, dir="b", limit=limit)["chunk"]
        return [str(event["content"]["body"]) for event in reversed(chunk) if event["type"] == "m.room.message"]

    def server_version(self) -> str:
        """Return Synapse's version."""
        return str(self.call("GET", f"{_ADMIN}/v1/server_version")["server_version"])


def register(base_url: str, shared_secret: str, user: str, password: str, *, admin: bool = False) -> Client:
    """Make a user by the registration_shared_secret, and be it."""
    url = f"{base_url.rstrip('/')}{_ADMIN}/v1/register"
    nonce = _call("GET", url)["nonce"]
    proven = "\0".join([nonce, user, password, "admin" if admin else "notadmin"])
    answer = _call(
        "POST",
        url,
        {
            "nonce": nonce,
            "username": user,
            "password": password,
            "admin": admin,
            "mac": hmac.new(shared_secret.encode(), proven.encode(), hashlib.sha1).hexdigest(),
        },
    )
    return Client(base_url, answer["access_token"], answer["user_id"])


def metrics(base_url: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return Synapse's metrics: name of the sample to its values, each with its labels."""
    from prometheus_client.parser import text_string_to_metric_families

    with _opener.open(f"{base_url.rstrip('/')}/_synapse/metrics", timeout=30) as response:
        text = response.read().decode()
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def wait_until(check: Callable[[], Any], *, seconds: float, what: str, every: float = 0.5) -> Any:
    """Return what `check` returns once that is true; OSError and MatrixError of it count as false.

    Raises TimeoutError with `what` and the last error.
    """
    deadline = time.monotonic() + seconds
    last: object = None
    while True:
        try:
            if result := check():
                return result
            last = None
        except (OSError, MatrixError) as error:
            last = error
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s{f' ({last})' if last else ''}")
        time.sleep(every)
