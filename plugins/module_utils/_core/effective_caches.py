# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache factors, planned against the sizes that Synapse's metrics show.

The metrics hold only caches that were used since the start; of the others the
configuration files are asked, which is good enough only while the metrics can be read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.cache_table import SYNAPSE_VERSION
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import cache_entries, known_name
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_configuration import (
    configured,
    judge_configured,
    next_start,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    Configuration,
    Metrics,
    Missing,
    Process,
    Readings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.units import synapse_bytes
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["GLOBAL_FACTOR", "METRICS", "PER_CACHE_FACTORS", "CacheJudge", "is_cache_lever"]

METRICS = "Synapse's metrics"
GLOBAL_FACTOR = "caches.global_factor"
PER_CACHE_FACTORS = "caches.per_cache_factors."
_EVENTS = "*getEvent*"
_EVENT_CACHE_SIZE = "event_cache_size"
_VARIABLE = "SYNAPSE_CACHE_FACTOR"


def is_cache_lever(lever: str) -> bool:
    """Whether the metrics show this lever of homeserver.yaml."""
    return lever in (GLOBAL_FACTOR, _EVENT_CACHE_SIZE) or lever.startswith(PER_CACHE_FACTORS)


class CacheJudge:
    """Judges the cache levers of one plan, which depend on each other."""

    def __init__(self, planned: Mapping[str, Any], readings: Readings) -> None:
        self._configuration: Union[Configuration, Missing] = readings.configuration
        self._metrics: Union[Metrics, Missing] = readings.metrics
        self._process: Union[Process, Missing] = readings.process
        self._factor = float(planned.get(GLOBAL_FACTOR) or 0.5)
        self._own = {
            lever[len(PER_CACHE_FACTORS) :]: float(value)
            for lever, value in planned.items()
            if lever.startswith(PER_CACHE_FACTORS) and value is not None
        }
        self._event_cache_size = synapse_bytes(planned.get(_EVENT_CACHE_SIZE) or "10K")
        self._expected = cache_entries(
            factor=self._factor, per_cache_factors=self._own, event_cache_size=self._event_cache_size
        )

    def judge(self, lever: str, planned: Any) -> Verdict:
        """The verdict on one lever, for which C(is_cache_lever) is true."""
        if isinstance(self._metrics, Missing):
            effective = None
            if isinstance(self._configuration, Configuration):
                effective = configured(self._configuration, lever)
            return Verdict(f"homeserver.{lever}", planned, effective, states.UNKNOWN, self._metrics.why, METRICS)
        if lever == _EVENT_CACHE_SIZE:
            return self._judge_event_cache_size(planned, self._metrics)
        return self._judge_factor(lever, planned, self._metrics)

    # -- factors -----------------------------------------------------------------
    def _judge_factor(self, lever: str, planned: Any, metrics: Metrics) -> Verdict:
        own = {known_name(name) for name in self._own}
        names = (
            [known_name(lever[len(PER_CACHE_FACTORS) :])]
            if lever.startswith(PER_CACHE_FACTORS)
            else set(self._expected) - own
        )
        sizes = {name: size for name, size in metrics.cache_sizes.items() if name in names}
        wrong = sorted(name for name, size in sizes.items() if size != self._expected[name])
        by_files = self._by_files(lever, planned)
        variable = self._variable(wrong or [name for name in names if name and name not in sizes], lever)
        if variable is not None:
            name, value = variable
            return Verdict(
                f"homeserver.{lever}",
                planned,
                value,
                states.OVERRIDDEN,
                f"by {name}={value} in Synapse's environment",
                METRICS,
            )
        if not sizes:
            if by_files is None:
                why = self._configuration.why if isinstance(self._configuration, Missing) else ""
                because = f"no such cache was used since Synapse started; {why}"
                return Verdict(f"homeserver.{lever}", planned, None, states.UNKNOWN, because, METRICS)
            return replace(by_files, because=f"not used since Synapse started; {by_files.because}")
        count = f"{len(sizes)} cache{'' if len(sizes) == 1 else 's'} compared"
        if not wrong or self._tolerable(metrics, len(wrong), len(sizes)):
            because = f"{count}, those used since Synapse started"
            if wrong:
                because += f"; {len(wrong)} have another base size in Synapse {metrics.version}"
            if isinstance(self._configuration, Configuration):
                because += next_start(self._configuration, lever, planned)
            return Verdict(f"homeserver.{lever}", planned, planned, states.IN_EFFECT, because, METRICS)
        effective = self._factor_of(sizes)
        shown = f"'{wrong[0]}' holds {sizes[wrong[0]]} at most, planned {self._expected[wrong[0]]}"
        return self._differing(lever, planned, effective, f"{len(wrong)} of {count}: {shown}", by_files)

    def _differing(self, lever: str, planned: Any, effective: Any, shown: str, by_files: Optional[Verdict]) -> Verdict:
        state, because = states.NOT_APPLIED, shown
        if by_files is not None and by_files.state == states.PENDING_RESTART:
            state = states.PENDING_RESTART
            because = f"{by_files.because}, or send it the signal HUP ({shown})"
        elif by_files is not None and by_files.state != states.IN_EFFECT:
            state, because = by_files.state, f"{by_files.because} ({shown})"
        dead = {} if isinstance(self._process, Missing) else self._process.environment
        if lever == GLOBAL_FACTOR and _VARIABLE in dead:
            because += f"; {_VARIABLE}={dead[_VARIABLE]} is set, but has no effect since Synapse 1.60"
        return Verdict(f"homeserver.{lever}", planned, effective, state, because, METRICS)

    def _by_files(self, lever: str, planned: Any) -> Optional[Verdict]:
        if isinstance(self._configuration, Missing):
            return None
        return judge_configured(lever, planned, self._configuration)

    def _variable(self, names: Sequence[Optional[str]], lever: str) -> Optional[Tuple[str, str]]:
        """The variable SYNAPSE_CACHE_FACTOR_NAME that has its way with all these caches; None where there is none."""
        if isinstance(self._process, Missing):
            return None
        found = {
            known_name(variable[len(_VARIABLE) + 1 :]): (variable, value)
            for variable, value in self._process.cache_factors.items()
        }
        # One cache's variable says nothing about all the others.
        if not names or not all(name in found for name in names):
            return None
        variable, value = found[names[0]]
        try:
            planned = self._own.get(lever[len(PER_CACHE_FACTORS) :], self._factor)
            return None if float(value) == planned else (variable, value)
        except ValueError:
            return variable, value

    def _factor_of(self, sizes: Mapping[str, int]) -> Optional[float]:
        """The factor that the largest of these caches shows, to the digits that a person writes."""
        base = cache_entries(factor=1.0, per_cache_factors={}, event_cache_size=self._event_cache_size)
        largest = max(sizes, key=lambda name: (name != _EVENTS, base[name]))
        return float(f"{sizes[largest] / base[largest]:.4g}")

    @staticmethod
    def _tolerable(metrics: Metrics, wrong: int, compared: int) -> bool:
        """Another Synapse than the one of the cache table may have a few other base sizes."""
        return metrics.version not in (None, SYNAPSE_VERSION) and wrong * 10 < compared

    # -- the event cache ---------------------------------------------------------
    def _judge_event_cache_size(self, planned: Any, metrics: Metrics) -> Verdict:
        by_files = self._by_files(_EVENT_CACHE_SIZE, planned)
        size = metrics.cache_sizes.get(_EVENTS)
        if size is None:
            if by_files is not None:
                return replace(by_files, because=f"not used since Synapse started; {by_files.because}")
            because = "the event cache was not used since Synapse started"
            return Verdict(f"homeserver.{_EVENT_CACHE_SIZE}", planned, None, states.UNKNOWN, because, METRICS)
        for factor in self._event_factors():
            if int(self._event_cache_size * factor) == size:
                because = f"the event cache holds {size} at most, which is {planned} times {factor:g}"
                return Verdict(f"homeserver.{_EVENT_CACHE_SIZE}", planned, planned, states.IN_EFFECT, because, METRICS)
        if by_files is not None:
            return by_files
        because = f"the event cache holds {size} at most, planned {self._expected[_EVENTS]}"
        return Verdict(f"homeserver.{_EVENT_CACHE_SIZE}", planned, None, states.NOT_APPLIED, because, METRICS)

    def _event_factors(self) -> List[float]:
        """The factors that may rule the event cache: the planned one, and that of the files."""
        own: Dict[Optional[str], float] = {known_name(name): factor for name, factor in self._own.items()}
        factors: List[Any] = [own.get(_EVENTS, self._factor)]
        if isinstance(self._configuration, Configuration):
            one = configured(self._configuration, PER_CACHE_FACTORS + _EVENTS)
            factors.append(configured(self._configuration, GLOBAL_FACTOR) if one is None else one)
        return [float(each) for each in factors if isinstance(each, (int, float))]
