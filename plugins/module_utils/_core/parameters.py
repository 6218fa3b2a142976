# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ALTER SYSTEM has to write so that a running PostgreSQL gets the planned parameters.

Pure: from what the server says (C(pg_settings), C(pg_file_settings), C(pg_db_role_setting))
and what is wanted to a change set.
"""

from __future__ import annotations

import difflib
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    DatabaseProblem,
    ParameterError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_changes import (
    COMMAND_LINE,
    ChangeSet,
    ParameterChange,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import (
    LISTS,
    Parameter,
    as_text,
    read,
    same,
    show,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import RoleSetting, ServerState

__all__ = ["plan_parameters", "wanted_parameters"]

# Sources that hide the server's own value from the session that reads it.
_SESSION_SOURCES = frozenset(("global", "database", "user", "database user", "client", "interactive", "session"))
# ALTER SYSTEM refuses the first three; the last may hold a password, which would be shown.
_NEVER = frozenset(("data_directory", "config_file", "allow_alter_system", "primary_conninfo"))
_OLDEST = 130000


def wanted_parameters(planned: Mapping[str, Any], parameters: Optional[Mapping[str, Any]]) -> Dict[str, Optional[str]]:
    """Name to text (None: no value) of what a plan has, and of parameters, which win.

    Raises ParameterError for what is no value.
    """
    return {
        str(name).lower(): None if value is None else as_text(value)
        for given in (planned, parameters or {})
        for name, value in given.items()
    }


def _check_server(state: ServerState) -> None:
    """Raise DatabaseProblem where ALTER SYSTEM cannot work."""
    if state.version < _OLDEST:
        raise DatabaseProblem(
            f"PostgreSQL {state.version // 10000} is too old: Synapse needs {_OLDEST // 10000} or newer, upgrade it first"
        )
    if not state.superuser:
        raise DatabaseProblem(
            f"Role {state.user} is no superuser, and ALTER SYSTEM needs one: set login_user to one, such as postgres"
        )
    allowed = state.parameters.get("allow_alter_system")
    if allowed is not None and allowed.setting == "off":
        raise DatabaseProblem(
            "PostgreSQL was told to refuse ALTER SYSTEM: set allow_alter_system to on, or the parameters where it is off"
        )


def plan_parameters(state: ServerState, wanted: Mapping[str, Optional[str]]) -> ChangeSet:
    """Compare, and work out what to write; nothing of it where a single value is refused.

    Raises ParameterError (unknown name, refused value) and DatabaseProblem (not a superuser,
    too old, files that PostgreSQL can't read).
    """
    if not wanted:
        # Nothing is written then, and who owns a table may set its options without being a superuser.
        return ChangeSet(changes=(), warnings=())
    _check_server(state)
    parameters = {name: _find(state, name) for name in sorted(wanted)}
    for name, parameter in parameters.items():
        _check_value(parameter, wanted[name])
    files = _Files(state)
    _check_connections(state, wanted, files)
    changes = []
    warnings: List[str] = []
    for name, parameter in parameters.items():
        change = _plan_one(state, files, parameter, wanted[name])
        changes.append(change)
        warnings += _override_warnings(state, parameter, change)
    planned = ChangeSet(changes=tuple(changes), warnings=())
    warnings += _file_problems(state, files, planned)
    return ChangeSet(changes=planned.changes, warnings=tuple(warnings))


class _Files:
    """The last value of each parameter, in postgresql.auto.conf and in the files before it."""

    def __init__(self, state: ServerState) -> None:
        self.auto: Dict[str, str] = {}
        self._below: Dict[str, str] = {}
        for entry in state.entries:
            if entry.name is not None and entry.setting is not None:
                level = self.auto if entry.file == state.auto_conf else self._below
                level[entry.name.lower()] = entry.setting

    def below(self, parameter: Parameter) -> Optional[str]:
        """The value without postgresql.auto.conf; None where that is not known."""
        value = self._below.get(parameter.name.lower())
        if value is not None:
            return value
        return None if parameter.source == "environment variable" else parameter.boot

    def value(self, parameter: Parameter) -> Optional[str]:
        """The value that a restart now would give."""
        return self.auto.get(parameter.name.lower(), self.below(parameter))


def _find(state: ServerState, name: str) -> Parameter:
    parameter = state.parameters.get(name)
    major = state.version // 10000
    if parameter is None:
        near = difflib.get_close_matches(name, list(state.parameters), n=1)
        hint = f"did you mean {near[0]}?" if near else "correct the name, or remove it"
        raise ParameterError(f"PostgreSQL {major} has no parameter {name}: {hint}")
    if parameter.context == "internal":
        raise ParameterError(f"{name} cannot be set, PostgreSQL only reports it: remove it")
    if name in _NEVER:
        raise ParameterError(f"{name} is not set by this module: remove it")
    return parameter


def _check_value(parameter: Parameter, text: Optional[str]) -> None:
    if text is None:
        return
    read(parameter, text)
    if not text.strip() and parameter.name.lower() in LISTS:
        # ALTER SYSTEM would write a list of one empty name.
        raise ParameterError(f"{parameter.name} cannot be empty: write null to remove it from postgresql.auto.conf")


def _check_connections(state: ServerState, wanted: Mapping[str, Optional[str]], files: _Files) -> None:
    """PostgreSQL takes any number, and then does not start where all are reserved."""
    numbers = {}
    for name in ("max_connections", "superuser_reserved_connections", "reserved_connections"):
        parameter = state.parameters.get(name)
        if parameter is not None:
            text = wanted.get(name) or files.value(parameter) or parameter.setting or "0"
            try:
                numbers[name] = int(str(read(parameter, text)))
            except ParameterError:
                return
    limit = numbers.pop("max_connections", None)
    if (
        limit is not None
        and limit <= sum(numbers.values())
        and any(name in wanted for name in (*numbers, "max_connections"))
    ):
        raise ParameterError(
            f"max_connections cannot be {limit}: {sum(numbers.values())} are reserved ({', '.join(numbers)}),"
            " and PostgreSQL would not start"
        )


def _from_command_line(state: ServerState, parameter: Parameter) -> bool:
    if parameter.source in _SESSION_SOURCES:
        return parameter.name.lower() in state.command_line
    return parameter.source == COMMAND_LINE


def _running(state: ServerState, files: _Files, parameter: Parameter) -> Optional[str]:
    """The server's own value, also where the reading session has another one."""
    if parameter.source in _SESSION_SOURCES and not _from_command_line(state, parameter):
        return files.value(parameter)
    return parameter.setting


def _plan_one(state: ServerState, files: _Files, parameter: Parameter, wanted: Optional[str]) -> ParameterChange:
    auto_before = auto_after = files.auto.get(parameter.name.lower())
    running = _running(state, files, parameter)
    in_files = files.value(parameter)
    target = files.below(parameter) if wanted is None else wanted
    overridden_by = _role_overrides(state, parameter, wanted)
    if _from_command_line(state, parameter):
        differs = wanted is not None and not same(parameter, running, wanted, shown=True)
        overridden_by = (COMMAND_LINE, *overridden_by)
        pending = None
        action = "none"
    else:
        if wanted is None:
            auto_after = None
        elif not same(parameter, in_files, wanted):
            auto_after = None if same(parameter, files.below(parameter), wanted) else wanted
        written = auto_before != auto_after
        differs = (written or wanted is not None) and not (
            same(parameter, running, target, shown=True) or (not written and _is_automatic(parameter, target))
        )
        pending = None
        if auto_before is not None or wanted is not None:
            waits = not same(parameter, running, in_files, shown=True) and not _is_automatic(parameter, in_files)
            pending = in_files if waits else None
        action = "none" if not differs else "restart" if parameter.context == "postmaster" else "reload"
    return ParameterChange(
        name=parameter.name,
        current=show(parameter, running),
        pending=pending,
        planned=wanted,
        context=parameter.context,
        differs=differs,
        action=action,
        overridden_by=overridden_by,
        auto_before=auto_before,
        auto_after=auto_after,
    )


def _is_automatic(parameter: Parameter, text: Optional[str]) -> bool:
    """Whether text is the default -1 by which PostgreSQL itself finds, and then shows, a value."""
    return text is not None and text.strip() == "-1" and parameter.boot == "-1" and not parameter.pending_restart


def _role_overrides(state: ServerState, parameter: Parameter, wanted: Optional[str]) -> Tuple[str, ...]:
    return tuple(str(each) for each in _other_settings(state, parameter, wanted))


def _other_settings(state: ServerState, parameter: Parameter, wanted: Optional[str]) -> List[RoleSetting]:
    """What ALTER ROLE and ALTER DATABASE say otherwise."""
    if wanted is None:
        return []
    return [
        each
        for each in state.role_settings
        if each.name.lower() == parameter.name.lower() and not same(parameter, each.value, wanted)
    ]


def _override_warnings(state: ServerState, parameter: Parameter, change: ParameterChange) -> List[str]:
    warnings = []
    if COMMAND_LINE in change.overridden_by and change.differs:
        warnings.append(
            f"{change.name} stays {change.current}, not {change.planned}: PostgreSQL was started with it on its command line,"
            " which wins over ALTER SYSTEM. Change it where PostgreSQL is started, such as in the compose file"
        )
    for each in _other_settings(state, parameter, change.planned):
        remedy = each.statement("RESET")
        warnings.append(f"{change.name} is {each.value}, not {change.planned}, for {each}: '{remedy}' removes that")
    return warnings


def _file_problems(state: ServerState, files: _Files, planned: ChangeSet) -> List[str]:
    """Raise DatabaseProblem for a file that stops a reload that is needed; else warn."""
    warnings = []
    replaced = {change.name.lower() for change in planned.writes}
    for entry in state.entries:
        if entry.error is None:
            continue
        where = f"{entry.file}:{entry.line}"
        parameter = state.parameters.get((entry.name or "").lower())
        if parameter is None:
            problem = f"{where}: {entry.error}{f' {entry.name}' if entry.name else ''}"
            if planned.reload:
                raise DatabaseProblem(
                    f"{problem}; correct it first, for PostgreSQL neither reloads nor restarts with it. Nothing was changed"
                )
            warnings.append(f"{problem}; correct it, for PostgreSQL neither reloads nor restarts with it")
        elif parameter.name.lower() not in replaced and entry.setting is not None:
            # A value that only waits for a restart carries the same error as one that is refused.
            try:
                read(parameter, entry.setting)
            except ParameterError as error:
                warnings.append(f"{where}: PostgreSQL will not restart with this: {error}")
    return warnings
