# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants of memory_model, in bytes. Made by tests/lab/fit_model.py: do not edit."""

from __future__ import annotations

__all__ = ["FITTED_ON", "MOST_USERS", "POSTGRESQL", "SYNAPSE"]

# The runs that made them.
FITTED_ON = "docs/benchmarks/memory-runs.jsonl: 11 runs of 2026-11-28, Synapse 1.163.2, PostgreSQL 15"
# Beyond these users it is extrapolated.
MOST_USERS = 500

SYNAPSE = {
    "idle": 119809394.5,
    "activity": 12251914.3,
    "joined_event": 10981.9,
    "malloc_conf": 18035370.9,
    "spread": 0.1,
}

POSTGRESQL = {
    "touched": 35188563.7,
    "touched_activity": 4326599.8,
    "touched_event": 7263.4,
    "processes": 8353621.3,
    "backend": 4430089.5,
    "backend_event": 365.0,
    "spread": 0.1,
}
