# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""cron's entry, the check that it runs, and the files for Prometheus and Grafana."""

from __future__ import annotations

import json

import pytest
from conftest import Project


@pytest.fixture(autouse=True)
def _cron(project: Project) -> None:
    if not project.host.exists("crontab"):
        pytest.skip("this machine has no cron, so the role installed nothing")


def test_cron_has_one_entry(project: Project) -> None:
    entries = [line for line in project.text("cron-monitoring").splitlines() if not line.startswith("#")]
    assert len(entries) == 1
    assert entries[0].startswith("*/5 * * * * root ")
    assert entries[0].endswith(f" python3 -B {project.directory}/watch-memory/watch.py")


def test_the_check_sees_everything(applied: Project) -> None:
    run = applied.host.run(f"python3 -B {applied.directory}/watch-memory/watch.py")
    assert (run.rc, run.stdout, run.stderr) == (0, "", "")
    status = applied.text("watch-memory/status.prom")
    for source in ("synapse", "postgresql", "caches", "tables"):
        assert f'source="{source}"}} 1' in status


def test_the_command_is_nobody_elses_to_read(project: Project) -> None:
    assert project.host.file(f"{project.directory}/watch-memory/configuration.json").mode == 0o600


def test_prometheus_and_grafana_have_their_files(project: Project) -> None:
    assert "SynapseTuningMemoryLeak" in project.text("synapse-tuning.rules.yml")
    assert "/_synapse/metrics" in project.text("synapse-tuning.scrape.yml")
    assert json.loads(project.text("synapse-tuning.json"))["uid"] == "synapse-tuning"
