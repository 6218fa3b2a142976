# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running Synapse was started with, seen from inside its container.

The commands run as Synapse's own user: even root may not look into another user's
process there, as containers lack that capability.
"""

from __future__ import annotations

import datetime
import os
import posixpath
import re
from functools import cached_property
from typing import Any, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._compose_levers import DROPIN_NAME
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError, TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    Configuration,
    ConfigurationFile,
    Process,
)
from ansible_collections.synapse.tuning.plugins.module_utils._deps import RUAMEL_YAML
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found
from ansible_collections.synapse.tuning.plugins.module_utils._synapse_look import Seen, SeenFile, look
from ansible_collections.synapse.tuning.plugins.module_utils._yaml import Document

__all__ = ["SynapseProcess", "config_paths", "started_at"]

# With an init process Synapse is not number 1. The brackets keep grep from finding itself.
# One line each: the file, the owner, and what it was started with.
_FIND = """\
for file in $(grep -al '[s]ynapse[.]app[.]' /proc/[0-9]*/cmdline); do
  printf '%s %s ' "$file" "$(stat -c '%u:%g' "${file%/cmdline}")"; cat "$file"; echo
done
"""
_FOUND = re.compile(r"^/proc/(\d+)/cmdline (\d+:\d+) (.+)$", re.MULTILINE)
_STAMP = re.compile(r"([\d.]+) (.*\.(\d{8}T\d{6})\.\d+Z\.bak)")
# urllib, as an image need not have curl; a proxy has no business here. Asked again after a 500, as in _metrics.
_ASK = """\
import sys, time, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
for pause in 0.2, 1, None:
    try:
        with opener.open(sys.argv[1], timeout=float(sys.argv[2])) as answer:
            sys.stdout.buffer.write(answer.read())
        break
    except urllib.error.HTTPError as error:
        if error.code != 500 or pause is None:
            raise
        time.sleep(pause)
"""
_FACTOR = "SYNAPSE_CACHE_FACTOR_"


class SynapseProcess:
    """Synapse's main process in a container, or the one of this number in there. Raises SourceError where it is not found."""

    def __init__(self, engine: Containers, container: Found, *, pid: Optional[int] = None) -> None:
        if not container.running:
            raise SourceError(f"the container {container.name} does not run; start it")
        self._engine = engine
        self._container = container
        self._pid, self._user, self._arguments = self._find(pid)

    @property
    def container(self) -> Found:
        """Where it runs."""
        return self._container

    def process(self, variables: Iterable[str]) -> Process:
        """Its allocator and of its environment these variables, as nothing else may leave the host."""
        environment = self._seen.environment
        return Process(
            environment={name: environment[name] for name in variables if name in environment},
            cache_factors={name: value for name, value in environment.items() if name.startswith(_FACTOR)},
            jemalloc=self._seen.jemalloc,
        )

    def configuration(self) -> Configuration:
        """The files that it was started with, and a drop-in of ours beside them that it was not."""
        if RUAMEL_YAML.missing:
            raise SourceError(f"the library {RUAMEL_YAML.name} is missing, needed to read Synapse's configuration")
        if not config_paths(self._arguments):
            raise SourceError("Synapse's command line names no --config-path")
        unread: Optional[ConfigurationFile] = None
        if self._seen.unread is not None:
            try:
                unread = self._file(self._seen.unread)
            except TuningError:  # Synapse doesn't read it either
                unread = None
        return Configuration(files=tuple(self._file(each) for each in self._seen.files), unread=unread)

    def metrics(self, url: str, *, timeout: float) -> str:
        """What Synapse answers on a URL as it is inside, asked by its own Python."""
        return self._run(self._arguments[0], "-c", _ASK, url, str(timeout))

    @cached_property
    def _seen(self) -> Seen:
        return look(self._run, self._pid, config_paths(self._arguments), dropin=DROPIN_NAME)

    def _file(self, seen: SeenFile) -> ConfigurationFile:
        path = seen.path
        if seen.modified is None or seen.inode is None:
            raise SourceError(f"{path}, which Synapse was started with, can't be read")
        outside = self._replaced(path, seen.inode)
        if outside is not None:
            return ConfigurationFile(path=path, data=_data(outside, path), changed=True, started=_data(seen.text, path))
        changed = seen.modified > started_at(self._container)
        return ConfigurationFile(
            path=path,
            data=_data(seen.text, path),
            changed=changed,
            started=self._as_started(seen) if changed else None,
        )

    def _replaced(self, path: str, inode: int) -> Optional[str]:
        """The new text of a file that was replaced on the host, where the file alone is mounted.

        The container keeps the old file, as such a mount is of the file and not of its name.
        """
        for mount in self._container.details.get("Mounts") or ():
            source = str(mount.get("Source", ""))
            if mount.get("Destination") != path or not os.path.isfile(source):
                continue
            try:
                return None if os.stat(source).st_ino == inode else _files.read_text(source)
            except (OSError, TuningError) as error:
                raise SourceError(f"{source}, which is Synapse's {path}, can't be read: {error}") from error
        return None

    def _as_started(self, seen: SeenFile) -> Optional[Mapping[str, Any]]:
        """What a changed file held when Synapse started: a backup of later has it, if it is of an older text."""
        started = started_at(self._container)
        for found in map(_STAMP.fullmatch, seen.backups):
            if found is None:
                continue
            made = datetime.datetime.strptime(f"{found.group(3)}+0000", "%Y%m%dT%H%M%S%z").timestamp()
            if float(found.group(1)) <= started <= made:
                try:
                    return _data(self._run("cat", found.group(2)), seen.path)
                except TuningError:  # a proof less
                    return None
        return None

    def _find(self, wanted: Optional[int]) -> Tuple[str, str, List[str]]:
        """Its number, its owner and what it was started with."""
        try:
            found = self._engine.run(self._container.id, ["sh", "-c", _FIND])
        except SourceError as error:
            raise SourceError(f"Synapse's process is not to be found in {self._container.name}: {error}") from error
        for pid, owner, line in sorted(_FOUND.findall(found), key=lambda each: int(each[0])):
            arguments = line.split("\0")
            if wanted is not None and int(pid) != wanted:
                continue
            # Not what starts it: a shell or an init that has the same words.
            if posixpath.basename(arguments[0]).startswith(("python", "pypy")):
                return pid, owner, arguments
        raise SourceError(f"Synapse's process is not to be found in the container {self._container.name}")

    def _run(self, *command: str) -> str:
        return self._engine.run(self._container.id, command, user=self._user)


def _data(text: str, path: str) -> Mapping[str, Any]:
    return Document.parse(text, name=path, yaml_version="1.1").data or {}


def started_at(container: Found) -> float:
    """When a container was last started, in seconds since 1970."""
    text = str(container.details["State"]["StartedAt"])
    found = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", text)
    if found is None:
        raise SourceError(f"the Docker Engine gives {text!r} as the start of {container.name}")
    zone = "+00:00" if found.group(3) == "Z" else found.group(3)
    moment = datetime.datetime.fromisoformat(found.group(1) + zone)
    return moment.timestamp() + float(found.group(2) or 0)


def config_paths(words: Sequence[str]) -> List[str]:
    """The files or directories that --config-path and -c name, in order."""
    paths: List[str] = []
    for index, word in enumerate(words):
        if word in ("--config-path", "-c"):
            paths.extend(words[index + 1 : index + 2])
        elif word.startswith("--config-path="):
            paths.append(word.partition("=")[2])
    return paths
