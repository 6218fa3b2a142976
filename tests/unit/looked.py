# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the script of _synapse_look prints, for engines that are made up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["file", "is_look", "looked"]

Parts = list[tuple[str, str]]


def is_look(command: Sequence[str]) -> bool:
    return list(command[:2]) == ["sh", "-c"] and "part environment" in command[2]


def file(path: str, text: str, *, kind: str = "file", age: str = "1 1", backups: Iterable[str] = ()) -> Parts:
    """A file; `age` is what stat says, empty where it can't be read."""
    return [(f"{kind} {age} {path}", text), ("backups", "".join(f"{line}\n" for line in backups))]


def looked(command: Sequence[str], *files: Parts, environment: str = "", allocator: str = "jemalloc\n") -> str:
    """The answer, with the mark that the command names."""
    mark = command[5]
    parts = [("environment", environment), ("allocator", allocator), *(part for each in files for part in each)]
    return "".join(f"\n{mark} {head}\n{body}" for head, body in [*parts, ("end", "")])
