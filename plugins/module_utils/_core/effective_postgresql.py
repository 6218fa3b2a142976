# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's parameters, planned against effective."""

from __future__ import annotations

import posixpath
import re
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    ComposeFile,
    Database,
    Missing,
    Parameter,
    RoleSetting,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import KIB, MIB, postgresql_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_parameters", "parameter_bytes", "same_parameter", "show_parameter"]

_SOURCE = "pg_settings"
_MEMORY_UNIT = re.compile(r"(\d*)(B|kB|MB)")
_BYTES = {"B": 1, "kB": KIB, "MB": MIB}
_SWITCHES = {"on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False}


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


def same_parameter(planned: Any, setting: str, unit: Optional[str]) -> bool:
    """Whether a planned value is the one in pg_settings: C(256MB) is 32768 of 8kB, C(on) is true."""
    size = _unit_bytes(unit)
    if size is not None:
        try:
            wanted = postgresql_bytes(planned, unit=size)
            return wanted // size == postgresql_bytes(setting, unit=size) // size
        except UnitError:
            return False
    text = _text(planned)
    try:
        return float(text) == float(setting)
    except ValueError:
        pass
    one, other = _SWITCHES.get(text.lower()), _SWITCHES.get(setting.lower())
    if one is not None and other is not None:
        return one is other
    return text.lower() == setting.lower()


def parameter_bytes(parameter: Parameter) -> Optional[int]:
    """A memory parameter in bytes, None for one that is none."""
    size = _unit_bytes(parameter.unit)
    return None if size is None else int(parameter.setting) * size


def show_parameter(parameter: Parameter) -> str:
    """A setting with its unit, as PostgreSQL's SHOW has it: C(256MB), C(1.1)."""
    size = parameter_bytes(parameter)
    if size is None or size <= 0:
        return parameter.setting
    for unit, factor in (("GB", KIB * MIB), ("MB", MIB), ("kB", KIB)):
        if size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


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
    shown = show_parameter(parameter)
    for setting in database.role_settings:
        if _concerns(setting, name, login) and not same_parameter(planned, setting.setting, parameter.unit):
            return Verdict(
                lever, planned, setting.setting, states.OVERRIDDEN, f"by {_statement(setting)}", "pg_db_role_setting"
            )
    if same_parameter(planned, parameter.setting, parameter.unit):
        because = f"from {_origin(parameter)}"
        if parameter.pending_restart:
            because += "; the configuration files hold another value, which the next start may bring"
        return Verdict(lever, planned, shown, states.IN_EFFECT, because, _SOURCE)
    state, because = _why_not(name, planned, parameter, database, compose_files)
    return Verdict(lever, planned, shown, state, because, _SOURCE)


def _why_not(
    name: str, planned: Any, parameter: Parameter, database: Database, compose_files: Sequence[ComposeFile]
) -> Tuple[str, str]:
    origin = _origin(parameter)
    flags = [(each.path, each.said.get("postgresql", {}).get(f"postgresql.{name}")) for each in compose_files]
    flags = [(path, flag) for path, flag in flags if flag is not None]
    if flags and same_parameter(planned, str(flags[-1][1]), parameter.unit):
        return states.PENDING_RESTART, f"{flags[-1][0]} has it, the container was made before: docker compose up -d"
    in_file = (database.file_settings or {}).get(name)
    if in_file is not None and in_file.setting is not None:
        if same_parameter(planned, in_file.setting, parameter.unit):
            file = posixpath.basename(in_file.sourcefile)
            if parameter.source in ("command line", "environment variable"):
                return states.OVERRIDDEN, f"by {origin}, which wins over {file}"
            if parameter.pending_restart or "restart" in (in_file.error or ""):
                return states.PENDING_RESTART, f"{file} has it, PostgreSQL takes it at its next start"
            if in_file.error:
                return states.NOT_APPLIED, f"PostgreSQL cannot apply {file}: {in_file.error}"
            if parameter.source in ("database", "user", "database user", "client"):
                return states.OVERRIDDEN, f"by {origin}, which wins over {file}"
            return states.NOT_APPLIED, f"{file} has it, but was not reloaded: SELECT pg_reload_conf()"
    if any(same_parameter(planned, str(flag), parameter.unit) for _path, flag in flags):
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


def _statement(setting: RoleSetting) -> str:
    if setting.role is None:
        return f"ALTER DATABASE {setting.database} SET {setting.name}"
    place = f" IN DATABASE {setting.database}" if setting.database else ""
    return f"ALTER ROLE {setting.role}{place} SET {setting.name}"


def _unit_bytes(unit: Optional[str]) -> Optional[int]:
    """The bytes of a unit such as C(8kB); None for milliseconds and for no unit."""
    found = _MEMORY_UNIT.fullmatch(unit or "")
    return int(found.group(1) or 1) * _BYTES[found.group(2)] if found else None


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
