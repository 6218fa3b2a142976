# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values of parameters where no server can be asked for their rows: those on a command line."""

from __future__ import annotations

from typing import Dict, Iterable, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter, same

__all__ = ["KNOWN", "known_parameter", "same_value"]


def _of(vartype: str, unit: Optional[str], names: Iterable[str]) -> Dict[str, Tuple[str, Optional[str]]]:
    return dict.fromkeys(names, (vartype, unit))


# vartype and unit of pg_settings. One that is missing here is compared as a number or a switch without a unit.
KNOWN = {
    **_of(
        "integer",
        None,
        (
            "effective_io_concurrency",
            "max_connections",
            "max_parallel_maintenance_workers",
            "max_parallel_workers",
            "max_parallel_workers_per_gather",
            "max_worker_processes",
        ),
    ),
    **_of(
        "integer",
        "8kB",
        (
            "effective_cache_size",
            "min_parallel_index_scan_size",
            "min_parallel_table_scan_size",
            "shared_buffers",
            "temp_buffers",
            "wal_buffers",
        ),
    ),
    **_of(
        "integer",
        "kB",
        ("autovacuum_work_mem", "logical_decoding_work_mem", "maintenance_work_mem", "temp_file_limit", "work_mem"),
    ),
    **_of("integer", "MB", ("max_wal_size", "min_dynamic_shared_memory", "min_wal_size", "wal_keep_size")),
    **_of("integer", "s", ("autovacuum_naptime", "checkpoint_timeout")),
    **_of(
        "integer",
        "ms",
        ("bgwriter_delay", "idle_in_transaction_session_timeout", "statement_timeout", "wal_writer_delay"),
    ),
    **_of("real", "ms", ("autovacuum_vacuum_cost_delay",)),
}


def known_parameter(name: str) -> Optional[Parameter]:
    """What can be told of a parameter's row without a server; None for one that is not known."""
    if name not in KNOWN:
        return None
    vartype, unit = KNOWN[name]
    return _row(name, vartype, unit)


def same_value(name: str, one: str, other: str) -> bool:
    """Whether PostgreSQL takes both texts for one value of parameter C(name)."""
    known = known_parameter(name)
    rows = (known,) if known else (_row(name, "real", None), _row(name, "bool", None))
    return one == other or any(same(row, one, other) for row in rows)


def _row(name: str, vartype: str, unit: Optional[str]) -> Parameter:
    return Parameter(name=name, setting=None, unit=unit, vartype=vartype, context="", source="")
