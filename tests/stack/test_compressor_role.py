# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script that the role compressor installs, run beside a database that is up."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from deployment import Deployment

from ansible_collections.synapse.tuning.plugins.module_utils._core import host, plan

pytestmark = pytest.mark.slow


def _run_role(stock: Deployment, directory: pathlib.Path, **variables: object) -> pathlib.Path:
    """Run the role against the deployment and return the script's path."""
    script = directory / "compress-state.sh"
    playbook = directory / "play.yml"
    playbook.write_text(
        json.dumps([{"hosts": "localhost", "gather_facts": False, "roles": ["synapse.tuning.compressor"]}]),
        encoding="utf-8",
    )
    extra = {
        "ansible_python_interpreter": sys.executable,
        "synapse_tuning_plan": plan.make_plan(host.Inputs(users=5, ram=2 * 1024**3)),
        "synapse_tuning_project_dir": str(stock.directory),
        "synapse_tuning_compressor_script": str(script),
        "synapse_tuning_compressor_log": str(directory / "compress.log"),
        "synapse_tuning_compressor_cron_file": str(directory / "cron"),
        **variables,
    }
    run = subprocess.run(
        ["ansible-playbook", str(playbook), "-i", "localhost,", "-c", "local", "-e", json.dumps(extra)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert script.exists(), run.stdout
    return script


def _start(stock: Deployment, script: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run the script as cron would, but with this engine's address and none of the rest of the environment."""
    environment = {**stock.engine.variables(), "PATH": "/usr/bin:/bin", "HOME": "/root", "SHELL": "/bin/sh"}
    return subprocess.run([str(script)], env=environment, cwd="/", capture_output=True, text=True, check=False)


def _rows(stock: Deployment) -> int:
    return int(stock.sql("SELECT count(*) FROM state_groups_state")[0][0])


@pytest.fixture(scope="module")
def busy(stock: Deployment) -> Deployment:
    """A deployment with a room whose state changed often."""
    user = stock.register("decorator")
    room = user.create_room()
    for number in range(240):
        user.set_state(room, "org.example.colour", {"number": number}, state_key=str(number % 60))
    return stock


def test_it_compresses_without_a_password(busy: Deployment, tmp_path: pathlib.Path) -> None:
    script = _run_role(busy, tmp_path)
    password = busy.settings["POSTGRES_PASSWORD"]
    before = _rows(busy)
    run = _start(busy, script)
    log = (tmp_path / "compress.log").read_text(encoding="utf-8")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", ""), log
    assert _rows(busy) < before
    assert password not in script.read_text(encoding="utf-8") + log
    # A second one finds its place again, and nothing to do.
    after = _rows(busy)
    assert _start(busy, script).returncode == 0
    assert _rows(busy) == after


def test_a_second_run_meanwhile_does_nothing(busy: Deployment, tmp_path: pathlib.Path) -> None:
    script = _run_role(busy, tmp_path)
    with subprocess.Popen(["flock", f"{script}.lock", "sleep", "60"]) as holder:
        time.sleep(0.5)
        run = _start(busy, script)
        holder.terminate()
    assert run.returncode == 75
    assert "another run has not finished yet" in run.stderr


def test_it_is_stopped_when_it_takes_too_long(busy: Deployment, tmp_path: pathlib.Path) -> None:
    script = _run_role(busy, tmp_path, synapse_tuning_compressor_time_limit="0.05s")
    run = _start(busy, script)
    assert run.returncode == 124
    left = busy.engine.docker("ps", "--all", "--filter", "name=synapse-tuning-compressor", "--quiet").stdout
    assert left == ""


@pytest.fixture
def stopped(busy: Deployment) -> Iterator[Deployment]:
    busy.compose("stop", "db")
    yield busy
    busy.compose("start", "db")
    busy.wait()


def test_it_says_that_the_database_is_down(stopped: Deployment, tmp_path: pathlib.Path) -> None:
    run = _start(stopped, _run_role(stopped, tmp_path))
    assert run.returncode == 69
    assert f"the service db does not run in {stopped.directory}" in run.stderr
