# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role takes is said twice, in defaults/main.yml and in meta/argument_specs.yml: both must say the same."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if path.is_dir()) if ROLES.is_dir() else []

PREFIX = "synapse_tuning_"
INTERNAL = "__synapse_tuning_"

# What the specification says of an option beside its documentation.
CHECKED = ("type", "elements", "choices", "options")


def _load(path: pathlib.Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text("utf-8")) or {}) if path.exists() else {}


def _defaults(role: str) -> dict[str, Any]:
    return _load(ROLES / role / "defaults" / "main.yml")


def _options(role: str) -> dict[str, dict[str, Any]]:
    entries = _load(ROLES / role / "meta" / "argument_specs.yml").get("argument_specs", {})
    return {name: option for entry in entries.values() for name, option in (entry.get("options") or {}).items()}


def _is_template(value: object) -> bool:
    """A value that only Ansible can work out has no type before that."""
    return isinstance(value, str) and "{{" in value


def disagreements(defaults: dict[str, Any], options: dict[str, dict[str, Any]]) -> list[str]:
    """Return one line for each thing that the two files say differently."""
    found = [f"{name} has a default and no specification" for name in sorted(defaults.keys() - options.keys())]
    for name, option in sorted(options.items()):
        if option.get("required"):
            if name in defaults or "default" in option:
                found.append(f"{name} is required and has a default")
        elif name not in defaults:
            found.append(f"{name} is specified and has no default (null, if it may be left out)")
        else:
            found.extend(_value_errors(name, defaults[name], option))
    return found


def _value_errors(name: str, value: object, option: dict[str, Any]) -> list[str]:
    said = option.get("default")
    if value is None:
        return [] if said is None else [f"{name} is null, and {said!r} in its specification"]
    if (type(value), value) != (type(said), said):
        return [f"{name} is {value!r}, and {said!r} in its specification"]
    return [] if _is_template(value) else _type_errors(name, value, option)


def _type_errors(name: str, value: object, option: dict[str, Any]) -> list[str]:
    """Ansible coerces what it checks and keeps what it was given: so the value must be of the type already."""
    spec = {name: {key: option[key] for key in CHECKED if key in option}}
    result = ArgumentSpecValidator(spec).validate({name: value})
    if result.error_messages:
        return result.error_messages
    coerced = result.validated_parameters[name]
    if type(coerced) is not type(value) and option.get("type", "str") not in ("raw", "path"):
        return [f"{name} is {value!r}: not a {option.get('type', 'str')}"]
    return []


def test_there_are_roles() -> None:
    assert NAMES


@pytest.mark.parametrize("role", NAMES)
def test_a_role_is_specified(role: str) -> None:
    entry = _load(ROLES / role / "meta" / "argument_specs.yml")["argument_specs"]["main"]
    assert entry["short_description"]
    assert entry["options"]


@pytest.mark.parametrize("role", NAMES)
def test_defaults_and_specification_agree(role: str) -> None:
    found = disagreements(_defaults(role), _options(role))
    assert not found, f"role {role}:\n" + "\n".join(found)


@pytest.mark.parametrize("role", NAMES)
def test_variables_carry_the_prefix(role: str) -> None:
    assert [name for name in _options(role) if not name.startswith(PREFIX)] == []
    variables = _load(ROLES / role / "vars" / "main.yml")
    assert [name for name in variables if not name.startswith((PREFIX, INTERNAL))] == []


def test_a_variable_means_the_same_in_every_role() -> None:
    """A variable is set once, for all roles of a play."""
    seen: dict[str, tuple[str, dict[str, Any]]] = {}
    found = []
    for role in NAMES:
        for name, option in _options(role).items():
            says = {key: option.get(key) for key in (*CHECKED, "default")}
            says["type"] = says["type"] or "str"
            first, said = seen.setdefault(name, (role, says))
            if says != said:
                found.append(f"{name}: {said} in {first}, {says} in {role}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("defaults", "options"),
    [
        ({"a": 1}, {}),
        ({}, {"a": {"type": "int", "default": 1}}),
        ({"a": 1}, {"a": {"type": "int", "default": 2}}),
        ({"a": 1}, {"a": {"type": "int"}}),
        ({"a": 1}, {"a": {"type": "int", "required": True}}),
        ({"a": None}, {"a": {"type": "int", "default": 1}}),
        ({"a": "1"}, {"a": {"type": "int", "default": "1"}}),
        ({"a": 1}, {"a": {"type": "bool", "default": True}}),
        ({"a": "c"}, {"a": {"type": "str", "choices": ["b"], "default": "c"}}),
        ({"a": "b"}, {"a": {"type": "list", "elements": "str", "default": "b"}}),
    ],
)
def test_a_disagreement_is_seen(defaults: dict[str, Any], options: dict[str, dict[str, Any]]) -> None:
    assert disagreements(defaults, options)


def test_agreement_is_not_reported() -> None:
    defaults = {"a": 1, "b": None, "c": "{{ a }}", "d": [1]}
    options = {
        "a": {"type": "int", "default": 1},
        "b": {"type": "int"},
        "c": {"type": "path", "default": "{{ a }}"},
        "d": {"type": "list", "elements": "int", "default": [1]},
        "e": {"type": "str", "required": True},
    }
    assert disagreements(defaults, options) == []
