# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""psycopg 3, where the target has it. On its own: only what needs it pays for the import."""

from __future__ import annotations

import traceback
from typing import Any, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._deps import Library

__all__ = ["PSYCOPG", "psycopg"]

psycopg: Any = None
_error: Optional[str] = None
try:
    import psycopg
    import psycopg.sql
except ImportError:
    # Also where it is there without its C library, libpq.
    _error = traceback.format_exc()

PSYCOPG = Library(
    name="psycopg",
    reason=(
        "to talk to PostgreSQL: 'apt install python3-psycopg' on Debian and Ubuntu, else "
        "'pip install \"psycopg[binary]\"' for the Python that Ansible uses on this host"
    ),
    error=_error,
)
