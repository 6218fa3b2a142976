# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants of memory_model, in bytes. Made by tests/lab/fit_model.py: do not edit."""

from __future__ import annotations

__all__ = ["FITTED_ON", "MOST_USERS", "POSTGRESQL", "SYNAPSE"]

# The runs that made them.
FITTED_ON = ""
# Beyond these users it is extrapolated.
MOST_USERS = 500

SYNAPSE = {
    "idle": 134e6,
    "activity": 10.5e6,
    "joined_event": 11e3,
    "malloc_conf": 15e6,
    "spread": 0.1,
}

POSTGRESQL = {
    "touched": 30e6,
    "touched_activity": 6e6,
    "touched_event": 5e3,
    "processes": 8e6,
    "backend": 5e6,
    "backend_event": 700.0,
    "spread": 0.1,
}
