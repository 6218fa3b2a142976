# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What synapse_auto_compressor will make of a room's state groups, worked out without changing any.

The compressor arranges a room's state groups, in the order of their ids, in levels: each group stores what
differs from the head of the first level that has space, and a level that is full starts anew from the one
above it. A group can only stand on one whose keys it has all, else on that one's own predecessor, and so on.
A chunk that would not save anything is left as it is, and the levels start empty.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Protocol, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError

__all__ = [
    "Chunk",
    "CompressionProblem",
    "Estimate",
    "Group",
    "History",
    "Level",
    "RoomModel",
    "Run",
    "empty_levels",
    "estimate",
    "runs",
]

# Entries of state that a model remembers; what it forgot it asks for again. 100 bytes each, about.
_REMEMBERED = 250_000
# Chunks in a row, where only some are looked at: the model needs a few to be like a run that came all the way.
_IN_A_ROW = 2
_FEWEST = 12


class CompressionProblem(TuningError):
    """A compressor that cannot run or failed, or a disk that has no room for what comes after it."""


@dataclass(frozen=True)
class Level:
    """A level of the compressor's: groups that it may hold in a row, those it holds, and the newest of them."""

    size: int
    length: int = 0
    head: Optional[int] = None

    @property
    def has_space(self) -> bool:
        """Whether another group may stand on its head."""
        return self.length < self.size


@dataclass(frozen=True)
class Group:
    """A state group as it is stored: its id, its predecessor, its rows as key to event, both as numbers."""

    id: int
    previous: Optional[int]
    rows: Mapping[int, int]


@dataclass(frozen=True)
class Chunk:
    """State groups of one room that the compressor takes at once.

    first, last: ids, both included.  groups, rows: how many are stored.
    """

    room: str
    first: int
    last: int
    groups: int
    rows: int


@dataclass(frozen=True)
class Run:
    """Chunks in a row of one room.

    begins: whether the first of them is the first that the compressor has to do in this room.
    times: how often this run counts in a sample.
    """

    chunks: Tuple[Chunk, ...]
    begins: bool = True
    times: int = 1

    @property
    def room(self) -> str:
        """The room's id."""
        return self.chunks[0].room

    @property
    def rows(self) -> int:
        """Rows stored now."""
        return sum(each.rows for each in self.chunks)


@dataclass(frozen=True)
class Estimate:
    """What compressing some chunks is expected to leave.

    rows, rows_after: of the chunks.  rows_read: rows looked at for it.  sampled: whether not all were.
    """

    rows: int
    rows_after: int
    rows_read: int
    sampled: bool
    chunks: int
    groups: int
    rooms: int


class History(Protocol):
    """The state groups as they are stored, for what a model does not remember."""

    def state(self, group: int) -> Mapping[int, int]:
        """The whole state of a group, its predecessors' rows included."""

    def previous(self, group: int) -> Optional[int]:
        """The group that this one stands on."""


def empty_levels(sizes: Iterable[int]) -> Tuple[Level, ...]:
    """The levels that a room starts with."""
    return tuple(Level(size) for size in sizes)


class RoomModel:
    """The compressor at work on one room, chunk by chunk.

    levels: as a run before has left them.  sizes: the levels' sizes after a chunk that could not be compressed.
    remembered: entries of state to keep in memory, twice; it decides how often history is asked and nothing else.
    """

    def __init__(
        self, levels: Sequence[Level], history: History, *, sizes: Sequence[int], remembered: int = _REMEMBERED
    ) -> None:
        self._levels = list(levels)
        self._history = history
        self._sizes = tuple(sizes)
        self._stored = _Memory(remembered)
        self._states = _Memory(remembered)
        self._previous: Dict[int, Optional[int]] = {}  # by id: where the stored rows stand
        self._placed: Dict[int, Optional[int]] = {}  # by id: where the compressed ones will

    def chunk(self, groups: Iterable[Group]) -> Tuple[int, int]:
        """Rows of these groups, in the order of their ids, before and after; never more after than before."""
        before = after = 0
        for group in groups:
            before += len(group.rows)
            after += self._place(group)
        if after > before:
            self._levels = list(empty_levels(self._sizes))
            self._placed = {}
            after = before
        self._forget()
        return before, after

    def _place(self, group: Group) -> int:
        """Put the group into the levels; the rows that it will have."""
        self._stored.put(group.id, group.rows)
        self._previous[group.id] = group.previous
        base = self._take_place(group.id)
        if base == group.previous:
            self._placed[group.id] = base
            return len(group.rows)
        state = self._state(group.id)
        base = self._suitable(base, state)
        self._placed[group.id] = base
        if base is None:
            return len(state)
        return len(state.items() - self._state(base).items())

    def _take_place(self, group: int) -> Optional[int]:
        for number, level in enumerate(self._levels):
            if level.has_space:
                self._levels[number] = replace(level, length=level.length + 1, head=group)
                return level.head
            self._levels[number] = replace(level, length=1, head=group)
        return None

    def _suitable(self, base: Optional[int], state: Mapping[int, int]) -> Optional[int]:
        """The nearest of the base and its predecessors that has no key which the state does not have."""
        if base is None or self._fits(base, state):
            return base
        # Further up there are never more keys, so it can be searched by halves.
        above = self._above(base)
        low, high = 0, len(above)
        while low < high:
            middle = (low + high) // 2
            if self._fits(above[middle], state):
                high = middle
            else:
                low = middle + 1
        return above[low] if low < len(above) else None

    def _fits(self, base: int, state: Mapping[int, int]) -> bool:
        return self._state(base).keys() <= state.keys()

    def _above(self, group: int) -> List[int]:
        above: List[int] = []
        seen = {group}
        while True:
            if group not in self._placed:
                self._placed[group] = self._history.previous(group)
            upper = self._placed[group]
            if upper is None or upper in seen:
                return above
            above.append(upper)
            seen.add(upper)
            group = upper

    def _state(self, group: int) -> Mapping[int, int]:
        """The whole state of a group, which compressing does not change."""
        known = self._states.get(group)
        if known is not None:
            return known
        deltas: List[Mapping[int, int]] = []
        each: Optional[int] = group
        state: Dict[int, int] = {}
        while each is not None:
            whole = self._states.get(each)
            rows = self._stored.get(each)
            if whole is None and rows is None:
                whole = self._history.state(each)
            if whole is not None:
                state = dict(whole)
                break
            if rows is not None:
                deltas.append(rows)
            each = self._previous[each]
        for rows in reversed(deltas):
            state.update(rows)
        self._states.put(group, state)
        return state

    def _forget(self) -> None:
        """Keep of the places what the levels can still lead to."""
        kept: Dict[int, Optional[int]] = {}
        for level in self._levels:
            each = level.head
            while each is not None and each in self._placed and each not in kept:
                kept[each] = self._placed[each]
                each = kept[each]
        self._placed = kept
        self._previous = {each: self._previous[each] for each in self._stored}


class _Memory:
    """Maps by id, the oldest forgotten where they hold too many entries together; the newest always stays."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries = 0
        self._maps: OrderedDict[int, Mapping[int, int]] = OrderedDict()

    def __iter__(self) -> Iterator[int]:
        return iter(self._maps)

    def get(self, name: int) -> Optional[Mapping[int, int]]:
        found = self._maps.get(name)
        if found is not None:
            self._maps.move_to_end(name)
        return found

    def put(self, name: int, value: Mapping[int, int]) -> None:
        self._maps[name] = value
        self._entries += len(value) + 1
        while self._entries > self._most and len(self._maps) > 1:
            _oldest, gone = self._maps.popitem(last=False)
            self._entries -= len(gone) + 1


def runs(chunks: Sequence[Chunk], *, most_rows: int) -> List[Run]:
    """What of the chunks to look at: all, or where they hold more than most_rows, a sample.

    The sample is a systematic one, in which each run of chunks has a chance in proportion to its rows, and some
    count more than once. The same chunks always give the same sample.
    """
    rooms: Dict[str, List[Chunk]] = {}
    for chunk in sorted(chunks, key=lambda each: (each.room, each.first)):
        rooms.setdefault(chunk.room, []).append(chunk)
    total = sum(chunk.rows for chunk in chunks)
    if total <= most_rows:
        return [Run(tuple(room)) for room in rooms.values()]
    pieces = [
        Run(tuple(room[start : start + _IN_A_ROW]), begins=start == 0)
        for room in rooms.values()
        for start in range(0, len(room), _IN_A_ROW)
    ]
    # As many as read about most_rows, on the average.
    draws = max(_FEWEST, most_rows * total // sum(piece.rows**2 for piece in pieces))
    step = total / draws
    chosen = []
    passed, mark = 0, step / 2
    for piece in pieces:
        passed += piece.rows
        times = 0
        while mark < passed:
            times += 1
            mark += step
        if times:
            chosen.append(replace(piece, times=times))
    return chosen


def estimate(chunks: Sequence[Chunk], looked_at: Sequence[Tuple[Run, int]]) -> Estimate:
    """From the runs that were looked at, and the rows that each of them will have."""
    rows = sum(chunk.rows for chunk in chunks)
    read = sum(run.rows for run, _after in looked_at)
    sampled = sum(len(run.chunks) for run, _after in looked_at) < len(chunks)
    if sampled:
        times = sum(run.times for run, _after in looked_at)
        share = sum(run.times * after / run.rows for run, after in looked_at if run.rows) / max(1, times)
        rows_after = min(rows, round(rows * share))
    else:
        rows_after = sum(after for _run, after in looked_at)
    return Estimate(
        rows=rows,
        rows_after=rows_after,
        rows_read=read,
        sampled=sampled,
        chunks=len(chunks),
        groups=sum(chunk.groups for chunk in chunks),
        rooms=len({chunk.room for chunk in chunks}),
    )
