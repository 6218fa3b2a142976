# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the records of runs to the figures that are quoted: pure, so that they can be checked by hand.

A cell is a size of host with a number of users. In a rotation every configuration ran once in one session, so what is
compared is compared within a rotation: a ratio is made for each, and their median is quoted, with the least and the
greatest of them and a bootstrap interval. What died before its end has no memory and no latency, and is counted.
Speed is compared where servers took turns at the same load in one run (bench_speed.py).

Sizes are bytes, latencies milliseconds.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Optional

__all__ = [
    *("BASELINE", "PEERS", "SHARE", "SLICE_SECONDS", "SUBJECTS", "TOLERANCE", "WANTED_ROTATIONS"),
    *("Cell", "interval", "ratio", "summarise"),
]

Cell = tuple[float, int]
"""GiB of the host, users."""
Record = Mapping[str, Any]

BASELINE = "stock"
PEERS = ("stock", "mdad")
"""Whose peak ours must stay below."""
SUBJECTS = ("ours", "learned")
WANTED_ROTATIONS = 5
SLICE_SECONDS = 4.0
"""Of a load that servers take turns at."""
TOLERANCE = 0.15
"""How far a prediction may be off."""

SHARE = 0.9
"""In how many of the cells it may not be further off."""

_ORDER = ("stock", "article", "mdad", "pgtune", "ours", "learned")
_PROGRAMS = ("synapse", "postgresql")
_SEED = 1
_RESAMPLES = 2000
_COVERAGE = 0.95


# --- statistics -----------------------------------------------------------------------------------


def interval(values: Sequence[float]) -> Optional[tuple[float, float]]:
    """The bootstrap's 95 % interval of the median, the same at every call; None for fewer than two values."""
    if len(values) < 2:
        return None
    draw = random.Random(_SEED)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _resample in range(_RESAMPLES))
    tail = (1 - _COVERAGE) / 2
    return medians[round(tail * (_RESAMPLES - 1))], medians[round((1 - tail) * (_RESAMPLES - 1))]


def ratio(pairs: Iterable[tuple[Optional[float], Optional[float]]]) -> Optional[dict[str, Any]]:
    """Of pairs (this, other): the median of this/other with least, most and interval; None without a whole pair."""
    each = [this / other for this, other in pairs if this is not None and other]
    if not each:
        return None
    low, high = interval(each) or (None, None)
    return {
        "median": statistics.median(each),
        "least": min(each),
        "most": max(each),
        "low": low,
        "high": high,
        "pairs": len(each),
        "below": sum(one < 1 for one in each),
    }


def _spread(values: Iterable[Optional[float]]) -> Optional[dict[str, float]]:
    found = [value for value in values if value is not None]
    return {"median": statistics.median(found), "least": min(found), "most": max(found)} if found else None


# --- what is read off a record --------------------------------------------------------------------


def _peak(record: Record) -> Optional[float]:
    return _number(record, "memory", "total", "held_peak")


def _steady(record: Record) -> Optional[float]:
    return _number(record, "memory", "total", "held_steady")


def _cpu(record: Record) -> Optional[float]:
    each = [_number(record, "cpu_seconds", program) for program in _PROGRAMS]
    return None if None in each else sum(value for value in each if value is not None)


def _p95(kind: str) -> Callable[[Record], Optional[float]]:
    return lambda record: _number(record, "latency", kind, "p95")


def _kinds(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(kind for record in records for kind in record["latency"] or ()))


def _number(record: Record, *path: str) -> Optional[float]:
    value: Any = record
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


# --- cells ----------------------------------------------------------------------------------------


def _cell(record: Record) -> Cell:
    return record["host_gib"], record["users"]


def _configuration(runs: Sequence[Record], others: Mapping[str, Mapping[int, Record]], kinds: Sequence[str]) -> Any:
    """The figures of a configuration in a cell; others: of each one to compare with, the runs by rotation."""
    whole = [run for run in runs if run["survived"]]

    def against(name: str, read: Callable[[Record], Optional[float]]) -> Any:
        survived = {rotation: run for rotation, run in others.get(name, {}).items() if run["survived"]}
        return ratio((read(run), read(survived[run["rotation"]])) for run in whole if run["rotation"] in survived)

    kills = {
        where: sum(int((run["oom_kills"] or {}).get(where) or 0) for run in runs) for where in (*_PROGRAMS, "host")
    }
    predicted = {
        program: _spread(_number(run, "predicted", program) for run in runs if run.get("predicted"))
        for program in _PROGRAMS
    }
    return {
        "runs": len(runs),
        "survived": len(whole),
        "peak": _spread(map(_peak, whole)),
        "steady": _spread(map(_steady, whole)),
        "programs": {
            program: {
                name: _spread(_number(run, "memory", program, name) for run in whole)
                for name in ("held_peak", "held_steady", "pss_steady")
            }
            for program in _PROGRAMS
        },
        "p95": {kind: _spread(map(_p95(kind), whole)) for kind in kinds},
        "requests": {kind: _spread(_number(run, "latency", kind, "count") for run in whole) for kind in kinds},
        "cpu_seconds": _spread(map(_cpu, whole)),
        "errors": sum(run["errors"] or 0 for run in runs),
        "runs_with_errors": sum(bool(run["errors"]) for run in runs),
        "error_samples": sorted({text for run in runs for text in run.get("error_samples") or ()})[:5],
        "oom_kills": kills,
        "against": {
            name: {
                "peak": against(name, _peak),
                "steady": against(name, _steady),
                "cpu_seconds": against(name, _cpu),
                "p95": {kind: against(name, _p95(kind)) for kind in kinds},
            }
            for name in PEERS
        },
        "predicted": {program: found["median"] if found else None for program, found in predicted.items()},
    }


def _rank(name: str) -> tuple[int, str]:
    return (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)


def _cells(records: Sequence[Record]) -> list[dict[str, Any]]:
    kinds = _kinds(records)
    cells = []
    for host_gib, users in sorted({_cell(record) for record in records}):
        here = [record for record in records if _cell(record) == (host_gib, users)]
        names = sorted({record["configuration"] for record in here}, key=_rank)
        runs = {name: [record for record in here if record["configuration"] == name] for name in names}
        rotations = {name: {record["rotation"]: record for record in runs[name]} for name in names}
        cells.append(
            {
                "host_gib": host_gib,
                "users": users,
                "rotations": len({record["rotation"] for record in here}),
                "configurations": {name: _configuration(runs[name], rotations, kinds) for name in names},
            }
        )
    return cells


# --- what must hold -------------------------------------------------------------------------------


def _all(verdicts: Iterable[Optional[bool]]) -> Optional[bool]:
    """No where one is no; else unknown where one is unknown, or where there is none."""
    found = list(verdicts)
    if False in found:
        return False
    return None if None in found or not found else True


def _check(kind: str, subject: str, other: Optional[str], cells: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "kind": kind,
        "subject": subject,
        "other": other,
        "holds": _all(each["holds"] for each in cells),
        "cells": cells,
    }


def _peak_below(cells: Sequence[Any], subject: str, other: str) -> dict[str, Any]:
    def row(this: Any, that: Any) -> dict[str, Any]:
        compared = this["against"][other]["peak"]
        return {
            "peak": this["peak"] and this["peak"]["median"],
            "other_peak": that["peak"]["median"] if that and that["peak"] else None,
            "ratio": compared,
            "holds": None if compared is None else compared["median"] < 1,
        }

    return _compared("peak_below", cells, subject, other, row)


def _p95_no_worse(turns: Sequence[Record], subject: str) -> dict[str, Any]:
    """Of those runs alone in which both took turns: two runs one after the other differ by a tenth with nothing changed."""
    found = []
    for cell in sorted({_cell(record) for record in turns}):
        runs = [record["configurations"] for record in turns if _cell(record) == cell]
        both = [(run[subject], run[BASELINE]) for run in runs if subject in run and BASELINE in run]
        if not both:
            continue

        def ratios(read: Callable[[Record], Optional[float]], both: Any = both) -> Optional[dict[str, Any]]:
            return ratio((read(this), read(that)) for this, that in both)

        kinds = {kind: ratios(_p95(kind)) for kind in _kinds(run for pair in both for run in pair)}
        compared = kinds.pop("all", None)
        # Who answered nothing at all in a run has no latency there, and is no faster for it.
        silent = any(_p95("all")(this) is None for this, _that in both)
        failing = any(this["errors"] and not that["errors"] for this, that in both)
        found.append(
            {
                "host_gib": cell[0],
                "users": cell[1],
                "ratio": compared,
                "p50": ratios(lambda run: _number(run, "latency", "all", "p50")),
                "cpu_seconds": ratios(_cpu),
                "requests": _spread(_number(this, "latency", "all", "count") for this, _that in both),
                "errors": sum(this["errors"] for this, _that in both),
                "kinds": {kind: each["median"] for kind, each in kinds.items() if each},
                "holds": False if silent or failing else None if compared is None else compared["median"] <= 1,
            }
        )
    return _check("p95_no_worse", subject, BASELINE, found)


def _compared(
    kind: str, cells: Sequence[Any], subject: str, other: str, row: Callable[[Any, Any], dict[str, Any]]
) -> dict[str, Any]:
    """A check against another configuration. Where that one always died there is nothing to hold against; where the
    subject did, nothing holds."""
    found = []
    for cell in cells:
        this, that = cell["configurations"].get(subject), cell["configurations"].get(other)
        if this is None:
            continue
        made = {**_where(cell), **row(this, that), "other_died": bool(that) and that["survived"] == 0}
        if this["survived"] == 0:
            made.update(holds=False, other_died=False)
        found.append(made)
    check = _check(kind, subject, other, found)
    return {**check, "holds": _all(each["holds"] for each in found if not each["other_died"])}


def _no_failure(cells: Sequence[Any], subject: str) -> dict[str, Any]:
    """No death, no OOM kill and no error in a cell where another configuration had none of the kind."""
    kinds: dict[str, Callable[[Any], int]] = {
        "deaths": lambda each: each["runs"] - each["survived"],
        "oom_kills": lambda each: sum(each["oom_kills"].values()),
        "errors": lambda each: each["errors"],
    }
    found = []
    for cell in cells:
        this = cell["configurations"].get(subject)
        others = {name: each for name, each in cell["configurations"].items() if name not in SUBJECTS}
        if this is None:
            continue
        counts = {kind: count(this) for kind, count in kinds.items()}
        spared = {
            kind: [name for name, each in others.items() if count(each) == 0]
            for kind, count in kinds.items()
            if counts[kind]
        }
        found.append({**_where(cell), **counts, "spared": spared, "holds": not any(spared.values())})
    return _check("no_failure", subject, None, found)


def _predicted(cells: Sequence[Any], subject: str, fitted: Collection[Cell]) -> dict[str, Any]:
    """Predicted against measured peaks, in cells that the prediction has not seen: of each program, and of both together."""
    found = []
    for cell in cells:
        this = cell["configurations"].get(subject)
        if this is None or (cell["host_gib"], cell["users"]) in fitted:
            continue
        predicted, measured = this["predicted"], this["programs"]
        if None in predicted.values():
            continue
        found += [_off(cell, program, predicted[program], measured[program]["held_peak"]) for program in _PROGRAMS]
        found.append(_off(cell, "both", sum(predicted.values()), this["peak"]))
    together = [each["holds"] for each in found if each["program"] == "both" and each["holds"] is not None]
    holds = sum(together) >= SHARE * len(together) if together else None
    return {**_check("predicted", subject, None, found), "holds": holds}


def _off(
    cell: Mapping[str, Any], program: str, predicted: float, measured: Optional[Mapping[str, float]]
) -> dict[str, Any]:
    median = measured["median"] if measured else None
    return {
        **_where(cell),
        "program": program,
        "predicted": predicted,
        "measured": median,
        "off": None if median is None else predicted / median - 1,
        "holds": None if median is None else abs(predicted - median) <= TOLERANCE * median,
    }


def _where(cell: Mapping[str, Any]) -> dict[str, Any]:
    return {"host_gib": cell["host_gib"], "users": cell["users"]}


# --- all of it ------------------------------------------------------------------------------------


def _timeline(records: Sequence[Record]) -> Optional[dict[str, Any]]:
    """The rotation of a cell that shows most configurations; of equals the smallest host with the most users."""
    sessions: dict[tuple[float, int, int], dict[str, Any]] = {}
    for record in records:
        if record.get("timeline"):
            session = sessions.setdefault((*_cell(record), record["rotation"]), {})
            session[record["configuration"]] = record["timeline"]
    if not sessions:
        return None
    host_gib, users, rotation = min(sessions, key=lambda key: (-len(sessions[key]), key[0], -key[1], key[2]))
    session = sessions[host_gib, users, rotation]
    return {
        "host_gib": host_gib,
        "users": users,
        "rotation": rotation,
        "configurations": {name: session[name] for name in sorted(session, key=_rank)},
    }


def _different(values: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for value in values:
        if value not in found:
            found.append(dict(value))
    return found


def summarise(
    records: Sequence[Record], *, turns: Sequence[Record] = (), fitted: Collection[Cell] = ()
) -> dict[str, Any]:
    """The figures as JSON data.

    records: one a run; where a run was repeated (the same configuration, cell and rotation), the last one counts.
    turns: runs of bench_speed.py, one for all of its configurations.
    fitted: the cells from which predictions were made; they prove nothing of them.
    """
    by_run = {(record["configuration"], *_cell(record), record["rotation"]): record for record in records}
    last = list(by_run.values())
    cells = _cells(last)
    subjects = [name for name in SUBJECTS if any(name in cell["configurations"] for cell in cells)]
    loads = [load for record in last for load in [record["machine"].get("load_average_before")] if load is not None]
    checks = []
    for subject in subjects:
        checks += [_peak_below(cells, subject, peer) for peer in PEERS]
        checks += [_p95_no_worse(turns, subject), _no_failure(cells, subject), _predicted(cells, subject, fitted)]
    return {
        "schema_version": 1,
        "runs": len(last),
        "repeated": len(records) - len(last),
        "seconds": _spread(record["seconds"] for record in last),
        "seeds": sorted({record["seed"] for record in last}),
        "machines": _different(
            {name: value for name, value in record["machine"].items() if name != "load_average_before"}
            for record in last
        ),
        "load_average_before": _spread(loads),
        "versions": _different(record["versions"] for record in last),
        "fitted": [{"host_gib": host_gib, "users": users} for host_gib, users in sorted(fitted)],
        "cells": cells,
        "must_hold": checks,
        "timeline": _timeline(last),
    }
