# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Molecule scenario, each as `molecule test` runs it."""

from __future__ import annotations

import pathlib
import subprocess

import pytest
from engine import Engine

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = sorted(path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml"))


def _containers(engine: Engine, directory: pathlib.Path) -> list[str]:
    """Return the containers, running or not, of compose projects below a directory."""
    form = '{{.Names}} {{.Label "com.docker.compose.project.working_dir"}}'
    listed = engine.docker("ps", "--all", "--format", form).stdout.splitlines()
    return [line for line in listed if str(directory) in line]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario(engine: Engine, tmp_path: pathlib.Path, scenario: str) -> None:
    # Molecule keeps a scenario's state and files below ANSIBLE_HOME.
    environment = {**engine.environment(), "ANSIBLE_HOME": str(tmp_path), "MOLECULE_COMMAND_BORDERS": "false"}
    run = subprocess.run(
        ["molecule", "test", "--scenario-name", scenario],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert _containers(engine, tmp_path) == []


def test_there_is_one_for_the_play_and_one_for_each_role() -> None:
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert {"default", *roles} <= set(SCENARIOS)
