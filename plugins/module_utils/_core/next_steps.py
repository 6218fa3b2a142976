# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to do next about the memory of a deployment, in the order of what it returns."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Iterator, List, Mapping, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils._core import figures
from ansible_collections.synapse.tuning.plugins.module_utils._core.budget_use import EVERYTHING_ELSE, Use
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_use import THRASHES, CacheUse
from ansible_collections.synapse.tuning.plugins.module_utils._core.measured import Measured
from ansible_collections.synapse.tuning.plugins.module_utils._core.next_steps_rooms import room_steps
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

# From here on a part is near where it is killed.
_NEAR = 0.9
_LITTLE_LEFT = 0.05
_SWAPPED = 16 * MIB
# What an allocator keeps of what it gave out; less is usual.
_KEPT, _KEPT_SHARE = 48 * MIB, 0.25
_DEAD_ROWS, _DEAD_SHARE = 10_000, 0.2
_SLOTS_USED = 0.8
_BLOCKS, _BLOCK_RATIO = 100_000, 0.95
_NAMES = (("synapse", "Synapse"), ("postgresql", "PostgreSQL"))


@dataclass(frozen=True)
class _Plan:
    """What the steps ask of a plan; data is None where there is none."""

    data: Optional[Mapping[str, Any]]

    def setting(self, name: str) -> Optional[float]:
        """A number of homeserver.yaml's."""
        return Measured(self.data or {}).number("homeserver", name, "value")

    def host(self, name: str) -> Optional[float]:
        """A number that it was made from."""
        return Measured(self.data or {}).number("host", name)

    def again(self, **variables: Any) -> str:
        """The command that plans and applies again."""
        users = self.host("users")
        return playbook("tune_synapse", synapse_tuning_users="N" if users is None else int(users), **variables)


def next_steps(
    measured: Measured,
    *,
    uses: Sequence[Use],
    caches: Sequence[CacheUse],
    plan: Optional[Mapping[str, Any]],
    rooms: Sequence[Mapping[str, Any]],
) -> List[Step]:
    """Every step that the figures ask for: what fails now first, then by the bytes that a step returns."""
    known = _Plan(plan)
    found = [
        *_kills(measured, known),
        *_limits(measured, known),
        *_no_limits(measured, known),
        *_host(measured, known),
        *_budget(uses, known),
        *_swap(measured),
        *_allocator(measured),
        *_pools(measured, known),
        *_slots(measured, known),
        *_caches(caches, known),
        *_temporary_files(measured),
        *_blocks(measured),
        *_dead_rows(measured),
        *_shm(measured, known),
        *room_steps(rooms, uptime=measured.number("synapse", "uptime")),
        *_restarts(measured),
        *_no_plan(known),
        *(Step(SEE_MORE, f"Not measured: {name}", why) for name, why in measured.missing()),
    ]
    return sorted(found, key=lambda step: (step.urgency, -step.returns))


def _kills(measured: Measured, plan: _Plan) -> Iterator[Step]:
    lines = measured.texts("kernel_oom")
    for key, name in _NAMES:
        kills = measured.number(key, "container", "oom_kills") or 0
        if kills:
            limit = measured.number(key, "container", "limit")
            yield Step(
                FAILING,
                f"{name} was killed for memory {figures.noun(kills, 'time')}",
                (f"Its limit is {show_bytes(int(limit))}." if limit else "It has no limit: the whole host ran out.")
                + (f" The kernel's log: {lines[0]}" if lines else ""),
                "Give the host more RAM, or plan with fewer other services and lighter rooms; plan again for what it needs.",
                plan.again(),
            )
    if lines and not any(measured.number(key, "container", "oom_kills") for key, _name in _NAMES):
        yield Step(
            FAILING,
            f"The kernel's log has {figures.noun(len(lines), 'kill')} for memory",
            f"The newest: {lines[0]}",
            "The containers were made anew since. Look whether it comes back.",
        )


def _limits(measured: Measured, plan: _Plan) -> Iterator[Step]:
    for key, name in _NAMES:
        limit = measured.number(key, "container", "limit")
        now = getattr(measured, key)
        peak = max(measured.number(key, "container", "held_peak") or 0, now or 0)
        if limit and peak >= _NEAR * limit:
            yield Step(
                FAILING,
                f"{name} is near its limit",
                f"It held up to {show_bytes(int(peak))} of {show_bytes(int(limit))} ({figures.percent(peak, limit)});"
                " at the limit it is killed.",
                "Plan again: the plan moves memory to it, or says what doesn't fit.",
                plan.again(),
            )


def _no_limits(measured: Measured, plan: _Plan) -> Iterator[Step]:
    names = [
        name
        for key, name in _NAMES
        if not measured.number(key, "container", "limit") and measured.number(key, "container", "current") is not None
    ]
    if names:
        yield Step(
            BETTER,
            f"{' and '.join(names)} {'has' if len(names) == 1 else 'have'} no limit",
            f"Held: {', '.join(f'{name} {_size(getattr(measured, key))}' for key, name in _NAMES if name in names)}."
            " What grows without end makes the kernel pick what it kills on the host.",
            "The plan sets limits.",
            plan.again(),
        )


def _size(size: Optional[float]) -> str:
    return figures.UNKNOWN if size is None else show_bytes(int(size))


def _host(measured: Measured, plan: _Plan) -> Iterator[Step]:
    available, ram = measured.number("host", "available"), measured.number("host", "total")
    if available is not None and ram and available < _LITTLE_LEFT * ram:
        yield Step(
            FAILING,
            "The host has hardly any memory left",
            f"{show_bytes(int(available))} of {show_bytes(int(ram))} are available.",
            "Stop what else runs there, or give it more RAM; then plan again.",
            plan.again(),
        )


def _budget(uses: Sequence[Use], plan: _Plan) -> Iterator[Step]:
    for use in uses:
        if use.over < MIB or use.planned is None or use.held is None:
            continue
        figure = f"{figures.mib(use.held)} MiB are held, {figures.mib(use.planned)} MiB are planned."
        if use.component == EVERYTHING_ELSE:
            # What is left of the operating system's own share is the others'.
            reserved = (plan.host("reserved") or 0) + use.over
            yield Step(
                BETTER,
                "Other services hold more than the plan knows of",
                figure,
                "Plan again with what they hold.",
                plan.again(synapse_tuning_reserved=f"{-int(-reserved // MIB)}M"),
            )
        else:
            yield Step(
                LESS,
                f"PostgreSQL's {use.label}: more than planned" if use.part else f"{use.label}: more than planned",
                figure,
                "See that the plan is in effect; the play names what isn't.",
                plan.again() + " --check --diff",
            )


def _swap(measured: Measured) -> Iterator[Step]:
    for key, name in _NAMES:
        swap = measured.number(key, "container", "swap") or 0
        if swap >= _SWAPPED:
            yield Step(
                LESS,
                f"{name} is swapped out in part",
                f"{show_bytes(int(swap))} are in swap and slow to come back.",
                "Free memory on the host, or lower what others hold.",
            )


def _allocator(measured: Measured) -> Iterator[Step]:
    resident, allocated = (measured.number("synapse", "jemalloc", name) for name in ("resident", "allocated"))
    if resident is None or allocated is None:
        return
    kept = resident - allocated
    if kept >= _KEPT and kept >= _KEPT_SHARE * resident:
        yield Step(
            LESS,
            "Synapse's allocator keeps memory that nothing uses",
            f"{show_bytes(int(resident))} are resident, {show_bytes(int(allocated))} of them in use:"
            " what big responses, joins and purges left behind.",
            "MALLOC_CONF, which the plan sets, gives it back sooner; a restart gives it back at once.",
            _restart(measured),
            returns=kept,
        )


def _pools(measured: Measured, plan: _Plan) -> Iterator[Step]:
    clients = measured.clients
    most = plan.setting("database.args.cp_max")
    workers = plan.host("workers") or 0
    own = Measured.own(clients)
    if most is None or own is None:
        return
    allowed = most * (1 + workers)
    extra = len([each for each in clients if each.text("database") and each.text("user")]) - allowed
    if extra > 2:
        each_holds = own / len(clients)
        yield Step(
            LESS,
            "More connections than Synapse's pools are planned to open",
            f"{figures.noun(len(clients), 'backend')} hold {show_bytes(int(own))}, {show_bytes(int(each_holds))} each;"
            f" the plan has {figures.noun(allowed, 'connection')} for Synapse.",
            "A pool never shrinks: restart Synapse where the plan came later, and look who else connects.",
            returns=extra * each_holds,
        )


def _slots(measured: Measured, plan: _Plan) -> Iterator[Step]:
    peak, most = (measured.number("postgresql", name) for name in ("connections_peak", "max_connections"))
    if peak is not None and most and peak >= _SLOTS_USED * most:
        yield Step(
            FAILING,
            "PostgreSQL is nearly out of connections",
            f"{figures.count(peak)} of {figures.count(most)} were open; beyond them it refuses.",
            "Say how many others connect (synapse_tuning_extra_connections), and plan again.",
            plan.again(synapse_tuning_extra_connections=30),
        )


def _caches(caches: Sequence[CacheUse], plan: _Plan) -> Iterator[Step]:
    thrashing = [cache for cache in caches if cache.verdict == THRASHES][:5]
    if thrashing:
        told = "; ".join(
            f"{cache.name} answered {figures.percent(cache.hits, cache.lookups)} of {figures.count(cache.lookups)}"
            f" lookups and pushed out {figures.count(cache.by_size)} entries"
            for cache in thrashing
        )
        factor = plan.setting("caches.global_factor") or 0.5
        factors = {
            cache.name: round(2 * (plan.setting(f"caches.per_cache_factors.{cache.name}") or factor), 2)
            for cache in thrashing
        }
        yield Step(
            BETTER,
            f"{figures.noun(len(thrashing), 'cache thrashes', 'caches thrash')}",
            f"{told}. What they hold is pushed out before it is asked for again.",
            "Raise their factors; the plan keeps the rest within the budget.",
            plan.again(synapse_tuning_per_cache_factors=factors),
        )


def _temporary_files(measured: Measured) -> Iterator[Step]:
    number, size = (measured.number("postgresql", name) for name in ("temp_files", "temp_bytes"))
    work_mem = measured.number("postgresql", "work_mem")
    if not number or not size:
        return
    since = measured.text("postgresql", "stats_since")
    yield Step(
        BETTER,
        "PostgreSQL sorts on the disk",
        f"{figures.noun(number, 'temporary file')} of {show_bytes(int(size / number))} on average"
        + (f" since {figures.moment(since)}" if since else "")
        + (f"; work_mem is {show_bytes(int(work_mem))}." if work_mem else "."),
        "A larger work_mem keeps sorts of that size in memory; each busy connection may take it several times.",
    )


def _blocks(measured: Measured) -> Iterator[Step]:
    hit, read = (measured.number("postgresql", name) or 0 for name in ("blocks_hit", "blocks_read"))
    if hit + read >= _BLOCKS and hit < _BLOCK_RATIO * (hit + read):
        buffers = measured.number("postgresql", "shared_buffers")
        yield Step(
            BETTER,
            "PostgreSQL reads much from outside its cache",
            f"{figures.percent(hit, hit + read)} of {figures.count(hit + read)} blocks were in shared_buffers"
            + (f" of {show_bytes(int(buffers))}" if buffers else "")
            + "; the others came from the page cache or the disk.",
            "Compress the state, purge rooms that nobody uses, or give the host more RAM.",
            playbook("rooms"),
        )


def _dead_rows(measured: Measured) -> Iterator[Step]:
    for table in measured.items("postgresql", "autovacuum", "tables"):
        dead, live = table.number("dead") or 0, table.number("live") or 0
        if dead >= _DEAD_ROWS and dead >= _DEAD_SHARE * live:
            yield Step(
                BETTER,
                f"Many dead rows in {table.text('table')}",
                f"{figures.count(dead)} beside {figures.count(live)} live ones, as after a purge or the compressor.",
                "Autovacuum takes them, sooner with the plan's table settings. What a purged room held in Synapse"
                " itself comes back with a restart.",
                _restart(measured),
            )


def _shm(measured: Measured, plan: _Plan) -> Iterator[Step]:
    size, used = measured.number("shm", "size"), measured.number("shm", "used")
    if size and used is not None and used >= _SLOTS_USED * size:
        yield Step(
            FAILING,
            "PostgreSQL's /dev/shm is nearly full",
            f"{show_bytes(int(used))} of {show_bytes(int(size))}; beyond it parallel queries fail.",
            "The plan sets shm_size.",
            plan.again(),
        )


def _restarts(measured: Measured) -> Iterator[Step]:
    for key, name in _NAMES:
        restarts = measured.number(key, "container", "restarts") or 0
        if restarts:
            yield Step(
                BETTER,
                f"{name} was restarted by Docker {figures.noun(restarts, 'time')}",
                "It ended by itself, or was killed.",
                "Its log says why.",
                _docker("logs --tail 100", measured, key),
            )


def _no_plan(plan: _Plan) -> Iterator[Step]:
    if plan.data is None:
        yield Step(
            BETTER,
            "There is no plan yet",
            "Without one there is no budget that the figures could be held against.",
            "Make one, look at it with --check --diff, then apply it.",
            plan.again() + " --check --diff",
        )


def _restart(measured: Measured) -> str:
    return _docker("restart", measured, "synapse")


def _docker(what: str, measured: Measured, key: str) -> str:
    container = measured.text(key, "container", "name")
    return f"docker {what} {shlex.quote(container)}" if container else ""
