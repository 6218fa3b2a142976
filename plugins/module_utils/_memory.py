# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what Synapse, PostgreSQL and their host hold, by all sources; one that can't be read is named, never an error."""

from __future__ import annotations

import datetime
import json
import time
from dataclasses import dataclass
from typing import Any, Callable, List, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    FileProblem,
    MeasurementError,
    SourceError,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    Measurement,
    PostgresqlMemory,
    SharedMemory,
    SynapseMemory,
    merge,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_metrics import (
    caches,
    garbage_collections,
    jemalloc,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.memory_oom import oom_kills
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Engine
from ansible_collections.synapse.tuning.plugins.module_utils._effective_postgresql import InContainer
from ansible_collections.synapse.tuning.plugins.module_utils._kernel_log import read_kernel_log
from ansible_collections.synapse.tuning.plugins.module_utils._login import Login, logged_in
from ansible_collections.synapse.tuning.plugins.module_utils._memory_places import (
    Missing,
    Places,
    Wanted,
    attempt,
    find_places,
)
from ansible_collections.synapse.tuning.plugins.module_utils._memory_postgresql import (
    CLIENT,
    Said,
    ask,
    backends,
    count_connections,
    of_same_server,
)
from ansible_collections.synapse.tuning.plugins.module_utils._memory_synapse import (
    name_processes,
    read_samples_of,
    synapse_processes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._metrics import metrics_of
from ansible_collections.synapse.tuning.plugins.module_utils._procfs import Running, host_memory
from ansible_collections.synapse.tuning.plugins.module_utils._shm import dev_shm, host_shm

__all__ = ["Request", "measure"]

_BECOME = "{what} can't be looked at: run with become"


@dataclass(frozen=True)
class Request:
    """What to measure.

    wanted: where Synapse and PostgreSQL are. metrics_url, login, database: as C(_effective.Request) has them.
    duration: seconds in which to take samples, 0 for one sample; interval: seconds between them. previous: the path of an
    earlier measurement, in JSON, whose peaks are carried on. timeout: seconds for each answer.
    """

    wanted: Wanted
    docker_host: Optional[str] = None
    metrics_url: Optional[str] = None
    login: Optional[Login] = None
    database: Optional[str] = None
    duration: float = 0
    interval: float = 1
    previous: Optional[str] = None
    timeout: float = 30


@dataclass
class _Peaks:
    """The highest that samples have seen, and how many there were."""

    samples: int = 0
    synapse: int = 0
    postgresql: int = 0
    connections: int = 0


def measure(request: Request, *, connect: Callable[..., Containers] = Engine, root: str = "/") -> Measurement:
    """Measure. Raises nothing but what is a mistake in the program.

    connect: makes the container engine; root: where procfs and the cgroups are; tests have others.
    """

    def engine() -> Containers:
        return connect(host=request.docker_host, timeout=request.timeout)

    started = time.monotonic()
    peaks = _Peaks()
    if request.duration > 0:
        _watch(_find(request, {}, engine, root), request, peaks)
    missing: Missing = {}
    places = _find(request, missing, engine, root)
    measured = _read(places, request, peaks, missing, duration=round(time.monotonic() - started, 3))
    previous = attempt(missing, "previous", lambda: _previous(request.previous))
    return measured if previous is None else merge(previous, measured)


def _find(request: Request, missing: Missing, connect: Callable[[], Containers], root: str) -> Places:
    host = None if request.login is None else request.login.host
    local = host is None or host.startswith(("/", "127.")) or host in ("localhost", "::1")
    return find_places(
        request.wanted, missing, connect=connect, logs_in=request.login is not None, local=local, root=root
    )


def _watch(places: Places, request: Request, peaks: _Peaks) -> None:
    """Take samples of what can be read without waking anybody: it would hold memory itself."""
    end = time.monotonic() + request.duration
    while time.monotonic() < end:
        peaks.samples += 1
        for name, container in (("synapse", places.synapse_here), ("postgresql", places.postgresql_here)):
            held = None if container is None else attempt({}, name, container.held)
            setattr(peaks, name, max(getattr(peaks, name), held or 0))
        peaks.connections = max(peaks.connections, count_connections(places.postgresql_titles()))
        time.sleep(max(min(request.interval, end - time.monotonic()), 0))


def _read(places: Places, request: Request, peaks: _Peaks, missing: Missing, *, duration: float) -> Measurement:
    # What the kernel says comes first: to ask the servers takes memory in their containers.
    synapse_here, postgresql_here = places.synapse_here, places.postgresql_here
    inside = (
        None
        if synapse_here is None
        else attempt(missing, "synapse", lambda: synapse_here.memory(held_peak=peaks.synapse))
    )
    db_inside = (
        None
        if postgresql_here is None
        else attempt(missing, "postgresql", lambda: postgresql_here.memory(held_peak=peaks.postgresql))
    )
    shared = None if postgresql_here is None else attempt(missing, "postgresql", postgresql_here.shared)
    found = synapse_processes(places)
    of_postgresql = places.of_postgresql()
    host = attempt(missing, "host", lambda: host_memory(root=places.root))
    _note_unread("processes", "Synapse's processes", [process for _container, process in found], missing)
    _note_unread("backends", "PostgreSQL's processes", of_postgresql, missing)
    shm = attempt(missing, "shm", lambda: _shm(places))

    samples = attempt(missing, "metrics", lambda: read_samples_of(places, request.metrics_url, timeout=request.timeout))
    allocator = None if samples is None else jemalloc(samples)
    if samples is not None and allocator is None:
        missing["jemalloc"] = "Synapse runs without jemalloc"
    processes = name_processes(places.engine, found)
    said = attempt(missing, "database", lambda: _ask(places, request))
    return Measurement(
        taken_at=datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        samples=peaks.samples + 1,
        duration=duration if peaks.samples else 0.0,
        host=host,
        synapse=SynapseMemory(
            version=None if samples is None else metrics_of(samples).version,
            uptime=next((each.uptime for each in processes if each.name == "main"), None),
            container=inside,
            processes=tuple(processes),
            jemalloc=allocator,
            gc=() if samples is None else garbage_collections(samples),
            caches=() if samples is None else caches(samples),
        ),
        postgresql=_postgresql_memory(said, of_postgresql, peaks, container=db_inside, shared=shared),
        shm=shm,
        kernel_oom=tuple(
            attempt(missing, "kernel_log", lambda: oom_kills(read_kernel_log(root=places.root), places.kernel_names()))
            or ()
        ),
        missing=missing,
    )


def _postgresql_memory(
    said: Optional[Said], processes: List[Running], peaks: _Peaks, *, container: Any, shared: Optional[int]
) -> PostgresqlMemory:
    processes = of_same_server(said, processes)
    rows = backends(said, processes)
    connections: Optional[int] = sum(each.kind == CLIENT for each in rows)
    if said is None and not processes:
        connections = None
    if shared is None:
        # Pages that no process has mapped any more are left out, as nobody tells.
        parts = [each.figures.pss_shared for each in processes if each.figures.pss_shared is not None]
        shared = sum(parts) if parts else None
    names = (
        *("version", "uptime", "blocks_hit", "blocks_read", "temp_files", "temp_bytes", "stats_since"),
        *("max_connections", "shared_buffers", "work_mem", "autovacuum", "database_bytes"),
    )
    figures = {name: None if said is None else said.figures[name] for name in names}
    if said is None:
        figures["uptime"] = max((each.figures.uptime or 0.0 for each in processes), default=None)
    return PostgresqlMemory(
        **figures,
        container=container,
        shared=shared,
        backends=rows,
        connections=connections,
        connections_peak=None if connections is None else max(connections, peaks.connections),
    )


def _ask(places: Places, request: Request) -> Said:
    if request.login is not None:
        return logged_in(request.login, ask)
    if places.engine is None or places.postgresql is None:
        raise SourceError("PostgreSQL is in no container that can be asked: give login_host, login_user and login_db")
    return ask(InContainer(places.engine, places.postgresql, request.database))


def _shm(places: Places) -> SharedMemory:
    if places.engine is not None and places.postgresql is not None:
        return dev_shm(places.engine, places.postgresql)
    if "postgresql" in places.on_host:
        return host_shm()
    raise SourceError(
        "PostgreSQL's container is not known, and PostgreSQL is not known to run on this host without one"
    )


def _note_unread(name: str, what: str, processes: List[Running], missing: Missing) -> None:
    if any(each.figures.pss is None for each in processes):
        missing[name] = f"what {what} share (PSS) can't be looked at: run with become"
    elif not processes:
        missing[name] = f"{what} are not to be found on this host"


def _previous(path: Optional[str]) -> Optional[Measurement]:
    """None where there is none yet."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return Measurement.from_data(json.load(file))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileProblem(f"{path}: cannot be read ({error.strerror}); correct previous") from error
    except (ValueError, MeasurementError) as error:
        raise FileProblem(f"{path} holds no measurement ({error}); remove it, or correct previous") from error
