# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of single tables, planned against effective."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import as_text
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Database, Missing
from ansible_collections.synapse.tuning.plugins.module_utils._core.table_options import same_option
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_tables"]

_SOURCE = "pg_class"


def judge_tables(planned: Mapping[str, Mapping[str, Any]], database: Union[Database, Missing]) -> List[Verdict]:
    """One verdict an option. planned: table to option to value."""
    return [
        _judge(table, option, value, database)
        for table, options in planned.items()
        for option, value in options.items()
    ]


def _judge(table: str, option: str, planned: Any, database: Union[Database, Missing]) -> Verdict:
    lever = f"tables.{table}.{option}"
    if isinstance(database, Missing):
        return Verdict(lever, planned, None, states.UNKNOWN, database.why, _SOURCE)
    options = database.tables.get(table)
    if options is None:
        because = (
            f"the database {database.name} has no table {table}: give Synapse's database as login_db,"
            " or start Synapse, which makes it"
        )
        return Verdict(lever, planned, None, states.UNKNOWN, because, _SOURCE)
    current = options.get(option)
    if not same_option(current, None if planned is None else as_text(planned)):
        because = "the role synapse.tuning.postgresql (postgresql_parameters) sets it: ALTER TABLE"
        return Verdict(lever, planned, current, states.NOT_APPLIED, because, _SOURCE)
    off = _switched_off(options, database)
    if off is not None and planned is not None:
        return Verdict(lever, planned, current, states.WITHOUT_EFFECT, f"autovacuum is off {off}", _SOURCE)
    because = "not set, as planned" if planned is None else "the table's own option"
    return Verdict(lever, planned, current, states.IN_EFFECT, because, _SOURCE)


def _switched_off(options: Mapping[str, str], database: Database) -> Optional[str]:
    """Where autovacuum, which the options are for, is switched off; None where it works."""
    if same_option(options.get("autovacuum_enabled"), "off"):
        return "for this table: ALTER TABLE has set autovacuum_enabled"
    server = database.parameters.get("autovacuum")
    return "on the whole server: the parameter autovacuum" if server is not None and server.setting == "off" else None
