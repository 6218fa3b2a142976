# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse's admin API over HTTP. The access token is in a header only: in no URL, message or representation."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import time
import urllib.error
import urllib.parse
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, Mapping, Optional

from ansible.module_utils.common.parameters import env_fallback
from ansible.module_utils.urls import ConnectionError as UrlsError
from ansible.module_utils.urls import open_url

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    AdminProblem,
    SourceError,
    TuningError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_url import NotRunning, SynapsePlace, url_inside

__all__ = ["ADMIN_ARGUMENTS", "Access", "AdminApi", "AdminProblem", "access_from"]

ADMIN_ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "url": {"type": "str"},
    "access_token": {
        "type": "str",
        "no_log": True,
        "fallback": (env_fallback, ["SYNAPSE_TUNING_ACCESS_TOKEN"]),
    },
    "access_token_file": {"type": "path", "no_log": False},
    "project_dir": {"type": "path"},
    "synapse_service": {"type": "str"},
    "synapse_container": {"type": "str"},
    "docker_host": {"type": "str"},
    "timeout": {"type": "int", "default": 30},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path"},
}
"""The part of a module's argument_spec; its documentation is the fragment C(synapse.tuning.admin_api)."""

_ADMIN = "/_synapse/admin"
_DEFAULT_URL = "http://127.0.0.1:8008"
_FIRST_PAUSE = 0.25
_LONGEST_PAUSE = 5.0
_TOKEN = re.compile(r"[\x21-\x7e]+")
_STARTING = (502, 503, 504)
# In place of Matrix's errcode, where nothing was answered and waiting helps nothing.
_FINAL = "UNREACHABLE"
_MAS_SCOPE = "urn:synapse:admin:*"


@dataclass(frozen=True)
class Access:
    """How to reach the admin API.

    url: without C(/_synapse/admin); empty to have it found.
    find: finds the URL, again where nobody answers there any more; None where it is fixed.
    timeout: seconds for an answer. patience: seconds to go on asking a server that is not there, or to wait
    where it limits the rate.
    """

    url: str
    token: str = field(repr=False)
    timeout: float = 30
    patience: float = 60
    validate_certs: bool = True
    ca_path: Optional[str] = None
    find: Optional[Callable[[], str]] = field(default=None, repr=False, compare=False)


def access_from(params: Mapping[str, Any]) -> Access:
    """The options of ADMIN_ARGUMENTS as an Access. Nothing is asked yet but the file of the token.

    Raises SourceError: no token, a file that others can read or that is not there, a URL that is none.
    """
    place = SynapsePlace(
        container=params["synapse_container"],
        project_dir=params["project_dir"],
        service=params["synapse_service"],
        docker_host=params["docker_host"],
        timeout=params["timeout"],
    )
    url = _checked_url(params["url"]) if params["url"] else ""
    inside = bool(place.container or place.project_dir)
    return Access(
        url=url or ("" if inside else _DEFAULT_URL),
        token=_token(params["access_token"], params["access_token_file"]),
        timeout=params["timeout"],
        validate_certs=params["validate_certs"],
        ca_path=params["ca_path"],
        find=(lambda: url_inside(place)) if inside and not url else None,
    )


class AdminApi:
    """The admin API, as the owner of the token. Every method raises AdminProblem; see that for its attributes.

    A server that does not answer, or answers 502 to 504, is asked again for as long as the access has patience, but
    only to read: what changes something may have been done all the same. A limited rate (429) is waited for.
    """

    def __init__(
        self,
        access: Access,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access = access
        self._url = access.url
        self._sleep = sleep
        self._clock = clock

    def with_patience(self, seconds: float, *, timeout: float) -> AdminApi:
        """The same with less patience, for who goes on asking himself. timeout: the longest to wait for an answer."""
        access = replace(self._access, patience=seconds, timeout=min(timeout, self._access.timeout))
        other = AdminApi(access, sleep=self._sleep, clock=self._clock)
        other._url = self._url
        return other

    @property
    def url(self) -> str:
        """Where Synapse is; empty until it was found."""
        return self._url

    def get(self, *path: str, **query: Any) -> Dict[str, Any]:
        """Read, such as C(get("v1", "rooms", room_id)): the segments below C(/_synapse/admin) are quoted here.

        query: None leaves one out; a list is given several times.
        """
        return self._call("GET", _path(_ADMIN, path), query=query)

    def post(self, *path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Have something done, by a path as in C(get)."""
        return self._call("POST", _path(_ADMIN, path), body=body)

    def put(self, *path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Set something, by a path as in C(get)."""
        return self._call("PUT", _path(_ADMIN, path), body=body)

    def delete(self, *path: str, body: Mapping[str, Any]) -> Dict[str, Any]:
        """Delete something, by a path as in C(get)."""
        return self._call("DELETE", _path(_ADMIN, path), body=body)

    def room_of(self, alias: str) -> Optional[str]:
        """The ID of the room that an alias stands for, by the directory that clients ask.

        None for an alias that its server does not know, or whose server does not answer.
        """
        try:
            answer = self._call("GET", _path("/_matrix/client/v3/directory/room", (alias,)))
        except AdminProblem as problem:
            if (problem.status, problem.errcode) in ((404, "M_NOT_FOUND"), (502, "M_UNKNOWN")):
                return None
            raise
        return str(answer["room_id"])

    def server_name(self) -> str:
        """The server's name, as it stands in the ID of the token's owner."""
        answer = self._call("GET", "/_matrix/client/v3/account/whoami")
        return str(answer["user_id"]).partition(":")[2]

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Optional[Mapping[str, Any]] = None,
    ) -> Dict[str, Any]:
        deadline = self._clock() + self._access.patience
        pause = _FIRST_PAUSE
        while True:
            try:
                self._find()
                return self._once(method, path, query=query or {}, body=body)
            except AdminProblem as problem:
                if problem.status == 0 and self._access.find:
                    self._url = ""  # a container may come back with another address
                wait = problem.retry_after
                if wait is None:
                    if method != "GET" or not _may_pass(problem):
                        raise
                    wait, pause = pause, min(pause * 2, _LONGEST_PAUSE)
                if self._clock() + wait > deadline:
                    raise
            self._sleep(wait)

    def _find(self) -> None:
        """The URL, where it is not known. A container that is being restarted counts as a server that is not there."""
        if self._url or not self._access.find:
            return
        try:
            self._url = self._access.find()
        except NotRunning as error:
            raise AdminProblem(str(error)) from None
        except TuningError as error:
            raise AdminProblem(str(error), errcode=_FINAL) from None

    def _once(
        self, method: str, path: str, *, query: Mapping[str, Any], body: Optional[Mapping[str, Any]]
    ) -> Dict[str, Any]:
        given = {name: value for name, value in query.items() if value is not None}
        words = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
        suffix = f"?{urllib.parse.urlencode(words, doseq=True)}" if words else ""
        access = self._access
        try:
            with open_url(
                f"{self._url}{path}{suffix}",
                method=method,
                data=None if body is None else json.dumps(body),
                headers={"Authorization": f"Bearer {access.token}", "Content-Type": "application/json"},
                timeout=access.timeout,
                use_proxy=not access.find and not _near(self._url),
                validate_certs=access.validate_certs,
                ca_path=access.ca_path,
                http_agent="synapse.tuning",
                # The token is for this server alone, and nothing else is to take its place.
                follow_redirects="no",
                use_netrc=False,
            ) as answer:
                status, text = int(answer.status), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(self._url, method, path, error.code, _read(error), error.headers) from None
        except (urllib.error.URLError, UrlsError, http.client.HTTPException, OSError, ValueError) as error:
            raise _no_answer(self._url, error, timeout=access.timeout) from None
        found = _json(text)
        if found is None:
            raise _no_synapse(self._url, status)
        return found


# -- options ---------------------------------------------------------------------------
def _checked_url(url: str) -> str:
    try:
        parts = urllib.parse.urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        _port = parts.port
    except ValueError:
        right = False
    if not right or parts.query or parts.fragment:
        raise SourceError("url must be Synapse's base URL, such as http://127.0.0.1:8008, without a login or a query")
    path = parts.path.rstrip("/")
    if path.endswith(_ADMIN):
        path = path[: -len(_ADMIN)]
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _token(given: Optional[str], path: Optional[str]) -> str:
    token = (_of_file(path) if path else given or "").strip()
    if not token:
        raise SourceError(
            f"{path}: the file holds no access token; put one into it"
            if path
            else "no access token: give access_token or access_token_file, or set SYNAPSE_TUNING_ACCESS_TOKEN"
        )
    if not _TOKEN.fullmatch(token):
        # The HTTP library would quote it in its error.
        raise SourceError(f"{path or 'access_token'}: this is no access token, it has spaces or other odd characters")
    return token


def _of_file(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            text = stream.read(64 * 1024)
    except OSError as error:
        raise SourceError(
            f"{path}: the access token cannot be read ({error.strerror}); correct access_token_file"
        ) from None
    if mode & 0o077:
        raise SourceError(f"{path}: others can read the access token; chmod 0600 it")
    return text


def _near(url: str) -> bool:
    """Whether this is the host itself or a private address, which no proxy has any business with."""
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _path(base: str, segments: Any) -> str:
    return "/".join([base, *(urllib.parse.quote(each, safe="") for each in segments)])


# -- what was answered -------------------------------------------------------------------
def _may_pass(problem: AdminProblem) -> bool:
    """Whether it is what a server looks like that is being restarted."""
    # Synapse's own 502 is about another server.
    return (problem.status in _STARTING and not (problem.status == 502 and problem.errcode)) or (
        problem.status == 0 and not problem.errcode
    )


def _read(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read()
    except (OSError, http.client.HTTPException, ValueError):
        return b""


def _json(text: bytes) -> Optional[Dict[str, Any]]:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _refused(url: str, method: str, path: str, status: int, text: bytes, headers: Any) -> AdminProblem:
    """What to say of an answer that is an error."""
    answer = _json(text)
    if answer is None and status not in (429, *_STARTING):
        if 300 <= status < 400:
            place = _line(str(headers.get("Location", "elsewhere")))
            return AdminProblem(f"{url} leads on to {place}; give the url of Synapse itself", status=status)
        return _no_synapse(url, status)
    answer = answer or {}
    errcode, said = str(answer.get("errcode") or ""), _line(answer.get("error") or "")
    what = f"{said or errcode or f'HTTP status {status}'}"
    if status == 401:
        message = (
            f"Synapse at {url} does not take the access token ({what}): it is wrong or has expired; give the token of"
            " one of its administrators"
        )
    elif status == 403 and "server admin" in said:
        message = (
            f"Synapse at {url} lets only its administrators do this ({what}): give the token of one, or with the Matrix"
            f" Authentication Service a token with the scope {_MAS_SCOPE}"
        )
    elif status == 404 and errcode == "M_UNRECOGNIZED":
        message = (
            f"Synapse at {url} does not know {method} {path}: update Synapse, or give the url of its main process and"
            " not of a proxy that keeps the admin API back"
        )
    elif status == 429:
        return AdminProblem(
            f"Synapse at {url} limits the rate of requests ({what}): wait, or lift the limit of this user (PUT"
            f" {_ADMIN}/v1/users/USER/override_ratelimit), and run again",
            status=status,
            errcode=errcode,
            retry_after=_retry_after(answer, headers),
        )
    elif status in _STARTING:
        message = (
            f"Synapse at {url} is not there (HTTP status {status}{f', {said}' if said else ''}): start it, or wait"
        )
    elif status >= 500:
        message = f"Synapse at {url} failed at {method} {path} ({what}): see its log, and run again"
    else:
        message = f"Synapse at {url} refuses {method} {path}: {what}"
    return AdminProblem(message, status=status, errcode=errcode)


def _retry_after(answer: Mapping[str, Any], headers: Any) -> float:
    """In seconds; a second where the server does not say."""
    milliseconds, seconds = answer.get("retry_after_ms"), str(headers.get("Retry-After", ""))
    if isinstance(milliseconds, (int, float)) and milliseconds >= 0:
        return float(milliseconds) / 1000
    return float(seconds) if seconds.isdigit() else 1.0


def _no_answer(url: str, error: Exception, *, timeout: float) -> AdminProblem:
    reason = getattr(error, "reason", None) or error
    text = _line(getattr(reason, "strerror", None) or reason) or type(error).__name__
    certificate = isinstance(error, UrlsError) or "SSL" in type(reason).__name__ or "CERTIFICATE" in text
    if certificate:
        return AdminProblem(f"Synapse at {url} is not trusted: {text}; correct url or ca_path", errcode=_FINAL)
    if isinstance(reason, TimeoutError) or "timed out" in text:
        text = f"no answer within {timeout:g} s"
    # What no waiting helps: a name that is not known, an answer that is no HTTP.
    final = type(reason).__name__ == "gaierror" or isinstance(reason, ValueError)
    return AdminProblem(
        f"Synapse does not answer at {url}: {text}; start it, or correct url", errcode=_FINAL if final else ""
    )


def _no_synapse(url: str, status: int) -> AdminProblem:
    return AdminProblem(
        f"what answers at {url} is not Synapse's admin API (HTTP status {status}, no JSON); correct url, and have no"
        " proxy in between that keeps /_synapse/admin back",
        status=status,
    )


def _line(text: Any) -> str:
    return " ".join(str(text).split())[:300]
