# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When autovacuum works on single tables."""

from __future__ import annotations

from typing import Dict

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.settings import Setting, Settings
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import GIB, show_bytes

__all__ = ["table_settings"]

# Nothing is known that speaks against PostgreSQL's own scale in a smaller one.
_LARGE_DATABASE = GIB
_SOURCE = "guides for large Synapse databases, for the one table that they mean"


def table_settings(inputs: Inputs) -> Dict[str, Settings]:
    """Options by table, as ALTER TABLE SET takes them; empty where PostgreSQL's own will do.

    Not server-wide: there the many small tables would be vacuumed ten times as often, for nothing.
    """
    if not inputs.has_postgresql or inputs.database_size < _LARGE_DATABASE:
        return {}
    size = show_bytes(inputs.database_size)
    return {
        "state_groups_state": {
            "autovacuum_vacuum_scale_factor": Setting(
                value=0.02,
                unit="of the rows",
                why=f"the database holds {size}, this table as a rule the most of it: at the default of 0.2 millions of rows that"
                " the compressor or a purge deleted pile up in it before their space is used again",
                source=_SOURCE,
            ),
            "autovacuum_analyze_scale_factor": Setting(
                value=0.05,
                unit="of the rows",
                why=f"the database holds {size}, this table as a rule the most of it: its statistics, by which queries of a"
                " room's state are planned, are renewed after 5 % of it has changed, not 10 %",
                source=_SOURCE,
            ),
        }
    }
