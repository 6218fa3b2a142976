# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""cron's entry, and the script that it runs."""

from __future__ import annotations

import pytest
from conftest import Project


@pytest.fixture(autouse=True)
def _cron(project: Project) -> None:
    if not project.host.exists("crontab"):
        pytest.skip("this machine has no cron, so the role installed nothing")


def test_cron_has_one_entry(project: Project) -> None:
    entries = [line for line in project.text("cron").splitlines() if not line.startswith("#")]
    assert len(entries) == 1
    assert f" root {project.directory}/compress-state.sh --random-delay " in entries[0]


def test_the_script_runs(applied: Project) -> None:
    script = applied.host.file(str(applied.directory / "compress-state.sh"))
    assert script.mode == 0o755
    run = applied.host.run(str(applied.directory / "compress-state.sh"))
    assert (run.rc, run.stdout, run.stderr) == (0, "", ""), applied.text("compress-state.log")
