# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse's configuration files say of a lever, merged as Synapse merges them.

A later file replaces whole sections of an earlier one, and Synapse reads them
once: a file that is newer than the process proves nothing about it, unless a
backup has kept what the process had read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.synapse.tuning.plugins.module_utils._core import verdict as states
from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import known_name
from ansible_collections.synapse.tuning.plugins.module_utils._core.homeserver_values import means_the_same
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import Configuration, ConfigurationFile
from ansible_collections.synapse.tuning.plugins.module_utils._core.verdict import Verdict

__all__ = ["CONFIGURATION", "configured", "databases", "judge_configured", "next_start"]

CONFIGURATION = "configuration files"
_FACTORS = ["caches", "per_cache_factors"]
# What Synapse takes where no file says anything, for levers that a plan may set to just that.
_DEFAULTS = {"event_cache_size": "10K", "caches.global_factor": 0.5}


def configured(configuration: Configuration, lever: str) -> Any:
    """The value that won when Synapse started, its default where none is written and known."""
    return _value(_as_started(configuration), lever)


def next_start(configuration: Configuration, lever: str, planned: Any, *, path: Optional[str] = None) -> str:
    """A remark where the files have changed, and say something else than planned now; else empty."""
    now = _value(configuration, path or lever)
    if means_the_same(lever, now, planned) or not any(each.changed for each in configuration.files):
        return ""
    return f"; the files have changed: the next start brings {json.dumps(now, default=str)}"


def _as_started(configuration: Configuration) -> Configuration:
    """The files as Synapse read them, as far as that is known; those of which it is not are C(changed)."""
    files = [
        each if each.started is None else replace(each, data=each.started, changed=False)
        for each in configuration.files
    ]
    return replace(configuration, files=tuple(files))


def _value(configuration: Configuration, lever: str) -> Any:
    path = lever.split(".")
    index = _origin(configuration, path[0])
    value = None if index is None else _reach(configuration.files[index].data, path)
    return _DEFAULTS.get(lever) if value is None else value


def databases(configuration: Configuration) -> List[Tuple[str, Mapping[str, Any]]]:
    """(dotted path, section) of each database; Synapse takes several under C(databases)."""
    several = configured(configuration, "databases")
    if isinstance(several, Mapping):
        return [(f"databases.{name}", each) for name, each in several.items() if isinstance(each, Mapping)]
    one = configured(configuration, "database")
    return [("database", one)] if isinstance(one, Mapping) else []


def judge_configured(lever: str, planned: Any, configuration: Configuration, *, path: Optional[str] = None) -> Verdict:
    """The verdict that the files allow by themselves.

    lever: its name in the plan, without C(homeserver.). path: where the files have it, if elsewhere.
    """
    keys = (path or lever).split(".")
    effective = configured(configuration, path or lever)
    state, because = _state(lever, planned, effective, keys, _as_started(configuration))
    if state == states.IN_EFFECT:
        because += next_start(configuration, lever, planned, path=path)
    elif means_the_same(lever, _value(configuration, path or lever), planned):
        changed = ", ".join(each.path for each in configuration.files if each.changed)
        state, because = states.PENDING_RESTART, f"{changed} has changed since Synapse started; restart it"
    return Verdict(f"homeserver.{lever}", planned, effective, state, because, CONFIGURATION)


def _state(lever: str, planned: Any, effective: Any, keys: List[str], configuration: Configuration) -> Tuple[str, str]:
    files = configuration.files
    index = _origin(configuration, keys[0])
    if means_the_same(lever, effective, planned):
        changed = [each.path for each in files[index or 0 :] if each.changed]
        if changed:
            return states.PENDING_RESTART, f"{', '.join(changed)} has changed since Synapse started; restart it"
        place = files[index].path if index is not None else "no file sets it"
        return states.IN_EFFECT, f"{place}, read when Synapse started"

    def said(file: ConfigurationFile) -> bool:
        return means_the_same(lever, _reach(file.data, keys), planned)

    if index is not None and planned is not None:
        earlier = [each.path for each in files[:index] if said(each)]
        if earlier:
            winner = files[index].path
            return states.OVERRIDDEN, f"by {winner}, whose section '{keys[0]}' replaces that of {earlier[-1]}"
    unread = configuration.unread
    if unread is not None and said(unread):
        return states.NOT_APPLIED, f"{unread.path} has it, but Synapse was not started with it (--config-path)"
    if index is None or _reach(files[index].data, keys) is None:
        return states.NOT_APPLIED, "no file that Synapse was started with sets it"
    return states.NOT_APPLIED, f"{files[index].path} says {json.dumps(effective, default=str)}"


def _origin(configuration: Configuration, section: str) -> Optional[int]:
    """The number of the last file that has this top-level key."""
    found = [number for number, each in enumerate(configuration.files) if section in each.data]
    return found[-1] if found else None


def _reach(data: Any, keys: List[str]) -> Any:
    for number, key in enumerate(keys):
        if not isinstance(data, Mapping):
            return None
        if keys[:number] == _FACTORS:  # Synapse compares the letters of a cache's name only
            data = next((value for name, value in data.items() if known_name(str(name)) == known_name(key)), None)
        else:
            data = data.get(key)
    return data
