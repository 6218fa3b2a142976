# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The levers of homeserver.yaml, planned against effective."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_caches import CacheJudge, is_cache_lever
from ansible_collections.synapse.tuning.plugins.module_utils._core.effective_configuration import (
    CONFIGURATION,
    databases,
    judge_configured,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    Configuration,
    Database,
    Missing,
    Readings,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["judge_homeserver", "synapse_login"]

_AUTOTUNING = "caches.cache_autotuning."
_POOL = "database.args."


def judge_homeserver(planned: Mapping[str, Any], readings: Readings, *, processes: int) -> List[Verdict]:
    """One verdict a lever. planned: dotted path to value; processes: Synapse's, each with a pool of its own."""
    caches = CacheJudge(planned, readings)
    found = []
    for lever, value in planned.items():
        if is_cache_lever(lever):
            found.append(caches.judge(lever, value))
        elif isinstance(readings.configuration, Missing):
            why = readings.configuration.why
            found.append(Verdict(f"homeserver.{lever}", value, None, states.UNKNOWN, why, CONFIGURATION))
        elif lever.startswith(_AUTOTUNING):
            found.append(_judge_autotuning(lever, value, readings.configuration, readings))
        elif lever.startswith(_POOL):
            found.append(_judge_pool(lever, value, readings.configuration, readings, processes))
        else:
            found.append(judge_configured(lever, value, readings.configuration))
    return found


def synapse_login(readings: Readings) -> Optional[Tuple[str, str]]:
    """(role, database) that Synapse connects as; None where its files do not say it plainly."""
    if isinstance(readings.configuration, Missing):
        return None
    found = databases(readings.configuration)
    args = found[0][1].get("args") if len(found) == 1 else None
    if not isinstance(args, Mapping):
        return None
    role, database = args.get("user"), args.get("dbname") or args.get("database")
    return (str(role), str(database)) if role and database else None


def _judge_autotuning(lever: str, planned: Any, configuration: Configuration, readings: Readings) -> Verdict:
    """Configured is not enough: it compares what jemalloc has allocated, and pymalloc hides memory from jemalloc."""
    verdict = judge_configured(lever, planned, configuration)
    if verdict.state != states.IN_EFFECT or planned is None:
        return verdict
    process = readings.process
    if isinstance(process, Missing):
        return replace(verdict, state=states.UNKNOWN, because=process.why)
    lacking = []
    if not process.jemalloc:
        lacking.append("jemalloc is not mapped into Synapse")
    if process.environment.get("PYTHONMALLOC") != "malloc":
        lacking.append("PYTHONMALLOC=malloc is not in its environment")
    if lacking:
        because = f"{' and '.join(lacking)}, so autotuning does not see the memory that it is to hold down"
        return replace(verdict, state=states.WITHOUT_EFFECT, because=because)
    return replace(verdict, because=f"{verdict.because}; jemalloc is mapped and PYTHONMALLOC=malloc")


def _judge_pool(lever: str, planned: Any, configuration: Configuration, readings: Readings, processes: int) -> Verdict:
    found = databases(configuration)
    pools = [path for path, section in found if section.get("name") == "psycopg2"]
    if found and not pools:
        because = "Synapse uses SQLite, which has no connection pool"
        return Verdict(
            f"homeserver.{lever}", planned, None, states.WITHOUT_EFFECT, because, CONFIGURATION, by_nature=True
        )
    key = lever[len("database.") :]
    verdicts = [judge_configured(lever, planned, configuration, path=f"{path}.{key}") for path in pools or ["database"]]
    verdict = next((each for each in verdicts if each.state != states.IN_EFFECT), verdicts[0])
    if lever != "database.args.cp_max" or verdict.state != states.IN_EFFECT:
        return verdict
    login = synapse_login(readings)
    if isinstance(readings.database, Database) and login is not None:
        count = readings.database.connections.get(login, 0)
        if count > int(planned) * processes:
            because = f"the files say so, but {count} connections are open as {login[0]}"
            return replace(verdict, state=states.UNKNOWN, because=because)
        return replace(verdict, because=f"{verdict.because}; {count} connections are open")
    return verdict
