# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the real Compose makes of the tuned files: it accepts them, and the planned values are in effect."""

from __future__ import annotations

import copy
import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

# What both kinds of tests share stands with the unit tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from compose_cases import CASES, Case
from sample_plan import PARAMETERS, SYNAPSE_ENVIRONMENT

from ansible_collections.synapse.tuning.plugins.module_utils import _compose_command
from ansible_collections.synapse.tuning.plugins.module_utils._backups import Keep
from ansible_collections.synapse.tuning.plugins.module_utils._compose_file import prepare, write
from ansible_collections.synapse.tuning.plugins.module_utils._compose_project import (
    FILE_NAMES,
    OVERRIDE_NAMES,
    Project,
    interpolate,
)
from ansible_collections.synapse.tuning.plugins.module_utils._compose_services import words_of
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import ServiceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import same_value

KEEP = Keep("20260102T030405.678901Z")
MIB = 1024**2
# What some of the files insist on.
VARIABLES = {"SERVER_NAME": "example.org", "POSTGRES_PASSWORD": "x", "REGISTRATION_SHARED_SECRET": "x"}
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def compose(folder: pathlib.Path, *arguments: str) -> str:
    """Run Compose in a project, with all its profiles; the output."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("COMPOSE_")}
    done = subprocess.run(
        ["docker-compose", "--profile", "*", *arguments],
        cwd=folder,
        env={**environment, **VARIABLES},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def effective(folder: pathlib.Path) -> dict[str, Any]:
    return json.loads(compose(folder, "config", "--format", "json"))


def arguments_set(arguments: list[str]) -> dict[str, str]:
    """The parameters that a command sets, in the words of pg_settings; the last one of a name wins."""
    found = {}
    rest = list(arguments)
    short = {"-N": "max_connections", "-B": "shared_buffers"}
    while rest:
        word = rest.pop(0)
        if word in short:
            found[short[word]] = rest.pop(0)
        elif word.startswith(("-c", "--")):
            name, _equals, value = (word[2:] or rest.pop(0)).partition("=")
            found[name.replace("-", "_").lower()] = value
    return found


def assert_planned(case: Case, services: dict[str, Any]) -> None:
    """The levers in Compose's own model are those of the plan."""
    synapse, db = services[case.synapse], services[case.db]
    for service, limit, reservation in ((synapse, 1024, 512), (db, 512, 256)):
        resources = service.get("deploy", {}).get("resources", {})
        limits = {service.get("mem_limit"), resources.get("limits", {}).get("memory")} - {None}
        reservations = {service.get("mem_reservation"), resources.get("reservations", {}).get("memory")} - {None}
        assert limits == {str(limit * MIB)}
        assert reservations == {str(reservation * MIB)}
    assert db["shm_size"] == str(256 * MIB)
    environment = synapse["environment"]
    for name, value in SYNAPSE_ENVIRONMENT.items():
        assert environment.get(name) == value
    found = arguments_set(db["command"])
    for name, value in PARAMETERS.items():
        assert same_value(name, found[name], str(value)), name


def without_levers(service: dict[str, Any]) -> dict[str, Any]:
    service = copy.deepcopy(service)
    for key in ("mem_limit", "mem_reservation", "shm_size", "command"):
        service.pop(key, None)
    service["environment"] = {
        key: value for key, value in (service.get("environment") or {}).items() if key not in SYNAPSE_ENVIRONMENT
    }
    deploy = service.pop("deploy", {})
    resources = deploy.pop("resources", {})
    for kind in ("limits", "reservations"):
        found = {key: value for key, value in resources.get(kind, {}).items() if key != "memory"}
        if found:
            service[kind] = found
    deploy.pop("placement", None)  # Compose's own, wherever there is a deploy
    return {**service, **deploy}


def assert_nothing_else(case: Case, before: dict[str, Any], after: dict[str, Any]) -> None:
    followers = () if case.synapse not in before else case.followers
    assert list(before) == list(after)
    for name in before:
        if name not in (case.synapse, case.db, *followers):
            assert before[name] == after[name]
        else:
            assert without_levers(before[name]) == without_levers(after[name])
    owned = {"shared_buffers", *PARAMETERS}
    kept = {
        name: value for name, value in arguments_set(before[case.db].get("command") or []).items() if name not in owned
    }
    found = arguments_set(after[case.db]["command"])
    assert {name: value for name, value in found.items() if name not in owned} == kept


@every_case
def test_in_place(case: Case, tmp_path: pathlib.Path) -> None:
    case.install(tmp_path)
    before = effective(tmp_path)
    write(prepare(case.request(tmp_path)), keep=KEEP)
    after = effective(tmp_path)
    assert_planned(case, after["services"])
    assert_nothing_else(case, before["services"], after["services"])
    assert {**before, "services": 0} == {**after, "services": 0}


@every_case
def test_override(case: Case, tmp_path: pathlib.Path) -> None:
    case.install(tmp_path)
    before = effective(tmp_path)
    write(prepare(case.request(tmp_path, override=True, dropin=True)), keep=KEEP)
    after = effective(tmp_path)
    assert_planned(case, after["services"])
    # Compose follows no anchor from one file into another.
    alone = Case(case.name, case.synapse, case.db)
    assert_nothing_else(alone, before["services"], after["services"])
    command = after["services"][case.synapse]["command"]
    assert command[-1].endswith("/data/homeserver.tuning.yaml")
    assert sum("homeserver.yaml" in word for word in command) == 1


def test_the_names_of_the_files(tmp_path: pathlib.Path) -> None:
    """Compose takes the files in our order of names."""
    for names, found in ((FILE_NAMES, "path"), (OVERRIDE_NAMES, "override_path")):
        for name in reversed(names):
            (tmp_path / name).write_text(f"services:\n  s:\n    image: {name}\n", encoding="utf-8")
            assert effective(tmp_path)["services"]["s"]["image"] == name
            assert getattr(Project.find(project_dir=str(tmp_path)), found) == str(tmp_path / name)


@pytest.mark.parametrize(
    "command",
    [
        "postgres -c a=b",
        "postgres  -c\t'a=b c'  ",
        'postgres -c a="b \\" c" \'d\\\'',
        "postgres -c a=b\\ c",
        "postgres # -c a=b",
        "postgres -c a='' -c b=\"\"",
        "postgres -c a=x'y'\"z\"",
        "postgres\n -c a=b\n\n -c c=d\n",
        "postgres -c a=%t[*]{}~!",
        "postgres -c é=ü",
    ],
)
def test_commands_are_split_as_compose_splits_them(tmp_path: pathlib.Path, command: str) -> None:
    text = json.dumps({"services": {"s": {"image": "i", "command": command}}})
    (tmp_path / "compose.yml").write_text(text, encoding="utf-8")
    read = effective(tmp_path)["services"]["s"]["command"]
    assert [word.text for word in _compose_command.split(command)] == read
    assert [word.text for word in _compose_command.split(_compose_command.join(read))] == read


@pytest.mark.parametrize("command", ["postgres -c a=b;true", "postgres |x", "postgres > y", "postgres \\\n -c a=b"])
def test_commands_that_compose_reads_otherwise_than_meant_are_refused(tmp_path: pathlib.Path, command: str) -> None:
    text = json.dumps({"services": {"s": {"image": "i", "command": command}}})
    (tmp_path / "compose.yml").write_text(text, encoding="utf-8")
    assert effective(tmp_path)["services"]["s"]["command"] != words_of(command)
    with pytest.raises(ServiceError):
        _compose_command.split(command)


@pytest.mark.parametrize(
    "text",
    [
        "$A-${A}-$$A",
        "${NONE:-x}${NONE-y}${EMPTY:-z}${EMPTY-w}",
        "${NONE:-${A:-q}}",
        "${A:+yes}${NONE:+no}${EMPTY:+no}${EMPTY+yes}",
        "${Q}|${B}|${C}|${D}",
    ],
)
def test_variables_are_filled_in_as_compose_does(tmp_path: pathlib.Path, text: str) -> None:
    (tmp_path / ".env").write_text("A=1\nEMPTY=\nQ='lit $A'\nB=\"two ${A}\"  # c\nC=a#b # c\nexport D = d e \n")
    document = {"services": {"s": {"image": "i", "labels": {"l": text}}}}
    (tmp_path / "compose.yml").write_text(json.dumps(document), encoding="utf-8")
    project = Project.find(project_dir=str(tmp_path))
    # Compose's output doubles the dollars again, so that it can be read back.
    shown = effective(tmp_path)["services"]["s"]["labels"]["l"].replace("$$", "$")
    assert interpolate(text, project.variables) == shown
