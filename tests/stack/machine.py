# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container that is a host: systemd is its first process, cron runs, docker is there and reaches the test engine."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import client
import images
from deployment import Deployment
from engine import Engine, StackError
from running import Run, ansible_playbook

__all__ = ["Machine", "machine"]

_SYSTEMD = pathlib.Path("/sys/fs/cgroup/systemd")


class Machine:
    """The container, by its name."""

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine = engine
        self.name = name

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it; raises StackError where it fails and `check` is true."""
        return self.engine.docker("exec", self.name, *command, check=check)

    def files(self) -> list[str]:
        """The files of cron, systemd and Docker's programs that somebody added."""
        return self.run("find", "/etc/cron.d", "/etc/systemd/system", "-name", "*synapse*").stdout.split()

    def play(self, playbook: pathlib.Path, *options: str, **variables: Any) -> Run:
        """Run a playbook on it, from this machine."""
        given = {
            "ansible_connection": "community.docker.docker",
            "ansible_host": self.name,
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_docker_extra_env": {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/usr/local/share/wheels"},
            **variables,
        }
        environment = {**self.engine.variables(), "ANSIBLE_PIPELINING": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
        return ansible_playbook(playbook, *options, variables=given, environment=environment)


@contextlib.contextmanager
def machine(project: Deployment) -> Iterator[Machine]:
    """A machine that has the project's directory and is in its network, and is removed then."""
    engine = project.engine
    if not _SYSTEMD.is_dir():
        raise StackError(f"systemd needs the hierarchy {_SYSTEMD}, which this machine does not have")
    name = f"machine-{project.settings['COMPOSE_PROJECT_NAME']}"
    docker = shutil.which("docker")
    compose = (engine.directory / "docker-config" / "cli-plugins" / "docker-compose").resolve()
    mounts = (
        (str(_SYSTEMD), str(_SYSTEMD)),
        (str(project.directory), str(project.directory)),
        (engine.host.removeprefix("unix://"), "/run/docker.sock"),
        (str(docker), "/usr/bin/docker:ro"),
        (str(compose), "/usr/libexec/docker/cli-plugins/docker-compose:ro"),
    )
    engine.docker(
        *("run", "--detach", "--name", name, "--tmpfs", "/run", "--cap-add", "SYS_ADMIN"),
        *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
        *("--network", f"{project.settings['COMPOSE_PROJECT_NAME']}_default"),
        *(part for source, target in mounts for part in ("--volume", f"{source}:{target}")),
        images.MACHINE.tag,
    )
    found = Machine(engine, name)
    try:
        client.wait_until(lambda: _up(found), seconds=60, what="systemd has started everything")
        yield found
    finally:
        engine.docker("rm", "--force", "--volumes", name)


def _up(one: Machine) -> bool:
    """Tell whether systemd has started all that it starts."""
    state = one.run("systemctl", "is-system-running", check=False).stdout.strip()
    return state in ("running", "degraded") and one.run("docker", "compose", "version", check=False).returncode == 0
