# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as text for a terminal: before and now, budget against use, what to do next."""

from __future__ import annotations

from typing import Iterator, List, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.comparison import caveats, compare
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_findings import Findings
from ansible_collections.synapse.tuning.plugins.module_utils._core.table import Column, paragraph, table

__all__ = ["WIDTH", "measure_report"]

WIDTH = 100

_COMPARED = (
    Column("part", limit=11),
    Column("figure", limit=28),
    Column("before", limit=12, right=True),
    Column("now", limit=12, right=True),
    Column("difference", limit=10, right=True),
    Column("unit"),
)
_FIRST = (_COMPARED[0], _COMPARED[1], _COMPARED[3], _COMPARED[5])
_BUDGET = (
    Column("component", limit=22),
    Column("planned", limit=9, right=True),
    Column("held", limit=9, right=True),
    Column("at most", limit=9, right=True),
    Column("limit", limit=9, right=True),
    Column("share", limit=6, right=True),
    Column(""),
)
_USE = (_BUDGET[0], *_BUDGET[2:5], _BUDGET[6])


def measure_report(findings: Findings) -> List[str]:
    """The lines, each at most C(WIDTH) wide but for commands, which are never cut."""
    return [*_compared(findings), "", *_budget(findings), "", *_next(findings)]


def _compared(findings: Findings) -> Iterator[str]:
    now, before = findings.now, findings.before
    since = "first measurement: nothing to compare yet"
    if before is not None:
        since = f"compared with {figures.moment(before.taken_at)}"
    yield from paragraph(f"MEASURED {figures.moment(now.taken_at)}, {since}", width=WIDTH)
    rows: List[Sequence[str]] = []
    part = ""
    for line in compare(before, now):
        # The page has all of them.
        if not line.before and not line.now:
            continue
        then, is_now, change = line.shown()
        unit = line.unit if line.unit == "MiB" else ""
        compared = (is_now,) if before is None else (then, is_now, change)
        rows.append((line.part if line.part != part else "", line.label, *compared, unit))
        part = line.part
    yield from table(_FIRST if before is None else _COMPARED, rows, width=WIDTH)
    for text in caveats(before, now):
        yield from paragraph(text, width=WIDTH)


def _budget(findings: Findings) -> Iterator[str]:
    yield "BUDGET AGAINST USE, MiB" if findings.plan is not None else "USE, MiB (there is no plan to hold it against)"
    has_plan = any(use.planned is not None for use in findings.uses)
    rows: List[Sequence[str]] = []
    for use in findings.uses:
        bounds = [figures.mib(size) if use.is_contained else "" for size in (use.peak, use.limit)]
        held = [figures.mib(use.held), *bounds]
        if has_plan:
            held = [figures.mib(use.planned), *held, figures.percent(use.held, use.planned) if use.bounded else ""]
        rows.append((("- " if use.part else "") + use.label, *held, use.note))
    yield from table(_BUDGET if has_plan else _USE, rows, width=WIDTH)


def _next(findings: Findings) -> Iterator[str]:
    yield "WHAT TO DO NEXT"
    if not findings.steps:
        yield from paragraph(
            "nothing: nothing fails, all parts are within their budget, and no lever that these figures show would return memory",
            width=WIDTH,
        )
    for number, step in enumerate(findings.steps, 1):
        returns = f" (returns about {figures.mib(step.returns)} MiB)" if step.returns else ""
        text = _plain(f"{step.title}{returns}. {step.figure} {step.advice}")
        yield from paragraph(text, width=WIDTH, first=f"{number}. ", rest="   ")
        if step.command:
            yield f"   {step.command}"


def _plain(text: str) -> str:
    """Strangers name rooms: nothing of it may steer a terminal."""
    return "".join(each if each.isprintable() else " " for each in text)
