# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a running Synapse needs to take up its configuration files as they are now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import known_name
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_caches import (
    GLOBAL_FACTOR,
    PER_CACHE_FACTORS,
    CacheJudge,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    ConfigurationFile,
    Missing,
    Readings,
)

__all__ = ["RELOAD", "RESTART", "Due", "due_of_synapse"]

RELOAD = "reload"
RESTART = "restart"


@dataclass(frozen=True)
class Due:
    """action: RELOAD (the signal HUP) or RESTART. because: dotted keys that differ, or the files."""

    action: str
    because: Tuple[str, ...]


def due_of_synapse(readings: Readings) -> Optional[Due]:
    """What Synapse needs, None for nothing, and where its files can't be read.

    A reload takes up cache factors alone, and only the metrics show that it did: without
    them, or where a file has changed of which nobody knows how it was, it is a restart.
    """
    if isinstance(readings.configuration, Missing):
        return None
    files = readings.configuration.files
    unproven = [each.path for each in files if each.changed and each.started is None]
    if unproven:
        return Due(RESTART, tuple(unproven))
    now = _merged(each.data for each in files)
    keys = tuple(sorted(_differing(_merged(_started(each) for each in files), now)))
    if not keys:
        # As at the start, but what a reload has brought in between may be there yet.
        left = _not_reloaded(now, readings) if any(each.changed for each in files) else ()
        return Due(RELOAD, left) if left else None
    if not all(key == GLOBAL_FACTOR or key.startswith(PER_CACHE_FACTORS) for key in keys):
        return Due(RESTART, keys)
    if isinstance(readings.metrics, Missing):
        return Due(RESTART, keys)
    return Due(RELOAD, keys) if _not_reloaded(now, readings) else None


def _started(file: ConfigurationFile) -> Mapping[str, Any]:
    return file.data if file.started is None else file.started


def _merged(files: Iterable[Mapping[str, Any]]) -> Dict[str, Any]:
    """As Synapse merges them: a later file replaces whole sections."""
    merged: Dict[str, Any] = {}
    for data in files:
        merged.update(data)
    return merged


def _differing(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """The dotted keys whose values differ; never a value, as those may be secrets."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in {**before, **now}:
            yield from _differing(before.get(key), now.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(before, Mapping) or isinstance(now, Mapping):
        # A section that came or went: its keys tell more than its name.
        section = before if isinstance(before, Mapping) else now
        inside = list(_differing({}, section, path)) if section and (before is None or now is None) else []
        yield from inside or [path]
    elif type(before) is not type(now) or before != now:  # True is 1 to Python, but not to Synapse
        yield path


def _not_reloaded(now: Mapping[str, Any], readings: Readings) -> Tuple[str, ...]:
    """The factors of the files that the metrics do not show; none where there are no metrics to ask."""
    if isinstance(readings.metrics, Missing):
        return ()
    caches = now.get("caches")
    section = caches if isinstance(caches, Mapping) else {}
    own = section.get("per_cache_factors")
    factors = {GLOBAL_FACTOR: section.get("global_factor", 0.5)}
    for name, factor in own.items() if isinstance(own, Mapping) else ():
        if known_name(str(name)) is not None:
            factors[f"{PER_CACHE_FACTORS}{name}"] = factor
    unusable = tuple(lever for lever, factor in factors.items() if not isinstance(factor, (int, float)))
    if unusable:
        return unusable
    judge = CacheJudge({**factors, "event_cache_size": now.get("event_cache_size")}, readings)
    verdicts = {lever: judge.judge(lever, value).state for lever, value in factors.items()}
    # A variable of the environment wins over any reload.
    return tuple(lever for lever, state in verdicts.items() if state not in (states.IN_EFFECT, states.OVERRIDDEN))
