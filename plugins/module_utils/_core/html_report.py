# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as one HTML page that needs nothing beside it: no script, no font, no request."""

from __future__ import annotations

import base64
import hashlib
from typing import List, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.comparison import caveats, compare
from ansible_collections.synapse.tuning.plugins.module_utils._core.html_style import STYLE
from ansible_collections.synapse.tuning.plugins.module_utils._core.html_tables import (
    budget_table,
    cache_section,
    comparison_table,
    room_section,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.markup import Markup, element, join, optional
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import added
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_findings import Findings
from ansible_collections.synapse.tuning.plugins.module_utils._core.picture import host_picture, use_picture
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import FAILING, SEE_MORE, Step

__all__ = ["html_report"]


def html_report(findings: Findings) -> str:
    """The page. The same findings give the same text."""
    title = f"Memory of {findings.host}" if findings.host else "Memory of Synapse and PostgreSQL"
    return str(
        join(
            [
                Markup("<!DOCTYPE html>"),
                Markup('<html lang="en">'),
                element(
                    "head",
                    element("meta", charset="utf-8"),
                    # Should anything ever get past the escaping, the browser still runs and fetches nothing.
                    Markup(
                        '<meta http-equiv="Content-Security-Policy"'
                        f" content=\"default-src 'none'; style-src '{_hash(STYLE)}'; base-uri 'none'; form-action 'none'\">"
                    ),
                    element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    element("meta", name="referrer", content="no-referrer"),
                    element("title", title),
                    element("style", Markup(STYLE)),
                ),
                element("body", element("main", *_sections(findings, title))),
                Markup("</html>"),
            ],
            separator="\n",
        )
        + "\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sections(findings: Findings, title: str) -> List[Optional[Markup]]:
    return [
        _heading(findings, title),
        _tiles(findings),
        _section("next", "What to do next", _steps(findings.steps)),
        _section(
            "budget",
            "Budget against use",
            element(
                "p",
                "What the plan gives each part, and what it holds now. Memory that is held comes back by swapping or a"
                " restart alone; file cache is not in it."
                if findings.plan is not None
                else "There is no plan.json, so these are the figures without anything to hold them against.",
                class_="soft",
            ),
            host_picture(findings.uses),
            use_picture(findings.uses),
            budget_table(findings.uses),
        ),
        _section(
            "compared",
            "Before and after",
            _compared_with(findings),
            *(element("p", text, class_="warn") for text in caveats(findings.before, findings.now)),
            comparison_table(compare(findings.before, findings.now), has_before=findings.before is not None),
        ),
        _section("caches", "Synapse's caches", *cache_section(findings)),
        _section("rooms", "Heaviest rooms", *room_section(findings)),
        _section("missing", "What could not be measured", *_missing(findings)),
        element(
            "footer",
            "MiB are 1,048,576 bytes. Times are UTC. Counters count since the process's start. ",
            "A question mark stands for what could not be read. Made by the Ansible collection synapse.tuning.",
        ),
    ]


def _section(name: str, title: str, *content: Optional[Markup]) -> Markup:
    return element("section", element("h2", title), *content, id=name)


def _heading(findings: Findings, title: str) -> Markup:
    now = findings.now
    facts = [
        f"Synapse {now.synapse.version or figures.UNKNOWN}",
        f"PostgreSQL {now.postgresql.version or figures.UNKNOWN}",
    ]
    if now.host is not None:
        facts += [f"{figures.mib(now.host.total)} MiB of memory", figures.noun(now.host.cpus, "CPU")]
    how = f"Measured at {figures.moment(now.taken_at)}"
    if now.samples > 1:
        how += f"; what was held at most is the highest of {figures.noun(now.samples, 'sample')}"
    else:
        how += ", once: what was held at most is what is held now"
    return element(
        "header",
        element("h1", title),
        element("p", how + "."),
        element("p", " · ".join(facts), class_="soft"),
        element("p", _first_or_since(findings), class_="soft"),
    )


def _first_or_since(findings: Findings) -> str:
    if findings.before is None:
        return "First measurement: nothing to compare yet."
    return f"Compared with the measurement of {figures.moment(findings.before.taken_at)}."


def _compared_with(findings: Findings) -> Markup:
    if findings.before is None:
        return element(
            "p", "First measurement: nothing to compare yet. Measure again after the next change.", class_="soft"
        )
    return element("p", _first_or_since(findings), class_="soft")


def _tiles(findings: Findings) -> Markup:
    now, before = findings.now, findings.before
    host, together = now.host, now.held
    available, total, swap = (None,) * 3 if host is None else (host.available, host.total, host.swap_used)
    then = None if before is None else before.held
    change = figures.difference(then, together)
    containers = (now.synapse.container, now.postgresql.container)
    killed = added(each.oom_kills for each in containers if each is not None)
    failing = len([step for step in findings.steps if step.urgency == FAILING])
    todo = len([step for step in findings.steps if step.urgency != SEE_MORE])
    return element(
        "div",
        _tile(
            "Synapse and PostgreSQL hold",
            f"{figures.mib(together)} MiB",
            f"{change} MiB, it was {figures.mib(then)}"
            if change
            else f"Synapse {figures.mib(now.synapse.held)}, PostgreSQL {figures.mib(now.postgresql.held)}",
            "good" if change.startswith("−") else "",
        ),
        _tile(
            "Available on the host",
            f"{figures.mib(available)} MiB",
            f"of {figures.mib(total)} MiB; swap in use: {figures.mib(swap)} MiB",
        ),
        _tile(
            "Killed for memory",
            figures.count(killed),
            "neither Synapse nor PostgreSQL"
            if killed == 0
            else "Synapse and PostgreSQL, since their containers were made",
            "bad" if killed else "",
        ),
        _tile(
            "To do",
            figures.count(todo),
            "nothing fails" if not failing else f"{failing} urgent",
            "bad" if failing else "",
        ),
        class_="tiles",
    )


def _tile(label: str, figure: str, detail: str, mood: str = "") -> Markup:
    return element(
        "div",
        element("span", label, class_="label"),
        element("span", figure, class_=f"figure {mood}".rstrip()),
        element("span", detail, class_="detail"),
        class_="tile",
    )


def _steps(steps: Sequence[Step]) -> Markup:
    if not steps:
        return element(
            "p",
            "Nothing: nothing fails, all parts are within their budget, and no lever that these figures show would return memory.",
        )
    return element("ol", *map(_step, steps), class_="steps")


def _step(step: Step) -> Markup:
    return element(
        "li",
        element("span", step.title, class_="step-title bad" if step.urgency == FAILING else "step-title"),
        element("span", f" returns about {figures.mib(step.returns)} MiB", class_="returns") if step.returns else None,
        element("br"),
        join([step.figure, *([" ", step.advice] if step.advice else [])]),
        optional(step.command, "pre"),
    )


def _missing(findings: Findings) -> List[Markup]:
    rows = sorted(findings.now.missing.items())
    if findings.rooms_missing:
        rows.append(("rooms", findings.rooms_missing))
    if not rows:
        return [element("p", "Every source answered.")]
    return [element("ul", *(element("li", element("b", name), ": ", why) for name, why in rows))]
