# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which modules say where PostgreSQL is and how to log in to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, Mapping

from ansible_collections.synapse.tuning.plugins.module_utils._container_login import Place, login_inside
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

__all__ = ["LOGIN_ARGUMENTS", "PLACE_ARGUMENTS", "given_login", "given_place", "login_of"]

LOGIN_ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "login_host": {"type": "str"},
    "login_unix_socket": {"type": "path"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_db": {"type": "str"},
    "passfile": {"type": "path", "no_log": False},
    "sslmode": {"type": "str", "choices": ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]},
    "ca_cert": {"type": "path"},
    "connect_timeout": {"type": "int", "default": 10},
}
"""A part of an argument_spec; its documentation is the fragment C(synapse.tuning.postgresql)."""

PLACE_ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "container": {"type": "str"},
    "project_dir": {"type": "path"},
    "db_service": {"type": "str"},
    "docker_host": {"type": "str"},
}
"""A part of an argument_spec; its documentation is the fragment C(synapse.tuning.postgresql_container)."""


def given_login(params: Mapping[str, Any]) -> Login:
    """What the options of LOGIN_ARGUMENTS say; None for what they leave open."""
    return Login(
        host=params["login_unix_socket"] or params["login_host"],
        port=params["login_port"],
        user=params["login_user"],
        password=params["login_password"],
        database=params["login_db"],
        passfile=params["passfile"],
        sslmode=params["sslmode"],
        sslrootcert=params["ca_cert"],
        connect_timeout=params["connect_timeout"],
    )


def given_place(params: Mapping[str, Any]) -> Place:
    """What the options of PLACE_ARGUMENTS say."""
    return Place(**{name: params[name] for name in PLACE_ARGUMENTS})


def login_of(login: Login, place: Place) -> Login:
    """The login with all that was left open: as the place's container was made, or the administrator's own.

    Raises what login_inside does.
    """
    if place.container or place.project_dir:
        return login_inside(place, login)
    return replace(login, user=login.user or "postgres", database=login.database or "postgres")
