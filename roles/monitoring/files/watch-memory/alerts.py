# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When there is something to tell: of samples and thresholds alone, nothing here reads or writes.

The rules of Prometheus say the same conditions with the same thresholds, which the role knows.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

Series = List[List[float]]  # [time, value], the oldest first
Key = Tuple[str, str]  # an alert and what it is about

HOUR = 3600.0
DAY = 24 * HOUR
MIB = 1024**2
PARTS = ("synapse", "postgresql")
# A moment of these is nothing yet.
WAITING = ("SynapseTuningMemoryNearLimit", "SynapseTuningCacheThrash", "SynapseTuningNotSeen")


def leak(series: Series, *, now: float, started: float, limit: float, rules: Mapping[str, float]) -> Optional[float]:
    """Bytes a day that memory grows by without an end, or None.

    What a part holds at least, its floor, has to rise from each quarter of the last day to the next by half of an even
    share or more, and the floor of the last has to be above all that was held in the first. Peaks that go down again
    leave the floor where it was; a step, a warm-up and the way from night to noon raise it in some of the quarters, and
    nothing shorter than a day could tell that way from a leak.
    """
    quarter = DAY / 4
    begin = now - DAY
    if not started or started + rules["leak_warmup_hours"] * HOUR > begin:
        return None
    quarters = [
        [value for at, value in series if begin + number * quarter < at <= begin + (number + 1) * quarter]
        for number in range(4)
    ]
    # A check that did not run for hours says nothing of them.
    if min(len(each) for each in quarters) < 3:
        return None
    floors = [min(each) for each in quarters]
    least = max(rules["leak_mib"] * MIB, rules["leak_share"] * limit)
    daily = (floors[3] - floors[0]) * 4 / 3
    rises = all(after - before > daily / 8 for before, after in zip(floors, floors[1:]))
    return daily if daily > least and rises and floors[3] > max(quarters[0]) else None


def thrashing(snapshots: Sequence[Mapping[str, Any]], *, rules: Mapping[str, float]) -> Dict[str, float]:
    """Misses a second of each cache that throws out what is asked for again, between the first and the last snapshot."""
    if len(snapshots) < 2:
        return {}
    first, last = snapshots[0], snapshots[-1]
    seconds = last["t"] - first["t"]
    found = {}
    for name, counters in last["caches"].items():
        lookups, hits, evicted = (
            after - before for after, before in zip(counters, first["caches"].get(name, (0, 0, 0)))
        )
        misses = lookups - hits
        if (
            misses > rules["thrash_misses_per_second"] * seconds
            and misses > rules["thrash_miss_share"] * lookups
            and evicted > misses / 2
        ):
            found[name] = misses / seconds
    return found


def growth(tables: Series, *, now: float, rules: Mapping[str, float]) -> Optional[float]:
    """Bytes that the table has grown by in the last day, where that is much and went on in both halves of it, or None.

    One room that was joined is a step: that is in one half.
    """
    ago = [[each for each in tables if each[0] <= now - hours * HOUR] for hours in (24, 12)]
    if not tables or not all(ago):
        return None
    day, half, last = ago[0][-1][1], ago[1][-1][1], tables[-1][1]
    least = max(rules["table_growth_mib"] * MIB, rules["table_growth_share"] * day)
    return last - day if last - day > least and min(last - half, half - day) > least / 4 else None


def conditions(state: Mapping[str, Any], *, now: float, rules: Mapping[str, float]) -> Dict[Key, str]:
    """What is the matter now: each with a sentence that says so and what to do."""
    found: Dict[Key, str] = {}
    for part, seen in state["now"].items():
        share = seen["held"] / seen["limit"]
        if share > rules["near_limit_host" if part == "host" else "near_limit"]:
            found["SynapseTuningMemoryNearLimit", part] = (
                f"{part} holds {size(seen['held'])} of {size(seen['limit'])}: what it asks for next may have it killed."
                " Give it more, or run the play again with what is there"
            )
        series = state["held"].get(part, [])
        daily = leak(series, now=now, started=seen.get("started", 0), limit=seen["limit"], rules=rules)
        if daily is not None:
            found["SynapseTuningMemoryLeak", part] = (
                f"{part} grows by {size(daily)} a day without an end, and holds {size(seen['held'])} of {size(seen['limit'])}."
                " Restart it before it gets there, and look for a newer version"
            )
    for part in {part for _at, part, _kills in state["kills"]}:
        kills = sum(kills for _at, whose, kills in state["kills"] if whose == part)
        found["SynapseTuningOomKill", part] = (
            f"for want of memory {kills:.0f} processes of {'others' if part == 'other' else part} were killed in the last hour."
            " Raise its limit, or run the play again with the memory that there is"
        )
    caches = thrashing(state["caches"], rules=rules)
    if caches:
        worst = sorted(caches, key=lambda name: -caches[name])[:3]
        found["SynapseTuningCacheThrash", "synapse"] = (
            f"caches throw out what is asked for again: {', '.join(f'{name} {caches[name]:.0f} misses/s' for name in worst)}."
            " Raise their factors in synapse_tuning_per_cache_factors"
        )
    grown = growth(state["tables"], now=now, rules=rules)
    if grown is not None:
        found["SynapseTuningStateTableGrowth", "postgresql"] = (
            f"state_groups_state grew by {size(grown)} in a day, to {size(state['tables'][-1][1])}."
            " See which rooms are heavy, and whether the compressor runs"
        )
    compressed = state["compressed"]
    if compressed.get("started") is not None:
        # Never yet: a first run has a day's time.
        due = (
            compressed["succeeded"] + rules["compressor_days"] * DAY
            if compressed["succeeded"]
            else compressed["started"] + DAY
        )
        if now > due:
            found["SynapseTuningCompressorNotRun", "compressor"] = (
                "the state compressor has not ended well "
                + (f"for {(now - compressed['succeeded']) / DAY:.0f} days" if compressed["succeeded"] else "yet")
                + ". See compress-state.log"
            )
    for part in PARTS:
        if part not in state["now"]:
            found["SynapseTuningNotSeen", part] = (
                f"{part} is not seen: {state['missing'].get(part, 'nobody knows why')}"
            )
    return found


def transitions(
    alerts: Dict[str, Any], found: Mapping[Key, str], *, now: float, rules: Mapping[str, float], seen: Iterable[str]
) -> List[Dict[str, str]]:
    """Bring `alerts` up to date, which is kept between checks; return what is to be told, in order.

    A condition has to hold for a time before it fires, and to be gone for as long before it is resolved. What is not
    seen keeps its alerts as they are.
    """
    news = []
    for alert, about in sorted({*found, *(tuple(name.split("/", 1)) for name in alerts)}):
        name, text = f"{alert}/{about}", found.get((alert, about))
        known = alerts.setdefault(name, {"since": now, "last": now, "told": None, "text": text})
        wait = rules["for_minutes"] * 60 if alert in WAITING else 0
        if text is not None:
            known.update(last=now, text=text)
            if now - known["since"] >= wait and (known["told"] is None or now - known["told"] >= DAY):
                news.append({"name": name, "alert": alert, "about": about, "state": "firing", "text": text})
        elif alert != "SynapseTuningNotSeen" and about in PARTS and about not in seen:
            continue
        elif known["told"] is None:
            del alerts[name]
        elif now - known["last"] >= wait:
            news.append({"name": name, "alert": alert, "about": about, "state": "resolved", "text": known["text"]})
    return news


def size(amount: float) -> str:
    """Bytes for people."""
    return f"{amount / MIB:,.0f} MiB" if amount < 10 * 1024 * MIB else f"{amount / MIB / 1024:,.1f} GiB"
