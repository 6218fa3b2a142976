# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A look at a process of Synapse's and at the files it was started with, by one command in its container.

One, as each costs the engine the start of a process: tenths of a second where the processor is busy.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError

__all__ = ["Seen", "SeenFile", "look"]

# Each part begins with a mark that nobody could have written into a file. The last one tells that nothing was cut off.
_SCRIPT = """\
LC_ALL=C; export LC_ALL
pid=$1 mark=$2 dropin=$3; shift 3
part() { printf '\\n%s %s\\n' "$mark" "$*"; }

part environment; cat "/proc/$pid/environ" || exit
part allocator; if grep -q jemalloc "/proc/$pid/maps"; then echo jemalloc; fi

cd "/proc/$pid/cwd" || exit
# Ages with fractions of a second: a file may have been written in the second of a start.
look() {
  part "$1 $([ ! -r "$2" ] || stat -Lc '%.Y %i' "$2") $2"; cat "$2"
  part backups
  stat -c '%.Y %n' "$(readlink -f "$2")".*.bak 2>/dev/null  # mostly there is none
}
beside=
read_file() {
  [ "$beside" ] || case $1 in */*) beside=${1%/*}/$dropin;; *) beside=$dropin;; esac
  look file "$1"
}
# A directory stands for its *.yaml, sorted.
for path; do
  if [ -d "$path" ]; then for file in "$path"/*.yaml; do [ ! -f "$file" ] || read_file "$file"; done
  else read_file "$path"; fi
done
[ ! -f "$beside" ] || look unread "$beside"
part end
"""
_FILE = re.compile(r"(file|unread) (?:([\d.]+) (\d+))? ?(.+)")


@dataclass(frozen=True)
class SeenFile:
    """A file as the process sees it.

    modified: seconds since 1970; None, as inode, for a file that can't be read.
    backups: a line for each of the collection's backups beside it: its age as for modified, and its path.
    """

    path: str
    modified: Optional[float]
    inode: Optional[int]
    text: str
    backups: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """environment: all of it, secrets among it: pick, never hand on. unread: a drop-in that it was not started with."""

    environment: Dict[str, str]
    jemalloc: bool
    files: Tuple[SeenFile, ...]
    unread: Optional[SeenFile]


def look(run: Callable[..., str], pid: str, paths: Sequence[str], *, dropin: str) -> Seen:
    """Look at the process of this number.

    run: runs a command in its container as its own user. paths: what it was started with, files or directories.
    dropin: the name of a file to look for beside the first one.
    Raises SourceError.
    """
    mark = secrets.token_hex(16)
    answer = run("sh", "-c", _SCRIPT, "sh", pid, mark, dropin, *paths)
    parts = [part.partition("\n") for part in answer.split(f"\n{mark} ")[1:]]
    if not parts or parts[-1][0] != "end":
        raise SourceError("the answer of Synapse's container was cut off; try again")
    said = {head: body for head, _newline, body in parts}
    files: List[Tuple[str, SeenFile]] = []
    for head, _newline, body in parts:
        found = _FILE.fullmatch(head)
        if found is not None:
            kind, modified, inode, path = found.groups()
            age, number = (float(modified), int(inode)) if modified else (None, None)
            files.append((kind, SeenFile(path, age, number, body)))
        elif head == "backups":
            kind, file = files[-1]
            files[-1] = (kind, replace(file, backups=tuple(body.splitlines())))
    read = tuple(file for kind, file in files if kind == "file")
    unread = [file for kind, file in files if kind == "unread" and file.path not in {each.path for each in read}]
    pairs = [each.partition("=") for each in said["environment"].split("\0")]
    return Seen(
        environment={name: value for name, _equals, value in pairs if name},
        jemalloc="jemalloc" in said["allocator"],
        files=read,
        unread=unread[0] if unread else None,
    )
