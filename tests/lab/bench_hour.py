# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One user, an hour of light use: what Synapse and PostgreSQL hold then. A benchmark, no test.

    .venv/bin/python tests/lab/bench_hour.py [--seconds 3600] [--configurations stock ours learned]

As root, with the test stack. The configurations run beside one another, each on a host of its own of 1 GiB: so light a use
leaves the machine idle nearly all of the time. `learned` has a second hour, with the plan that is made of what was measured
after the first one's of ours. The answers go to docs/benchmarks/hour.json and hour.md.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import json
import os
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "stack"))

# It sees to it that ansible_collections.synapse.tuning means this checkout.
import configurations
import dataset
import images
from engine import Engine
from measured_on import machine
from observe import observe
from run import Cell, measure

ROOT = pathlib.Path(__file__).resolve().parents[2]
_HEAD = """\
<!--
SPDX-FileCopyrightText: 2026 The synapse.tuning authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
"""
GOAL_BYTES = 250_000_000
"""For Synapse and PostgreSQL together; the recipe that is on the web says 350 MB."""


def main() -> int:
    """Measure, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--configurations", nargs="+", default=["stock", "ours", "learned"])
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "benchmarks")
    options = parser.parse_args()
    assert set(options.configurations) <= set(configurations.CONFIGURATIONS)
    assert "learned" not in options.configurations or "ours" in options.configurations, "learned learns from ours"
    engine = Engine()
    on = machine(os.getloadavg()[0], "matrix-synapse")
    with engine.lease():
        images.build_all(engine)
        kept = dataset.ensure(engine)
        run = functools.partial(_run, engine, kept, options.seconds)
        first = [each for each in options.configurations if each != "learned"]
        with concurrent.futures.ThreadPoolExecutor(len(first)) as pool:
            records = list(pool.map(run, first))
        seen = {record["configuration"]: record.pop("observed") for record in records}
        _write(options.out, on, records, options.seconds)
        if "learned" in options.configurations:
            record = run("learned", measured=seen["ours"])
            del record["observed"]
            _write(options.out, on, [*records, record], options.seconds)
    return 0


def _run(
    engine: Engine, kept: dataset.Dataset, seconds: float, configuration: str, measured: dict[str, Any] | None = None
) -> dict[str, Any]:
    return measure(
        *(engine, kept, Cell(1, 1), configuration),
        seed=1,
        room=None,
        steady_seconds=seconds,
        measured=measured,
        observe=observe,
    )


def _write(out: pathlib.Path, on: dict[str, Any], records: list[dict[str, Any]], seconds: float) -> None:
    (out / "hour.json").write_text(json.dumps({"machine": on, "runs": records}, indent=1) + "\n", encoding="utf-8")
    (out / "hour.md").write_text(_text(on, records, seconds), encoding="utf-8")


def _text(on: dict[str, Any], records: list[dict[str, Any]], seconds: float) -> str:
    lines = [
        *_HEAD.splitlines(),
        "# One user, an hour of light use",
        "",
        f"{seconds:.0f} s, a request every five seconds and a client that is open, on a host of 1 GiB (a memory cgroup); MB of",
        "10^6 bytes. Held is anonymous and shared memory as the cgroup has it; PSS is the kernel's proportional set size, file",
        f"pages included. {on['cores']} cores, Synapse {on['matrix_synapse']}, PostgreSQL 15.",
        "",
        "| configuration | Synapse held | PostgreSQL held | together held | together PSS | highest held | errors | p95 |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for record in records:
        memory = record["memory"]
        sizes = [
            memory["synapse"]["held_steady"],
            memory["postgresql"]["held_steady"],
            memory["total"]["held_steady"],
            memory["total"]["pss_steady"],
            memory["total"]["held_peak"],
        ]
        shown = " | ".join(f"{size / 1e6:.0f}" for size in sizes)
        lines.append(
            f"| {record['configuration']} | {shown} | {record['errors']} | {record['latency']['all']['p95']:.0f} ms |"
        )
    ours = next((each for each in records if each["configuration"] == "ours"), None)
    if ours:
        held = max(ours["memory"]["total"][name] for name in ("held_steady", "pss_steady"))
        verdict = "holds" if held <= GOAL_BYTES else "does not hold"
        lines += [
            "",
            f"The goal of at most {GOAL_BYTES / 1e6:.0f} MB together {verdict} for ours: {held / 1e6:.0f} MB.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
