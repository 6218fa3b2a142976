# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formulas of others that the lab compares with: figures of the peers' own, or worked out by hand."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lab"))

import peers

MIB = 1024**2
GIB = 1024 * MIB

# What pgtune itself answered (its selectors of 2026-07-30, run for these hosts); in each case beside these:
PGTUNE_ALWAYS = {
    "checkpoint_completion_target": "0.9",
    "default_statistics_target": "100",
    "random_page_cost": "1.1",
    "jit": "off",
    "wal_compression": "lz4",
    "min_wal_size": "1GB",
    "max_wal_size": "4GB",
}
PGTUNE_NAMES = (
    "max_connections",
    "shared_buffers",
    "effective_cache_size",
    "maintenance_work_mem",
    "wal_buffers",
    "effective_io_concurrency",
    "work_mem",
    "huge_pages",
)
PARALLEL = (
    "max_worker_processes",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_parallel_maintenance_workers",
)
PGTUNE_CASES: list[tuple[int, dict[str, Any], str, dict[str, str]]] = [
    (512 * MIB, {"cpus": 1}, "200 128MB 384MB 32MB 3932kB 200 4MB off", {}),
    (GIB, {"cpus": 1, "connections": 30}, "30 256MB 768MB 64MB 7864kB 200 6898kB off", {}),
    (2 * GIB, {"cpus": 2}, "200 512MB 1536MB 128MB 16MB 200 4MB off", {}),
    (1900 * MIB, {"cpus": None}, "200 475MB 1425MB 121600kB 16MB 200 4MB off", {}),
    (
        16 * GIB,
        {"cpus": 8, "version": 17},
        "200 4GB 12GB 1GB 16MB 200 20164kB try",
        dict(zip(PARALLEL, ("8", "8", "4", "4"))),
    ),
    (
        32 * GIB,
        {"cpus": 16, "version": 16, "storage": "nvme", "fits_in_ram": True},
        "200 8GB 24GB 2GB 16MB 1000 50486kB try",
        {
            **dict(zip(PARALLEL, ("16", "16", "4", "4"))),
            "autovacuum_max_workers": "4",
            "autovacuum_work_mem": "2GB",
        },
    ),
    (
        99 * GIB,
        {"cpus": 10},
        "200 25344MB 76032MB 6336MB 16MB 200 123582kB try",
        {**dict(zip(PARALLEL, ("10", "10", "4", "4"))), "autovacuum_work_mem": "2GB"},
    ),
]


@pytest.mark.parametrize("ram, options, values, more", PGTUNE_CASES)
def test_pgtune_says_the_same(ram: int, options: dict[str, Any], values: str, more: dict[str, str]) -> None:
    expected = {**PGTUNE_ALWAYS, **dict(zip(PGTUNE_NAMES, values.split(), strict=True)), **more}
    assert peers.pgtune_web(ram, **options) == expected


def test_pgtune_before_postgresql_15_and_on_a_slow_disk() -> None:
    found = peers.pgtune_web(GIB, cpus=2, version=14, storage="hdd")
    assert (found["wal_compression"], found["random_page_cost"], found["effective_io_concurrency"]) == ("on", "4", "2")


# (mem - mem/4) / 600 connections' sorts / 1 worker on two processors: 1.25 kB, rounded down, for each MB.
@pytest.mark.parametrize(
    "gib, sizes, wal_buffers, work_mem",
    [
        (1, ("256MB", "768MB", "64MB"), "256MB", "1310kB"),
        (2, ("512MB", "1536MB", "128MB"), "512MB", "2621kB"),
        (4, ("1024MB", "3072MB", "256MB"), "16MB", "5242kB"),
        (64, ("16384MB", "49152MB", "2048MB"), "16MB", "83886kB"),
    ],
)
def test_mdad_on_two_processors(gib: int, sizes: tuple[str, str, str], wal_buffers: str, work_mem: str) -> None:
    found = peers.mdad_postgresql(gib * GIB, cpus=2)
    names = ("shared_buffers", "effective_cache_size", "maintenance_work_mem")
    assert tuple(found[name] for name in names) == sizes
    assert (found["wal_buffers"], found["work_mem"]) == (wal_buffers, work_mem)
    assert (found["max_connections"], found["huge_pages"]) == ("200", "try" if gib >= 32 else "off")
    assert [found[name] for name in PARALLEL] == ["2", "2", "1", "1"]


def test_mdads_slip_ends_where_3_percent_are_16_mb() -> None:
    assert peers.mdad_postgresql(2133 * MIB, cpus=2)["wal_buffers"] == "533MB"
    assert peers.mdad_postgresql(2134 * MIB, cpus=2)["wal_buffers"] == "16MB"


def test_mdad_divides_work_mem_by_the_workers_of_a_query() -> None:
    found = peers.mdad_postgresql(4 * GIB, cpus=16)
    # 3145728 kB / 600 / 4
    assert (found["work_mem"], found["max_parallel_workers_per_gather"]) == ("1310kB", "4")
    assert peers.mdad_postgresql(64 * MIB, cpus=2)["work_mem"] == "81kB"
    assert peers.mdad_postgresql(32 * MIB, cpus=2)["work_mem"] == "64kB"


@pytest.mark.parametrize(
    "gib, most, target",
    [(1, 128 * MIB, 64 * MIB), (2, 256 * MIB, 128 * MIB), (4, 512 * MIB, 256 * MIB), (64, 2 * GIB, GIB)],
)
def test_mdads_autotuning(gib: int, most: int, target: int) -> None:
    assert peers.mdad_autotuning(gib * GIB) == {
        "max_cache_memory_usage": most,
        "target_cache_memory_usage": target,
        "min_cache_ttl": "30s",
    }
