# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was read back from the running system, as a part of the report."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, table

__all__ = ["verified_section"]

_COLUMNS = (Column("", 1), Column("lever", 34), Column("effective", 22), Column("state", 15), Column("read from"))
# + in effect or without effect by nature, ! known to differ, ? not known.
_UNKNOWN = "unknown"


def verified_section(effective: Mapping[str, Any], *, width: int) -> Tuple[str, List[str]]:
    """Title and lines. effective: what effective_info returned. Levers that differ come first."""
    levers = effective["levers"]
    rows = sorted(((_mark(each), each) for each in levers), key=lambda row: "!?+".index(row[0]))
    cells = [
        (
            mark,
            each["lever"],
            _show(each["effective"]),
            each["state"].replace("_", " "),
            each["source"] if mark == "+" and each["state"] == "in_effect" else each["because"],
        )
        for mark, each in rows
    ]
    confirmed = sum(mark == "+" for mark, _each in rows)
    title = f"VERIFIED: {confirmed} of {len(levers)} levers are as planned on the running system"
    return title, table(_COLUMNS, cells, width=width)


def _mark(lever: Mapping[str, Any]) -> str:
    if lever["ok"]:
        return "+"
    return "?" if lever["state"] == _UNKNOWN else "!"


def _show(value: Any) -> str:
    if value is None:
        return "(none)"
    return value if isinstance(value, str) else json.dumps(value)
