# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client of the admin API against a server on the loopback interface that answers what a real one seldom does."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._admin_api import (
    ADMIN_ARGUMENTS,
    Access,
    AdminApi,
    AdminProblem,
    access_from,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_url import NotRunning

TOKEN = "syt_throw_away_9f3c"
Answer = tuple[int, Any]


class Fake(http.server.ThreadingHTTPServer):
    """Gives the answers in turn, and the last one for ever; keeps what it was asked."""

    answers: list[Answer]

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers = [(200, {})]
        self.asked: list[tuple[str, str, str]] = []
        self.tokens: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Fake

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.server.asked.append((self.command, self.path, self.rfile.read(length).decode()))
        self.server.tokens.append(self.headers.get("Authorization"))
        answers = self.server.answers
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server names them

    def log_message(self, *_arguments: object) -> None:
        pass


def serve(port: int = 0) -> Fake:
    fake = Fake(port)
    threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return fake


@pytest.fixture
def server() -> Iterator[Fake]:
    fake = serve()
    yield fake
    fake.shutdown()
    fake.server_close()


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def client(url: str, time: Time | None = None, **access: Any) -> AdminApi:
    time = time or Time()
    return AdminApi(Access(url, TOKEN, **access), sleep=time.sleep, clock=time.clock)


def refused(api: AdminApi) -> AdminProblem:
    with pytest.raises(AdminProblem) as raised:
        api.get("v1", "rooms")
    text = str(raised.value)
    assert TOKEN not in text + repr(raised.value) + repr(raised.value.__cause__) and "\n" not in text
    return raised.value


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_segments_and_queries_are_quoted_and_the_token_is_a_header(server: Fake) -> None:
    api = client(server.url)
    api.get("v1", "rooms", "!a/b?c:d", limit=5, public_rooms=True, search_term=None, status=["a", "b c"])
    api.delete("v2", "rooms", "!x:y", body={"purge": True})
    assert server.asked == [
        ("GET", "/_synapse/admin/v1/rooms/%21a%2Fb%3Fc%3Ad?limit=5&public_rooms=true&status=a&status=b+c", ""),
        ("DELETE", "/_synapse/admin/v2/rooms/%21x%3Ay", '{"purge": true}'),
    ]
    assert server.tokens == [f"Bearer {TOKEN}"] * 2
    assert TOKEN not in repr(Access(server.url, TOKEN)) + repr(api.__dict__)


def test_a_limited_rate_is_waited_for_as_long_as_it_says(server: Fake) -> None:
    time = Time()
    server.answers = [
        (429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2500}),
        (429, b"slow down"),
        (200, {"a": 1}),
    ]
    # Nothing was done, so what changes something is sent again, too.
    assert client(server.url, time).delete("v2", "rooms", "!x:y", body={}) == {"a": 1}
    assert time.slept == [2.5, 1.0]


def test_a_limit_beyond_patience_is_an_error(server: Fake) -> None:
    time = Time()
    server.answers = [(429, {"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 90_000})]
    problem = refused(client(server.url, time))
    assert problem.status == 429 and "override_ratelimit" in str(problem) and time.slept == []


def test_a_server_that_starts_is_asked_again(server: Fake) -> None:
    time = Time()
    server.answers = [(502, b"<html>bad gateway</html>"), (503, b""), (504, b""), (200, {"rooms": []})]
    assert client(server.url, time).get("v1", "rooms") == {"rooms": []}
    assert time.slept == [0.25, 0.5, 1.0]


def test_patience_ends(server: Fake) -> None:
    time = Time()
    server.answers = [(503, b"")]
    problem = refused(client(server.url, time, patience=20))
    assert problem.status == 503 and "start it" in str(problem) and 15 < time.now <= 20


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_changes_something_is_never_sent_twice(server: Fake, status: int) -> None:
    server.answers = [(status, {}), (200, {})]
    with pytest.raises(AdminProblem):
        client(server.url).post("v1", "purge_history", "!x:y", body={})
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Invalid access token passed."}, "wrong or has expired"),
        (401, {"errcode": "M_MISSING_TOKEN", "error": "Missing access token"}, "give the token"),
        (403, {"errcode": "M_FORBIDDEN", "error": "You are not a server admin"}, "urn:synapse:admin:*"),
        (403, {"errcode": "M_FORBIDDEN", "error": "Shutdown of this room is forbidden"}, "Shutdown of this room"),
        (404, {"errcode": "M_UNRECOGNIZED", "error": "Unrecognized request"}, "update Synapse"),
        (404, {"errcode": "M_NOT_FOUND", "error": "Room not found"}, "Room not found"),
        (404, b"<html>nginx</html>", "is not Synapse's admin API"),
        (200, b"<html>hello</html>", "is not Synapse's admin API"),
        (200, b"[1]", "is not Synapse's admin API"),
        (302, b"", "leads on to http://127.0.0.1:9/elsewhere"),
        (500, {"errcode": "M_UNKNOWN", "error": "Internal server error"}, "see its log"),
        (400, {"errcode": "M_UNKNOWN", "error": "line\none"}, "line one"),
    ],
)
def test_every_refusal_says_what_to_do(server: Fake, status: int, answer: Any, says: str) -> None:
    server.answers = [(status, answer)]
    problem = refused(client(server.url))
    assert says in str(problem)
    assert problem.status == status and len(server.asked) == 1


def test_synapses_own_502_is_about_another_server(server: Fake) -> None:
    server.answers = [(502, {"errcode": "M_UNKNOWN", "error": "Failed to fetch alias"})]
    assert client(server.url).room_of("#a:b") is None
    assert server.asked == [("GET", "/_matrix/client/v3/directory/room/%23a%3Ab", "")]


def test_a_refused_connection_and_then_an_answer() -> None:
    port = closed_port()
    fakes: list[Fake] = []

    class Starting(Time):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 2:
                fakes.append(serve(port))

    time = Starting()
    try:
        assert client(f"http://127.0.0.1:{port}", time).get("v1", "rooms") == {}
        assert len(time.slept) == 2
    finally:
        for fake in fakes:
            fake.shutdown()
            fake.server_close()


def test_nobody_is_there() -> None:
    url = f"http://127.0.0.1:{closed_port()}"
    problem = refused(client(url, patience=1))
    assert problem.status == 0 and f"does not answer at {url}: Connection refused; start it" in str(problem)
    with pytest.raises(AdminProblem):
        client(url, time := Time()).delete("v2", "rooms", "!x:y", body={})
    assert time.slept == []


def test_a_name_that_nobody_has_is_not_waited_for() -> None:
    time = Time()
    assert "correct url" in str(refused(client("http://synapse.invalid:8008", time)))
    assert time.slept == []


def test_an_answer_that_is_no_http(server: Fake) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        connection, _peer = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

    thread = threading.Thread(target=speak)
    thread.start()
    problem = refused(client(f"http://127.0.0.1:{listener.getsockname()[1]}", patience=0))
    thread.join()
    listener.close()
    assert "does not answer" in str(problem)


def test_a_proxy_of_the_environment_is_not_for_this_host(server: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert client(server.url).get("v1", "rooms") == {}


def test_a_login_of_netrc_does_not_take_the_tokens_place(
    server: Fake, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n", encoding="ascii")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    client(server.url).get("v1", "rooms")
    assert server.tokens == [f"Bearer {TOKEN}"]


def test_a_container_that_came_back_elsewhere(server: Fake) -> None:
    places = [NotRunning("the container x does not run; start it"), f"http://127.0.0.1:{closed_port()}", server.url]

    def find() -> str:
        place = places.pop(0)
        if isinstance(place, Exception):
            raise place
        return place

    assert client("", find=find).get("v1", "rooms") == {}
    assert places == []


def test_an_address_is_given_up_with_patience(server: Fake) -> None:
    """The next call of a module is told where Synapse was."""
    api = client(f"http://127.0.0.1:{closed_port()}", patience=0, find=lambda: server.url)
    refused(api)
    assert api.url == "" and api.get("v1", "rooms") == {} and api.url == server.url


def test_a_container_that_is_not_there_is_not_waited_for() -> None:
    def find() -> str:
        raise SourceError("there is no container 'x'; correct its name")

    time = Time()
    assert "there is no container" in str(refused(client("", time, find=find)))
    assert time.slept == []


# -- options ------------------------------------------------------------------------------------


def options(**given: Any) -> dict[str, Any]:
    return {**{name: spec.get("default") for name, spec in ADMIN_ARGUMENTS.items()}, **given}


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (None, "http://127.0.0.1:8008"),
        ("https://matrix.example.org/", "https://matrix.example.org"),
        ("http://[::1]:8008/_synapse/admin/", "http://[::1]:8008"),
        ("https://example.org/matrix", "https://example.org/matrix"),
    ],
)
def test_the_url(url: str | None, base: str) -> None:
    assert access_from(options(url=url, access_token=TOKEN)).url == base


@pytest.mark.parametrize(
    "url",
    ["ftp://x", "matrix.example.org", "http://u:secret@x", "http://x?a=b", "http://", "http://x:port", "file:///etc"],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(SourceError, match="base URL") as raised:
        access_from(options(url=url, access_token=TOKEN))
    assert "secret" not in str(raised.value)


def test_where_the_token_comes_from(tmp_path: Any) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    path.chmod(0o600)
    assert access_from(options(access_token="other", access_token_file=str(path))).token == TOKEN
    path.chmod(0o640)
    with pytest.raises(SourceError, match="chmod 0600"):
        access_from(options(access_token_file=str(path)))
    with pytest.raises(SourceError, match="cannot be read"):
        access_from(options(access_token_file=str(tmp_path / "none")))
    with pytest.raises(SourceError, match="SYNAPSE_TUNING_ACCESS_TOKEN"):
        access_from(options())
    with pytest.raises(SourceError, match="no access token") as raised:
        access_from(options(access_token=f"{TOKEN}\r\nX-More: header"))
    assert TOKEN not in str(raised.value)
