# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's parameters, planned against effective."""

from __future__ import annotations

import posixpath
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import (
    Parameter,
    as_text,
    same,
    show,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import ComposeFile, Database, Missing
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import RoleSetting
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_parameters"]

_SOURCE = "pg_settings"


def judge_parameters(
    planned: Mapping[str, Any],
    database: Union[Database, Missing],
    compose_files: Sequence[ComposeFile],
    *,
    synapse_login: Optional[Tuple[str, str]] = None,
) -> List[Verdict]:
    """One verdict a parameter.

    planned: parameter to value. synapse_login: (role, database) that Synapse
    connects as, where that is known: settings of a role hold for it alone.
    """
    if isinstance(database, Missing):
        return [
            Verdict(f"postgresql.{name}", value, None, states.UNKNOWN, database.why, _SOURCE)
            for name, value in planned.items()
        ]
    return [_judge(name, value, database, compose_files, synapse_login) for name, value in planned.items()]


def _judge(
    name: str,
    planned: Any,
    database: Database,
    compose_files: Sequence[ComposeFile],
    login: Optional[Tuple[str, str]],
) -> Verdict:
    lever = f"postgresql.{name}"
    parameter = database.parameters.get(name)
    if parameter is None:
        return Verdict(
            lever,
            planned,
            None,
            states.WITHOUT_EFFECT,
            f"PostgreSQL {database.version} has no such parameter; plan again with postgresql_version",
            _SOURCE,
        )
    shown, text = show(parameter, parameter.setting), as_text(planned)
    for setting in database.role_settings:
        if _concerns(setting, name, login) and not same(parameter, setting.value, text):
            because = f"by {setting.statement('SET')}"
            return Verdict(lever, planned, setting.value, states.OVERRIDDEN, because, "pg_db_role_setting")
    if same(parameter, parameter.setting, text, shown=True):
        because = f"from {_origin(parameter)}"
        if parameter.pending_restart:
            because += "; the configuration files hold another value, which the next start may bring"
        return Verdict(lever, planned, shown, states.IN_EFFECT, because, _SOURCE)
    state, because = _why_not(text, parameter, database, compose_files)
    return Verdict(lever, planned, shown, state, because, _SOURCE)


def _why_not(
    planned: str, parameter: Parameter, database: Database, compose_files: Sequence[ComposeFile]
) -> Tuple[str, str]:
    origin = _origin(parameter)
    lever = f"postgresql.{parameter.name}"
    said = [(each.path, each.said.get("postgresql", {}).get(lever)) for each in compose_files]
    flags = [(path, str(flag)) for path, flag in said if flag is not None]
    if flags and same(parameter, flags[-1][1], planned):
        return states.PENDING_RESTART, f"{flags[-1][0]} has it, the container was made before: docker compose up -d"
    in_file = (database.file_settings or {}).get(parameter.name)
    if in_file is not None and same(parameter, in_file.setting, planned):
        file = posixpath.basename(in_file.file)
        if parameter.source in ("command line", "environment variable"):
            return states.OVERRIDDEN, f"by {origin}, which wins over {file}"
        if parameter.pending_restart or "restart" in (in_file.error or ""):
            return states.PENDING_RESTART, f"{file} has it, PostgreSQL takes it at its next start"
        if in_file.error:
            return states.NOT_APPLIED, f"PostgreSQL cannot apply {file}: {in_file.error}"
        if parameter.source in ("database", "user", "database user", "client"):
            return states.OVERRIDDEN, f"by {origin}, which wins over {file}"
        return states.NOT_APPLIED, f"{file} has it, but was not reloaded: SELECT pg_reload_conf()"
    if any(same(parameter, flag, planned) for _path, flag in flags):
        return states.OVERRIDDEN, f"by {origin}: {flags[-1][0]} replaces the command of {flags[0][0]}"
    if parameter.pending_restart:
        return states.PENDING_RESTART, "the configuration files have changed; PostgreSQL takes it at its next start"
    return states.NOT_APPLIED, f"the value is from {origin}"


def _origin(parameter: Parameter) -> str:
    """Where the running value comes from, in words."""
    if parameter.source == "command line":
        return "the server's command line (-c)"
    if parameter.source == "configuration file" and parameter.sourcefile:
        return posixpath.basename(parameter.sourcefile)
    if parameter.source == "default":
        return "PostgreSQL's default"
    return f"the {parameter.source}"


def _concerns(setting: RoleSetting, name: str, login: Optional[Tuple[str, str]]) -> bool:
    if setting.name != name:
        return False
    if login is None:
        return True
    return setting.role in (None, login[0]) and setting.database in (None, login[1])
