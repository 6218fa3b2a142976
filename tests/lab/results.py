# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the records of the lab's runs to docs/benchmarks/memory.json, memory.md and their figures.

    .venv/bin/python tests/lab/results.py RECORDS.jsonl --turns SPEED-RUNS.jsonl --out docs/benchmarks

A line of the file is the record of one run, as JSON; --turns has those of bench_speed.py.

    configuration, host_gib, users, rotation, order, seed, seconds     what ran when, and for how long
    memory          of synapse, postgresql: held_peak, held_steady, pss_steady; of total (at the same moments): the
                    first two. Bytes; held is anonymous and shared memory of the cgroup
    timeline        [[second, synapse held, postgresql held], ...]
    latency         by kind of request, and of all: count, errors, p50, p95, p99 in milliseconds
    errors, error_samples, oom_kills (synapse, postgresql, host), cpu_seconds (synapse, postgresql), survived
    decided         what the configuration decided; predicted: bytes of synapse, postgresql, or null
    versions, machine

What does not survive may have null wherever nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

# Its neighbours, where it is imported from elsewhere.
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import memory_page
import summary
from points import points, predicted

__all__ = ["RecordError", "parse", "write"]

ROOT = pathlib.Path(__file__).resolve().parents[2]

_FIELDS = (
    *("configuration", "host_gib", "users", "rotation", "seed", "seconds", "memory", "latency", "errors"),
    *("oom_kills", "cpu_seconds", "survived", "versions", "machine"),
)


_TURNS = ("configurations", "host_gib", "users", "rotation")


class RecordError(Exception):
    """One line that says which record is wrong, and how."""


def parse(text: str, *, name: str, fields: Sequence[str] = _FIELDS) -> list[dict[str, Any]]:
    """Read records that have these fields; raises RecordError naming the line."""
    records = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise RecordError(f"{name}:{number}: no JSON ({error}); remove the line, or run that one again") from None
        missing = [field for field in fields if not isinstance(record, dict) or field not in record]
        if missing:
            raise RecordError(f"{name}:{number}: a record without {', '.join(missing)}; run that one again")
        records.append(record)
    if not records:
        raise RecordError(f"{name}: no record in it; run the lab first")
    return records


def write(
    records: Sequence[dict[str, Any]],
    out: pathlib.Path,
    *,
    turns: Sequence[dict[str, Any]] = (),
    fitted: Sequence[summary.Cell] = (),
) -> str:
    """Write memory.json, memory.md and the figures; the page."""
    # Here alone: nothing else needs what draws.
    import plots

    figures = summary.summarise(records, turns=turns, fitted=fitted)
    page = memory_page.page(figures)
    out.mkdir(parents=True, exist_ok=True)
    (out / "memory.json").write_text(_json(figures), encoding="utf-8")
    (out / "memory.md").write_text(page, encoding="utf-8")
    plots.draw(figures, out)
    return page


def _json(figures: dict[str, Any]) -> str:
    """The figures, a line for each cell; the runs themselves are in the file of records."""
    parts = {name: json.dumps(value) for name, value in _rounded(figures).items()}
    parts["cells"] = "[\n    " + ",\n    ".join(map(json.dumps, _rounded(figures["cells"]))) + "\n  ]"
    return "{\n" + ",\n".join(f'  "{name}": {text}' for name, text in parts.items()) + "\n}\n"


def _rounded(value: Any) -> Any:
    """With four digits after the point, which is more than was measured."""
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def cell(text: str) -> summary.Cell:
    """Read GIB:USERS, such as 2:50."""
    host_gib, colon, users = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}: write GIB:USERS, such as 2:50")
    try:
        return float(host_gib), int(users)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: write GIB:USERS, such as 2:50") from None


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Make the page on memory from the records of runs.")
    parser.add_argument("records", type=pathlib.Path, help="a file with a record a line")
    parser.add_argument(
        "--turns", type=pathlib.Path, help="a file with a record a line, of runs in which servers took turns"
    )
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "benchmarks")
    parser.add_argument(
        "--fitted",
        type=cell,
        action="append",
        default=[],
        metavar="GIB:USERS",
        help="a cell from which predictions were made, so that it does not prove them; may be repeated",
    )
    given = parser.parse_args(arguments)
    try:
        records = parse(given.records.read_text(encoding="utf-8"), name=str(given.records))
        turns = (
            parse(given.turns.read_text(encoding="utf-8"), name=str(given.turns), fields=_TURNS) if given.turns else []
        )
        for record in records:
            # By the constants as they are now, whatever they were when it ran.
            record["predicted"] = predicted(points(record)[-1]) if record["survived"] else None
    except (OSError, RecordError) as error:
        sys.exit(f"results: {error}")
    print(write(records, given.out, turns=turns, fitted=given.fitted))


if __name__ == "__main__":
    main()
