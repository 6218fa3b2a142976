# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring parameters to a running PostgreSQL: all of them, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import DatabaseProblem, PlanError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_changes import ChangeSet, ParameterChange
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameters import plan_parameters, wanted_parameters
from ansible_collections.synapse.tuning.plugins.module_utils._core.server_state import ServerState
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import values_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.table_options import (
    OptionChange,
    plan_options,
    wanted_options,
)

__all__ = ["Change", "Request", "Server", "apply", "prepare"]


class Server(Protocol):
    """What is asked of a session; C(_postgresql.PsycopgServer) is the real one."""

    @property
    def database(self) -> str:
        """The session's database."""

    @property
    def closed(self) -> bool:
        """Whether the session was lost."""

    def lock(self) -> None:
        """Keep other runs out."""

    def state(self) -> ServerState:
        """Read what the server says about itself."""

    def table_options(self, tables: Sequence[str]) -> Dict[str, Dict[str, str]]:
        """Read tables' own options; a table that is not there is left out."""

    def try_options(self, changes: Sequence[OptionChange]) -> None:
        """Raise where PostgreSQL would refuse a value."""

    def set_parameter(self, name: str, value: Optional[str]) -> None:
        """ALTER SYSTEM."""

    def set_options(self, changes: Sequence[OptionChange]) -> None:
        """ALTER TABLE, in one transaction."""

    def reload(self) -> None:
        """pg_reload_conf()."""


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    plan: as plan_info returns it; parameters: name to value, which win over the plan's;
    tables: table to autovacuum's options. A value of None removes.
    sections: which of the plan's to use, of postgresql and tables. missing_tables: whether a table that is not there
    is an error, C(fail), or left alone, C(warn).
    """

    plan: Optional[Mapping[str, Any]] = None
    parameters: Optional[Mapping[str, Any]] = None
    tables: Optional[Mapping[str, Any]] = None
    sections: Sequence[str] = ("postgresql", "tables")
    missing_tables: str = "fail"

    def planned(self, section: str) -> Mapping[str, Any]:
        """The values of a section of the plan, none where it is not to be used. Raises PlanError for what is no plan."""
        if self.plan is None or section not in self.sections:
            return {}
        try:
            return dict(values_of(self.plan[section]))
        except (KeyError, TypeError, AttributeError):
            raise PlanError(
                f"The plan has no usable {section}: give the plan that synapse.tuning.plan_info returns"
            ) from None


@dataclass(frozen=True)
class Change:
    """What is to be done to one server."""

    wanted: Mapping[str, Optional[str]]
    parameters: ChangeSet
    options: Tuple[OptionChange, ...]
    auto_conf: str
    database: str
    missing_tables: Tuple[str, ...] = ()

    @property
    def warnings(self) -> Tuple[str, ...]:
        """What to know besides."""
        return self.parameters.warnings + tuple(
            f"{_no_table(self.database, table)}; its settings are left for a later run" for table in self.missing_tables
        )

    @property
    def option_writes(self) -> Tuple[OptionChange, ...]:
        """The options that differ."""
        return tuple(option for option in self.options if option.differs)

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return self.parameters.reload or bool(self.option_writes)

    def undo(self) -> Dict[str, Any]:
        """The module's options that take the change back: C(parameters) and C(tables)."""
        tables: Dict[str, Dict[str, Optional[str]]] = {}
        for option in self.option_writes:
            tables.setdefault(option.table, {})[option.option] = option.current
        return {"parameters": {change.name: change.auto_before for change in self.parameters.writes}, "tables": tables}

    def diff(self) -> List[Dict[str, str]]:
        """The change for C(--diff): postgresql.auto.conf, and the tables' options."""
        diffs = [
            {
                "before": self.parameters.before(),
                "after": self.parameters.after(),
                "before_header": self.auto_conf,
                "after_header": self.auto_conf,
            }
        ]
        if self.options:
            header = f"tables of the database {self.database}"
            kept = {option: option.current if not option.differs else option.planned for option in self.options}
            diffs.append(
                {
                    "before": _lines((option, option.current) for option in self.options),
                    "after": _lines(kept.items()),
                    "before_header": header,
                    "after_header": header,
                }
            )
        return diffs


def prepare(server: Server, request: Request) -> Change:
    """Work out the change; nothing is written.

    Raises TuningError: a value that is refused, a table that is missing, no superuser.
    """
    wanted = wanted_parameters(request.planned("postgresql"), request.parameters)
    tables = wanted_options(request.planned("tables"), request.tables)
    state = server.state()
    parameters = plan_parameters(state, wanted)
    current = server.table_options(sorted(tables))
    missing = tuple(table for table in sorted(tables) if table not in current)
    if missing and request.missing_tables == "fail":
        raise DatabaseProblem(
            f"{_no_table(server.database, missing[0])}: set login_db to Synapse's database, or start Synapse, which makes it"
        )
    options = plan_options(tables, current)
    change = Change(
        wanted=wanted,
        parameters=parameters,
        options=options,
        missing_tables=missing,
        auto_conf=state.auto_conf,
        database=server.database,
    )
    if change.option_writes:
        server.try_options(change.option_writes)
    return change


def apply(server: Server, change: Change) -> None:
    """Make the change; on failure what was written before it is put back.

    Raises DatabaseProblem.
    """
    written: List[ParameterChange] = []
    try:
        for parameter in change.parameters.writes:
            written.append(parameter)
            _set(server, parameter, written)
        if change.parameters.reload:
            server.reload()
            _verify(server, change)
        # Last, as it is a transaction by itself.
        if change.option_writes:
            server.set_options(change.option_writes)
    except TuningError as error:
        raise DatabaseProblem(f"{error}. {_put_back(server, written)}") from error


def _set(server: Server, parameter: ParameterChange, written: List[ParameterChange]) -> None:
    try:
        server.set_parameter(parameter.name, parameter.auto_after)
    except TuningError:
        if not server.closed:
            # Refused; where the session was lost nobody knows.
            written.remove(parameter)
        raise


def _verify(server: Server, change: Change) -> None:
    """A parameter that was set, but has no effect, must not be reported as done."""
    left = [
        each.name
        for each in plan_parameters(server.state(), change.wanted).changes
        if each.written or each.action == "reload"
    ]
    if left:
        raise DatabaseProblem(f"PostgreSQL reloaded, but {', '.join(left)} did not take effect: see its log")


def _put_back(server: Server, written: Sequence[ParameterChange]) -> str:
    """Restore postgresql.auto.conf; says how it is now."""
    if not written:
        return "Nothing was changed"
    try:
        for parameter in reversed(written):
            server.set_parameter(parameter.name, parameter.auto_before)
        server.reload()
    except TuningError:
        names = ", ".join(parameter.name for parameter in written)
        return f"postgresql.auto.conf may keep the new {names}: run again once PostgreSQL is up"
    return "What was changed before it was put back"


def _no_table(database: str, table: str) -> str:
    return f"The database {database} has no table {table}"


def _lines(options: Any) -> str:
    return "".join(f"{option.table}.{option.option} = {value}\n" for option, value in options if value is not None)
