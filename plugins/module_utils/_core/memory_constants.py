# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The constants of memory_model, in bytes. Made by tests/lab/fit_model.py: do not edit."""

from __future__ import annotations

__all__ = ["FITTED_ON", "MOST_USERS", "POSTGRESQL", "SYNAPSE"]

# The runs that made them.
FITTED_ON = "docs/benchmarks/memory-runs.jsonl: 26 runs of 2026-11-28, 2026-11-29, Synapse 1.163.2, PostgreSQL 15"
# Beyond these users it is extrapolated.
MOST_USERS = 500

SYNAPSE = {
    "idle": 120211454.9,
    "activity": 12143591.5,
    "joined_event": 11002.4,
    "malloc_conf": 16142908.1,
    "spread": 0.1,
}

POSTGRESQL = {
    "touched": 36595321.4,
    "touched_activity": 3432168.5,
    "touched_event": 7414.8,
    "processes": 9384798.8,
    "backend": 4214422.9,
    "backend_event": 473.8,
    "spread": 0.15,
}
