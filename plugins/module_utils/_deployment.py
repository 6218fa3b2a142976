# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new, startable deployment: what is missing of it in a directory, and writing that.

    compose.yml                     services synapse and db
    secrets/postgres_password       read by the db container
    data/                           Synapse's /data
      homeserver.yaml               holds no secret
      signing.key
      secrets/{pgpass,macaroon_secret_key,form_secret,registration_shared_secret}
    postgres-data/                  made by Docker at the first start

What exists is never touched. A file's secrets are made only together with it:
a homeserver.yaml that lost its signing key must fail, not get a new identity.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import secrets
import string
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem, PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.releases import parse_version
from ansible_collections.synapse.tuning.plugins.module_utils._deployment_templates import (
    COMPOSE,
    HOMESERVER,
    SYNAPSE_USER,
)

__all__ = ["COMPOSE_NAMES", "PLACEHOLDER_SERVER_NAME", "Missing", "missing", "write"]

# What `docker compose` looks for, in its order.
COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")

PLACEHOLDER_SERVER_NAME = "matrix.example.org"

# The user and group that the Synapse image drops to unless UID and GID say otherwise.
_SYNAPSE_ID = 991

# form_secret_path; macaroon_secret_key_path came with 1.121. An older Synapse
# ignores them silently and runs with weaker secrets.
_OLDEST_SYNAPSE = (1, 126, 0)

# From 18 on the image keeps each major version in a directory of its own below the volume.
_POSTGRESQL_WITH_MOVED_VOLUME = 18

_DNS_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]*\Z")
_PLAIN_IMAGE = re.compile(r"[a-z0-9][A-Za-z0-9._/:@-]*[A-Za-z0-9]\Z")


@dataclass(frozen=True)
class _Directory:
    path: str
    mode: int
    owner: Optional[int] = None
    group: Optional[int] = None


@dataclass(frozen=True)
class _File:
    path: str
    text: str
    mode: int
    owner: Optional[int] = None
    group: Optional[int] = None

    @property
    def secret(self) -> bool:
        return self.mode == 0o600

    def __repr__(self) -> str:  # a secret must not reach a traceback
        return f"_File({self.path!r})"


@dataclass(frozen=True)
class Missing:
    """What a deployment lacks, with all that is needed to write it.

    compose_path, homeserver_path: where the two files lie, or will lie.
    directories, files: in the order in which they are to be made; a file that
        counts as the sign of a finished part comes after its secrets.
    warnings: one line each.
    """

    compose_path: str
    homeserver_path: str
    directories: Tuple[_Directory, ...]
    files: Tuple[_File, ...]
    warnings: Tuple[str, ...]

    @property
    def paths(self) -> List[str]:
        """The files, in the order of writing."""
        return [file.path for file in self.files]

    def diff(self) -> List[Dict[str, str]]:
        """Each file as Ansible shows differences; a secret as asterisks."""
        return [
            {
                "before": "",
                "after": "*********\n" if file.secret else file.text,
                "before_header": file.path,
                "after_header": file.path,
            }
            for file in self.files
        ]


@dataclass(frozen=True)
class _Found:
    """What there is already. uid, gid: whom Synapse is to run as."""

    root: str
    compose_path: str
    has_compose: bool
    homeserver_path: str
    has_homeserver: bool
    password: Optional[str]
    uid: int
    gid: int

    @property
    def data(self) -> str:
        return os.path.join(self.root, "data")


def missing(path: str, plan: Mapping[str, Any], *, server_name: str) -> Missing:
    """Find out what the deployment in a directory lacks. Writes nothing.

    Args:
        path: the project directory; it need not exist.
        plan: as plan_info returns it; used are C(host) and C(deployment).
        server_name: the Matrix server name of a new homeserver.yaml.

    Raises PlanError for a plan or a server name that no deployment can be made
    from, FileProblem where a part that exists cannot be read.
    """
    _check_plan(plan)
    check_server_name(server_name)
    found = _look(path)
    if not found.has_compose and found.password is None:
        _refuse_foreign_database(os.path.join(found.root, "postgres-data"))
    password = found.password or secrets.token_urlsafe(32)

    directories: List[_Directory] = []
    files: List[_File] = []
    if not found.has_homeserver:
        _add_homeserver(found, server_name, password, directories, files)
    if not found.has_compose:
        _add_compose(found, plan, password, directories, files)
    return Missing(
        compose_path=found.compose_path,
        homeserver_path=found.homeserver_path,
        directories=tuple(directories),
        files=tuple(file for file in files if not os.path.lexists(file.path)),
        warnings=tuple(_warnings(found, plan, server_name)),
    )


def write(lacking: Missing) -> List[str]:
    """Write what is missing, and clear up after a killed run; returns the files that this call made.

    Raises FileProblem. Every file is then either complete or absent, and a
    later run makes the rest.
    """
    for directory in lacking.directories:
        _make_directory(directory)
    # A run killed at the wrong moment leaves a file, and so perhaps a secret, under a second name.
    root = os.path.dirname(lacking.compose_path)
    for name in ("", "data", os.path.join("data", "secrets"), "secrets"):
        _files.remove_abandoned(os.path.join(root, name))
    return [
        file.path
        for file in lacking.files
        if _files.create(file.path, file.text, mode=file.mode, owner=file.owner, group=file.group)
    ]


def check_server_name(server_name: str) -> None:
    """Raise PlanError where a name is outside the grammar of Matrix server names."""
    host, colon, port = server_name, "", ""
    if not server_name.endswith("]"):
        left, found, right = server_name.rpartition(":")
        if found:
            host, colon, port = left, found, right
    port_ok = not colon or (re.match(r"[0-9]{1,5}\Z", port) and 0 < int(port) < 65536)
    if not (port_ok and len(server_name) <= 230 and _is_host(host)):
        raise PlanError(
            f"server_name {json.dumps(server_name)} is no Matrix server name;"
            " give a host name with an optional port, such as example.org or example.org:8448"
        )


def _is_host(host: str) -> bool:
    if host.startswith("[") and host.endswith("]"):
        try:
            return bool(ipaddress.IPv6Address(host[1:-1])) and "%" not in host
        except ValueError:
            return False
    return bool(_DNS_NAME.match(host))


def _look(path: str) -> _Found:
    root = os.path.abspath(path)
    compose_paths = [os.path.join(root, name) for name in COMPOSE_NAMES]
    present = [name for name in compose_paths if os.path.lexists(name)]
    homeserver_path = os.path.join(root, "data", "homeserver.yaml")
    uid, gid = _synapse_user(os.path.join(root, "data"))
    return _Found(
        root=root,
        compose_path=present[0] if present else os.path.join(root, "compose.yml"),
        has_compose=bool(present),
        homeserver_path=homeserver_path,
        has_homeserver=os.path.lexists(homeserver_path),
        password=_known_password(root),
        uid=uid,
        gid=gid,
    )


def _add_homeserver(
    found: _Found, server_name: str, password: str, directories: List[_Directory], files: List[_File]
) -> None:
    # Only root can, and need, give them away; anybody else's Synapse runs as that user.
    owner, group = (found.uid, found.gid) if os.geteuid() == 0 else (None, None)
    data_secrets = os.path.join(found.data, "secrets")
    directories += [
        _Directory(found.root, 0o755),
        _Directory(found.data, 0o750, owner, group),
        _Directory(data_secrets, 0o700, owner, group),
    ]
    texts = {
        os.path.join(found.data, "signing.key"): _signing_key(),
        os.path.join(data_secrets, "pgpass"): f"*:*:synapse:synapse:{_pgpass_field(password)}\n",
    }
    for name in ("macaroon_secret_key", "form_secret", "registration_shared_secret"):
        texts[os.path.join(data_secrets, name)] = secrets.token_urlsafe(32) + "\n"
    files += [_File(name, text, 0o600, owner, group) for name, text in texts.items()]
    text = HOMESERVER.substitute(server_name=json.dumps(server_name))
    files.append(_File(found.homeserver_path, text, 0o640, owner, group))


def _add_compose(
    found: _Found, plan: Mapping[str, Any], password: str, directories: List[_Directory], files: List[_File]
) -> None:
    folder = os.path.join(found.root, "secrets")
    directories += [_Directory(found.root, 0o755), _Directory(folder, 0o700)]
    files.append(_File(os.path.join(folder, "postgres_password"), password + "\n", 0o600))
    files.append(_File(found.compose_path, _compose_text(plan, found.uid, found.gid), 0o644))


def _check_plan(plan: Mapping[str, Any]) -> None:
    host = plan.get("host")
    if not isinstance(host, Mapping):
        raise PlanError("the plan has no 'host'; pass the whole plan that synapse.tuning.plan_info returns")
    topology = host.get("topology", "shared")
    if topology != "shared":
        raise PlanError(
            f"a new deployment holds Synapse and PostgreSQL, but the plan's topology is {topology};"
            " plan with topology shared, or write the deployment yourself and tune it"
        )
    version = parse_version(str(host.get("synapse_version", "")))
    if version is not None and version < _OLDEST_SYNAPSE:
        raise PlanError(
            "a new deployment keeps its secrets in files, which needs Synapse 1.126 or later;"
            f" plan with a newer synapse_version than {host['synapse_version']}"
        )


def _deployment_value(plan: Mapping[str, Any], name: str) -> str:
    try:
        value = plan["deployment"][name]["value"]
    except (KeyError, TypeError):
        value = None
    if not isinstance(value, str) or not value or not value.isprintable():
        raise PlanError(
            f"the plan has no usable deployment.{name}; pass the whole plan that synapse.tuning.plan_info returns"
        )
    return value


def _compose_text(plan: Mapping[str, Any], uid: int, gid: int) -> str:
    try:
        major = int(plan["host"]["postgresql_version"])
    except (KeyError, TypeError, ValueError) as exc:
        raise PlanError(
            "the plan has no usable host.postgresql_version; pass the whole plan that synapse.tuning.plan_info returns"
        ) from exc
    moved = major >= _POSTGRESQL_WITH_MOVED_VOLUME
    default_user = (uid, gid) == (_SYNAPSE_ID, _SYNAPSE_ID)
    return COMPOSE.substitute(
        synapse_image=_image(_deployment_value(plan, "synapse_image")),
        postgresql_image=_image(_deployment_value(plan, "postgresql_image")),
        initdb_args=_quoted(_deployment_value(plan, "POSTGRES_INITDB_ARGS")),
        postgresql_volume="/var/lib/postgresql" if moved else "/var/lib/postgresql/data",
        synapse_user="" if default_user else SYNAPSE_USER.substitute(uid=uid, gid=gid),
    )


def _image(name: str) -> str:
    return name if _PLAIN_IMAGE.match(name) else _quoted(name)


def _quoted(value: str) -> str:
    """A double-quoted YAML scalar that Compose does not interpolate."""
    return json.dumps(value).replace("$", "$$")


def _signing_key() -> str:
    """An ed25519 key as signedjson writes it: algorithm, version, unpadded base64 of the seed."""
    version = "a_" + "".join(secrets.choice(string.ascii_letters) for letter in range(4))
    seed = base64.b64encode(secrets.token_bytes(32)).decode("ascii").rstrip("=")
    return f"ed25519 {version} {seed}\n"


def _pgpass_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace(":", "\\:")


def _known_password(root: str) -> Optional[str]:
    """The database's password from the files of an earlier, unfinished run."""
    plain = os.path.join(root, "secrets", "postgres_password")
    if os.path.lexists(plain):
        password = _files.read_text(plain).rstrip("\n")
        if not password:
            raise FileProblem(f"{plain}: is empty; write the database's password into it, or remove it")
        return password
    pgpass = os.path.join(root, "data", "secrets", "pgpass")
    if not os.path.lexists(pgpass):
        return None
    for line in _files.read_text(pgpass).splitlines():
        fields = re.findall(r"((?:\\.|[^:\\])*)(?::|$)", line)
        if not line.startswith("#") and len(fields) >= 5:
            return re.sub(r"\\(.)", r"\1", fields[4])
    raise FileProblem(f"{pgpass}: holds no line HOST:PORT:DATABASE:USER:PASSWORD; repair or remove it")


def _refuse_foreign_database(directory: str) -> None:
    """A database keeps the password it was made with: a new one would lock Synapse out."""
    try:
        used = bool(os.listdir(directory))
    except FileNotFoundError:
        return
    except OSError:  # PostgreSQL's own, closed to others
        used = True
    if used:
        raise FileProblem(
            f"{directory}: holds a database whose password is not known here;"
            " bring back secrets/postgres_password, or move the directory away to begin with an empty database"
        )


def _synapse_user(data: str) -> Tuple[int, int]:
    """Whom Synapse is to run as: it must own data/."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    try:
        found = os.stat(data)
    except OSError:
        return _SYNAPSE_ID, _SYNAPSE_ID
    return (found.st_uid, found.st_gid) if found.st_uid else (_SYNAPSE_ID, _SYNAPSE_ID)


def _warnings(found: _Found, plan: Mapping[str, Any], server_name: str) -> Iterator[str]:
    if found.has_compose and found.has_homeserver:
        return
    if not found.has_homeserver and server_name == PLACEHOLDER_SERVER_NAME:
        yield (
            f"server_name is the placeholder {server_name}, and it cannot be changed once the server was used:"
            f" put your own into {found.homeserver_path} before the first start"
        )
    if found.password is None and found.has_compose:
        yield (
            "the compose file was there already: make sure that it mounts ./data at /data and that its database"
            " is the service db with database and user synapse and the password in data/secrets/pgpass"
        )
    if found.password is None and found.has_homeserver:
        yield (
            "homeserver.yaml was there already: make its database section agree with compose.yml"
            " (host db, database and user synapse, the password in secrets/postgres_password)"
        )
    if not found.has_compose and plan["host"].get("workers"):
        yield "compose.yml runs Synapse's main process alone: add Redis and the workers that the plan counts on"
    if os.path.isdir(found.data) and os.stat(found.data).st_uid != found.uid:
        who = f"{found.uid}:{found.gid}"
        yield f"{found.data} must be writable for Synapse, which runs as {who}: chown it to {who}"


def _make_directory(directory: _Directory) -> None:
    parent = os.path.dirname(directory.path)
    if not os.path.lexists(parent):
        _make_directory(_Directory(parent, 0o755))
    _files.make_directory(directory.path, mode=directory.mode, owner=directory.owner, group=directory.group)
