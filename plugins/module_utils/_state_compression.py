# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compress state_groups_state, in slices where wanted, and give the place back: what the module does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._compression_database import Size, StateDatabase, opened
from ansible_collections.synapse.tuning.plugins.module_utils._compressor_runs import (
    ContainerRunner,
    Runner,
    WheelRunner,
    Work,
    database_url,
)
from ansible_collections.synapse.tuning.plugins.module_utils._container_login import Place
from ansible_collections.synapse.tuning.plugins.module_utils._core import vacuum
from ansible_collections.synapse.tuning.plugins.module_utils._core.compression import CompressionProblem
from ansible_collections.synapse.tuning.plugins.module_utils._core.compressor_output import done
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import TuningError
from ansible_collections.synapse.tuning.plugins.module_utils._core.periods import (
    Window,
    duration_seconds,
    show_duration,
)
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Engine, Found
from ansible_collections.synapse.tuning.plugins.module_utils._find_containers import find_database
from ansible_collections.synapse.tuning.plugins.module_utils._free_space import Disk, Location, disk, location
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login
from ansible_collections.synapse.tuning.plugins.module_utils._login_options import login_of
from ansible_collections.synapse.tuning.plugins.module_utils._vacuum import (
    Repack,
    check_room,
    vacuum_analyze,
    vacuum_full,
)

__all__ = ["Request", "compress", "look"]

TABLE = "state_groups_state"
_REWRITES = ("full", "repack")
_MOST_PATIENT = 0.5


@dataclass(frozen=True)
class Request:
    """The module's options by their names, but for the login."""

    login: Login
    place: Place
    runtime: str
    image: str
    wheel_python: str
    chunk_size: int
    number_of_chunks: int
    levels: Sequence[int]
    time_limit: str
    lock_file: Optional[str]
    vacuum: str
    window: Optional[str]
    lock_timeout: int
    free_space_check: bool
    count_up_to: int
    estimate_rows: int
    slice: int
    follow: Optional[Mapping[str, Any]]

    def check(self) -> None:
        """Raises CompressionProblem and UnitError for options that do not go together."""
        if not self.levels or min(self.levels) < 1:
            raise CompressionProblem("levels needs numbers of 1 and more, such as [100, 50, 25]")
        least = max(100, self.levels[0])
        if self.chunk_size < least:
            raise CompressionProblem(
                f"chunk_size is {self.chunk_size}: the compressor takes no less than {least}, the first of its levels"
                " and never below 100"
            )
        if self.number_of_chunks < 1:
            raise CompressionProblem(f"number_of_chunks is {self.number_of_chunks}: set it to 1 or more")
        duration_seconds(self.time_limit)
        if self.window:
            Window.parse(self.window)
        if self.runtime == "container" and not (self.place.container or self.place.project_dir):
            raise CompressionProblem(
                "the runtime container needs the database's container: give container or project_dir, or set runtime"
                " to wheel"
            )


@dataclass(frozen=True)
class State:
    """What one slice tells the next."""

    began: float
    before: Size
    free: Optional[int]
    chunks: int = 0
    skipped: int = 0
    saved: Optional[int] = 0
    pace: float = 0.0
    ended_by: str = ""

    def as_follow(self) -> Dict[str, Any]:
        """As plain data."""
        return {**vars(self), "before": dict(vars(self.before))}

    @classmethod
    def from_follow(cls, data: Mapping[str, Any]) -> State:
        """Raises CompressionProblem for what is none."""
        try:
            return cls(**{**data, "before": Size(**data["before"])})
        except (TypeError, KeyError):
            raise CompressionProblem("follow is not what a slice before has returned; leave it out") from None


class Surroundings:
    """The database's container where it is in one, and the login."""

    def __init__(self, request: Request) -> None:
        self.engine: Optional[Engine] = None
        self.container: Optional[Found] = None
        place = request.place
        self.login = login_of(request.login, place)
        if place.container or place.project_dir:
            # pg_repack runs as long as it runs.
            seconds = max(self.login.connect_timeout, duration_seconds(request.time_limit))
            self.engine = Engine(host=place.docker_host, timeout=seconds)
            self.container = find_database(
                self.engine.all(), name=place.container, project_dir=place.project_dir, service=place.db_service
            )

    def disk(self, place: Location) -> Disk:
        """What is free where the table is."""
        return disk(place, engine=self.engine, container=self.container.id if self.container else None)

    def runner(self, request: Request, database: StateDatabase) -> Runner:
        """The way to run the compressor that was asked for."""
        work = Work(chunk_size=request.chunk_size, levels=request.levels)
        if request.runtime == "container":
            if self.container is None:
                raise CompressionProblem("the database's container was not found; set container or project_dir")
            port = self.container.environment.get("PGPORT", "")
            url = database_url(
                host="127.0.0.1",
                port=int(port) if port.isdigit() else 5432,
                user=self.login.user or "postgres",
                database=self.login.database or "postgres",
            )
            return ContainerRunner(
                host=request.place.docker_host,
                timeout=60,
                database=self.container,
                url=url,
                image=request.image,
                work=work,
            )
        # As this session got in, wherever libpq had that from.
        info = database.server.connection.info
        url = database_url(
            host=info.host,
            port=info.port,
            user=info.user,
            database=info.dbname,
            password=info.password,
            sslmode=self.login.sslmode,
        )
        return WheelRunner(python=request.wheel_python, url=url, secrets=[info.password, url], work=work)


def look(request: Request) -> Dict[str, Any]:
    """What a run would do, by estimate; nothing is written, and refused what a run would refuse before it begins."""
    request.check()
    around = Surroundings(request)
    with opened(around.login) as database:
        before = database.size(count_up_to=request.count_up_to)
        place = location(database.server, TABLE)
        free = around.disk(place)
        expected = database.estimate(
            size=request.chunk_size,
            number=request.number_of_chunks,
            levels=request.levels,
            most_rows=request.estimate_rows,
        )
        _check_rewrite(request, around, database, place=place, free=free, size=before, pending=expected.chunks > 0)
        saved = expected.rows - expected.rows_after
        rows = max(0, before.rows - saved)
        action, reason = _vacuum_of(request, database, size=replace(before, rows=rows), chunks=expected.chunks)
        table_bytes, index_bytes = before.table_bytes, before.index_bytes
        if action in _REWRITES and table_bytes:
            table_bytes = min(table_bytes, vacuum.packed_bytes(rows=rows, width=database.row_width()))
            # Their gaps are about those of the table.
            index_bytes = round(index_bytes * table_bytes / before.table_bytes)
        after = replace(before, rows=rows, table_bytes=table_bytes, index_bytes=index_bytes)
        return {
            "changed": expected.chunks > 0 or action in _REWRITES,
            "finished": True,
            "progress": f"{expected.chunks} chunks would be compressed, about {saved:,} of {before.rows:,} rows saved",
            "before": before.as_data(),
            "after": {**after.as_data(), "counted": False},
            "saved_rows": saved,
            "percent": database.percent(),
            "chunks": expected.chunks,
            "skipped_chunks": 0,
            "seconds": 0.0,
            "ended_by": "",
            "disk": {"path": free.path, "before": free.free, "after": free.free},
            "vacuum": {"wanted": request.vacuum, "done": action, "reason": reason, "seconds": 0.0},
            "estimate": {
                "rows": expected.rows,
                "rows_after": expected.rows_after,
                "rows_read": expected.rows_read,
                "sampled": expected.sampled,
                "state_groups": expected.groups,
                "rooms": expected.rooms,
            },
        }


def compress(request: Request) -> Dict[str, Any]:
    """Do a slice of the work, or all of it."""
    request.check()
    around = Surroundings(request)
    began = time.monotonic()
    with opened(around.login) as database:
        with _locked(request, database, until=began + request.slice) as ours:
            state = State.from_follow(request.follow) if request.follow else None
            if not ours:
                if state is None:
                    raise CompressionProblem(
                        "another run of the compressor has not finished yet, nothing was done; run again once it is done"
                    )
                return _unfinished(request, database, state, "waiting for another run of the compressor")
            runner = around.runner(request, database)
            place = location(database.server, TABLE)
            if state is None:
                state = _begin(request, around, database, place)
            if not state.ended_by:
                runner.check()
                state = _chunks(request, database, runner, state, until=began + request.slice)
                if not state.ended_by or request.slice:
                    return _unfinished(request, database, state, "" if not state.ended_by else "cleaning up")
            return _finish(request, around, database, state, place)


@contextlib.contextmanager
def _locked(request: Request, database: StateDatabase, *, until: float) -> Iterator[bool]:
    """Whether this is the only run of the compressor; a slice waits for another one, to its end."""
    with contextlib.ExitStack() as stack:
        descriptor: Optional[int] = None
        if request.lock_file:
            try:
                # As the job's script makes it.
                descriptor = os.open(request.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise CompressionProblem(
                    f"{request.lock_file}: the lock cannot be opened ({error.strerror}); correct lock_file, or run with"
                    " become"
                ) from None
            stack.callback(os.close, descriptor)
        while True:
            ours = _flocked(descriptor) and database.lock()
            if ours or not request.follow or time.monotonic() >= until:
                break
            if descriptor is not None:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(_MOST_PATIENT)
        yield ours


def _flocked(descriptor: Optional[int]) -> bool:
    if descriptor is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _begin(request: Request, around: Surroundings, database: StateDatabase, place: Location) -> State:
    """Look at the table, and refuse now what could not be done in the end."""
    before = database.size(count_up_to=request.count_up_to)
    free = around.disk(place)
    pending = database.next_group() is not None
    _check_rewrite(request, around, database, place=place, free=free, size=before, pending=pending)
    return State(began=time.time(), before=before, free=free.free)


def _chunks(request: Request, database: StateDatabase, runner: Runner, state: State, *, until: float) -> State:
    """Call the compressor until the slice, the chunks, the time or what is to be compressed is used up."""
    called = False
    while True:
        left = request.number_of_chunks - state.chunks
        seconds = state.began + duration_seconds(request.time_limit) - time.time()
        if left <= 0:
            return replace(state, ended_by="chunks")
        if database.next_group() is None:
            return replace(state, ended_by="nothing left")
        if seconds <= 0:
            return replace(state, ended_by="time limit")
        wanted = left
        if request.slice:
            here = until - time.monotonic()
            # One call in any case: a chunk may take longer than a slice.
            if called and here < max(1.0, state.pace):
                return state
            # Twice as much as last time at most: how long a chunk takes differs from room to room.
            wanted = min(left, max(1, int(here / state.pace))) if state.pace else 1
        start = time.monotonic()
        called = True
        output = runner.run(wanted, seconds=seconds)
        took = time.monotonic() - start
        told = done(output.text)
        taken = told.chunks if told else wanted
        state = replace(
            state,
            chunks=state.chunks + taken,
            skipped=state.skipped + (told.skipped if told else 0),
            saved=None if told is None or state.saved is None else state.saved + told.saved,
            # Never so low that a slice takes the rest at once.
            pace=max(took / max(1, taken), state.pace / 4, request.slice / 200),
        )
        if output.stopped:
            return replace(state, chunks=state.chunks - taken, ended_by="time limit")
        if taken < wanted:
            return replace(state, ended_by="nothing left")


def _unfinished(request: Request, database: StateDatabase, state: State, note: str) -> Dict[str, Any]:
    percent = database.percent()
    return {
        "changed": state.chunks > 0,
        "finished": False,
        "progress": _progress(request, state, percent) + (f"; {note}" if note else ""),
        "percent": percent,
        "chunks": state.chunks,
        "follow": state.as_follow(),
    }


def _progress(request: Request, state: State, percent: float) -> str:
    saved = "" if state.saved is None else f", {state.saved:,} rows saved"
    took = show_duration(time.time() - state.began)
    return (
        f"{state.chunks} of at most {request.number_of_chunks} chunks, {percent:g} % of the state groups{saved}, {took}"
    )


def _finish(
    request: Request, around: Surroundings, database: StateDatabase, state: State, place: Location
) -> Dict[str, Any]:
    """Clean up after the compressor and say what came of it."""
    compressed = _after(request, database, state)
    saved = state.saved if state.saved is not None else max(0, state.before.rows - compressed.rows)
    touched = state.chunks > 0 or state.ended_by == "time limit"
    action, reason = _vacuum_of(request, database, size=compressed, chunks=int(touched))
    start = time.monotonic()
    try:
        _vacuum(request, around, database, action, place=place, size=compressed)
    except TuningError as error:
        if not touched:
            raise
        raise CompressionProblem(f"{saved:,} rows were saved and stay so, but then: {error}") from error
    seconds = time.monotonic() - start
    sizes = database.size(count_up_to=-1)
    after = replace(compressed, table_bytes=sizes.table_bytes, index_bytes=sizes.index_bytes)
    free = around.disk(place)
    percent = database.percent()
    return {
        "changed": touched or action in _REWRITES,
        "finished": True,
        "progress": _progress(request, state, percent),
        "before": state.before.as_data(),
        "after": after.as_data(),
        "saved_rows": saved,
        "percent": percent,
        "chunks": state.chunks,
        "skipped_chunks": state.skipped,
        "seconds": round(time.time() - state.began, 2),
        "ended_by": state.ended_by,
        "disk": {"path": free.path, "before": state.free, "after": free.free},
        "vacuum": {"wanted": request.vacuum, "done": action, "reason": reason, "seconds": round(seconds, 2)},
    }


def _after(request: Request, database: StateDatabase, state: State) -> Size:
    if state.before.counted:
        return database.size(count_up_to=2 * request.count_up_to)
    sizes = database.size(count_up_to=-1)
    return replace(sizes, rows=max(0, state.before.rows - (state.saved or 0)))


# --- giving the place back --------------------------------------------------------------------------


def _outside(request: Request) -> str:
    """Empty where now is in the window."""
    if not request.window:
        return ""
    now = time.localtime()
    if Window.parse(request.window).holds(now.tm_hour * 60 + now.tm_min):
        return ""
    return f"it is {now.tm_hour:02}:{now.tm_min:02}, outside of {request.window}"


def _vacuum_of(request: Request, database: StateDatabase, *, size: Size, chunks: int) -> Tuple[str, str]:
    """What is to be done about the place of the removed rows, and why nothing else."""
    plain = ("analyze", "") if chunks else ("none", "nothing was compressed")
    if request.vacuum == "none":
        return "none", ""
    if request.vacuum == "analyze":
        return plain
    outside = _outside(request)
    if outside:
        return plain[0], outside
    if not _worth(database, size):
        return plain[0], "writing the table anew would give back less than a tenth of it"
    return request.vacuum, ""


def _worth(database: StateDatabase, size: Size) -> bool:
    return vacuum.worth_it(table_bytes=size.table_bytes, rows=size.rows, width=database.row_width())


def _check_rewrite(
    request: Request,
    around: Surroundings,
    database: StateDatabase,
    *,
    place: Location,
    free: Disk,
    size: Size,
    pending: bool,
) -> None:
    """Raises CompressionProblem where the table is to be written anew and that cannot be done."""
    if request.vacuum not in _REWRITES or _outside(request) or not (pending or _worth(database, size)):
        return
    if request.vacuum == "repack":
        _repack(around, database).check(database.server, TABLE)
    if request.free_space_check:
        check_room(place, free, size=size.bytes)


def _repack(around: Surroundings, database: StateDatabase) -> Repack:
    return Repack(
        login=around.login,
        major=database.server.connection.info.server_version // 10000,
        engine=around.engine,
        container=around.container.id if around.container else None,
    )


def _vacuum(
    request: Request, around: Surroundings, database: StateDatabase, action: str, *, place: Location, size: Size
) -> None:
    if action == "analyze":
        vacuum_analyze(around.login, TABLE)
    if action in _REWRITES and request.free_space_check:
        check_room(place, around.disk(place), size=size.bytes)
    if action == "full":
        vacuum_full(around.login, TABLE, lock_timeout=request.lock_timeout)
    if action == "repack":
        repack = _repack(around, database)
        before = database.file()
        repack.run(
            database.qualified(), lock_timeout=request.lock_timeout, timeout=duration_seconds(request.time_limit)
        )
        if database.file() == before:
            raise CompressionProblem(
                f"pg_repack did not get the table within {request.lock_timeout} s, since Synapse works with it; nothing"
                " is lost: run again at a quieter hour, or raise lock_timeout"
            )
