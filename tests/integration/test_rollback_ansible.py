# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that change files, and the module rollback, by Ansible itself."""

from __future__ import annotations

import json
import pathlib
import sys
from typing import Any, Optional

import pytest

# What both kinds of tests share stands with the unit tests.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "unit"))

import homeserver_cases
from running import Run, ansible_playbook, tree
from sample_plan import sample_plan

pytestmark = pytest.mark.slow

SECRETS = ["s3cret", "hunter2"]
COMPOSE = """\
services:
  synapse:
    image: matrixdotorg/synapse:v1.150.0
    environment: {TURN_SECRET: hunter2}
  db:
    image: postgres:17
    environment:
      POSTGRES_PASSWORD: hunter2
"""
FIRST, SECOND, BACK, UNDO, FAILED = (f"20260102T03040{number}.678901Z" for number in range(5))

TASK = """
    - name: {name}
      synapse.tuning.{module}: "{{{{ options.{name} }}}}"
      check_mode: {check}
      register: answer_{name}
      ignore_errors: true
    - name: Keep the files after {name}
      ansible.builtin.command: cp -a {project} {work}/{name}
"""
ANSWERS = """
    - name: Keep the answers
      ansible.builtin.copy:
        content: "{{{{ dict({answers}) | to_json }}}}"
        dest: "{work}/answers.json"
        mode: "0600"
      diff: false
      no_log: true
"""


def _tasks(project: pathlib.Path) -> list[tuple[str, str, bool, dict[str, Any]]]:
    """(name, module, check mode, options), as a user has them run one after the other."""
    directories = [str(project), str(project / "data")]
    home = str(project / "data" / "homeserver.yaml")
    plan, other = sample_plan(), sample_plan(synapse=False)
    back = {"directories": directories}
    return [
        ("nothing_yet", "rollback", False, back),
        ("nothing_yet_latest", "rollback", False, {**back, "to": "latest"}),
        ("compose", "compose_file", False, {"plan": plan, "project_dir": str(project), "run": FIRST}),
        ("homeserver", "homeserver_file", False, {"plan": plan, "path": home, "mode": "override", "run": FIRST}),
        ("plan", "plan_file", False, {"plan": plan, "path": str(project / "plan.json"), "run": FIRST}),
        ("second", "plan_file", False, {"plan": other, "path": str(project / "plan.json"), "run": SECOND}),
        ("listed", "rollback", False, back),
        ("checked", "rollback", True, {**back, "to": FIRST, "run": BACK}),
        ("real", "rollback", False, {**back, "to": FIRST, "run": BACK}),
        ("again", "rollback", False, {**back, "to": FIRST}),
        ("undo", "rollback", False, {**back, "to": BACK, "run": UNDO}),
        ("unknown", "rollback", False, {**back, "to": FAILED}),
        ("wrong_run", "plan_file", False, {"plan": plan, "path": str(project / "plan.json"), "run": "now"}),
        ("no_backups", "rollback", False, {**back, "backups": 0}),
        ("half", "plan_file", False, {"plan": plan, "path": str(project / "plan.json"), "run": FAILED}),
        ("discard_checked", "rollback", True, {**back, "to": FAILED, "discard": True}),
        ("discard", "rollback", False, {**back, "to": FAILED, "discard": True}),
        ("discard_again", "rollback", False, {**back, "to": FAILED, "discard": True}),
    ]


class Results:
    """The answers and the project's files by task, and what Ansible printed."""

    def __init__(self, work: pathlib.Path, project: pathlib.Path, run: Run, before: dict[str, Any]) -> None:
        self._answers = json.loads((work / "answers.json").read_text())
        self._work = work
        self.project = project
        self.run = run
        self.before = before

    def __getitem__(self, name: str) -> Any:
        return self._answers[name]

    def files(self, name: str) -> dict[str, Any]:
        return tree(self._work / name)

    def live(self, name: str) -> dict[str, Any]:
        """Without what lies there for going back."""
        ends = (".bak", ".absent", ".restored")
        return {path: state for path, state in self.files(name).items() if not path.endswith(ends)}

    def records(self, name: str) -> set[str]:
        return self.files(name).keys() - self.live(name).keys()


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """One run of Ansible for all: starting it is what takes time."""
    work, project = tmp_path_factory.mktemp("playbook"), tmp_path_factory.mktemp("project")
    (project / "compose.yml").write_text(COMPOSE)
    (project / "compose.yml").chmod(0o640)
    (project / "data").mkdir()
    next(case for case in homeserver_cases.CASES if case.name == "psycopg2.yaml").install(project / "data")
    before = tree(project)
    tasks = _tasks(project)
    (work / "playbook.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks:\n"
        + "".join(
            TASK.format(name=name, module=module, check=check, project=project, work=work)
            for name, module, check, _given in tasks
        )
        + ANSWERS.format(answers=", ".join(f"{task[0]}=answer_{task[0]}" for task in tasks), work=work)
    )
    (work / "options.json").write_text(json.dumps({"options": {name: given for name, _module, _check, given in tasks}}))
    run = ansible_playbook(work / "playbook.yml", "--diff", "-vvv", "-e", f"@{work / 'options.json'}")
    return Results(work, project, run.must_succeed(), before)


def test_a_run_keeps_what_was_there(results: Results) -> None:
    assert results.records("second") == {
        f"compose.yml.{FIRST}.bak",
        f"data/homeserver.tuning.yaml.{FIRST}.absent",
        f"plan.json.{FIRST}.absent",
        f"plan.json.{SECOND}.bak",
    }
    assert results["compose"]["backup_file"] == str(results.project / f"compose.yml.{FIRST}.bak")
    assert (results["homeserver"]["backup_file"], results["plan"]["backup_file"]) == (None, None)
    assert results["second"]["backup_file"] == str(results.project / f"plan.json.{SECOND}.bak")


def test_lists_the_points(results: Results) -> None:
    assert results["nothing_yet"]["points"] == []
    listed = results["listed"]
    assert listed["changed"] is False and listed["diff"] == [] and listed["restored"] == []
    assert (listed["to"], listed["run"]) == (None, None)
    dropin, plan = results.project / "data" / "homeserver.tuning.yaml", results.project / "plan.json"
    assert listed["points"] == [
        {
            "run": SECOND,
            "time": "2026-01-02 03:04:01 UTC",
            "rollback": False,
            "files": [{"path": str(plan), "backup_file": f"{plan}.{SECOND}.bak"}],
        },
        {
            "run": FIRST,
            "time": "2026-01-02 03:04:00 UTC",
            "rollback": False,
            "files": [
                {
                    "path": str(results.project / "compose.yml"),
                    "backup_file": str(results.project / f"compose.yml.{FIRST}.bak"),
                },
                {"path": str(dropin), "backup_file": None},
                {"path": str(plan), "backup_file": None},
            ],
        },
    ]
    assert results.files("listed") == results.files("second")


def test_check_mode_tells_what_a_real_run_does(results: Results) -> None:
    assert results.files("checked") == results.files("second")
    for name in ("changed", "restored", "points", "to", "diff"):
        assert results["checked"][name] == results["real"][name], name
    assert (results["checked"]["run"], results["real"]["run"]) == (None, BACK)
    assert results["real"]["to"] == FIRST
    assert [(pathlib.Path(each["path"]).name, each["action"]) for each in results["real"]["restored"]] == [
        ("compose.yml", "restored"),
        ("homeserver.tuning.yaml", "removed"),
        ("plan.json", "removed"),
    ]
    assert [bool(each["after"]) for each in results["real"]["diff"]] == [True, False, False]


def test_all_is_as_it_was(results: Results) -> None:
    assert results.live("real") == results.before


def test_a_second_time_changes_nothing(results: Results) -> None:
    assert results["again"]["changed"] is False
    assert (results["again"]["restored"], results["again"]["diff"], results["again"]["run"]) == ([], [], None)
    assert results.files("again") == results.files("real")


def test_going_back_can_be_gone_back_from(results: Results) -> None:
    assert results["undo"]["changed"] is True
    assert results["undo"]["points"][0]["rollback"] is True
    assert results.live("undo") == results.live("second")


def test_a_failed_run_is_put_back_and_leaves_nothing(results: Results) -> None:
    assert results.files("half") != results.files("undo")
    assert results.files("discard_checked") == results.files("half")
    assert results.files("discard") == results.files("undo")
    assert results["discard_checked"]["restored"] == results["discard"]["restored"] != []
    assert results["discard"]["run"] is None
    assert results["discard_again"]["changed"] is False and not results["discard_again"].get("failed")


@pytest.mark.parametrize(
    "name, words",
    [
        ("nothing_yet_latest", "no backup of a run lies in"),
        ("unknown", f"no run {FAILED} has left a backup here; the nearest points are {UNDO}, {BACK}, {SECOND}"),
        ("wrong_run", "run is 'now', which is no time in UTC"),
        ("no_backups", "backups is 0; give at least 1"),
    ],
)
def test_a_problem_is_one_line(results: Results, name: str, words: Optional[str]) -> None:
    assert results[name]["failed"] is True
    assert words in results[name]["msg"]
    assert "\n" not in results[name]["msg"]
    assert "Traceback" not in results.run.output


def test_secrets_are_in_nothing_that_is_printed_or_returned(results: Results) -> None:
    assert "hunter2" in COMPOSE
    said = results.run.output + json.dumps([results[name] for name in ("checked", "real", "undo", "discard")])
    assert [secret for secret in SECRETS if secret in said] == []
    assert "*********" in json.dumps(results["real"]["diff"])
