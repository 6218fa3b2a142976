# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""work_mem by the temporary files, max_connections by the most that were seen.

Both stay within PostgreSQL's limit as it is without the measurement. The number of Synapse's own
connections (cp_max) is left alone: a pool opens a connection when all others are busy at one moment,
and never closes one. So a full pool says no more than that a moment was busy, and in one that is not
full, the connections that were never opened take no memory.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.lessons import (
    DAY,
    HOUR,
    Lessons,
    is_longer_than,
    show_duration,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import PostgresqlMemory
from ansible_collections.synapse.tuning.plugins.module_utils._core.postgresql import (
    MOST_WORK_MEM,
    SUPERUSER_RESERVED,
    PostgresqlSizes,
    postgresql_sizes,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import show_bytes

__all__ = ["is_nearly_out", "learn_sizes", "work_mem_for_files"]

_TEMP_FILES = 10
_TEMP_FILES_PER_HOUR = 1.0
# A sort takes about twice the memory of what it would write to a file.
_MEMORY_FOR_FILE = 2
_RAISE_CONNECTIONS_AT = 0.9
_SPARE_CONNECTIONS = 1.25
# Where all are open, nobody knows how many more were wanted.
_TIMES_CONNECTIONS = 3


def learn_sizes(
    inputs: Inputs, *, usable: int, base: PostgresqlSizes, measured: PostgresqlMemory, taken_at: str
) -> Tuple[PostgresqlSizes, Lessons]:
    """The sizes with what was learned, within C(base.limit), and why they are others than those of C(base)."""
    lessons = Lessons()

    def fitting(work_mem: int, connections: int) -> Optional[PostgresqlSizes]:
        sizes = postgresql_sizes(inputs, usable=usable, learned_work_mem=work_mem, learned_connections=connections)
        return sizes if sizes.need <= base.limit else None

    connections, why_connections = _connections(base, measured, lessons)
    if fitting(base.work_mem, connections) is None:
        # In tens, so that what fitted once is what fits again.
        low, high = base.max_connections // 10, connections // 10
        while low < high:
            middle = (low + high + 1) // 2
            if fitting(base.work_mem, middle * 10) is None:
                high = middle - 1
            else:
                low = middle
        connections = low * 10
    work_mem, why_work_mem = _work_mem(base, measured, taken_at, lessons)
    wanted = work_mem
    while work_mem > base.work_mem and fitting(work_mem, connections) is None:
        work_mem = _power_below(work_mem)
    work_mem = max(work_mem, base.work_mem)
    sizes = fitting(work_mem, connections) or base
    if sizes.max_connections != base.max_connections:
        lessons.why["postgresql.max_connections"] = why_connections
    if work_mem != base.work_mem:
        lessons.why["postgresql.work_mem"] = why_work_mem
    if work_mem < wanted:
        if work_mem != base.work_mem:
            lessons.why["postgresql.work_mem"] = f"{why_work_mem}, as far as the limit has room"
        lessons.advice.append(
            f"work_mem could be {show_bytes(wanted)} by what was measured, and PostgreSQL's limit has room"
            f" for {show_bytes(work_mem)} on each of {base.pool_connections} connections: more RAM would allow it"
        )
    return sizes, lessons


def _work_mem(base: PostgresqlSizes, measured: PostgresqlMemory, taken_at: str, lessons: Lessons) -> Tuple[int, str]:
    """Raised to what holds an average temporary file; never lowered by what a raised one has prevented.

    The counters run on when work_mem changes. So not their number says how much is needed, but the size
    of a file: it asks for no more once work_mem holds it.
    """
    effective = measured.work_mem
    if effective is None:
        return base.work_mem, ""
    kept = min(max(effective, base.work_mem), MOST_WORK_MEM)
    period = _period(measured, taken_at)
    if measured.temp_files and period is None:
        lessons.advice.append("Nothing was learned of work_mem: PostgreSQL's counters tell something after an hour")
    found = work_mem_for_files(measured, taken_at)
    if found is None:
        within = "" if period is None else f" in {show_duration(period)}"
        return kept, f"in effect, and kept: {measured.temp_files or 0} temporary files with it{within}"
    wanted, figures = found
    if wanted <= kept:
        return kept, f"in effect, and kept: {figures}, which it holds"
    return wanted, f"{figures}: such sorts and hashes stay in memory"


def work_mem_for_files(measured: PostgresqlMemory, taken_at: str) -> Optional[Tuple[int, str]]:
    """What holds an average temporary file, in bytes, with the figures; None for too few files, or too early."""
    files, period = measured.temp_files or 0, _period(measured, taken_at)
    if period is None or files < _TEMP_FILES or files * HOUR / period < _TEMP_FILES_PER_HOUR:
        return None
    average = (measured.temp_bytes or 0) // files
    wanted = _power_from(min(_MEMORY_FOR_FILE * average, MOST_WORK_MEM))
    return wanted, f"{files} temporary files in {show_duration(period)}, {show_bytes(average)} each on average"


def is_nearly_out(measured: PostgresqlMemory) -> bool:
    """Whether hardly any connection was left; the superuser's are kept free, the others were all there were."""
    peak, most = measured.connections_peak, measured.max_connections
    return peak is not None and most is not None and peak + SUPERUSER_RESERVED > _RAISE_CONNECTIONS_AT * most


def _connections(base: PostgresqlSizes, measured: PostgresqlMemory, lessons: Lessons) -> Tuple[int, str]:
    """The most that were open and a quarter, in tens; what is in effect while it is about that."""
    peak, effective = measured.connections_peak, measured.max_connections
    if peak is None or effective is None:
        return base.max_connections, ""
    used = peak + SUPERUSER_RESERVED
    target = max(base.max_connections, _tens(used * _SPARE_CONNECTIONS))
    seen = f"at most {peak} were open at once, {SUPERUSER_RESERVED} are kept for the superuser"
    if used >= effective:
        return max(target, _TIMES_CONNECTIONS * effective), f"all {effective} were open: others may have been refused"
    if is_nearly_out(measured) or effective < base.max_connections:
        return target, f"{seen}, and a quarter to spare"
    # One that is not open takes 46 KiB: no reason for a restart, and what was raised above stays.
    if effective <= _TIMES_CONNECTIONS * target:
        return effective, f"in effect, and kept: {seen}"
    if not is_longer_than(DAY, measured.uptime):
        lessons.advice.append(
            f"max_connections stays at {effective}, though {seen}: it is lowered once PostgreSQL has run for a day"
        )
        return effective, f"in effect, and kept: {seen}, but within less than a day"
    return target, f"{seen}, and a quarter to spare"


def _tens(connections: float) -> int:
    return -(-int(connections + 0.999) // 10) * 10


def _power_from(size: int) -> int:
    """The power of two from this size on."""
    return 1 << max(size - 1, 1).bit_length()


def _power_below(size: int) -> int:
    """The power of two below this size."""
    return 1 << ((size - 1).bit_length() - 1)


def _period(measured: PostgresqlMemory, taken_at: str) -> Optional[float]:
    """Seconds that the counters ran; None for too few to tell something."""
    period = _age(measured.stats_since, taken_at) or measured.uptime
    return period if is_longer_than(HOUR, period) else None


def _age(since: Optional[str], until: str) -> Optional[float]:
    """Seconds between two moments in ISO 8601; None where one is unknown or none."""
    try:
        moments = [datetime.fromisoformat(str(text).replace("Z", "+00:00")) for text in (since, until)]
    except ValueError:
        return None
    start, end = (each if each.tzinfo else each.replace(tzinfo=timezone.utc) for each in moments)
    return max((end - start).total_seconds(), 0.0)
