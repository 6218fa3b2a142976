# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each lever returns by itself: stock with one setting changed, beside stock. A benchmark, no test.

    .venv/bin/python tests/lab/bench_levers.py [--users 50] [--rotations 0 1 2] [--levers malloc_conf "cp_max 5"]
    .venv/bin/python tests/lab/bench_levers.py --turns [--rotations 0 1 2] [--levers malloc_conf "cp_max 5"]

As root, with the test stack, on a machine that does nothing else; a run takes about a minute. Memory is that of runs by
themselves: differences are made within a rotation, in which each lever ran once and stock first. Speed is that of runs with
--turns, in which stock and all the levers that are named run at once and take turns at the same load (bench_speed.py). The
answers go to docs/benchmarks/levers.json and levers.md; what is there already is not done again. `--write` also writes
plugins/module_utils/_core/lever_table.py, from which plans say what each lever returns.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pathlib
import statistics
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))

# It sees to it that ansible_collections.synapse.tuning means this checkout.
import bench_speed
import configurations
import dataset
import images
import remote
from engine import Engine, say
from measured_on import machine
from run import Cell, measure

from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import planned_per_cache_factors

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = ROOT / "plugins" / "module_utils" / "_core" / "lever_table.py"
TABLE_USERS = 50
LEAST_ROTATIONS = 3
HOST_GIB = 4
STEADY_SECONDS = 30.0

MALLOC_CONF = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0,narenas:1"

_PAGE = """\
<!--
SPDX-FileCopyrightText: 2026 The synapse.tuning authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
"""
_SOURCE = """\
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""

_FEW = (
    f"**Fewer than {LEAST_ROTATIONS} rotations**: what differs by less than 12 MB is noise, and so is a tenth of p95. Processor time in"
    " turns differs by 1 to 2 % between two servers of the same settings."
)

LEVERS: dict[str, dict[str, Any]] = {
    "stock": {},
    "malloc_conf": {"environment": {"MALLOC_CONF": MALLOC_CONF}},
    # By jemalloc's own decay of ten seconds, and half of it.
    "malloc_conf, decay 10 s": {"environment": {"MALLOC_CONF": "background_thread:true,narenas:1"}},
    "malloc_conf, decay 5 s": {
        "environment": {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:5000,muzzy_decay_ms:0,narenas:1"}
    },
    "malloc_conf, PYTHONMALLOC=malloc": {"environment": {"MALLOC_CONF": MALLOC_CONF, "PYTHONMALLOC": "malloc"}},
    "cache_autotuning, PYTHONMALLOC=malloc": {
        "environment": {"PYTHONMALLOC": "malloc"},
        "homeserver": {
            "caches.cache_autotuning": {
                "max_cache_memory_usage": "358M",
                "target_cache_memory_usage": "281M",
                "min_cache_ttl": "5m",
            }
        },
    },
    "cp_max 3": {"homeserver": {"database.args.cp_min": 1, "database.args.cp_max": 3}},
    "cp_max 5": {"homeserver": {"database.args.cp_min": 2, "database.args.cp_max": 5}},
    "txn_limit 500": {"homeserver": {"database.txn_limit": 500}},
    "global_factor 0.2": {"homeserver": {"caches.global_factor": 0.2}},
    "caches that evicted": {"homeserver": {"caches.per_cache_factors": planned_per_cache_factors(factor=0.5, own={})}},
    "global_factor 2": {"homeserver": {"caches.global_factor": 2.0}},
    "gc_thresholds 2000, 20, 20": {"homeserver": {"gc_thresholds": [2000, 20, 20]}},
    "presence off": {"homeserver": {"presence.enabled": False}},
    "sync_response_cache 5s": {"homeserver": {"caches.sync_response_cache_duration": "5s"}},
    "shared_buffers 32MB": {"postgresql": {"shared_buffers": "32MB"}},
    "shared_buffers 64MB": {"postgresql": {"shared_buffers": "64MB"}},
    "shared_buffers 512MB": {"postgresql": {"shared_buffers": "512MB"}},
    "work_mem 1MB": {"postgresql": {"work_mem": "1MB"}},
    "max_connections 30": {"postgresql": {"max_connections": "30"}},
    "jit off": {"postgresql": {"jit": "off"}},
    "parallel workers off": {
        "postgresql": {"max_parallel_workers_per_gather": "0", "max_parallel_maintenance_workers": "0"}
    },
    "random_page_cost 1.1": {"postgresql": {"random_page_cost": "1.1", "effective_io_concurrency": "200"}},
}


def main() -> int:
    """Do the runs that are missing, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[50])
    parser.add_argument("--rotations", type=int, nargs="+", default=[0, 1, 2], help="their numbers")
    parser.add_argument("--levers", nargs="+", default=list(LEVERS), choices=list(LEVERS))
    parser.add_argument("--turns", action="store_true", help="how fast they are, all at once and in turns")
    parser.add_argument("--write", action="store_true", help="also write the plan's table")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "benchmarks")
    options = parser.parse_args()
    path = options.out / "levers.json"
    said = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"runs": [], "turns": []}
    done = {(run["rotation"], run["users"], run["lever"]) for run in said["runs"]}
    engine = Engine()
    said["machine"] = machine(os.getloadavg()[0], "matrix-synapse")
    with engine.lease():
        images.build_all(engine)
        kept = dataset.ensure(engine)
        remote.ensure(engine)
        for rotation in options.rotations if options.turns else ():
            for users in options.users:
                _take_turns(engine, kept, options.levers, Cell(HOST_GIB, users), rotation, said["turns"])
                path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
        for rotation in () if options.turns else options.rotations:
            for users in options.users:
                others = [name for name in options.levers if name != "stock"]
                shift = rotation * 7 % max(len(others), 1)
                for lever in ("stock", *others[shift:], *others[:shift]):
                    if (rotation, users, lever) in done:
                        continue
                    run = _run(engine, kept, lever, users, rotation)
                    said["runs"].append(run)
                    path.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
                    say(f"{lever}, {users} users, rotation {rotation}: {run['total_mb']:.0f} MB")
    (options.out / "levers.md").write_text(text(said), encoding="utf-8")
    if options.write:
        TABLE.write_text(table(said, TABLE_USERS), encoding="utf-8")
    return 0


def _take_turns(
    engine: Engine, kept: dataset.Dataset, levers: list[str], cell: Cell, rotation: int, turns: list[dict[str, Any]]
) -> None:
    """Add a run of stock and these levers at once, without those that have one of this rotation."""
    of_this = [turn for turn in turns if (turn["rotation"], turn["users"]) == (rotation, cell.users)]
    done = {lever for turn in of_this for lever in turn["configurations"]}
    missing = [lever for lever in levers if lever != "stock" and lever not in done]
    if not missing:
        return
    names = ["stock", *missing]
    writers = {name: functools.partial(configurations.write, **LEVERS[name]) for name in names}
    turn = bench_speed.measure(engine, kept, cell, writers, rotation=rotation)
    turns.append(turn)
    stock = turn["configurations"]["stock"]
    for name in names:
        run = turn["configurations"][name]
        say(f"{name}, rotation {rotation}: p95 {_p95(run) / _p95(stock):.2f}, CPU {_cpu(run) / _cpu(stock):.2f}")


def _p95(run: dict[str, Any]) -> float:
    return float(run["latency"]["all"]["p95"])


def _cpu(run: dict[str, Any]) -> float:
    return float(sum(run["cpu_seconds"].values()))


def _in_turns(said: dict[str, Any], users: int, lever: str, read: Callable[[dict[str, Any]], float]) -> list[float]:
    """The ratios to stock of the runs in which both took turns."""
    runs = [turn["configurations"] for turn in said["turns"] if turn["users"] == users]
    return [read(run[lever]) / read(run["stock"]) for run in runs if lever in run]


def _run(engine: Engine, kept: dataset.Dataset, lever: str, users: int, rotation: int) -> dict[str, Any]:
    record = measure(
        *(engine, kept, Cell(HOST_GIB, users), lever),
        seed=rotation,
        steady_seconds=STEADY_SECONDS,
        purge=False,
        apply=lambda project: configurations.write(project, **LEVERS[lever]),
    )
    memory = record["memory"]
    return {
        "lever": lever,
        "users": users,
        "rotation": rotation,
        **{f"{part}_mb": round(memory[part]["held_peak"] / 1e6, 1) for part in ("synapse", "postgresql", "total")},
        **{
            f"{part}_steady_mb": round(memory[part]["held_steady"] / 1e6, 1)
            for part in ("synapse", "postgresql", "total")
        },
        "idle_mb": round(memory["total"]["idle"] / 1e6, 1),
        "federated_join": record["latency"].get("federated_join", {}).get("p50"),
        "errors": record["errors"],
        "error_samples": record["error_samples"],
    }


def text(said: dict[str, Any]) -> str:
    """The table, levers that return most first."""
    on = said["machine"]
    lines = [
        *_PAGE.splitlines(),
        "# What each lever returns by itself",
        "",
        "Stock Synapse and PostgreSQL with one setting changed, against stock in the same rotation: medians of the differences and",
        f"ratios. {on['cores']} cores, Synapse {on['matrix_synapse']}, PostgreSQL 15; a host of {HOST_GIB} GiB. Held: anonymous and",
        "shared memory of both cgroups, in MB of 10^6 bytes. The peak is that of a join of 5,200 members over federation.",
        "p95 and processor time are ratios of other runs, in which stock and the levers ran at once and took turns at the same load.",
    ]
    for users in sorted({run["users"] for run in said["runs"]}):
        runs = [run for run in said["runs"] if run["users"] == users]
        stock = {run["rotation"]: run for run in runs if run["lever"] == "stock"}
        lines += [
            "",
            f"## {users} users",
            "",
            f"Stock: peak {_median(stock.values(), 'total_mb'):.0f} MB (Synapse {_median(stock.values(), 'synapse_mb'):.0f},"
            f" PostgreSQL {_median(stock.values(), 'postgresql_mb'):.0f}), steady {_median(stock.values(), 'total_steady_mb'):.0f} MB,"
            f" {_rotations(stock)}.",
            *(["", _FEW] if len(stock) < LEAST_ROTATIONS else []),
            "",
            "| lever | peak MB | steady MB | Synapse | PostgreSQL | p95 | processor time | errors |",
            "| --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        rows = []
        for lever in LEVERS:
            pairs = [
                (run, stock[run["rotation"]]) for run in runs if run["lever"] == lever and run["rotation"] in stock
            ]
            if lever != "stock" and pairs:
                speeds = [_in_turns(said, users, lever, read) for read in (_p95, _cpu)]
                rows.append(_row(lever, pairs, *speeds))
        lines += [line for _peak, line in sorted(rows)]
    return "\n".join(lines) + "\n"


def table(said: dict[str, Any], users: int) -> str:
    """The source of the plan's table."""
    runs = [run for run in said["runs"] if run["users"] == users]
    stock = {run["rotation"]: run for run in runs if run["lever"] == "stock"}
    lines = [
        *_SOURCE.splitlines(),
        '"""What each lever returned by itself in the lab. Made by tests/lab/bench_levers.py: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from dataclasses import dataclass",
        "from typing import Optional",
        "",
        '__all__ = ["MEASURED", "MEASURED_ON", "Measured"]',
        "",
        "",
        "@dataclass(frozen=True)",
        "class Measured:",
        '    """Medians over the rotations, against stock in the same one.',
        "",
        "    returned: bytes that the peak of Synapse and PostgreSQL fell by. stock: bytes of that peak.",
        "    cpu, p95: ratios of processor time and of the 95th percentile of latency, taking turns; None where too few did.",
        "    users: of the load.",
        '    """',
        "",
        "    returned: int",
        "    stock: int",
        "    cpu: Optional[float]",
        "    p95: Optional[float]",
        "    users: int",
        "",
        "",
        f'MEASURED_ON = "docs/benchmarks/levers.json: {_rotations(stock)}, Synapse {said["machine"]["matrix_synapse"]}"',
        "",
        "MEASURED = {",
    ]
    for lever in LEVERS:
        pairs = [(run, stock[run["rotation"]]) for run in runs if run["lever"] == lever and run["rotation"] in stock]
        if lever != "stock" and pairs:
            returned = statistics.median(base["total_mb"] - run["total_mb"] for run, base in pairs)
            cpu, p95 = (_in_turns(said, users, lever, read) for read in (_cpu, _p95))
            whole = round(_median(stock.values(), "total_mb") * 1e6)
            # Processor time is told by one run within a percent or two, the tail of latency is not.
            shown = [
                f"{statistics.median(ratios):.2f}" if len(ratios) >= least else "None"
                for ratios, least in ((cpu, 1), (p95, LEAST_ROTATIONS))
            ]
            figures = f"{round(returned * 1e6)}, {whole}, {', '.join(shown)}, {users}"
            lines.append(f'    "{lever}": Measured({figures}),')
    return "\n".join([*lines, "}"]) + "\n"


def _rotations(runs: Any) -> str:
    return f"{len(runs)} rotation{'s' if len(runs) != 1 else ''}"


def _median(runs: Any, name: str) -> float:
    return statistics.median(run[name] for run in runs)


def _row(
    lever: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]], slower: list[float], cpu: list[float]
) -> tuple[float, str]:
    def differs(name: str) -> float:
        return statistics.median(run[name] - base[name] for run, base in pairs)

    def shown(ratios: list[float]) -> str:
        each = f" ({min(ratios):.2f}–{max(ratios):.2f})" if len(ratios) > 1 else ""
        return f"{statistics.median(ratios):.2f}{each}" if ratios else "–"

    peak = differs("total_mb")
    cells = [
        lever,
        *(f"{differs(name):+.0f}" for name in ("total_mb", "total_steady_mb", "synapse_mb", "postgresql_mb")),
        *(shown(slower), shown(cpu)),
        str(sum(run["errors"] for run, _base in pairs)),
    ]
    return peak, f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    raise SystemExit(main())
