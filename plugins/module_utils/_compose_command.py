# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's command line: which parameters it sets, and how to change them.

Words are those of the C(command) of a Compose service, read as Compose reads
them (its splitter is a small shell: quotes and backslashes, nothing else) and
then as C(postgres) reads its options. Pure: no YAML and no files here.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    ParameterError,
    ServiceError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_parameters import known_parameter, same_value
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import read

__all__ = [
    "Append",
    "Edit",
    "Flag",
    "Remove",
    "Replace",
    "Word",
    "apply_edits",
    "edits_for",
    "join",
    "parse_flags",
    "split",
]

# postgres.c and postmaster.c: getopt(argc, argv, "B:bC:c:D:d:EeFf:h:ijk:lN:OPp:r:S:sTt:v:W:-:")
_WITH_ARGUMENT = frozenset("BCcDdfhkNprStvW-")
_WITHOUT_ARGUMENT = frozenset("bEeFijlOPsT")
_SHORT_NAMES = {"B": "shared_buffers", "N": "max_connections", "S": "work_mem"}


@dataclass(frozen=True)
class Word:
    """One argument of a command that is written as a string.

    text: the argument without its quotes; origins: the offset in the source of
    each of its characters; start, end: the source range, quotes included.
    """

    text: str
    origins: Tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Flag:
    """One parameter set on the command line.

    name: as in pg_settings; value: its text; words: the indices of its words,
    the last of which holds the value from character C(offset) on;
    notation: C(pair) (-c n=v), C(glued) (-cn=v), C(long) (--n=v), C(short) (-N v);
    alone: no other option shares its words.
    """

    name: str
    value: str
    words: Tuple[int, ...]
    offset: int
    notation: str
    alone: bool = True


@dataclass(frozen=True)
class Replace:
    """Put C(text) where the value of word C(word) is, from character C(offset) on."""

    word: int
    offset: int
    text: str


@dataclass(frozen=True)
class Remove:
    """Take these words out."""

    words: Tuple[int, ...]


@dataclass(frozen=True)
class Append:
    """Add these words, one parameter, at the end."""

    words: Tuple[str, ...]


Edit = Union[Replace, Remove, Append]


def split(source: str, *, origins: Optional[Sequence[int]] = None) -> List[Word]:
    """Split a command string as Compose does.

    origins: the offset of each character of C(source) in a larger text, for
    sources whose characters were unescaped before. Variables (C(${NAME:-a b}))
    stay as they stand, as one piece. Raises ServiceError where a shell operator
    or an open quote makes the end of the command unclear.
    """
    return _Splitter(source, list(origins) if origins is not None else list(range(len(source)))).words()


class _Splitter:
    """Reads a command from left to right; C(_close) ends a word, C(_take) adds a character to it."""

    def __init__(self, source: str, places: Sequence[int]) -> None:
        self._source = source
        self._places = places
        self._index = 0
        self._quote = ""
        self._words: List[Word] = []
        self._text: List[str] = []
        self._origins: List[int] = []
        self._start: Optional[int] = None
        self._end = 0

    def words(self) -> List[Word]:
        while self._index < len(self._source):
            self._step(self._source[self._index])
        if self._quote:
            raise ServiceError(f"the command holds an open quote ({self._quote}); close it")
        self._close()
        return self._words

    def _step(self, char: str) -> None:
        if char == "$" and self._source.startswith("${", self._index):
            stop = (self._source.find("}", self._index) + 1) or len(self._source)
            while self._index < stop:
                self._take()
        elif self._quote:
            self._quoted(char)
        elif char in " \t\r\n":
            self._close()
            self._index += 1
        elif char == "\\":
            self._escaped()
        elif char in "'\"":
            self._quote = char
            self._skip()
        elif char in ";&|<>`":
            raise ServiceError(
                f"the command holds the shell operator '{char}', at which Compose stops reading; "
                "write it as a plain list of arguments"
            )
        else:
            self._take()

    def _quoted(self, char: str) -> None:
        if char == self._quote:
            self._quote = ""
            self._skip()
        elif char == "\\" and self._quote == '"':
            self._escaped()
        else:
            self._take()

    def _escaped(self) -> None:
        self._skip()
        following = self._source[self._index : self._index + 1]
        if following == "":
            raise ServiceError("the command ends with a backslash; remove it")
        if following in "\r\n":
            raise ServiceError(
                "the command continues a line with a backslash, which Compose passes on as an argument; "
                "remove the backslash"
            )
        self._take()

    def _skip(self) -> None:
        """Count the character as part of the word's source, not of its text."""
        place = self._places[self._index]
        self._start = place if self._start is None else self._start
        self._end = place + 1
        self._index += 1

    def _take(self) -> None:
        self._text.append(self._source[self._index])
        self._origins.append(self._places[self._index])
        self._skip()

    def _close(self) -> None:
        if self._start is not None:
            self._words.append(Word("".join(self._text), tuple(self._origins), self._start, self._end))
        self._text, self._origins, self._start = [], [], None


def join(words: Iterable[str]) -> str:
    """One command string that splits into these words; variables are not quoted."""
    return " ".join(_quoted(word) for word in words)


def _quoted(word: str) -> str:
    if re.fullmatch(r"[\w@%+=:,./${}\[\]*-]+", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def parse_flags(words: Sequence[str]) -> List[Flag]:
    """The parameters that a C(postgres) command line sets, in order (the last one of a name wins).

    An empty sequence is the image's own default command. Raises ServiceError for
    anything but C([docker-entrypoint.sh] [postgres] options...): a shell or
    another program may do anything with its arguments.
    """
    index = 0
    if index < len(words) and posixpath.basename(words[index]) == "docker-entrypoint.sh":
        index += 1
    if index < len(words) and posixpath.basename(words[index]) == "postgres":
        index += 1
    elif index < len(words) and not words[index].startswith("-"):
        raise ServiceError(
            f"the command starts '{words[index]}', not 'postgres', so its options cannot be edited safely; "
            "write it as 'postgres -c name=value ...'"
        )
    flags: List[Flag] = []
    while index < len(words):
        word = words[index]
        if word.startswith("$"):
            index += 1  # a whole word from a variable: whatever it sets, later options win
            continue
        if len(word) < 2 or not word.startswith("-"):
            raise ServiceError(
                f"the command has the argument {word.strip() or 'of blanks'!r}, which postgres does not take; remove it"
            )
        index = _read_word(words, index, flags)
    return flags


def _read_word(words: Sequence[str], index: int, flags: List[Flag]) -> int:
    """Read the option word at C(index) (and its argument) into C(flags); the next index."""
    word = words[index]
    at = 1
    while at < len(word) and word[at] in _WITHOUT_ARGUMENT:
        at += 1
    if at == len(word):
        return index + 1
    letter = word[at]
    if letter not in _WITH_ARGUMENT:
        raise ServiceError(f"the command has the option '-{letter}', which postgres does not have; correct it")
    used: Tuple[int, ...] = (index,)
    start = at + 1
    if start == len(word):
        used, start = (index, index + 1), 0
        if letter == "-" or index + 1 >= len(words):
            raise ServiceError(f"the command's option '-{letter}' lacks its value; add it")
    flag = _flag(letter, words[used[-1]][start:], used, start)
    if flag is not None:
        flags.append(flag if at == 1 else replace(flag, alone=False))
    return used[-1] + 1


def _flag(letter: str, argument: str, used: Tuple[int, ...], start: int) -> Optional[Flag]:
    """The parameter that an option sets; None for an option that sets none of those with a unit."""
    if letter in _SHORT_NAMES:
        return Flag(_SHORT_NAMES[letter], argument, used, start, "short")
    if letter not in "c-":
        return None
    name, equals, value = argument.partition("=")
    if name != name.strip():
        raise ServiceError(
            f"the command has '-{letter}{argument}' with a blank that postgres takes for part of the name; "
            "write '-c' and 'name=value' as two arguments"
        )
    if equals:
        notation = "long" if letter == "-" else ("pair" if len(used) == 2 else "glued")
        return Flag(_parameter(name), value, used, start + len(name) + 1, notation)
    if letter == "c":
        raise ServiceError(f"the command has '-c {argument}' without a value; write '-c name=value'")
    return None  # --single and the like


def _parameter(name: str) -> str:
    return name.replace("-", "_").lower()


def edits_for(
    words: Sequence[str],
    wanted: Mapping[str, Optional[str]],
    *,
    resolve: Callable[[str], str] = lambda text: text,
) -> List[Edit]:
    """The edits (Replace, Remove, Append) that make a command line set C(wanted).

    wanted: parameter to value, None for one that must not be set. resolve:
    fills the variables in a word, for comparisons. Other options, their order
    and equal values in another unit are left alone.
    """
    last: Dict[str, Flag] = {}
    flags = parse_flags(words)
    for flag in flags:
        last[flag.name] = flag
    edits: List[Edit] = []
    for name, value in wanted.items():
        if value is None:
            edits.extend(_removals(flag for flag in flags if flag.name == name))
        elif name not in last:
            edits.append(Append(_spelled(name, value, flags)))
        elif not same_value(name, resolve(last[name].value), value):
            flag = last[name]
            edits.append(Replace(flag.words[-1], flag.offset, _in_notation(flag, value)))
    return edits


def _removals(flags: Iterable[Flag]) -> List[Edit]:
    edits: List[Edit] = []
    for flag in flags:
        if not flag.alone:
            raise ServiceError(
                f"the command sets {flag.name} in a cluster of short options; write it as '-c {flag.name}=...'"
            )
        edits.append(Remove(flag.words))
    return edits


def _spelled(name: str, value: str, flags: Sequence[Flag]) -> Tuple[str, ...]:
    """A new option in the notation of the last one that is there."""
    notation = next((flag.notation for flag in reversed(flags) if flag.notation != "short"), "pair")
    if notation == "long":
        return (f"--{name}={value}",)
    if notation == "glued":
        return (f"-c{name}={value}",)
    return ("-c", f"{name}={value}")


def _in_notation(flag: Flag, value: str) -> str:
    """A bare number stays one for C(-B 32768); elsewhere the plan's own text."""
    known = known_parameter(flag.name)
    if known is None or flag.notation != "short" or not flag.value.strip().isdigit():
        return value
    try:
        return str(read(known, value))
    except ParameterError:
        return value


def apply_edits(words: Sequence[str], edits: Iterable[Edit]) -> List[str]:
    """The words after the edits; indices mean the words as they were."""
    result: List[Optional[str]] = list(words)
    added: List[str] = []
    for edit in edits:
        if isinstance(edit, Replace):
            result[edit.word] = words[edit.word][: edit.offset] + edit.text
        elif isinstance(edit, Remove):
            for index in edit.words:
                result[index] = None
        elif isinstance(edit, Append):
            added.extend(edit.words)
    return [word for word in result if word is not None] + added
