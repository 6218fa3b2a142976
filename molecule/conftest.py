# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios ask: the project's files, and its containers."""

from __future__ import annotations

import json
import pathlib
import shlex
from typing import Any

import pytest
from testinfra.host import Host


class Project:
    """The compose project of a scenario."""

    def __init__(self, host: Host, directory: pathlib.Path) -> None:
        self.host = host
        self.directory = directory

    def text(self, name: str) -> str:
        """Return a file's content."""
        return str(self.host.file(str(self.directory / name)).content_string)

    def backups(self, name: str) -> list[str]:
        """Return the backups of a file."""
        return sorted(str(path) for path in (self.directory / name).parent.glob(f"{pathlib.Path(name).name}.*.bak"))

    def compose(self, *arguments: str) -> str:
        """Run `docker compose` in the project; return what it printed."""
        command = ["docker", "compose", "--project-directory", str(self.directory), *arguments]
        return str(self.host.check_output(shlex.join(command)))

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what `docker inspect` says of a service's container."""
        return dict(json.loads(self.host.check_output("docker inspect %s", self.compose("ps", "--quiet", service)))[0])

    def execute(self, service: str, *command: str) -> str:
        """Run a command in a service's container; return what it printed."""
        return self.compose("exec", "--no-TTY", service, *command).strip()

    def sql(self, statement: str) -> str:
        """Run a statement in Synapse's database; return what it printed."""
        return self.execute("db", "psql", "-XAt", "-U", "synapse", "-c", statement)


@pytest.fixture(scope="module")
def variables(host: Host) -> dict[str, Any]:
    """The variables of the scenario's host."""
    return dict(host.ansible.get_variables())


@pytest.fixture(scope="module")
def project(host: Host, variables: dict[str, Any]) -> Project:
    """The project's files."""
    return Project(host, pathlib.Path(variables["synapse_tuning_project_dir"]))


@pytest.fixture(scope="module")
def applied(project: Project, variables: dict[str, Any]) -> Project:
    """The project, for what is seen on its containers."""
    if not variables["synapse_tuning_apply"]:
        pytest.skip("synapse_tuning_apply is false: nothing was brought up")
    return project
