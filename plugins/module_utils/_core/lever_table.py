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
    "malloc_conf": Measured(30500000, 404500000, 1.06, 0.87, 50),
    "malloc_conf, PYTHONMALLOC=malloc": Measured(21900000, 404500000, 1.02, 0.85, 50),
    "cache_autotuning, PYTHONMALLOC=malloc": Measured(-4200000, 404500000, 0.88, 0.77, 50),
    "cp_max 3": Measured(36700000, 404500000, 0.85, 2.33, 50),
    "cp_max 5": Measured(28100000, 404500000, 0.86, 0.69, 50),
    "txn_limit 500": Measured(10500000, 404500000, 0.93, 0.78, 50),
    "global_factor 0.2": Measured(9600000, 404500000, 0.96, 0.71, 50),
    "gc_thresholds 2000, 20, 20": Measured(-7900000, 404500000, 0.91, 0.70, 50),
    "presence off": Measured(9400000, 404500000, 0.95, 0.84, 50),
    "shared_buffers 32MB": Measured(52600000, 404500000, 1.12, 0.86, 50),
    "shared_buffers 64MB": Measured(21100000, 404500000, 0.91, 0.72, 50),
    "jit off": Measured(7900000, 404500000, 0.89, 0.79, 50),
    "parallel workers off": Measured(5900000, 404500000, 0.97, 0.63, 50),
    "random_page_cost 1.1": Measured(10400000, 404500000, 0.88, 0.65, 50),
}
