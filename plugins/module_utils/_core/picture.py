# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The memory budget against its use as a picture: bars in SVG, whose words are HTML so that they stay readable.

A bar's drawing is stretched to the width that there is: shapes are in thousandths of the scale.
"""

from __future__ import annotations

import math
from typing import List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import PAGE_CACHE, Use
from ansible_collections.synapse.tuning.plugins.module_utils._core.markup import Markup, element, join

__all__ = ["host_picture", "use_picture"]

_WIDTH = 1000
_HEIGHT = 28


def use_picture(uses: Sequence[Use]) -> Optional[Markup]:
    """A bar a row, all on one scale; None where there is nothing to draw.

    The page cache has no bar: it takes what is left, and would dwarf the others.
    """
    rows = [use for use in uses if use.component != PAGE_CACHE]
    scale = max((size for use in rows for size in _sizes(use)), default=0)
    if not scale:
        return None
    return element(
        "div",
        *(_row(use, scale) for use in rows),
        element(
            "div",
            element("span", "0"),
            element("span", f"{figures.mib(scale / 2)}"),
            element("span", f"{figures.mib(scale)} MiB"),
            class_="axis",
            aria_hidden="true",
        ),
        _legend(),
        class_="bars",
    )


def host_picture(uses: Sequence[Use]) -> Optional[Markup]:
    """Two bars of the whole RAM: who is planned to hold what, and who holds it; None where neither is known whole."""
    whole = [use for use in uses if not use.part]
    planned = [(use.component, use.label, use.planned or 0) for use in whole]
    held = [(use.component, use.label, use.held or 0) for use in whole]
    rows = []
    if any(size for _component, _label, size in planned):
        rows.append(_stack("Planned", planned))
    if all(use.held is not None for use in whole) and any(use.held for use in whole):
        rows.append(_stack("Now", held))
    if not rows:
        return None
    return element(
        "div",
        *rows,
        element(
            "p",
            *(
                element("span", element("i", class_=f"key {_shade(use.component)}"), use.label, class_="entry")
                for use in whole
            ),
            class_="legend",
        ),
        class_="stacks",
    )


def _stack(title: str, parts: Sequence[Tuple[str, str, float]]) -> Markup:
    whole = sum(size for _component, _label, size in parts)
    shapes: List[Markup] = []
    left = 0.0
    for component, label, size in parts:
        width = _WIDTH * size / whole
        shapes.append(
            element(
                "rect",
                element("title", f"{label}: {figures.mib(size)} MiB"),
                x=left,
                y=0,
                width=width,
                height=_HEIGHT,
                class_=f"share {_shade(component)}",
                data_bytes=int(size),
            )
        )
        left += width
    told = ", ".join(f"{label} {figures.mib(size)} MiB" for _component, label, size in parts)
    return element(
        "div",
        element("span", title, class_="name"),
        _drawing(f"{title}: {told}", shapes),
        element("span", f"{figures.mib(whole)} MiB", class_="figures"),
        class_="bar stack",
    )


def _row(use: Use, scale: float) -> Markup:
    shapes: List[Markup] = []
    told: List[str] = []
    if use.planned is not None:
        told.append(f"{figures.mib(use.planned)} MiB planned")
        shapes.append(_rect("planned", use.planned, scale, y=2, height=24))
    if use.held is not None:
        told.append(f"{figures.mib(use.held)} MiB held")
        shapes.append(_rect("held", use.held, scale, y=8, height=12))
        if use.over and use.planned is not None:
            shapes.append(_rect("over", use.over, scale, y=8, height=12, start=use.planned))
    if use.peak is not None:
        told.append(f"{figures.mib(use.peak)} MiB at most")
        shapes.append(_line("peak", use.peak, scale))
    if use.limit is not None and use.limit < math.inf:
        told.append(f"limit {figures.mib(use.limit)} MiB")
        shapes.append(_line("limit", use.limit, scale))
    return element(
        "div",
        element("span", use.label, class_="name"),
        _drawing(f"{use.label}: {', '.join(told)}", shapes),
        element("span", _figures(use), class_="figures"),
        class_="bar part" if use.part else "bar",
        data_component=use.component,
    )


def _figures(use: Use) -> Markup:
    held = element("b", figures.mib(use.held), class_="too-much" if use.over else None)
    return join([held, "" if use.planned is None else f" of {figures.mib(use.planned)}", " MiB"])


def _drawing(told: str, shapes: Sequence[Markup]) -> Markup:
    return element(
        "svg",
        element("title", told),
        *shapes,
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        preserveAspectRatio="none",
        role="img",
        aria_label=told,
    )


def _rect(kind: str, size: float, scale: float, *, y: int, height: int, start: float = 0) -> Markup:
    return element(
        "rect",
        x=_WIDTH * start / scale,
        y=y,
        width=_WIDTH * size / scale,
        height=height,
        class_=kind,
        data_bytes=int(size),
    )


def _line(kind: str, size: float, scale: float) -> Markup:
    at = _WIDTH * size / scale
    return element("line", x1=at, x2=at, y1=0, y2=_HEIGHT, class_=kind, data_bytes=int(size))


def _sizes(use: Use) -> List[float]:
    return [size for size in (use.planned, use.held, use.peak, use.limit) if size is not None and size < math.inf]


def _shade(component: str) -> str:
    return {"synapse": "one", "synapse_workers": "one", "postgresql": "two", PAGE_CACHE: "rest"}.get(component, "three")


def _legend() -> Markup:
    entries = (
        ("planned", "planned"),
        ("held", "held now"),
        ("over", "more than planned"),
        ("peak", "held at most"),
        ("limit", "limit of its container"),
    )
    return element(
        "p",
        *(element("span", element("i", class_=f"key {kind}"), told, class_="entry") for kind, told in entries),
        class_="legend",
    )
