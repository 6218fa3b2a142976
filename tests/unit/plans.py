# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies and readers for tests of plans."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import (
    CACHE_AUTOTUNING,
    FEDERATION,
    STORAGE,
    TOPOLOGIES,
)

MIB = 1 << 20
GIB = 1 << 30

RAM = st.integers(512 * MIB, 256 * GIB)
USERS = st.integers(1, 100_000)

# All inputs but users and ram, on hosts that they fit.
OTHERS = st.fixed_dictionaries(
    {
        "cpus": st.integers(1, 64),
        "storage": st.sampled_from(STORAGE),
        "topology": st.sampled_from(TOPOLOGIES),
        "federation": st.sampled_from(FEDERATION),
        "postgresql_version": st.integers(13, 18),
        "database_size": st.one_of(st.just(0), st.integers(10 * MIB, 1 << 40)),
        "cache_autotuning": st.sampled_from(CACHE_AUTOTUNING),
        "extra_connections": st.integers(0, 200),
    }
)


def settings_of(plan: Dict[str, Any], prefix: str = "") -> Iterator[Tuple[str, Dict[str, Any]]]:
    """Every setting of a plan with its dotted path."""
    for name, value in plan.items():
        if isinstance(value, dict):
            if "why" in value:
                yield prefix + name, value
            else:
                yield from settings_of(value, prefix + name + ".")
