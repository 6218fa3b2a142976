# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each lever returned by itself in the lab. Made by tests/lab/bench_levers.py: do not edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

__all__ = ["MEASURED", "MEASURED_ON", "Measured"]


@dataclass(frozen=True)
class Measured:
    """Medians over the rotations, against stock in the same one.

    returned: bytes that the peak of Synapse and PostgreSQL fell by. stock: bytes of that peak.
    cpu, p95: ratios of processor time and of the 95th percentile of latency, taking turns; None where too few did.
    users: of the load.
    """

    returned: int
    stock: int
    cpu: Optional[float]
    p95: Optional[float]
    users: int


MEASURED_ON = "docs/benchmarks/levers.json: 1 rotation, Synapse 1.163.2"

MEASURED = {
    "malloc_conf": Measured(17800000, 395600000, 1.00, None, 50),
    "malloc_conf, decay 10 s": Measured(12600000, 395600000, 1.00, None, 50),
    "malloc_conf, decay 5 s": Measured(9400000, 395600000, 1.01, None, 50),
    "malloc_conf, PYTHONMALLOC=malloc": Measured(13000000, 395600000, 1.05, None, 50),
    "cache_autotuning, PYTHONMALLOC=malloc": Measured(-13100000, 395600000, 1.05, None, 50),
    "cp_max 3": Measured(27800000, 395600000, None, None, 50),
    "cp_max 5": Measured(19200000, 395600000, 0.99, None, 50),
    "txn_limit 500": Measured(1600000, 395600000, None, None, 50),
    "global_factor 0.2": Measured(700000, 395600000, 1.07, None, 50),
    "caches that evicted": Measured(-7600000, 395600000, 1.00, None, 50),
    "gc_thresholds 2000, 20, 20": Measured(-16800000, 395600000, None, None, 50),
    "presence off": Measured(500000, 395600000, None, None, 50),
    "shared_buffers 32MB": Measured(43700000, 395600000, None, None, 50),
    "shared_buffers 64MB": Measured(12200000, 395600000, None, None, 50),
    "jit off": Measured(-1000000, 395600000, None, None, 50),
    "parallel workers off": Measured(-3000000, 395600000, None, None, 50),
    "random_page_cost 1.1": Measured(1500000, 395600000, None, None, 50),
}
