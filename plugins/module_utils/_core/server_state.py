# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running PostgreSQL says about itself, beside its parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import Parameter

__all__ = ["FileEntry", "RoleSetting", "ServerState", "command_line_parameters"]


@dataclass(frozen=True)
class FileEntry:
    """One row of C(pg_file_settings); name is None where the file itself is wrong at that line."""

    file: str
    line: int
    name: Optional[str]
    setting: Optional[str]
    error: Optional[str] = None


@dataclass(frozen=True)
class RoleSetting:
    """One element of C(pg_db_role_setting); None stands for all roles or all databases."""

    role: Optional[str]
    database: Optional[str]
    name: str
    value: str

    def __str__(self) -> str:
        where = f"database {self.database}" if self.database is not None else ""
        who = f"role {self.role}" if self.role is not None else ""
        return f"{who} in {where}" if who and where else who or where or "all roles"

    def statement(self, verb: str) -> str:
        """What sets it (C(SET)) or removes it (C(RESET))."""
        if self.role is None and self.database is not None:
            return f"ALTER DATABASE {self.database} {verb} {self.name}"
        inside = f" IN DATABASE {self.database}" if self.database is not None else ""
        return f"ALTER ROLE {self.role if self.role is not None else 'ALL'}{inside} {verb} {self.name}"


@dataclass(frozen=True)
class ServerState:
    """What a server says about itself, read in one go.

    version: such as 170002; superuser: whether the login role is one; parameters: by name in
    lower case; entries: of all files, in the order in which they count; auto_conf: the path of
    C(postgresql.auto.conf); command_line: the parameters that PostgreSQL was started with.
    """

    version: int
    superuser: bool
    user: str
    parameters: Mapping[str, Parameter]
    entries: Tuple[FileEntry, ...]
    auto_conf: str
    role_settings: Tuple[RoleSetting, ...] = ()
    command_line: Tuple[str, ...] = ()


def command_line_parameters(options: str) -> Tuple[str, ...]:
    """The parameters, in lower case, in the text of C(postmaster.opts): C("-c" "name=value")."""
    words = re.findall(r'"([^"]*)"', options)
    names = []
    for before, word in zip(["", *words], words):
        given = word if before == "-c" else word[2:] if word.startswith(("--", "-c")) else ""
        name, equals, _value = given.partition("=")
        if equals:
            names.append(name.strip().replace("-", "_").lower())
        elif word.startswith("-S"):
            names.append("work_mem")
    return tuple(names)
