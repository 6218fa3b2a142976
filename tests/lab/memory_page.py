# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that says what was measured, from the figures that summary makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Optional

from summary import BASELINE, SHARE, SLICE_SECONDS, TOLERANCE, WANTED_ROTATIONS

__all__ = ["FIGURES", "page"]

FIGURES = {
    "memory-peak.svg": "The highest memory held by Synapse and PostgreSQL together, for each configuration and load",
    "memory-timeline.svg": "Memory held over the time of a run, for each configuration",
    "memory-p95.svg": "The 95th percentile of latency against stock's, for each configuration and load",
}

_MIB = 1024**2
_UNKNOWN = "–"

_HEAD = """\
<!--
SPDX-FileCopyrightText: 2026 The synapse.tuning authors
SPDX-License-Identifier: GPL-3.0-or-later
-->
# What Synapse and PostgreSQL hold, by configuration

Written by `tests/lab/results.py`; the figures are in `memory.json`.
"""

_CONFIGURATIONS = {
    "stock": "Synapse's and PostgreSQL's own defaults, no limits",
    "article": "the settings of the article that small servers are told to follow, as written",
    "mdad": "the formulas of matrix-docker-ansible-deploy for the host's RAM",
    "pgtune": "pgtune's `web` for the host's RAM, and stock Synapse",
    "ours": "what this collection plans for the host and the users",
    "learned": "what it plans after a measurement of the same server",
}

_TERMS = f"""\
*Held* is anonymous and shared memory of the containers, which only swap or a kill gives back; page cache is not in it.
*Peak* is the highest and *steady* the usual sum of both containers in a run. A ratio is made within a rotation, in which
each configuration ran once in one session; quoted are the median of the ratios and, in brackets, the least and the
greatest; the bootstrap's interval of the median follows as [95 %: ...] where it is narrower than those, which takes more
than five rotations. Latencies of two such runs differ by a tenth and more with nothing changed, as machines slow down and
recover: whether one configuration answers slower than another is said by runs in which both took turns. What died before
its end has neither memory nor latency here: the figures are medians of what is left, and `{_UNKNOWN}` where nothing is.
"""


def page(summary: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    parts = [
        _HEAD,
        _measured(summary),
        _must_hold(summary),
        *(f"![{text}]({name})\n" for name, text in FIGURES.items() if name != "memory-timeline.svg"),
        *([f"![{FIGURES['memory-timeline.svg']}](memory-timeline.svg)\n"] if summary["timeline"] else []),
    ]
    for host_gib in sorted({cell["host_gib"] for cell in summary["cells"]}):
        parts.append(_host(host_gib, [cell for cell in summary["cells"] if cell["host_gib"] == host_gib]))
    return "\n".join(parts)


# --- what was measured ----------------------------------------------------------------------------


def _measured(summary: Mapping[str, Any]) -> str:
    cells = summary["cells"]
    names = list(dict.fromkeys(name for cell in cells for name in cell["configurations"]))
    seconds = summary["seconds"]
    lines = [
        "## What was measured",
        "",
        f"{_count(summary['runs'], 'run')} of {_range(seconds, 0)} s each, in {_count(len(cells), 'cell')} (a size of"
        f" host with a number of users); {_seeds(summary['seeds'])}.",
        _rotations(cells),
        "",
        *(f"- Machine: {_machine(machine)}" for machine in summary["machines"]),
        *(f"- Versions: {_pairs(versions)}" for versions in summary["versions"]),
        *_load(summary),
        *_requests(cells),
        "",
        "| configuration | what it is |",
        "| --- | --- |",
        *(f"| {name} | {_CONFIGURATIONS.get(name, '')} |" for name in names),
        "",
        _TERMS,
    ]
    if summary["repeated"]:
        lines.insert(4, f"{_count(summary['repeated'], 'run')} had been repeated; the last of each counts.")
    return "\n".join(lines)


def _seeds(seeds: Sequence[int]) -> str:
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"the load is drawn with {word} {', '.join(map(str, seeds))}"


def _rotations(cells: Sequence[Any]) -> str:
    """How many rotations there are, and where there are fewer than wanted."""
    fewest = {_name(cell): min(each["runs"] for each in cell["configurations"].values()) for cell in cells}
    few = {name: count for name, count in fewest.items() if count < WANTED_ROTATIONS}
    if not few:
        return f"Every configuration ran in {WANTED_ROTATIONS} rotations or more."
    told = "; ".join(f"{name}: {count}" for name, count in few.items())
    return f"**Fewer than the {WANTED_ROTATIONS} rotations that were meant**, and so weaker: {told}."


def _load(summary: Mapping[str, Any]) -> list[str]:
    load = summary["load_average_before"]
    if load is None:
        return []
    return [f"- Load average before a run, the run before it included: {_range(load, 1)}"]


def _requests(cells: Sequence[Any]) -> list[str]:
    """The load of the largest number of users, as it was counted with stock or whatever ran first."""
    if not cells:
        return []
    cell = max(cells, key=lambda each: each["users"])
    configuration = cell["configurations"].get(BASELINE) or next(iter(cell["configurations"].values()))
    counts = {kind: found for kind, found in configuration["requests"].items() if found and kind != "all"}
    told = ", ".join(f"{_kind(kind)} {found['median']:,.0f}" for kind, found in counts.items())
    return [f"- Requests of a run with {cell['users']} users: {told}."] if told else []


# --- what must hold -------------------------------------------------------------------------------


def _must_hold(summary: Mapping[str, Any]) -> str:
    checks = summary["must_hold"]
    lines = ["## Must hold", "", "| | holds |", "| --- | --- |"]
    lines += [f"| {_claim(check)} | **{_verdict(check['holds'])}** |" for check in checks]
    if not checks:
        lines.append("| nothing: no plan of this collection was measured | **not measured** |")
    for check in checks:
        if check["cells"]:
            lines += ["", f"### {_claim(check)}", "", *_TABLES[check["kind"]](check)]
    if summary["fitted"]:
        cells = ", ".join(map(_name, summary["fitted"]))
        lines += ["", f"The predictions were made from {cells}, which therefore prove nothing of them."]
    return "\n".join([*lines, ""])


def _claim(check: Mapping[str, Any]) -> str:
    subject, other = check["subject"], check["other"]
    return {
        "peak_below": f"{subject}: a lower peak than {other} in every cell",
        "p95_no_worse": f"{subject}: a 95th percentile of latency no higher than {other}'s",
        "no_failure": f"{subject}: no death, OOM kill or error where another had none",
        "predicted": f"{subject}: the peak within ±{TOLERANCE:.0%} of the prediction in {SHARE:.0%} of the cells",
    }[check["kind"]]


def _peak_table(check: Mapping[str, Any]) -> list[str]:
    return [
        f"| host, users | {check['subject']}, MiB | {check['other']}, MiB | ratio | lower in | holds |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {_name(each)} | {_mib(each['peak'])} | {_mib(each['other_peak'])} | {_ratio(each['ratio'], 3)}"
            f" | {_of(each['ratio'])} | {_or_died(each, check['other'])} |"
            for each in check["cells"]
        ),
    ]


def _p95_table(check: Mapping[str, Any]) -> list[str]:
    """Of all requests together, which is what must hold, and where single kinds are."""
    fewest = min((each["ratio"]["pairs"] for each in check["cells"] if each["ratio"]), default=WANTED_ROTATIONS)
    few = f" **Fewer than the {WANTED_ROTATIONS} runs that were meant**: {fewest}." if fewest < WANTED_ROTATIONS else ""
    return [
        f"Both servers ran at once, each on its own host, and took turns at the same load, {SLICE_SECONDS:g} seconds of it at a"
        f" time.{few}",
        "",
        "| host, users | requests | p95 | lower in | p50 | processor time | errors | best and worst kind, p95 | holds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {_name(each)} | {_range(each['requests'], 0)} | {_ratio(each['ratio'], 3)} | {_of(each['ratio'])}"
            f" | {_ratio(each['p50'])} | {_ratio(each['cpu_seconds'])} | {each['errors']} | {_extremes(each['kinds'])}"
            f" | {_verdict(each['holds'])} |"
            for each in check["cells"]
        ),
    ]


def _extremes(kinds: Mapping[str, float]) -> str:
    ends = sorted(kinds, key=lambda kind: kinds[kind])
    return ", ".join(f"{_kind(kind)} {kinds[kind]:.2f}" for kind in [*ends[:1], *ends[1:][-1:]]) or _UNKNOWN


def _failure_table(check: Mapping[str, Any]) -> list[str]:
    return [
        "| host, users | died | OOM kills | errors | others that had none | holds |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {_name(each)} | {each['deaths']} | {each['oom_kills']} | {each['errors']} | {_spared(each['spared'])}"
            f" | {_verdict(each['holds'])} |"
            for each in check["cells"]
        ),
    ]


def _spared(spared: Mapping[str, Sequence[str]]) -> str:
    return "; ".join(f"{kind.replace('_', ' ')}: {', '.join(names)}" for kind, names in spared.items() if names)


def _predicted_table(check: Mapping[str, Any]) -> list[str]:
    every = Counter(each["program"] for each in check["cells"])
    within = Counter(each["program"] for each in check["cells"] if each["holds"])
    counts = ", ".join(f"{program} {within[program]} of {count}" for program, count in every.items())
    return [
        f"Within ±{TOLERANCE:.0%}: {counts}. What must hold is the peak of both.",
        "",
        "| host, users | program | predicted, MiB | measured, MiB | off | holds |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {_name(each)} | {each['program']} | {_mib(each['predicted'])} | {_mib(each['measured'])}"
            f" | {_UNKNOWN if each['off'] is None else format(each['off'], '+.1%')} | {_verdict(each['holds'])} |"
            for each in check["cells"]
        ),
    ]


_TABLES = {
    "peak_below": _peak_table,
    "p95_no_worse": _p95_table,
    "no_failure": _failure_table,
    "predicted": _predicted_table,
}


# --- a host ---------------------------------------------------------------------------------------


def _host(host_gib: float, cells: Sequence[Any]) -> str:
    names = list(dict.fromkeys(name for cell in cells for name in cell["configurations"]))
    lines = [
        f"## A host of {host_gib:g} GiB",
        "",
        "Peak, MiB:",
        "",
        f"| | {' | '.join(_count(cell['users'], 'user') for cell in cells)} |",
        f"| --- {'| --- ' * len(cells)}|",
    ]
    for name in names:
        peaks = [_peak(cell["configurations"].get(name)) for cell in cells]
        lines.append(f"| {name} | {' | '.join(peaks)} |")
    for cell in cells:
        lines += [
            "",
            f"### {_count(cell['users'], 'user')} on {host_gib:g} GiB",
            "",
            "| | peak, MiB | steady, MiB | Synapse's peak | PostgreSQL's peak | p95, ms | p95 against stock | processor"
            " time against stock | errors | OOM kills | died |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
            *(_row(name, each) for name, each in cell["configurations"].items()),
            *_samples(cell),
        ]
    return "\n".join([*lines, ""])


def _peak(configuration: Optional[Mapping[str, Any]]) -> str:
    if configuration is None:
        return _UNKNOWN
    died = configuration["runs"] - configuration["survived"]
    return _mib_spread(configuration["peak"]) + (f", {died} of {configuration['runs']} died" if died else "")


def _row(name: str, each: Mapping[str, Any]) -> str:
    p95, against = each["p95"].get("all"), each["against"][BASELINE]
    own = name == BASELINE
    columns = [
        name,
        _mib_spread(each["peak"]),
        _mib_spread(each["steady"]),
        *(_mib_spread(each["programs"][program]["held_peak"]) for program in ("synapse", "postgresql")),
        f"{p95['median']:.0f}" if p95 else _UNKNOWN,
        "1" if own else _ratio(against["p95"].get("all")),
        "1" if own else _ratio(against["cpu_seconds"]),
        str(each["errors"]),
        _kills(each["oom_kills"]),
        f"{each['runs'] - each['survived']} of {each['runs']}",
    ]
    return f"| {' | '.join(columns)} |"


def _kills(kills: Mapping[str, int]) -> str:
    told = ", ".join(f"{where} {count}" for where, count in kills.items() if count)
    return f"{sum(kills.values())} ({told})" if told else "0"


def _samples(cell: Mapping[str, Any]) -> list[str]:
    """What the errors were, so that nobody has to guess."""
    told = [
        f"- {name}: {_code(text)}"
        for name, each in cell["configurations"].items()
        for text in each["error_samples"][:2]
    ]
    return ["", "Some of the errors:", "", *told] if told else []


def _code(text: str) -> str:
    line = " ".join(text.replace("`", "'").split())
    return f"`{line if len(line) <= 160 else line[:159] + '…'}`"


# --- words and numbers ----------------------------------------------------------------------------


def _name(cell: Mapping[str, Any]) -> str:
    return f"{cell['host_gib']:g} GiB, {_count(cell['users'], 'user')}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _kind(kind: str) -> str:
    return kind.replace("_", " ")


def _machine(machine: Mapping[str, Any]) -> str:
    known = {"cores": "{} cores", "memory_gib": "{} GiB", "system": "{}"}
    told = [text.format(machine[name]) for name, text in known.items() if name in machine]
    others = {name: value for name, value in machine.items() if name not in known}
    return ", ".join([*told, *([_pairs(others)] if others else [])])


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _range(spread: Optional[Mapping[str, float]], digits: int) -> str:
    if spread is None:
        return _UNKNOWN
    low, high = f"{spread['least']:.{digits}f}", f"{spread['most']:.{digits}f}"
    return low if low == high else f"{low} to {high}"


def _mib(size: Optional[float]) -> str:
    return _UNKNOWN if size is None else f"{size / _MIB:.0f}"


def _mib_spread(spread: Optional[Mapping[str, float]]) -> str:
    if spread is None:
        return _UNKNOWN
    median, low, high = (_mib(spread[name]) for name in ("median", "least", "most"))
    return median if low == high else f"{median} ({low} to {high})"


def _ratio(found: Optional[Mapping[str, Any]], digits: int = 2) -> str:
    if found is None:
        return _UNKNOWN
    median, least, most = (f"{found[name]:.{digits}f}" for name in ("median", "least", "most"))
    text = f"{median} ({least} to {most})"
    if found["low"] is None or (found["low"], found["high"]) == (found["least"], found["most"]):
        return text
    return f"{text} [95 %: {found['low']:.{digits}f} to {found['high']:.{digits}f}]"


def _of(found: Optional[Mapping[str, Any]]) -> str:
    return _UNKNOWN if found is None else f"{found['below']} of {found['pairs']}"


def _verdict(holds: Optional[bool]) -> str:
    return {True: "yes", False: "no", None: "not measured"}[holds]


def _or_died(each: Mapping[str, Any], other: str) -> str:
    return f"{other} died" if each["other_died"] else _verdict(each["holds"])
