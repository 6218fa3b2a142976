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
# A directory stands for its *.yaml, sorted.
_EXPAND = """\
LC_ALL=C; export LC_ALL
cd "/proc/$1/cwd" || exit; shift
for path; do
  if [ -d "$path" ]; then for file in "$path"/*.yaml; do [ ! -f "$file" ] || printf '%s\\n' "$file"; done
  else printf '%s\\n' "$path"; fi
done
"""
# With fractions of a second: a file may have been written in the second of a start.
_MODIFIED = 'cd "/proc/$1/cwd" && stat -Lc "%.Y %i" "$2"'
# What our own backups were made from, with its age.
_BACKUPS = """\
cd "/proc/$1/cwd" && for file in "$(readlink -f "$2")".*.bak; do [ ! -f "$file" ] || stat -c '%.Y %n' "$file"; done
"""
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
_READ = 'cd "/proc/$1/cwd" && cat "$2"'
_FACTOR = "SYNAPSE_CACHE_FACTOR_"


class SynapseProcess:
    """Synapse's main process in a container, or the one of this number in there. Raises SourceError where it is not found."""

    def __init__(self, engine: Containers, container: Found, *, pid: Optional[int] = None) -> None:
        if not container.running:
            raise SourceError(f"the container {container.name} does not run; start it")
        self._engine = engine
        self._container = container
        self._pid, self._user, self._arguments = self._find(pid)

    def process(self, variables: Iterable[str]) -> Process:
        """Its allocator and of its environment these variables, as nothing else may leave the host."""
        pairs = [each.partition("=") for each in self._run("cat", f"/proc/{self._pid}/environ").split("\0")]
        environment = {name: value for name, _equals, value in pairs}
        return Process(
            environment={name: environment[name] for name in variables if name in environment},
            cache_factors={name: value for name, value in environment.items() if name.startswith(_FACTOR)},
            jemalloc="jemalloc" in self._run("cat", f"/proc/{self._pid}/maps"),
        )

    def configuration(self) -> Configuration:
        """The files that it was started with, and a drop-in of ours beside them that it was not."""
        if RUAMEL_YAML.missing:
            raise SourceError(f"the library {RUAMEL_YAML.name} is missing, needed to read Synapse's configuration")
        given = config_paths(self._arguments)
        if not given:
            raise SourceError("Synapse's command line names no --config-path")
        paths = self._run("sh", "-c", _EXPAND, "sh", self._pid, *given).splitlines()
        files = tuple(self._file(path) for path in paths)
        dropin = posixpath.join(posixpath.dirname(paths[0]), DROPIN_NAME) if paths else ""
        unread: Optional[ConfigurationFile] = None
        if dropin and dropin not in paths:
            try:
                unread = self._file(dropin)
            except TuningError:  # mostly there is none
                unread = None
        return Configuration(files=files, unread=unread)

    def metrics(self, url: str, *, timeout: float) -> str:
        """What Synapse answers on a URL as it is inside, asked by its own Python."""
        return self._run(self._arguments[0], "-c", _ASK, url, str(timeout))

    def _file(self, path: str) -> ConfigurationFile:
        modified, inode = self._run("sh", "-c", _MODIFIED, "sh", self._pid, path).split()
        outside = self._replaced(path, int(inode))
        if outside is not None:
            data = Document.parse(outside, name=path, yaml_version="1.1").data or {}
            return ConfigurationFile(path=path, data=data, changed=True, started=self._data(path))
        changed = float(modified) > started_at(self._container)
        return ConfigurationFile(
            path=path, data=self._data(path), changed=changed, started=self._as_started(path) if changed else None
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

    def _data(self, path: str) -> Mapping[str, Any]:
        text = self._run("sh", "-c", _READ, "sh", self._pid, path)
        return Document.parse(text, name=path, yaml_version="1.1").data or {}

    def _as_started(self, path: str) -> Optional[Mapping[str, Any]]:
        """What a changed file held when Synapse started: a backup of later has it, if it is of an older text."""
        started = started_at(self._container)
        try:
            for found in map(_STAMP.fullmatch, self._run("sh", "-c", _BACKUPS, "sh", self._pid, path).splitlines()):
                if found is None:
                    continue
                made = datetime.datetime.strptime(f"{found.group(3)}+0000", "%Y%m%dT%H%M%S%z").timestamp()
                if float(found.group(1)) <= started <= made:
                    return self._data(found.group(2))
        except TuningError:  # a proof less
            pass
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
