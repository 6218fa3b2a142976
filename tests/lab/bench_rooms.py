# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ranking 100,000 rooms takes: a benchmark, not a test, for it judges nothing and needs a quiet machine.

    .venv/bin/python tests/lab/bench_rooms.py        (as root, with the test stack; some minutes to fill the database)

The schema is what Synapse itself makes in the test stack's PostgreSQL, on its stock settings. many_rooms.sql fills it,
and nobody analyzes it. Each run is a process of the module as Ansible starts it on a target: imports, login, queries,
answer. A run over the first order warms PostgreSQL's cache, as on a server in use. The answers go to
docs/benchmarks/rooms.md and .json.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))
# Its conftest makes a folder whose ansible_collections has this checkout.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import deployment
import images
from conftest import COLLECTIONS_PATH
from engine import Engine
from measured_on import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILL = pathlib.Path(__file__).with_name("many_rooms.sql")
MODULE = "ansible_collections.synapse.tuning.plugins.modules.rooms_info"

GOAL_SECONDS = 3.0
GOAL_MEBIBYTES = 100

CASES: dict[str, dict[str, Any]] = {
    "state rows (the default)": {},
    "events": {"order_by": "events"},
    "disk": {"order_by": "disk"},
    "current state events": {"order_by": "state_events"},
    "a pattern, and no local members": {"pattern": "*remote1?.example", "no_local_members": True},
    "inactive for a year": {"inactive_days": 365},
    "tombstoned": {"tombstoned": True},
    "state rows, sampled above 500,000": {"sample_above": 500_000},
}

# Prints the answer's figures and the process's own peak, in KiB: getrusage of children tells the largest of all.
_RUN = """
import runpy, sys
try:
    runpy.run_module({module!r}, run_name="__main__")
finally:
    with open("/proc/self/status", encoding="ascii") as status:
        print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


def run(engine: Engine, options: dict[str, Any]) -> tuple[float, float, int, dict[str, Any]]:
    """One process of the module: wall seconds, its processor seconds, its peak in KiB, and what it returned."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(module=MODULE)],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": options}),
        env={**engine.environment(), "PYTHONPATH": str(COLLECTIONS_PATH)},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{options}: {done.stdout}{done.stderr}")
    processor = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    return seconds, processor, int(done.stderr.split()[1]), json.loads(done.stdout)


def measure(engine: Engine, login: dict[str, Any], *, runs: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    for name, options in CASES.items():
        run(engine, {**login, **options})
        each = [run(engine, {**login, **options}) for _run in range(runs)]
        times = sorted(seconds for seconds, _processor, _peak, _answer in each)
        answer = each[-1][3]
        results[name] = {
            "fastest_seconds": round(times[0], 2),
            "median_seconds": round(statistics.median(times), 2),
            "slowest_seconds": round(times[-1], 2),
            "module_processor_seconds": round(statistics.median(processor for _s, processor, _p, _a in each), 2),
            "peak_mebibytes": round(max(peak for _s, _processor, peak, _a in each) / 1024, 1),
            "percent": round(answer["percent"], 1),
            "matched": answer["matched"],
            "load_average_after": round(os.getloadavg()[0], 1),
        }
        print(f"  {name}: {results[name]}", flush=True)
    return results


def fill(project: deployment.Deployment, *, rooms: int, seed: int) -> dict[str, int]:
    """Fill the database that Synapse made, and say how many rows there are."""
    project.compose("stop", "synapse")
    with FILL.open("rb") as script:
        subprocess.run(
            [
                *("docker", "exec", "-i", project.container("db"), "psql", "-q", "-U", "synapse", "-d", "synapse"),
                *("-v", f"rooms={rooms}", "-v", f"seed='{seed}'"),
            ],
            stdin=script,
            env=project.engine.environment(),
            check=True,
        )
    tables = ("rooms", "state_groups_state", "events", "event_json", "current_state_events")
    if project.sql("SELECT count(*) FROM pg_stats WHERE tablename IN ('events', 'state_groups_state')") != [["0"]]:
        sys.exit("the tables were analyzed, so this would measure something else")
    return {table: int(project.sql(f"SELECT count(*) FROM {table}")[0][0]) for table in tables}


def markdown(result: dict[str, Any]) -> str:
    where, rows = result["machine"], result["rows"]
    cases = "\n".join(
        f"| {name} | {case['matched']:,} | **{case['fastest_seconds']:.2f} s** | {case['median_seconds']:.2f} s"
        f" | {case['slowest_seconds']:.2f} s | {case['peak_mebibytes']:.0f} MiB | {case['load_average_after']} |"
        for name, case in result["cases"].items()
    )
    return f"""\
<!--
SPDX-FileCopyrightText: 2026 The synapse.tuning authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
# What ranking {rows["rooms"]:,} rooms takes

Written by `tests/lab/bench_rooms.py` on {where["cores"]} cores and {where["memory_gib"]} GiB, {where["system"]},
Python {where["python"]}, ansible-core {where["ansible_core"]}, psycopg {where["psycopg"]}, PostgreSQL
{where["postgresql"]} on its stock settings in a container; load average before it: {where["load_average_before"]}. The
raw figures are in `rooms.json`.

The database has Synapse's own schema, {rows["state_groups_state"]:,} rows of `state_groups_state`, {rows["events"]:,}
events and {rows["current_state_events"]:,} current state events, in rooms of long-tailed sizes, in no order by room,
never analyzed. A run is a whole process of `rooms_info`: start of Python, login, queries, the 20 heaviest rooms.
{result["runs"]} runs each, after one to warm up.

| ranked by, filtered by | rooms that match | fastest | median | slowest | peak memory of the module | load average |
| --- | --- | --- | --- | --- | --- | --- |
{cases}

The goals are {GOAL_SECONDS:.0f} s on 2 cores and {GOAL_MEBIBYTES} MB. With a load average above the number of cores other
programs took part of the time: then the fastest run is the nearest to what a quiet machine does.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure ranking rooms.")
    parser.add_argument("--rooms", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs" / "benchmarks")
    arguments = parser.parse_args()

    engine = Engine()
    with engine.lease(), tempfile.TemporaryDirectory(prefix="synapse-tuning-bench-") as directory:
        images.build_all(engine)
        project = deployment.create(engine, pathlib.Path(directory) / "bench-rooms")
        try:
            project.up()
            print("Filling the database (some minutes)", flush=True)
            rows = fill(project, rooms=arguments.rooms, seed=arguments.seed)
            where = machine(os.getloadavg()[0], "ansible-core", "psycopg")
            where["postgresql"] = project.sql("SHOW server_version")[0][0].split()[0]
            cases = measure(engine, {"project_dir": str(project.directory)}, runs=arguments.runs)
        finally:
            project.remove()
    result = {
        "machine": where,
        "rows": rows,
        "seed": arguments.seed,
        "runs": arguments.runs,
        "cases": cases,
        "goal": {"seconds": GOAL_SECONDS, "mebibytes": GOAL_MEBIBYTES},
    }
    text = markdown(result)
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "rooms.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    (arguments.output / "rooms.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
