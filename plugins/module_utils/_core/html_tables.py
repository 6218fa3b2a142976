# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the page."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import Use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_use import Judged
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_verdicts import THRASHES
from ansible_collections.synapse.tuning.plugins.module_utils._core.comparison import Compared
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import HOUR, is_longer_than
from ansible_collections.synapse.tuning.plugins.module_utils._core.markup import Markup, element
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_findings import Findings
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room

__all__ = ["budget_table", "cache_section", "comparison_table", "room_section"]

_MOST_CACHES = 25
_LONGEST_NAME = 80

_Heading = Tuple[str, str]
_Cell = Union[str, Markup]


def budget_table(uses: Sequence[Use]) -> Optional[Markup]:
    """The numbers of the picture."""
    if not uses:
        return None
    has_plan = any(use.planned is not None for use in uses)
    rows = []
    for use in uses:
        bounds = [figures.mib(size) if use.is_contained else "" for size in (use.peak, use.limit)]
        cells = _numbers(figures.mib(use.held), *bounds)
        if has_plan:
            share = figures.percent(use.held, use.planned) if use.bounded else ""
            cells = [*_numbers(figures.mib(use.planned)), *cells, (share, "number bad" if use.over else "number")]
        rows.append(_row((use.label, "id"), *cells, (use.note, "said"), class_="part" if use.part else None))
    titles = ("planned", "held", "at most", "limit", "of planned") if has_plan else ("held", "at most", "limit")
    return _table("The same in figures, MiB", [("part", "id"), *_heads(titles), ("", "said")], rows)


def comparison_table(lines: Sequence[Compared], *, has_before: bool) -> Markup:
    """Before, now and the difference, grouped by part."""
    rows: List[Markup] = []
    part = ""
    for line in lines:
        if line.part != part:
            part = line.part
            if part != "Together":
                rows.append(element("tr", element("th", part, colspan=5, scope="rowgroup"), class_="group"))
        before, now, change = line.shown()
        mood = ""
        if line.unit == "MiB" and line.label in ("holds", "Synapse and PostgreSQL hold") and change.startswith("−"):
            mood = " good"
        cells = _numbers(before, now) if has_before else _numbers(now)
        rows.append(
            _row(
                (line.label, ""),
                *cells,
                *([(change, "number" + mood)] if has_before else []),
                ("MiB" if line.unit == "MiB" else "", ""),
                class_=None if part == "Together" else "part",
            )
        )
    numbers = ("before", "now", "difference") if has_before else ("now",)
    return _table("", [("", ""), *_heads(numbers), ("", "")], rows)


def cache_section(findings: Findings) -> List[Markup]:
    """The caches' table, and what is left out of it."""
    caches = findings.caches
    if not caches:
        return [element("p", "Not known: Synapse's metrics could not be read.", class_="soft")]
    uptime = findings.now.synapse.uptime
    thrashing = [cache for cache, verdict in caches if verdict == THRASHES]
    told = f"{figures.noun(len(thrashing), 'cache thrashes', 'caches thrash')}." if thrashing else "No cache thrashes."
    if not is_longer_than(HOUR, uptime):
        told = f"It is too early to say whether one thrashes: Synapse has run for {figures.duration(uptime)}, not for an hour."
    parts = [element("p", f"{told} Caches take memory only as far as they are filled.", class_="soft")]
    has_bytes = any(cache.bytes is not None for cache, _verdict in caches)
    shown = caches[: max(_MOST_CACHES, len(thrashing))]
    numbers = ["entries", "at most", "filled", "lookups", "answered", "by size", "by age", "invalidated"]
    if has_bytes:
        numbers.append("MiB")
    rows = [_cache(cache, has_bytes) for cache in shown]
    parts.append(
        _table(
            "By size, by age, invalidated: entries that were taken out, by the reason",
            [("cache", "id"), ("", ""), *_heads(numbers)],
            rows,
        )
    )
    left = len(caches) - len(shown)
    if left:
        parts.append(element("p", f"{figures.noun(left, 'smaller cache')} left out.", class_="note"))
    return parts


def room_section(findings: Findings) -> List[Markup]:
    """The rooms' table."""
    if not findings.rooms:
        why = findings.rooms_missing
        return [element("p", f"Not known: {why}" if why else "There are no rooms.", class_="soft")]
    numbers = ("rows of state", "MiB", "events", "current state", "members", "local", "active")
    rows = [_room(room) for room in findings.rooms]
    return [
        _table(
            "Rows and MiB are those of the database; local members are of this server",
            [("room", "id"), *_heads(numbers), ("newest event", "number")],
            rows,
        )
    ]


def _cache(judged: Judged, has_bytes: bool) -> Markup:
    cache, verdict = judged
    return _row(
        (cache.name, "id"),
        (verdict, "verdict bad" if verdict == THRASHES else "verdict"),
        *_numbers(
            figures.count(cache.size),
            figures.count(cache.max_size),
            figures.percent(cache.size, cache.max_size),
            figures.count(cache.lookups),
            figures.percent(cache.hits, cache.lookups) if cache.lookups else "",
            figures.count(cache.evictions.size),
            figures.count(cache.evictions.time),
            figures.count(cache.evictions.invalidation),
            *([figures.mib(cache.bytes)] if has_bytes else []),
        ),
    )


def _room(room: Room) -> Markup:
    marks = [
        word
        for word, applies in (
            ("nobody here is in it", room.local_members == 0),
            ("upgraded to another room", room.tombstoned),
            ("Synapse knows it no more", not room.known),
            ("many forward extremities", (room.forward_extremities or 0) > 10),
        )
        if applies
    ]
    label = room.canonical_alias or room.name or ""
    shown = label if len(label) <= _LONGEST_NAME else label[: _LONGEST_NAME - 1] + "…"
    # A name may turn the direction of a line: apart from the rest it turns its own alone.
    name = element("bdi", shown or room.room_id)
    ident = element("div", element("bdi", room.room_id), class_="note") if shown else None
    marked = element("div", ", ".join(marks), class_="note warn") if marks else None
    return _row(
        (element("div", name, ident, marked), "id"),
        *_numbers(
            figures.count(room.state_rows),
            figures.mib(room.disk),
            *(figures.count(number) for number in (room.events, room.state_events, room.members)),
            *(figures.count(number) for number in (room.local_members, room.active_local_members)),
            figures.day(room.last_activity),
        ),
    )


def _heads(titles: Sequence[str]) -> List[_Heading]:
    return [(title, "number") for title in titles]


def _numbers(*texts: str) -> List[Tuple[_Cell, str]]:
    return [(text, "number") for text in texts]


def _row(first: Tuple[_Cell, str], *cells: Tuple[_Cell, str], class_: Optional[str] = None) -> Markup:
    return element(
        "tr",
        element("th", first[0], scope="row", class_=first[1] or None),
        *(element("td", text, class_=kind or None) for text, kind in cells),
        class_=class_,
    )


def _table(caption: str, heads: Sequence[_Heading], rows: Sequence[Markup]) -> Markup:
    return element(
        "div",
        element(
            "table",
            element("caption", caption) if caption else None,
            element(
                "thead", element("tr", *(element("th", text, scope="col", class_=kind or None) for text, kind in heads))
            ),
            element("tbody", *rows),
        ),
        class_="wide",
        tabindex=0,
    )
