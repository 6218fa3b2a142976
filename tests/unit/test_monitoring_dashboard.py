# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard that the role monitoring writes, by Grafana's own schema; tests/stack tries its queries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

# Grafana generates it from its schema; it is for Python 3.11 and later, as the controller is.
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from watching import ROLE

DASHBOARD: dict[str, Any] = json.loads((ROLE / "files" / "synapse-tuning.json").read_text("utf-8"))


def lost(said: Any, understood: Any, place: str = "") -> Iterator[str]:
    """What is not in the schema, or other than it has it: such things do not come back from there."""
    if isinstance(said, dict) and isinstance(understood, dict):
        for name, value in said.items():
            if name in understood:
                yield from lost(value, understood[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}"
    elif isinstance(said, list) and isinstance(understood, list) and len(said) == len(understood):
        for number, (value, other) in enumerate(zip(said, understood)):
            yield from lost(value, other, f"{place}[{number}]")
    elif said != understood:
        yield place


def _understood(dashboard: dict[str, Any]) -> Any:
    plugins.register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(dashboard)))


def test_it_is_as_the_schema_has_it() -> None:
    assert list(lost(DASHBOARD, _understood(DASHBOARD))) == []


@pytest.mark.parametrize("place", [(), ("panels", 1), ("panels", 1, "targets", 0), ("panels", 1, "options", "legend")])
def test_what_is_not_in_the_schema_is_seen(place: tuple[Any, ...]) -> None:
    wrong = json.loads(json.dumps(DASHBOARD))
    part = wrong
    for name in place:
        part = part[name]
    part["colour"] = "red"
    assert len(list(lost(wrong, _understood(wrong)))) == 1


def test_its_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _y in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_query_asks_the_source_that_was_chosen() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert "$project" in target["expr"] or "$instance" in target["expr"]
