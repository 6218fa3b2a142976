# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's tables of variables name all that roles and playbooks take, and no other, with the right defaults."""

from __future__ import annotations

import fnmatch
import pathlib
import re
from typing import Any

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

PREFIX = "synapse_tuning_"
# A variable that a playbook takes beside its roles' is one with a default of the playbook's own.
_PLAYBOOKS_OWN = re.compile(r"\b(?<!_)(synapse_tuning_\w+) \| default\(")
# Facts, which one role leaves for the next.
_RESULTS = re.compile(r".*_(result|effective|interruptions|run)")
_ROW = re.compile(r"^\| (`synapse_tuning_.*?) \| (.*?) \| .* \|$", re.MULTILINE)


def taken() -> dict[str, Any]:
    """Every variable, with its default; None for none."""
    found: dict[str, Any] = {}
    for playbook in ROOT.glob("playbooks/*.yml"):
        names = _PLAYBOOKS_OWN.findall(playbook.read_text("utf-8"))
        found.update({name: None for name in names if not _RESULTS.fullmatch(name)})
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(path.read_text("utf-8"))["argument_specs"].values():
            found.update({name: option.get("default") for name, option in entry["options"].items()})
    return found


def tabled() -> list[tuple[str, str]]:
    """Every name of the tables, with the cell of its default."""
    readme = (ROOT / "README.md").read_text("utf-8")
    return [(name, default) for names, default in _ROW.findall(readme) for name in re.findall("`(.*?)`", names)]


def test_all_are_there() -> None:
    patterns = [name for name, _default in tabled()]
    assert [name for name in sorted(taken()) if not any(fnmatch.fnmatch(name, each) for each in patterns)] == []


def test_no_other_is_there() -> None:
    names = taken()
    assert [name for name, _default in tabled() if not fnmatch.filter(names, name)] == []


def test_the_defaults() -> None:
    defaults = taken()
    wrong = {}
    for name, cell in tabled():
        # A cell without a value says in words what holds where there is none.
        for said in re.findall("^`(.*)`$", cell) if "`, `" not in cell else ():
            value = defaults.get(name)
            if value is not None and said != (
                value if isinstance(value, str) else yaml.safe_dump(value).split("\n")[0]
            ):
                wrong[name] = (said, value)
    assert wrong == {}
