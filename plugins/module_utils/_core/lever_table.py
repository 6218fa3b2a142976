# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each lever returned by itself in the lab. Made by tests/lab/bench_levers.py: do not edit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MEASURED", "MEASURED_ON", "Measured"]


@dataclass(frozen=True)
class Measured:
    """Medians over the rotations, against stock in the same one.

    returned: bytes that the peak of Synapse and PostgreSQL fell by. stock: bytes of that peak.
    cpu, p95: ratios of processor time and of the 95th percentile of latency. users: of the load.
    """

    returned: int
    stock: int
    cpu: float
    p95: float
    users: int


MEASURED_ON = "docs/benchmarks/levers.json: 1 rotations, Synapse 1.163.2"

MEASURED = {
    "malloc_conf": Measured(15000000, 403200000, 0.61, 0.54, 50),
    "malloc_conf, PYTHONMALLOC=malloc": Measured(22000000, 403200000, 0.58, 0.55, 50),
    "cache_autotuning, PYTHONMALLOC=malloc": Measured(3500000, 403200000, 0.54, 0.89, 50),
    "cp_max 3": Measured(46400000, 403200000, 0.58, 1.43, 50),
    "cp_max 5": Measured(28200000, 403200000, 0.65, 0.56, 50),
    "txn_limit 500": Measured(11800000, 403200000, 0.72, 0.72, 50),
    "global_factor 0.2": Measured(9300000, 403200000, 0.62, 0.74, 50),
    "global_factor 2": Measured(0, 403200000, 1.00, 1.00, 50),
    "gc_thresholds 2000, 20, 20": Measured(0, 403200000, 1.00, 1.00, 50),
    "presence off": Measured(0, 403200000, 1.00, 1.00, 50),
    "sync_response_cache 5s": Measured(0, 403200000, 1.00, 1.00, 50),
    "shared_buffers 32MB": Measured(0, 403200000, 1.00, 1.00, 50),
    "shared_buffers 64MB": Measured(0, 403200000, 1.00, 1.00, 50),
    "shared_buffers 512MB": Measured(0, 403200000, 1.00, 1.00, 50),
    "work_mem 1MB": Measured(0, 403200000, 1.00, 1.00, 50),
    "max_connections 30": Measured(0, 403200000, 1.00, 1.00, 50),
    "jit off": Measured(0, 403200000, 1.00, 1.00, 50),
    "parallel workers off": Measured(0, 403200000, 1.00, 1.00, 50),
    "random_page_cost 1.1": Measured(0, 403200000, 1.00, 1.00, 50),
}
