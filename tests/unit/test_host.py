# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observation on machines laid out in a folder: procfs, cgroup v1 and v2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils import _host
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem

MIB = 1 << 20
CPUS = len(os.sched_getaffinity(0))


def lay_out(root: Path, files: dict[str, str]) -> str:
    base = {"proc/meminfo": "MemTotal: 2097152 kB\nMemFree: 100 kB\nMemAvailable: 1572864 kB\n"}
    for name, text in {**base, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def test_without_cgroups_it_is_memtotal(tmp_path: Path) -> None:
    seen = _host.observe(lay_out(tmp_path, {}))
    assert (seen.ram, seen.limited_by, seen.used) == (2048 * MIB, "MemTotal", 512 * MIB)
    assert seen.cpus == CPUS


def test_cgroup_v2_limit_of_a_parent_holds(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/self/cgroup": "0::/lxc/box/app\n",
            "sys/fs/cgroup/lxc/box/app/memory.max": "max\n",
            "sys/fs/cgroup/lxc/box/memory.max": f"{1024 * MIB}\n",
            "sys/fs/cgroup/lxc/box/memory.current": f"{700 * MIB}\n",
            "sys/fs/cgroup/lxc/box/memory.stat": f"anon 1\ninactive_file {300 * MIB}\n",
            "sys/fs/cgroup/lxc/memory.max": f"{4096 * MIB}\n",
            "sys/fs/cgroup/lxc/box/cpu.max": "100000 100000\n",
        },
    )
    seen = _host.observe(root)
    assert seen.ram == 1024 * MIB
    assert seen.limited_by.endswith("lxc/box/memory.max")
    assert seen.used == 400 * MIB
    assert seen.cpus == 1


def test_cgroup_v1_limit(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{512 * MIB}\n",
            "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{200 * MIB}\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "150000\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
        },
    )
    seen = _host.observe(root)
    assert (seen.ram, seen.used, seen.cpus) == (512 * MIB, 200 * MIB, 1)


def test_a_path_seen_only_from_outside_falls_back_to_the_mount(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {"proc/self/cgroup": "0::/docker/abcdef\n", "sys/fs/cgroup/memory.max": f"{768 * MIB}\n"},
    )
    assert _host.observe(root).ram == 768 * MIB


def test_unlimited_v1_is_no_limit(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert _host.observe(root).limited_by == "MemTotal"


def test_synapse_and_postgresql_do_not_count_as_others(tmp_path: Path) -> None:
    root = lay_out(
        tmp_path,
        {
            "proc/10/cmdline": "python\0-m\0synapse.app.homeserver\0",
            "proc/10/status": f"Name:\tpython\nRssAnon:\t{200 * 1024} kB\nRssShmem:\t0 kB\n",
            "proc/11/cmdline": "postgres: synapse synapse 127.0.0.1 idle",
            "proc/11/status": f"RssAnon:\t{10 * 1024} kB\nRssShmem:\t{100 * 1024} kB\n",
            "proc/12/cmdline": "/usr/lib/postgresql/17/bin/postgres\0-D\0/x\0",
            "proc/12/status": f"RssAnon:\t{2 * 1024} kB\nRssShmem:\t{90 * 1024} kB\n",
            "proc/13/cmdline": "postgres_exporter\0",
            "proc/13/status": f"RssAnon:\t{50 * 1024} kB\n",
        },
    )
    # 512 in use, less 200 + 10 + 2 private and 100 shared, counted once.
    assert _host.observe(root).used == 200 * MIB


def test_no_meminfo_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="give ram and reserved yourself"):
        _host.observe(str(tmp_path))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("nothing\n")
    with pytest.raises(FileProblem, match="no MemTotal"):
        _host.observe(str(tmp_path))


def test_this_machine() -> None:
    seen = _host.observe()
    assert 0 < seen.used < seen.ram
    assert 1 <= seen.cpus <= CPUS
