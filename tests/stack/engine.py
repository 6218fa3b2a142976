# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine of the tests' own: its own data, socket and configuration, beside any other on the machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

__all__ = ["Engine", "StackError", "default_directory", "say"]

ROOT = pathlib.Path(__file__).resolve().parents[2]

_START_SECONDS = 60
_STOP_SECONDS = 90  # containers get their 10 s each before the engine kills them
_SOCKET_PATH_LIMIT = 107  # bytes, of the kernel

_PACKAGES = {"dockerd": "docker.io", "docker": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap"}
_began = time.monotonic()


class StackError(Exception):
    """One line that says what is wrong and what to do."""


def say(text: str) -> None:
    """Print a line of progress, with the seconds since the start."""
    print(f"stack [{time.monotonic() - _began:5.1f} s] {text}", file=sys.stderr, flush=True)


def default_directory() -> pathlib.Path:
    """Return where everything is kept that outlives a run; it may be removed at any time the engine is down."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "synapse-tuning" / "stack"


def _which(command: str) -> str | None:
    return shutil.which(command, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def _mounts_below(directory: pathlib.Path) -> list[str]:
    """Return the mount points below the directory, the deepest first."""
    points = [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    return sorted((each for each in points if each.startswith(f"{directory}/")), key=len, reverse=True)


class Engine:
    """One dockerd, shared by every process that leases it.

    Attributes:
        directory: Its data, its socket, its log and the locks of those who use it.
        host: What DOCKER_HOST must say.
    """

    def __init__(self, directory: pathlib.Path | None = None) -> None:
        self.directory = (directory or default_directory()).resolve()
        self.host = f"unix://{self.directory / 'docker.sock'}"
        self._data = self.directory / "data"
        self._exec = self.directory / "run"
        self._pid_file = self.directory / "dockerd.pid"
        self._keep = self.directory / "keep"
        self.log = self.directory / "dockerd.log"

    # --- for commands that talk to it -----------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """Return this process's environment, pointing docker, Compose and Ansible at this engine alone."""
        foreign = ("DOCKER_", "COMPOSE_", "BUILDKIT_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**environment, **self.variables()}

    def variables(self) -> dict[str, str]:
        """Return the variables that make docker and Compose use this engine."""
        return {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.directory / "docker-config")}

    def docker(self, *arguments: str, check: bool = True, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run the docker command; raises StackError with what it said where it fails and `check` is true."""
        run = subprocess.run(
            ["docker", *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and run.returncode != 0:
            raise StackError(f"docker {' '.join(arguments[:3])}: exit status {run.returncode}: {run.stderr.strip()}")
        return run

    # --- its life -------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lease(self) -> Iterator[Engine]:
        """Have the engine run as long as the block does, and stop it when the last process leaves its block.

        An engine that `keep` started stays. The locks are the kernel's, so a killed process holds none.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "users.lock").open("w") as users:
            with self._changing():
                fcntl.flock(users, fcntl.LOCK_SH)
                self._start()
            try:
                yield self
            finally:
                with self._changing():
                    try:
                        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    except BlockingIOError:
                        pass  # somebody else still uses it
                    else:
                        if not self._keep.exists():
                            self._stop()

    def keep(self) -> None:
        """Start the engine where it is not up; it stays up until `stop`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._changing():
            self._start()
            self._keep.touch()

    def stop(self) -> None:
        """Stop the engine, and with it every container; its images stay for the next run."""
        if self.directory.exists():
            with self._changing():
                self._keep.unlink(missing_ok=True)
                self._stop()

    def purge(self) -> None:
        """Stop the engine and remove everything that it kept, images too."""
        self.stop()
        self._forget(self.directory)

    def running(self) -> bool:
        """Tell whether this engine runs and answers."""
        return self._pid() is not None and self._answers()

    def missing_packages(self) -> list[str]:
        """Return the Debian packages that must be installed before anything works."""
        return sorted({package for command, package in _PACKAGES.items() if _which(command) is None})

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process at a time start or stop the engine, or build images."""
        with (self.directory / "change.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    exclusive = _changing

    def _pid(self) -> int | None:
        """Return the process id of this engine, and of no other process that was given its number later."""
        try:
            pid = int(self._pid_file.read_text(encoding="ascii"))
            command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self._data).encode() in command else None

    def _answers(self) -> bool:
        return self.docker("info", check=False, timeout=30).returncode == 0

    def _start(self) -> None:
        self._demand()
        self._link_compose()
        if self._pid() is not None:
            if self._wait_for_answer(self._pid):
                return
            say("the engine that runs does not answer: stopping it")
            self._stop()
        self._kill_orphans()
        try:
            self._launch()
        except StackError as problem:
            # Whatever a run that was killed has left there: nothing in it cannot be made again.
            say(f"{problem}; removing its data and trying once more")
            self._stop()
            self._kill_orphans()
            self._forget(self._exec)
            self._forget(self._data)
            self._launch()
        self._remove_leftovers()

    def _demand(self) -> None:
        if missing := self.missing_packages():
            raise StackError(f"missing Debian packages: apt-get install --no-install-recommends {' '.join(missing)}")
        if os.geteuid() != 0:
            raise StackError("a Docker Engine needs root; run this as root")
        if len(self.host) - len("unix://") > _SOCKET_PATH_LIMIT:
            raise StackError(f"the path of the socket is too long for the kernel: {self.host}; set XDG_CACHE_HOME")

    def _link_compose(self) -> None:
        """Make `docker compose` the Compose that comes with the development requirements."""
        places = [pathlib.Path(sys.executable).parent / "docker-compose", ROOT / ".venv" / "bin" / "docker-compose"]
        binary = next((each for each in places if each.is_file()), None)
        if binary is None:
            raise StackError("there is no docker-compose beside this Python; run `make dev` and use .venv/bin/python")
        link = self.directory / "docker-config" / "cli-plugins" / "docker-compose"
        link.parent.mkdir(parents=True, exist_ok=True)
        fresh = link.with_name(f"docker-compose.{os.getpid()}")
        fresh.symlink_to(binary)
        fresh.replace(link)

    def _launch(self) -> None:
        say("starting the Docker Engine (a few seconds)")
        # The number in it may by now be another process's, and dockerd would refuse to start.
        self._pid_file.unlink(missing_ok=True)
        self._exec.mkdir(parents=True, exist_ok=True)
        settings = self.directory / "daemon.json"
        settings.write_text("{}\n", encoding="ascii")
        command = [
            _which("dockerd") or "dockerd",
            f"--host={self.host}",
            "--data-root",
            str(self._data),
            f"--exec-root={self._exec}",
            f"--pidfile={self._pid_file}",
            # No rules and no bridge that another engine of this machine has, too: what Compose needs is a
            # network for each project and ports on 127.0.0.1, and those need neither.
            "--bridge=none",
            "--iptables=false",
            "--ip-forward=false",
            # Not the one of the machine's own engine.
            f"--config-file={settings}",
        ]
        environment = {**self.environment(), "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
        with self.log.open("w") as log:
            process = subprocess.Popen(
                command,
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not self._wait_for_answer(lambda: process.pid if process.poll() is None else None):
            lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise StackError(f"dockerd did not start: {lines[-1] if lines else 'it said nothing'} (see {self.log})")

    def _wait_for_answer(self, pid: Callable[[], int | None]) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while pid() is not None and time.monotonic() < deadline:
            if self._answers():
                return True
            time.sleep(0.2)
        return False

    def _remove_leftovers(self) -> None:
        """Remove the containers, networks and volumes that an engine had which did not end as it should."""
        if containers := self.docker("ps", "--all", "--quiet").stdout.split():
            say(f"removing {len(containers)} containers of a run that was killed")
            self.docker("rm", "--force", "--volumes", *containers)
        self.docker("network", "prune", "--force")
        self.docker("volume", "prune", "--force")

    def _stop(self) -> None:
        pid = self._pid()
        if pid is not None:
            say("stopping the Docker Engine")
            for number in (signal.SIGTERM, signal.SIGKILL):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                deadline = time.monotonic() + _STOP_SECONDS
                while not (ended := self._ended(pid)) and time.monotonic() < deadline:
                    time.sleep(0.1)
                if ended:
                    break
        self._pid_file.unlink(missing_ok=True)
        # It leaves the namespace of the host's network mounted there.
        self._unmount(self._exec)

    def _ended(self, pid: int) -> bool:
        """Tell whether the engine has ended; let the kernel forget it, where it was this process's child."""
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == pid
        except ChildProcessError:
            return self._pid() is None

    def _kill_orphans(self) -> None:
        """End what outlived an engine that was killed: containerd, its shims and the containers' processes."""
        helpers = set()
        parents = {}
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self._exec}/" in (entry / "cmdline").read_bytes().decode(errors="replace"):
                    helpers.add(int(entry.name))
                # After the name, which may hold anything: the state, and then the parent.
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
                )
        for pid in [pid for pid, parent in parents.items() if parent in helpers] + sorted(helpers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # dockerd would take what is left of that process, or another one with its number, for containerd.
        (self._exec / "containerd" / "containerd.pid").unlink(missing_ok=True)

    @staticmethod
    def _unmount(directory: pathlib.Path) -> None:
        for point in _mounts_below(directory):
            subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)

    def _forget(self, directory: pathlib.Path) -> None:
        self._unmount(directory)
        # Never through a mount into somebody's files.
        if _mounts_below(directory):
            raise StackError(f"something is still mounted below {directory}; unmount it and remove the directory")
        shutil.rmtree(directory, ignore_errors=True)
