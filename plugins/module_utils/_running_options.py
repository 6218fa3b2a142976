# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options by which modules find a running Synapse and its PostgreSQL."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._login import Login

__all__ = ["RUNNING_ARGUMENTS", "running_login"]

RUNNING_ARGUMENTS: Dict[str, Dict[str, Any]] = {
    "project_dir": {"type": "path"},
    "synapse_service": {"type": "str"},
    "db_service": {"type": "str"},
    "synapse_container": {"type": "str"},
    "db_container": {"type": "str"},
    "docker_host": {"type": "str"},
    "metrics_url": {"type": "str"},
    "login_host": {"type": "str"},
    "login_port": {"type": "int"},
    "login_user": {"type": "str"},
    "login_password": {"type": "str", "no_log": True},
    "login_db": {"type": "str"},
    "timeout": {"type": "int", "default": 30},
}
"""A part of an argument_spec; its documentation is the fragment C(synapse.tuning.running)."""


def running_login(params: Mapping[str, Any]) -> Optional[Login]:
    """The login that the options give; None to ask in the container."""
    if all(params[name] is None for name in ("login_host", "login_port", "login_user")):
        return None
    return Login(
        host=params["login_host"],
        port=params["login_port"],
        user=params["login_user"],
        password=params["login_password"],
        database=params["login_db"] or "postgres",
        connect_timeout=params["timeout"],
    )
