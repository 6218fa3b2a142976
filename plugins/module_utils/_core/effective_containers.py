# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits, shared memory and environment of the containers, planned against effective."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import UnitError
from ansible_collections.synapse.tuning.plugins.module_utils._core.parameter_values import show
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    ComposeFile,
    Container,
    Database,
    Missing,
    Process,
    Readings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import (
    KIB,
    compose_bytes,
    compose_size,
    postgresql_bytes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_containers"]

_ENGINE = "Docker Engine"
_PROCESS = "Synapse's process"
_ALLOCATOR = "MALLOC_CONF"
_DEAD = "SYNAPSE_CACHE_FACTOR"


def judge_containers(planned: Mapping[str, Any], readings: Readings) -> List[Verdict]:
    """One verdict a lever. planned: the plan's section C(compose), settings replaced by their values."""
    found: List[Verdict] = []
    for program, container in (("synapse", readings.synapse), ("postgresql", readings.postgresql)):
        for name, value in planned.get(program, {}).items():
            if name == "environment":
                for variable, wanted in value.items():
                    found.append(_judge_variable(program, variable, wanted, container, readings))
            else:
                found.append(_judge_size(program, name, value, container, readings))
    return found


# -- sizes -------------------------------------------------------------------------
def _judge_size(
    program: str, name: str, planned: Any, container: Union[Container, Missing], readings: Readings
) -> Verdict:
    lever = f"compose.{program}.{name}"
    if isinstance(container, Missing):
        return Verdict(lever, planned, None, states.UNKNOWN, container.why, _ENGINE)
    size = int(getattr(container, name))
    shown = compose_size(size) if size else None
    if not _same_size(planned, size):
        state, because = _why_not(program, name, planned, readings.compose_files)
        if name == "shm_size":
            because += _too_small_for(size, readings.database)
        return Verdict(lever, planned, shown, state, because, _ENGINE)
    because = f"container {container.name}"
    # What is mounted there need not be what the engine was asked for.
    if name == "shm_size" and container.dev_shm is not None and not _same_size(planned, container.dev_shm):
        because = (
            f"something else is mounted there: /dev/shm has {compose_size(container.dev_shm)} inside the container"
        )
        return Verdict(lever, planned, compose_size(container.dev_shm), states.OVERRIDDEN, because, _ENGINE)
    if name == "shm_size":
        because += "" if container.dev_shm is None else ", the same inside"
        because += _too_small_for(size, readings.database)
    return Verdict(lever, planned, shown, states.IN_EFFECT, because, _ENGINE)


def _same_size(planned: Any, size: int) -> bool:
    if planned is None:
        return size == 0
    try:
        return compose_bytes(planned) == size
    except UnitError:
        return False


def _too_small_for(size: int, database: Union[Database, Missing]) -> str:
    if isinstance(database, Missing) or "shared_buffers" not in database.parameters:
        return ""
    parameter = database.parameters["shared_buffers"]
    wanted = show(parameter, parameter.setting) or "0"
    if size >= postgresql_bytes(wanted, unit=8 * KIB):
        return ""
    return f"; it is below shared_buffers, which is {wanted}"


# -- environment -------------------------------------------------------------------
def _judge_variable(
    program: str, name: str, planned: Optional[str], container: Union[Container, Missing], readings: Readings
) -> Verdict:
    lever = f"compose.{program}.environment.{name}"
    process = readings.process
    # The process knows best: what starts it may set variables of its own.
    if isinstance(process, Process):
        effective, source = process.environment.get(name), _PROCESS
    elif isinstance(container, Container):
        effective, source = container.environment.get(name), _ENGINE
    else:
        return Verdict(lever, planned, None, states.UNKNOWN, container.why, _ENGINE)
    if name == _DEAD:
        agrees = "as planned" if effective == planned else "not as planned, which makes no difference"
        because = f"Synapse ignores it since 1.60, caches.global_factor is the lever; {agrees}"
        return Verdict(lever, planned, effective, states.WITHOUT_EFFECT, because, source, by_nature=True)
    if effective != planned:
        state, because = _why_not(program, f"environment.{name}", planned, readings.compose_files)
        return Verdict(lever, planned, effective, state, because, source)
    if name == _ALLOCATOR and planned is not None:
        if isinstance(process, Missing):
            return Verdict(lever, planned, effective, states.UNKNOWN, process.why, source)
        if not process.jemalloc:
            because = "jemalloc, which it is for, is not mapped into Synapse"
            return Verdict(lever, planned, effective, states.WITHOUT_EFFECT, because, source)
    because = "set when the process started" if planned is not None else "not set, as planned"
    return Verdict(lever, planned, effective, states.IN_EFFECT, because, source)


# -- who says otherwise --------------------------------------------------------------
def _why_not(program: str, lever: str, planned: Any, files: Sequence[ComposeFile]) -> Tuple[str, str]:
    """The state of a lever of which the container has another value, by what the compose files say now."""
    said = [(each.path, each.said.get(program, {}).get(lever)) for each in files]
    said = [(path, value) for path, value in said if value is not None]
    if not said:
        if planned is None:
            return states.NOT_APPLIED, "no compose file sets it; it is from an env_file, the image or an older file"
        nowhere = "no compose file sets it" if files else "the compose files could not be read"
        return states.NOT_APPLIED, nowhere
    path, last = said[-1]
    if _agrees(lever, planned, last):
        return states.PENDING_RESTART, f"{path} has it, the container was made before: docker compose up -d"
    earlier = [file for file, value in said[:-1] if _agrees(lever, planned, value)]
    if earlier:
        return states.OVERRIDDEN, f"by {path}, which says {last} where {earlier[-1]} says {planned}"
    return states.NOT_APPLIED, f"{path} says {last}"


def _agrees(lever: str, planned: Any, value: Any) -> bool:
    if planned is None:
        return False
    if lever.startswith("environment."):
        return str(value) == str(planned)
    try:
        return compose_bytes(value) == compose_bytes(planned)
    except UnitError:
        return False
