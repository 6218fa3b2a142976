# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Compose project's directory: which files Compose reads, and the variables it fills in.

The shell's environment, which Compose prefers to C(.env), is not known here.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import FileProblem

__all__ = ["Project", "interpolate", "parse_dotenv"]

# compose-go: cli.DefaultFileNames and cli.DefaultOverrideFileNames, in its order.
FILE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDE_NAMES = (
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
)


@dataclass(frozen=True)
class Project:
    """Where a project's files are.

    path: the main file; override_path: the override file that Compose reads
    beside it, or would if it existed; listed: the files that C(COMPOSE_FILE) in
    C(.env) names, in order, else None; variables: those of C(.env).
    """

    path: str
    override_path: str
    listed: Optional[Tuple[str, ...]]
    variables: Mapping[str, str]

    @classmethod
    def find(cls, *, project_dir: Optional[str] = None, path: Optional[str] = None) -> Project:
        """Find the project by its directory or by its main file.

        Raises FileProblem where there is no such file.
        """
        if path is not None:
            if not os.path.isfile(path):
                raise FileProblem(f"{path}: there is no such file; correct path")
            directory = os.path.dirname(os.path.abspath(path))
        else:
            directory = project_dir or "."
        variables = _variables(directory)
        listed = _listed(directory, variables)
        if path is None:
            path = _main_file(directory, listed)
        return cls(path, _override(directory), listed, variables)

    @property
    def all_files(self) -> List[str]:
        """The files that Compose reads in the directory, in order."""
        return list(self.listed) if self.listed is not None else [self.path, *self.later_files]

    @property
    def later_files(self) -> List[str]:
        """The existing files that Compose reads after the main one: what they set wins."""
        if self.listed is None:
            found = [self.override_path] if os.path.basename(self.path) in FILE_NAMES else []
        else:
            names = [os.path.realpath(name) for name in self.listed]
            here = os.path.realpath(self.path)
            found = list(self.listed[names.index(here) + 1 :]) if here in names else []
        return [name for name in found if os.path.isfile(name)]

    def reads(self, path: str) -> bool:
        """Whether C(docker compose up) in the directory, without -f, reads this file."""
        if self.listed is None:
            return os.path.basename(path) in FILE_NAMES or (
                path == self.override_path and os.path.basename(self.path) in FILE_NAMES
            )
        return os.path.realpath(path) in [os.path.realpath(name) for name in self.listed]

    def resolve(self, value: Any) -> Any:
        """The value with its variables filled in, where it is a string."""
        return interpolate(value, self.variables) if isinstance(value, str) else value


def _main_file(directory: str, listed: Optional[Tuple[str, ...]]) -> str:
    if not os.path.isdir(directory):
        raise FileProblem(f"{directory}: there is no such directory; correct project_dir (synapse_tuning_project_dir)")
    if listed:
        return listed[0]
    for name in FILE_NAMES:
        candidate = os.path.join(directory, name)
        if os.path.isfile(candidate):
            return candidate
    raise FileProblem(
        f"{directory}: holds none of {', '.join(FILE_NAMES)}; "
        "correct project_dir (synapse_tuning_project_dir), or set path"
    )


def _override(directory: str) -> str:
    for name in OVERRIDE_NAMES:
        candidate = os.path.join(directory, name)
        if os.path.lexists(candidate):
            return candidate
    return os.path.join(directory, OVERRIDE_NAMES[0])


def _variables(directory: str) -> Dict[str, str]:
    path = os.path.join(directory, ".env")
    return parse_dotenv(_files.read_text(path)) if os.path.isfile(path) else {}


def _listed(directory: str, variables: Mapping[str, str]) -> Optional[Tuple[str, ...]]:
    names = variables.get("COMPOSE_FILE", "")
    if not names:
        return None
    separator = variables.get("COMPOSE_PATH_SEPARATOR") or ":"
    return tuple(os.path.join(directory, name) for name in names.split(separator) if name)


_ASSIGNMENT = re.compile(
    r"""[ \t]*(?:export[ \t]+)?([A-Za-z_][\w.-]*)[ \t]*[=:][ \t]*
    (?:'([^']*)'|"((?:\\.|[^"\\])*)"|([^\r\n]*))""",
    re.VERBOSE | re.DOTALL,
)


def parse_dotenv(text: str) -> Dict[str, str]:
    """The variables of a C(.env) file, as Compose reads it; lines it cannot read are left out."""
    variables: Dict[str, str] = {}
    offset = 1 if text.startswith("\ufeff") else 0
    while offset < len(text):
        found = _ASSIGNMENT.match(text, offset)
        if found:
            name, literal, quoted, bare = found.groups()
            if literal is not None:
                variables[name] = literal
            elif quoted is not None:
                unescaped = re.sub(r"\\(.)", lambda char: {"n": "\n", "t": "\t"}.get(char[1], char[1]), quoted)
                variables[name] = interpolate(unescaped, variables)
            else:
                variables[name] = interpolate(re.sub(r"(?:^|[ \t])#.*", "", bare).strip(), variables)
            offset = found.end()
        newline = text.find("\n", offset)
        offset = newline + 1 if newline >= 0 else len(text)
    return variables


_NAME = re.compile(r"[A-Za-z_]\w*")
_OPERATOR = re.compile(r":?[-?+]")


def interpolate(text: str, variables: Mapping[str, str]) -> str:
    """Fill in C($NAME), C(${NAME}), C(${NAME:-default}) and its kin; C($$) is a dollar."""
    pieces: List[str] = []
    offset = 0
    while True:
        dollar = text.find("$", offset)
        if dollar < 0:
            return "".join(pieces) + text[offset:]
        pieces.append(text[offset:dollar])
        following = text[dollar + 1 : dollar + 2]
        name = _NAME.match(text, dollar + (2 if following == "{" else 1))
        if following == "$":
            pieces.append("$")
            offset = dollar + 2
        elif name is None:
            pieces.append("$")
            offset = dollar + 1
        elif following == "{":
            close = _closing_brace(text, dollar + 1)
            pieces.append(_substituted(name.group(), text[name.end() : close], variables))
            offset = close + 1
        else:
            pieces.append(variables.get(name.group(), ""))
            offset = name.end()


def _closing_brace(text: str, opening: int) -> int:
    depth = 0
    for index in range(opening, len(text)):
        if text[index] == "{":
            depth += 1
        elif text[index] == "}":
            depth -= 1
            if depth == 0:
                return index
    return len(text)


def _substituted(name: str, rest: str, variables: Mapping[str, str]) -> str:
    value = variables.get(name)
    operator = _OPERATOR.match(rest)
    if operator is None:
        return value or ""
    present = value is not None and (value != "" or not operator.group().startswith(":"))
    word = interpolate(rest[operator.end() :], variables)
    if operator.group().endswith("+"):
        return word if present else ""
    if present:
        return value or ""
    return word if operator.group().endswith("-") else ""
