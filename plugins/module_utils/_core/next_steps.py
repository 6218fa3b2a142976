# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do next about the memory of a deployment, in the order of what it returns.

Where a plan learns from the measurement, its own judgement is asked, and the step says which lever it moves.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import EVERYTHING_ELSE, Use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_use import Judged
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_verdicts import THRASHES
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_caches import knows_sizes
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_limits import (
    Held,
    is_near,
    postgresql_held,
    synapse_held,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.learning_postgresql import (
    is_nearly_out,
    work_mem_for_files,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import (
    ContainerMemory,
    Measurement,
    PostgresqlMemory,
    own,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.next_steps_rooms import room_steps
from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms import Room
from ansible_collections.synapse.tuning.plugins.module_utils._core.steps import (
    BETTER,
    FAILING,
    LESS,
    SEE_MORE,
    Step,
    playbook,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import MIB, show_bytes

__all__ = ["next_steps"]

_LITTLE_LEFT = 0.05
_SWAPPED = 16 * MIB
# What an allocator keeps of what it gave out; less is usual.
_KEPT, _KEPT_SHARE = 48 * MIB, 0.25
_DEAD_ROWS, _DEAD_SHARE = 10_000, 0.2
_SHM_USED = 0.8
_BLOCKS, _BLOCK_RATIO = 100_000, 0.95
_MOST_CACHES = 5


@dataclass(frozen=True)
class _Play:
    """The play that plans and applies again.

    plan: the last one, None for none. path: of the measurement on the host, None where that is not known.
    """

    plan: Optional[KnownPlan]
    path: Optional[str]

    def again(self, **variables: Any) -> str:
        """Its command. What the last plan has learned, the next one has to learn again."""
        if self.plan is not None and self.plan.host.measured:
            return self.learn(**variables)
        return playbook("tune_synapse", **self._users(), **variables)

    def learn(self, **variables: Any) -> str:
        """Its command, with the measurement to plan from."""
        path = self.path or "PROJECT/measurement.json"
        return playbook("tune_synapse", **self._users(), synapse_tuning_measurement_path=path, **variables)

    def _users(self) -> Dict[str, Any]:
        return {"synapse_tuning_users": "N" if self.plan is None else self.plan.host.users}


@dataclass(frozen=True)
class _Part:
    """Synapse or PostgreSQL. seen: what a plan goes by for its limit. lever: that of its limit."""

    name: str
    container: ContainerMemory
    seen: Optional[Held]
    lever: str

    def docker(self, what: str) -> str:
        """A command for its container."""
        return f"docker {what} {shlex.quote(self.container.name)}"


def next_steps(
    measured: Measurement,
    *,
    uses: Sequence[Use],
    caches: Sequence[Judged],
    plan: Optional[KnownPlan],
    rooms: Sequence[Room],
    path: Optional[str] = None,
) -> List[Step]:
    """Every step that the figures ask for: what fails now first, then by the bytes that a step returns.

    path: of the file that holds the measurement, for the commands that plan from it.
    """
    play, parts = _Play(plan, path), list(_parts(measured))
    found = [
        *_kills(parts, measured.kernel_oom, play),
        *_limits(parts, play),
        *_no_limits(parts, play),
        *_host(measured, play),
        *_budget(uses, play),
        *_swap(parts),
        *_allocator(measured),
        *_pools(measured.postgresql, plan),
        *_slots(measured.postgresql, play),
        *_caches(caches, measured, play),
        *_temporary_files(measured, play),
        *_blocks(measured.postgresql),
        *_dead_rows(measured),
        *_shm(measured, play),
        *room_steps(rooms),
        *_restarts(parts),
        *_no_plan(play),
        *(Step(SEE_MORE, f"Not measured: {name}", why) for name, why in sorted(measured.missing.items())),
    ]
    return sorted(found, key=lambda step: (step.urgency, -step.returns))


def _parts(measured: Measurement) -> Iterator[_Part]:
    synapse, postgresql = measured.synapse, measured.postgresql
    if synapse.container is not None:
        yield _Part("Synapse", synapse.container, synapse_held(synapse), "compose.synapse.memory_limit")
    if postgresql.container is not None:
        yield _Part("PostgreSQL", postgresql.container, postgresql_held(postgresql), "compose.postgresql.memory_limit")


def _kills(parts: Sequence[_Part], lines: Sequence[str], play: _Play) -> Iterator[Step]:
    killed = [part for part in parts if part.container.oom_kills]
    log = f" The kernel's log: {lines[0]}" if lines else ""
    for part in killed:
        limit = part.container.limit
        yield Step(
            FAILING,
            f"{part.name} was killed for memory {figures.noun(part.container.oom_kills or 0, 'time')}",
            (f"Its limit is {show_bytes(limit)}." if limit else "It has no limit: the whole host ran out.") + log,
            f"Plan from this measurement: it moves {part.lever}. Where the host has no memory for that, give it more RAM, or"
            " plan with fewer other services and lighter rooms.",
            play.learn(),
        )
    if lines and not killed:
        yield Step(
            FAILING,
            f"The kernel's log has {figures.noun(len(lines), 'kill')} for memory",
            f"The newest: {lines[0]}",
            "The containers were made anew since. Look whether it comes back.",
        )


def _limits(parts: Sequence[_Part], play: _Play) -> Iterator[Step]:
    for part in parts:
        seen = part.seen
        if seen is not None and seen.limit and is_near(seen, seen.limit):
            yield Step(
                FAILING,
                f"{part.name} is near its limit",
                f"It held up to {show_bytes(seen.peak)} of {show_bytes(seen.limit)}"
                f" ({figures.percent(seen.peak, seen.limit)}); at the limit it is killed.",
                f"Plan from this measurement: it moves {part.lever}, or says what doesn't fit.",
                play.learn(),
            )


def _no_limits(parts: Sequence[_Part], play: _Play) -> Iterator[Step]:
    found = [part for part in parts if not part.container.limit]
    if found:
        yield Step(
            BETTER,
            f"{' and '.join(part.name for part in found)} {'has' if len(found) == 1 else 'have'} no limit",
            f"Held: {', '.join(f'{part.name} {show_bytes(part.container.held)}' for part in found)}."
            " What grows without end makes the kernel pick what it kills on the host.",
            "The plan sets limits.",
            play.again(),
        )


def _host(measured: Measurement, play: _Play) -> Iterator[Step]:
    host = measured.host
    if host is not None and host.available is not None and host.available < _LITTLE_LEFT * host.total:
        yield Step(
            FAILING,
            "The host has hardly any memory left",
            f"{show_bytes(host.available)} of {show_bytes(host.total)} are available.",
            "Stop what else runs there, or give it more RAM; then plan again.",
            play.again(),
        )


def _budget(uses: Sequence[Use], play: _Play) -> Iterator[Step]:
    for use in uses:
        if use.over < MIB or play.plan is None:
            continue
        figure = f"{figures.mib(use.held)} MiB are held, {figures.mib(use.planned)} MiB are planned."
        if use.component == EVERYTHING_ELSE:
            # What is left of the operating system's own share is the others'.
            reserved = play.plan.host.reserved + use.over
            yield Step(
                BETTER,
                "Other services hold more than the plan knows of",
                figure,
                "Plan again with what they hold.",
                play.again(synapse_tuning_reserved=f"{-int(-reserved // MIB)}M"),
            )
        else:
            yield Step(
                LESS,
                f"PostgreSQL's {use.label}: more than planned" if use.part else f"{use.label}: more than planned",
                figure,
                "See that the plan is in effect; the play names what isn't.",
                play.again() + " --check --diff",
            )


def _swap(parts: Sequence[_Part]) -> Iterator[Step]:
    for part in parts:
        swap = part.container.swap or 0
        if swap >= _SWAPPED:
            yield Step(
                LESS,
                f"{part.name} is swapped out in part",
                f"{show_bytes(swap)} are in swap and slow to come back.",
                "Free memory on the host, or lower what others hold.",
            )


def _allocator(measured: Measurement) -> Iterator[Step]:
    found = measured.synapse.jemalloc
    if found is None or found.resident is None or found.allocated is None:
        return
    kept = found.resident - found.allocated
    if kept >= _KEPT and kept >= _KEPT_SHARE * found.resident:
        yield Step(
            LESS,
            "Synapse's allocator keeps memory that nothing uses",
            f"{show_bytes(found.resident)} are resident, {show_bytes(found.allocated)} of them in use:"
            " what big responses, joins and purges left behind.",
            "MALLOC_CONF, which the plan sets, gives it back sooner; a restart gives it back at once.",
            _restart(measured),
            returns=kept,
        )


def _pools(measured: PostgresqlMemory, plan: Optional[KnownPlan]) -> Iterator[Step]:
    clients = measured.clients
    held, allowed = own(clients), None if plan is None else plan.connections
    if held is None or allowed is None:
        return
    extra = len([each for each in clients if each.database and each.user]) - allowed
    if extra > 2:
        each_holds = held / len(clients)
        yield Step(
            LESS,
            "More connections than Synapse's pools are planned to open",
            f"{figures.noun(len(clients), 'backend')} hold {show_bytes(held)}, {show_bytes(int(each_holds))} each;"
            f" the plan has {figures.noun(allowed, 'connection')} for Synapse.",
            "A pool never shrinks: restart Synapse where the plan came later, and look who else connects.",
            returns=extra * each_holds,
        )


def _slots(measured: PostgresqlMemory, play: _Play) -> Iterator[Step]:
    if is_nearly_out(measured):
        peak, most = figures.count(measured.connections_peak), figures.count(measured.max_connections)
        yield Step(
            FAILING,
            "PostgreSQL is nearly out of connections",
            f"{peak} of {most} were open; beyond them it refuses.",
            "Plan from this measurement: it moves postgresql.max_connections.",
            play.learn(),
        )


def _caches(caches: Sequence[Judged], measured: Measurement, play: _Play) -> Iterator[Step]:
    thrashing = [cache for cache, verdict in caches if verdict == THRASHES][:_MOST_CACHES]
    if not thrashing:
        return
    told = "; ".join(
        f"{cache.name} answered {figures.percent(cache.hits, cache.lookups)} of {figures.count(cache.lookups)}"
        f" lookups and pushed out {figures.count(cache.evictions.size)} entries"
        for cache in thrashing
    )
    levers = ", ".join(f"caches.per_cache_factors.{cache.name}" for cache in thrashing)
    is_learned = knows_sizes(measured.synapse.version)
    yield Step(
        BETTER,
        f"{figures.noun(len(thrashing), 'cache thrashes', 'caches thrash')}",
        f"{told}. What they hold is pushed out before it is asked for again.",
        f"Plan from this measurement: it moves {levers}, as far as the budget has room and you gave no factor yourself."
        if is_learned
        else "The plan does not know the caches of this version: raise them by synapse_tuning_per_cache_factors.",
        play.learn() if is_learned else "",
    )


def _temporary_files(measured: Measurement, play: _Play) -> Iterator[Step]:
    found, work_mem = work_mem_for_files(measured.postgresql, measured.taken_at), measured.postgresql.work_mem
    if found is None or work_mem is None or found[0] <= work_mem:
        return
    wanted, files = found
    yield Step(
        BETTER,
        "PostgreSQL sorts on the disk",
        f"{files}; work_mem is {show_bytes(work_mem)}.",
        f"Plan from this measurement: it moves postgresql.work_mem, up to {show_bytes(wanted)} as far as the budget has room.",
        play.learn(),
    )


def _blocks(measured: PostgresqlMemory) -> Iterator[Step]:
    blocks, rate, buffers = (
        (measured.blocks_hit or 0) + (measured.blocks_read or 0),
        measured.hit_rate,
        measured.shared_buffers,
    )
    if rate is not None and rate < _BLOCK_RATIO and blocks >= _BLOCKS:
        yield Step(
            BETTER,
            "PostgreSQL reads much from outside its cache",
            f"{figures.percent(rate, 1)} of {figures.count(blocks)} blocks were in shared_buffers"
            + (f" of {show_bytes(buffers)}" if buffers else "")
            + "; the others came from the page cache or the disk.",
            "Compress the state, purge rooms that nobody uses, or give the host more RAM.",
            playbook("rooms"),
        )


def _dead_rows(measured: Measurement) -> Iterator[Step]:
    autovacuum = measured.postgresql.autovacuum
    for table in autovacuum.tables if autovacuum is not None else ():
        if table.dead >= _DEAD_ROWS and table.dead >= _DEAD_SHARE * table.live:
            yield Step(
                BETTER,
                f"Many dead rows in {table.table}",
                f"{figures.count(table.dead)} beside {figures.count(table.live)} live ones, as after a purge or the compressor.",
                "Autovacuum takes them, sooner with the plan's table settings. What a purged room held in Synapse"
                " itself comes back with a restart.",
                _restart(measured),
            )


def _shm(measured: Measurement, play: _Play) -> Iterator[Step]:
    shm = measured.shm
    if shm is not None and shm.size and shm.used >= _SHM_USED * shm.size:
        yield Step(
            FAILING,
            "PostgreSQL's /dev/shm is nearly full",
            f"{show_bytes(shm.used)} of {show_bytes(shm.size)}; beyond it parallel queries fail.",
            "The plan sets shm_size.",
            play.again(),
        )


def _restarts(parts: Sequence[_Part]) -> Iterator[Step]:
    for part in parts:
        if part.container.restarts:
            yield Step(
                BETTER,
                f"{part.name} was restarted by Docker {figures.noun(part.container.restarts, 'time')}",
                "It ended by itself, or was killed.",
                "Its log says why.",
                part.docker("logs --tail 100"),
            )


def _no_plan(play: _Play) -> Iterator[Step]:
    if play.plan is None:
        yield Step(
            BETTER,
            "There is no plan yet",
            "Without one there is no budget that the figures could be held against.",
            "Make one, look at it with --check --diff, then apply it.",
            play.again() + " --check --diff",
        )


def _restart(measured: Measurement) -> str:
    """Synapse's."""
    return next((part.docker("restart") for part in _parts(measured) if part.name == "Synapse"), "")
