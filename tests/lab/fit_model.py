# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit the constants of plugins/module_utils/_core/memory_model.py to recorded runs, and say how well they predict others.

    .venv/bin/python tests/lab/fit_model.py [--held-out 2:50 ...] [--write]

Each run gives two points: what was held after the steady load, before anything was joined, and the peak. The cells that are
held out fit nothing, and tell what the prediction is worth; so do the runs of bench_levers.py, each of which has one setting
changed. `--write` writes _core/memory_constants.py.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

import bench_levers
import numpy
from points import Point, points
from results import cell as cell_of

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECORDS = ROOT / "docs" / "benchmarks" / "memory-runs.jsonl"
LEVERS = ROOT / "docs" / "benchmarks" / "levers.json"
CONSTANTS = ROOT / "plugins" / "module_utils" / "_core" / "memory_constants.py"

_SOURCE = """\
# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""
_COVERED = 0.9
"""The share of runs that the interval is to hold."""
# The lab has one set of rooms and clients, others differ from it.
_LEAST_SPREAD = 0.1
_MIB = 1024**2


def fit(found: Sequence[Point]) -> dict[str, dict[str, float]]:
    """The constants, in bytes."""
    synapse = _solve(
        [[1, each.activity, each.joined, -float(each.malloc_conf)] for each in found],
        [each.synapse for each in found],
        ("idle", "activity", "joined_event", "malloc_conf"),
    )
    # Where all of shared_buffers was touched, nobody knows how much more would have been.
    free = [each for each in found if each.touched - each.wal_buffers < 0.9 * each.shared_buffers]
    postgresql = _solve(
        [[1, each.activity, each.joined] for each in free],
        [each.touched - each.wal_buffers for each in free],
        ("touched", "touched_activity", "touched_event"),
    )
    postgresql |= _solve(
        [[1, each.cp_max, each.cp_max * each.joined] for each in found],
        [each.postgresql - each.touched for each in found],
        ("processes", "backend", "backend_event"),
    )
    for name, constants in (("synapse", synapse), ("postgresql", postgresql)):
        constants["spread"] = 0.0
        off = sorted(abs(predict({name: constants}, name, each) / getattr(each, name) - 1) for each in found)
        constants["spread"] = max(math.ceil(100 * off[math.ceil(_COVERED * len(off)) - 1]) / 100, _LEAST_SPREAD)
    return {"synapse": synapse, "postgresql": postgresql}


def _solve(rows: list[list[float]], values: list[float], names: Sequence[str]) -> dict[str, float]:
    # Relative errors count, so that small servers are not sacrificed to large ones.
    weights = [1 / value for value in values]
    scaled = [[weight * each for each in row] for weight, row in zip(weights, rows)]
    solution, *_rest = numpy.linalg.lstsq(numpy.array(scaled), numpy.ones(len(values)), rcond=None)
    return {name: float(each) for name, each in zip(names, solution)}


def predict(constants: dict[str, dict[str, float]], program: str, point: Point) -> float:
    """As _core/memory_model.py has it; a test holds the two together."""
    own = constants[program]
    if program == "synapse":
        return (
            own["idle"]
            + own["activity"] * point.activity
            + own["joined_event"] * point.joined
            - own["malloc_conf"] * point.malloc_conf
        )
    touched = own["touched"] + own["touched_activity"] * point.activity + own["touched_event"] * point.joined
    backends = point.cp_max * (own["backend"] + own["backend_event"] * point.joined)
    return own["processes"] + min(point.shared_buffers, touched) + point.wal_buffers + backends


def main() -> int:
    """Fit, say how well, and write where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=pathlib.Path, default=RECORDS)
    parser.add_argument("--held-out", type=cell_of, nargs="*", default=[], metavar="GIB:USERS")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    records = [json.loads(line) for line in options.records.read_text(encoding="utf-8").splitlines()]
    records = [record for record in records if record["survived"] and not record["errors"]]
    fitting = [each for record in records for each in points(record) if each.cell not in options.held_out]
    constants = fit(fitting)
    for name, each in constants.items():
        print(name, {key: f"{value / 1e6:.4g} MB" if key != "spread" else value for key, value in each.items()})
    _say("fitted", constants, [each for each in fitting if each.joined])
    held_out = [each for record in records for each in points(record) if each.cell in options.held_out and each.joined]
    _say("held out", constants, [*held_out, *_lever_points()])
    if options.write:
        CONSTANTS.write_text(_source(constants, records, options.held_out), encoding="utf-8")
    return 0


def _lever_points() -> list[Point]:
    """The peaks of stock with one setting changed: none of them has fitted anything."""
    runs = json.loads(LEVERS.read_text(encoding="utf-8"))["runs"] if LEVERS.exists() else []
    found = []
    for run in runs:
        decided = bench_levers.LEVERS[run["lever"]]
        record = {
            "configuration": run["lever"],
            "host_gib": bench_levers.HOST_GIB,
            "users": run["users"],
            "memory": {
                part: {"held_steady": 0, "held_peak": round(run[f"{part}_mb"] * 1e6)}
                for part in ("synapse", "postgresql")
            },
            "touched": {"steady": 0, "peak": 0},
            "decided": decided,
        }
        found.append(points(record)[-1])
    return found


def _say(what: str, constants: dict[str, dict[str, float]], found: Sequence[Point]) -> None:
    cells: dict[tuple[str, tuple[float, int]], list[Point]] = {}
    for each in found:
        cells.setdefault((each.configuration, each.cell), []).append(each)
    within = 0
    for (configuration, (host_gib, users)), each in sorted(cells.items()):
        expected = sum(predict(constants, name, each[0]) for name in ("synapse", "postgresql"))
        measured = statistics.median(point.synapse + point.postgresql for point in each)
        off = expected / measured - 1
        within += abs(off) <= 0.15
        print(
            f"{what}: {configuration}, {host_gib:g} GiB, {users} users: predicted {expected / _MIB:.0f} MiB,"
            f" measured {measured / _MIB:.0f} MiB, {100 * off:+.0f} %"
        )
    print(f"{what}: {within} of {len(cells)} within 15 %")


def _source(constants: dict[str, dict[str, float]], records: Sequence[dict[str, Any]], held_out: Sequence[Any]) -> str:
    runs = [record for record in records if (record["host_gib"], record["users"]) not in held_out]
    days = sorted({record["at"][:10] for record in runs})
    versions = runs[-1]["versions"]
    fitted = (
        f"docs/benchmarks/memory-runs.jsonl: {len(runs)} runs of {', '.join(days)},"
        f" Synapse {versions['synapse']}, PostgreSQL {versions['postgresql']}"
    )
    lines = [
        *_SOURCE.splitlines(),
        '"""The constants of memory_model, in bytes. Made by tests/lab/fit_model.py: do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        '__all__ = ["FITTED_ON", "MOST_USERS", "POSTGRESQL", "SYNAPSE"]',
        "",
        "# The runs that made them.",
        f'FITTED_ON = "{fitted}"',
        "# Beyond these users it is extrapolated.",
        f"MOST_USERS = {max(record['users'] for record in runs)}",
    ]
    for name in ("synapse", "postgresql"):
        lines += ["", f"{name.upper()} = {{"]
        for key, value in constants[name].items():
            lines.append(f'    "{key}": {value if key == "spread" else round(value, 1)},')
        lines.append("}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
