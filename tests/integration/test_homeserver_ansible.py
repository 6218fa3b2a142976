# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module homeserver_file, run by Ansible itself."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess
import sys
from typing import Any

import pytest

# What both kinds of tests share stands with the unit tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from homeserver_cases import CASES
from running import ansible_playbook
from sample_plan import sample_plan

TASK = """
    - name: {name}
      synapse.tuning.homeserver_file: "{{{{ options | combine({{'mode': '{mode}'}}) }}}}"
      check_mode: {check}
      diff: true
      register: answer
      ignore_errors: true
    - name: Keep the answer
      ansible.builtin.copy:
        content: "{{{{ answer | to_json }}}}"
        dest: "{{{{ answers }}}}/{name}"
        mode: "0600"
      diff: false
      no_log: true
"""
# One run of Ansible for all: starting it is what takes time.
TASKS = [
    ("check", "in_place", "true"),
    ("check_override", "override", "true"),
    ("override", "override", "false"),
    ("override_again", "override", "false"),
    ("real", "in_place", "false"),
    ("again", "in_place", "false"),
]

# The module without Ansible's transport, and without ruamel.yaml.
WITHOUT_RUAMEL = """
import json, runpy, sys
sys.path.insert(0, sys.argv[1])
sys.modules["ruamel.yaml"] = None
from ansible.module_utils import basic
basic._ANSIBLE_PROFILE = "legacy"
basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": json.loads(sys.argv[3])}).encode()
runpy.run_module("ansible_collections.synapse.tuning.plugins.modules." + sys.argv[2], run_name="__main__")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A homeserver.yaml that only its owner and group may read."""
    folder = tmp_path_factory.mktemp("homeserver")
    path = next(case for case in CASES if case.name == "psycopg2.yaml").install(folder)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 991, 992)
    return folder


@pytest.fixture(scope="module")
def results(folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The answers by task, and all that Ansible printed under C(output)."""
    work = tmp_path_factory.mktemp("playbook")
    tasks = "".join(TASK.format(name=name, mode=mode, check=check) for name, mode, check in TASKS)
    (work / "playbook.yml").write_text("- hosts: localhost\n  gather_facts: false\n  tasks:\n" + tasks)
    options = {"plan": sample_plan(), "path": str(folder / "homeserver.yaml")}
    run = ansible_playbook(work / "playbook.yml", "-vvv", variables={"options": options, "answers": str(work)})
    run.must_succeed()
    found: dict[str, Any] = {name: json.loads((work / name).read_text()) for name, _mode, _check in TASKS}
    return {**found, "output": run.output}


@pytest.mark.parametrize("checked, real", [("check", "real"), ("check_override", "override")])
def test_check_mode_tells_what_a_real_run_does(results: dict[str, Any], checked: str, real: str) -> None:
    assert results[checked]["changed"] is True
    assert results[checked]["backup_file"] is None
    for name in ("diff", "levers", "restarts", "notes", "path", "changed"):
        assert results[checked][name] == results[real][name], name


@pytest.mark.parametrize("name", ["again", "override_again"])
def test_a_second_run_changes_nothing(results: dict[str, Any], name: str) -> None:
    assert results[name]["changed"] is False
    assert results[name]["backup_file"] is None
    assert results[name]["restarts"] == []
    assert results[name]["diff"]["before"] == results[name]["diff"]["after"]


def test_files_keep_owner_and_mode_and_a_backup_is_made(folder: pathlib.Path, results: dict[str, Any]) -> None:
    backup = pathlib.Path(results["real"]["backup_file"])
    (marker,) = folder.glob("homeserver.tuning.yaml.*.absent")
    assert {path.name for path in folder.iterdir()} == {
        *("homeserver.yaml", "homeserver.tuning.yaml"),
        *(backup.name, marker.name),
    }
    states = [path.stat() for path in folder.iterdir() if path != marker]
    assert {stat.S_IMODE(state.st_mode) for state in states} == {0o640}
    assert len({(state.st_uid, state.st_gid) for state in states}) == 1
    original = next(case for case in CASES if case.name == "psycopg2.yaml").text
    assert backup.read_text() == original


def test_secrets_are_in_nothing_that_is_printed_or_returned(results: dict[str, Any]) -> None:
    assert "s3cret" not in json.dumps(results)
    assert "*********" in results["real"]["diff"]["after"]


def test_warnings_reach_the_user(results: dict[str, Any]) -> None:
    assert "homeserver.tuning.yaml has caches" in " ".join(results["output"].split())


@pytest.mark.parametrize(
    "module, options",
    [
        ("homeserver_file", {"plan": {}, "path": "/nowhere"}),
        ("compose_file", {"plan": {}, "path": "/nowhere"}),
        ("rollback", {"directories": ["/nowhere"]}),
    ],
)
def test_a_missing_library_is_one_line_that_says_how_to_get_it(
    collections_path: pathlib.Path, module: str, options: dict[str, Any]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_RUAMEL, str(collections_path), module, json.dumps(options)],
        capture_output=True,
        text=True,
        check=False,
    )
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["failed"] is True
    assert "\n" not in answer["msg"]
    assert "apt install python3-ruamel.yaml" in answer["msg"]
    assert "pip install ruamel.yaml" in answer["msg"]
