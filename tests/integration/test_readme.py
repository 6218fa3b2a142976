# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows is what a run gives."""

from __future__ import annotations

import difflib
import shutil
import tempfile
from pathlib import Path

import pytest
from readme import missing, shown
from running import PLAYBOOK, ROOT, Run, ansible_playbook, user_without_cron

from ansible_collections.synapse.tuning.plugins.module_utils._secrets import mask

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "docs" / "example" / "matrix"
FILES = ("docker-compose.yml", "data/homeserver.yaml")


def tune(project: Path, **variables: object) -> Run:
    given = {"users": 5, "ram": "2G", "project_dir": str(project), "apply": False, **variables}
    return ansible_playbook(
        PLAYBOOK,
        variables={f"synapse_tuning_{name}": value for name, value in given.items()},
        commands=user_without_cron(project.parent / "bin"),
    )


def test_the_diff_of_the_example(tmp_path: Path) -> None:
    project = tmp_path / "matrix"
    shutil.copytree(EXAMPLE, project)
    tune(project).must_succeed()
    lines: list[str] = []
    for name in FILES:
        before, after = ((folder / name).read_text(encoding="utf-8") for folder in (EXAMPLE, project))
        lines += difflib.unified_diff(mask(before).splitlines(), mask(after).splitlines(), name, name, n=2, lineterm="")
    assert "\n".join(lines) + "\n" == shown("changed")


def test_the_printed_report() -> None:
    # Not in pytest's folder: the report wraps lines with a path as long as that.
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "synapse"
        run = tune(project, create=True).must_succeed()
    assert missing(shown("printed"), run.stdout.replace(str(project), "synapse")) == []
