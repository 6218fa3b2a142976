# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module compose_file, run by Ansible itself."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from typing import Any

import pytest

# What both kinds of tests share stands with the unit tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

from compose_cases import CASES
from sample_plan import sample_plan

pytestmark = pytest.mark.slow

TRAEFIK = next(case for case in CASES if case.name == "traefik.yml")
SECRETS = ("kX8-vault-me-please", "k1u2h3g4f5d6s7a8p9o0i", "9c0ffee9c0ffee", "registration-s3cret")

PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - name: Tune
      synapse.tuning.compose_file: "{{ options }}"
      register: result
      ignore_errors: true
    - name: Keep the answer
      ansible.builtin.copy:
        content: "{{ result | to_json }}"
        dest: "{{ answer }}"
        mode: "0600"
      check_mode: false
      diff: false
"""


@pytest.fixture
def project(tmp_path: pathlib.Path) -> pathlib.Path:
    """A project with secrets of several kinds."""
    folder = tmp_path / "project"
    folder.mkdir()
    path = TRAEFIK.install(folder)
    text = path.read_text(encoding="utf-8")
    marker = "      - SYNAPSE_REPORT_STATS=no\n"
    path.write_text(
        text.replace(marker, marker + "      - REGISTRATION_SHARED_SECRET=registration-s3cret\n"), encoding="utf-8"
    )
    path.chmod(0o640)
    return folder


def run(project: pathlib.Path, *arguments: str, **options: Any) -> tuple[dict[str, Any], str]:
    """The module's answer, and all that Ansible printed."""
    playbook, answer = project.parent / "playbook.yml", project.parent / "answer.json"
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    given = {"options": {"plan": sample_plan(), "project_dir": str(project), **options}, "answer": str(answer)}
    (project.parent / "options.json").write_text(json.dumps(given), encoding="utf-8")
    done = subprocess.run(
        ["ansible-playbook", str(playbook), "-vvv", "-e", f"@{project.parent / 'options.json'}", *arguments],
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(answer.read_text(encoding="utf-8")), done.stdout + done.stderr


def diff_of(output: str) -> str:
    """The diff of the task 'Tune', as printed."""
    lines = output[output.index("TASK [Tune]") : output.index("TASK [Keep the answer]")].splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("--- "))
    stop = next(index for index, line in enumerate(lines) if line.startswith(("changed: ", "ok: ")))
    assert start < stop
    return "\n".join(lines[start:stop])


@pytest.mark.parametrize("mode", ["in_place", "override"])
def test_check_then_real_then_again(project: pathlib.Path, mode: str) -> None:
    main = project / "compose.yml"
    path = main if mode == "in_place" else project / "compose.override.yml"
    before = main.read_bytes()

    checked, check_output = run(project, "--check", "--diff", mode=mode)
    assert checked["changed"] is True
    assert checked["backup_file"] is None
    assert [each.name for each in project.iterdir()] == ["compose.yml"]
    assert main.read_bytes() == before

    real, real_output = run(project, "--diff", mode=mode)
    assert real["changed"] is True
    assert real["path"] == str(path)
    assert diff_of(real_output) == diff_of(check_output)
    assert real["diff"] == checked["diff"]
    assert real["levers"] == checked["levers"]
    assert real["restarts"] == checked["restarts"]
    assert [entry["service"] for entry in real["restarts"]] == ["synapse", "postgres"]
    assert path.stat().st_mode & 0o7777 == 0o640
    if mode == "in_place":
        assert pathlib.Path(real["backup_file"]).read_bytes() == before
    else:
        assert real["backup_file"] is None
        assert main.read_bytes() == before
    assert any("looping calls leak memory" in text for text in real["warnings"])

    written = {each.name: each.read_bytes() for each in project.iterdir()}
    again, output = run(project, "--diff", mode=mode)
    assert again["changed"] is False
    assert again["restarts"] == []
    assert {each.name: each.read_bytes() for each in project.iterdir()} == written
    for secret in SECRETS:
        assert secret.encode() in before
        assert secret not in check_output + real_output + output


def test_a_problem_is_one_line(project: pathlib.Path) -> None:
    before = (project / "compose.yml").read_bytes()
    answer, output = run(project, synapse_service="nobody")
    assert answer["failed"] is True
    assert answer["msg"].startswith(
        f"{project}/compose.yml: there is no service 'nobody' (there are: synapse, postgres"
    )
    assert "\n" not in answer["msg"]
    assert "Traceback" not in output
    assert (project / "compose.yml").read_bytes() == before
    assert [each.name for each in project.iterdir()] == ["compose.yml"]


def test_without_a_backup(project: pathlib.Path) -> None:
    answer, _output = run(project, backup=False)
    assert answer["changed"] is True
    assert answer["backup_file"] is None
    assert [each.name for each in project.iterdir()] == ["compose.yml"]
