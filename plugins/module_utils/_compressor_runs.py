# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run synapse_auto_compressor: in a container beside the database's, or as a Python wheel on this host."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Protocol, Sequence
from urllib.parse import quote

from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import CompressionProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.compressor_output import advice, last_lines
from ansible_collections.synapse.tuning.plugins.module_utils._deps_docker import docker
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Engine, Found

__all__ = ["ContainerRunner", "Output", "Runner", "WheelRunner", "Work", "database_url"]

_PROGRAM = "synapse_auto_compressor"
_NAME = "synapse-tuning-state-compression"
_POLL = 0.1
_GRACE = 10
_TAIL = 200
_MODES = {"disable": "disable", "require": "require", "verify-ca": "require", "verify-full": "require"}

# Gets what it needs by its standard input, and dies with the module: nobody else would stop it.
_WHEEL = """
import ctypes, json, logging, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
given = json.load(sys.stdin)
if os.getppid() != given["parent"]:
    sys.exit(1)
try:
    import synapse_auto_compressor as wheel
except ImportError as error:
    sys.exit("NO WHEEL: %s" % error)
work = getattr(wheel, "run_compression", None) or getattr(wheel, "compress_state_events_table", None)
if work is None:
    sys.exit("EMPTY WHEEL")
if given.get("chunks"):
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    work(
        db_url=given["url"],
        chunk_size=given["chunk_size"],
        default_levels=given["levels"],
        number_of_chunks=given["chunks"],
    )
"""


@dataclass(frozen=True)
class Work:
    """What is the same in each call: state groups a chunk, and the sizes of the levels."""

    chunk_size: int
    levels: Sequence[int]

    @property
    def level_sizes(self) -> str:
        """As the compressor takes them."""
        return ",".join(map(str, self.levels))


@dataclass(frozen=True)
class Output:
    """What a call printed, and whether it was stopped since its time was over."""

    text: str
    stopped: bool


class Runner(Protocol):
    """A way to run the compressor."""

    def check(self) -> None:
        """Raises CompressionProblem or SourceError where it cannot be run at all."""

    def run(self, chunks: int, *, seconds: float) -> Output:
        """Take up to this many chunks. Raises CompressionProblem with its last lines where it fails."""


class ContainerRunner(Engine):
    """In the network of the database's container, where PostgreSQL trusts 127.0.0.1: no password is needed or given.

    Raises SourceError where the engine does not do it.
    """

    def __init__(
        self, *, host: Optional[str], timeout: float, database: Found, url: str, image: str, work: Work
    ) -> None:
        super().__init__(host=host, timeout=timeout)
        self._database = database
        self._url = url
        self._image = image
        self._work = work
        self._name = f"{_NAME}-{database.id[:12]}"

    def check(self) -> None:
        """Pull the image where it is missing, remove what a killed run has left, refuse beside another compressor."""
        with self._told("the Docker Engine does not show what runs"):
            for each in self._client.containers(all=True):
                names = [name.lstrip("/") for name in each.get("Names") or ()]
                if self._name in names:
                    self._client.remove_container(each["Id"], force=True)
                elif each.get("State") == "running" and self._beside(each["Id"]):
                    raise CompressionProblem(
                        f"another run of the compressor has not finished yet (container {names[0]}), nothing was done;"
                        " run again once it is done"
                    )
        self._get_image()

    def run(self, chunks: int, *, seconds: float) -> Output:
        """Run one container and remove it, whatever happens."""
        command = [_PROGRAM, "-p", self._url, "-c", str(self._work.chunk_size), "-n", str(chunks)]
        command += ["-l", self._work.level_sizes]
        with self._told(f"the compressor's container cannot be run from {self._image}"):
            made = self._client.create_container(
                self._image,
                command=command,
                name=self._name,
                labels={"synapse.tuning": "state_compression"},
                # --init passes the stop signal on; half of the processor's usual weight is the neighbours'.
                host_config=self._client.create_host_config(
                    network_mode=f"container:{self._database.id}", init=True, cpu_shares=256
                ),
            )
            try:
                self._client.start(made["Id"])
                status = self._wait(made["Id"], seconds)
                if status is None:
                    self._client.stop(made["Id"], timeout=_GRACE)
                text = self._client.logs(made["Id"], tail=_TAIL).decode("utf-8", "replace")
            except docker.errors.APIError as error:
                raise CompressionProblem(_failure("did not start", str(error.explanation or error))) from None
            finally:
                with contextlib.suppress(docker.errors.NotFound):
                    self._client.remove_container(made["Id"], force=True)
        if status:
            raise CompressionProblem(_failure(f"failed with exit status {status}", text))
        return Output(text=text, stopped=status is None)

    def _wait(self, container: str, seconds: float) -> Optional[int]:
        """Its exit status; None where its time is over."""
        deadline = time.monotonic() + seconds
        while True:
            state: Dict[str, Any] = self._client.inspect_container(container)["State"]
            if not state["Running"] and state["Status"] != "created":
                return int(state["ExitCode"])
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL)

    def _beside(self, container: str) -> bool:
        try:
            details = self._client.inspect_container(container)
        except docker.errors.NotFound:
            return False
        network = str(details.get("HostConfig", {}).get("NetworkMode", ""))
        command = [*(details.get("Config", {}).get("Entrypoint") or ()), *(details.get("Config", {}).get("Cmd") or ())]
        return network == f"container:{self._database.id}" and any(_PROGRAM in word for word in command)

    @contextlib.contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Turn the engine's errors into one line."""
        try:
            yield
        except (docker.errors.DockerException, OSError) as error:
            raise CompressionProblem(f"{what}: {_first_line(error)}") from error

    def _get_image(self) -> None:
        try:
            self._client.inspect_image(self._image)
            return
        except docker.errors.NotFound:
            pass
        except (docker.errors.DockerException, OSError) as error:
            raise CompressionProblem(f"the image {self._image} cannot be looked up: {_first_line(error)}") from error
        repository, tag = docker.utils.parse_repository_tag(self._image)
        try:
            self._client.pull(repository, tag=tag or "latest")
            self._client.inspect_image(self._image)
        except (docker.errors.DockerException, OSError) as error:
            raise CompressionProblem(
                f"the image {self._image} is not there and cannot be pulled ({_first_line(error)}); correct image, or"
                " load it with 'docker load'"
            ) from error


class WheelRunner:
    """synapse-auto-compressor for Python, in a process that gets the URL by its standard input."""

    def __init__(self, *, python: str, url: str, secrets: Sequence[str], work: Work) -> None:
        self._python = python
        self._url = url
        self._secrets = [each for each in secrets if each]
        self._work = work

    def check(self) -> None:
        """Raises CompressionProblem where this Python has no wheel, or the empty one."""
        self._call({}, seconds=60)

    def run(self, chunks: int, *, seconds: float) -> Output:
        """Run one process; its output never has the password in it."""
        given = {
            "url": self._url,
            "chunk_size": self._work.chunk_size,
            "levels": self._work.level_sizes,
            "chunks": chunks,
        }
        return self._call(given, seconds=seconds)

    def _call(self, given: Dict[str, Any], *, seconds: float) -> Output:
        # No module of somebody's own, and none beside the working directory.
        command: List[str] = [self._python, "-I", "-c", _WHEEL]
        try:
            # Of its own, as run_command cannot end it when its time is up.
            process = subprocess.Popen(  # noqa: S603  # pylint: disable=ansible-bad-function
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
            )
        except OSError as error:
            raise CompressionProblem(
                f"{self._python} cannot be run ({error.strerror}); set wheel_python to the Python of an environment"
                " with synapse-auto-compressor 0.1.2"
            ) from None
        data = json.dumps({**given, "parent": os.getpid()}).encode()
        stopped = False
        try:
            output, _none = process.communicate(data, timeout=seconds)
        except subprocess.TimeoutExpired:
            stopped = True
            process.kill()
            output, _none = process.communicate()
        finally:
            if process.poll() is None:
                process.kill()
        text = self._masked(output.decode("utf-8", "replace"))
        if stopped:
            return Output(text=text, stopped=True)
        if "EMPTY WHEEL" in text:
            raise CompressionProblem(
                f"the synapse-auto-compressor of {self._python} has nothing in it, as version 0.1.4 has not;"
                f" '{self._python} -m pip install synapse-auto-compressor==0.1.2'"
            )
        if "NO WHEEL" in text:
            raise CompressionProblem(
                f"{self._python} cannot import synapse_auto_compressor ({last_lines(text)[len('NO WHEEL: ') :]});"
                f" '{self._python} -m pip install synapse-auto-compressor==0.1.2', which is for x86_64"
            )
        if process.returncode:
            raise CompressionProblem(_failure(f"failed with exit status {process.returncode}", text))
        return Output(text=text, stopped=False)

    def _masked(self, text: str) -> str:
        for secret in self._secrets:
            for form in (secret, quote(secret, safe="")):
                text = text.replace(form, "********")
        return text


def database_url(
    *, host: str, port: int, user: str, database: str, password: Optional[str] = None, sslmode: Optional[str] = None
) -> str:
    """The URL that the compressor takes; a host that begins with a slash is the directory of a socket."""
    account = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    address = f"[{host}]" if ":" in host else quote(host, safe=".-")
    # It encrypts where it can, and checks no certificate.
    suffix = f"?sslmode={_MODES[sslmode]}" if sslmode in _MODES else ""
    return f"postgresql://{account}@{address}:{port}/{quote(database, safe='')}{suffix}"


def _failure(what: str, text: str) -> str:
    return f"the compressor {what}, nothing is lost: {last_lines(text)}; {advice(text)}"


def _first_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
