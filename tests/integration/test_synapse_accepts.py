# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real Synapse's configuration parser accepts every planned setting, and reads it as it was meant."""

from __future__ import annotations

import pathlib
import re
from typing import Any

import pytest
from real import grid, synapse
from synapse.config._base import ConfigError

from ansible_collections.synapse.tuning.plugins.module_utils._core import cache_table

# Of Synapse's own, about what its libraries have deprecated.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

_SIZE = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_POSTGRESQL_VERSION = 17
_PER_CACHE = "caches.per_cache_factors."
_AUTOTUNING = "caches.cache_autotuning"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("synapse")


@pytest.fixture(scope="module")
def base(directory: pathlib.Path) -> dict[str, Any]:
    return synapse.base_config(directory)


def _size(value: str | int) -> int:
    """Bytes or entries, by Synapse's documentation: an integer and K, M, G or T."""
    match = re.fullmatch(r"(\d+)([KMGT]?)", str(value))
    assert match is not None, f"{value!r} is no size for Synapse"
    return int(match[1]) * _SIZE.get(match[2], 1)


def _milliseconds(value: str) -> int:
    match = re.fullmatch(r"(\d+)([smhdw])", value)
    assert match is not None, f"{value!r} is no duration for Synapse"
    return int(match[1]) * _DURATION[match[2]] * 1000


def _homeserver_settings() -> list[dict[str, Any]]:
    plans = grid.plans(_POSTGRESQL_VERSION)
    return [grid.values(made["homeserver"]) for made in plans if made["homeserver"]]


def _expected(settings: dict[str, Any]) -> dict[str, Any]:
    """What Synapse must read, in its own units; the defaults are Synapse's where the plan is silent."""
    autotuning = {
        "max_cache_memory_usage": _size,
        "target_cache_memory_usage": _size,
        "min_cache_ttl": _milliseconds,
    }
    tuned = settings.get(f"{_AUTOTUNING}.max_cache_memory_usage") is not None
    retention = settings.get("forgotten_room_retention_period")
    return {
        "event_cache_size": _size(settings["event_cache_size"]),
        "global_factor": settings["caches.global_factor"],
        "per_cache_factors": {
            synapse.canonical(name.removeprefix(_PER_CACHE)): factor
            for name, factor in settings.items()
            if name.startswith(_PER_CACHE) and factor is not None
        },
        "cache_autotuning": {key: read(settings[f"{_AUTOTUNING}.{key}"]) for key, read in autotuning.items()}
        if tuned
        else None,
        "cp_min": settings["database.args.cp_min"],
        "cp_max": settings["database.args.cp_max"],
        "limit_remote_rooms": (
            settings.get("limit_remote_rooms.enabled") or False,
            settings.get("limit_remote_rooms.complexity") or 1.0,
        ),
        "forget_rooms_on_leave": settings.get("forget_rooms_on_leave") or False,
        "forgotten_room_retention_period": None if retention is None else _milliseconds(retention),
        "presence_enabled": settings.get("presence.enabled") is not False,
    }


def _read(config: Any) -> dict[str, Any]:
    """The same facts from Synapse's parsed configuration."""
    connection = config.database.databases[0].config["args"]
    limit = config.server.limit_remote_rooms
    return {
        "event_cache_size": config.caches.event_cache_size,
        "global_factor": config.caches.global_factor,
        "per_cache_factors": config.caches.cache_factors,
        "cache_autotuning": config.caches.cache_autotuning,
        "cp_min": connection["cp_min"],
        "cp_max": connection["cp_max"],
        "limit_remote_rooms": (limit.enabled, limit.complexity),
        "forget_rooms_on_leave": config.room.forget_on_leave,
        "forgotten_room_retention_period": config.server.forgotten_room_retention_period,
        "presence_enabled": config.server.presence_enabled,
    }


def test_the_grid_is_wide() -> None:
    assert len(_homeserver_settings()) >= 500


def test_every_setting_is_read_as_meant(base: dict[str, Any], directory: pathlib.Path) -> None:
    different = grid.different(_homeserver_settings())
    assert len(different) >= 20
    for settings in different:
        assert _read(synapse.parse(base, settings, directory)) == _expected(settings), settings


def test_every_setting_of_the_plan_is_one_that_is_checked() -> None:
    # A setting that the plan gains must be added to _expected and _read.
    names = {name for settings in _homeserver_settings() for name in settings if not name.startswith(_PER_CACHE)}
    assert names <= {
        "event_cache_size",
        "caches.global_factor",
        "caches.cache_autotuning",
        "caches.cache_autotuning.max_cache_memory_usage",
        "caches.cache_autotuning.target_cache_memory_usage",
        "caches.cache_autotuning.min_cache_ttl",
        "database.args.cp_min",
        "database.args.cp_max",
        "limit_remote_rooms.enabled",
        "limit_remote_rooms.complexity",
        "forget_rooms_on_leave",
        "forgotten_room_retention_period",
        "presence.enabled",
    }


@pytest.mark.parametrize(
    "settings, error",
    [
        ({"caches.global_factor": "0.2"}, ConfigError),
        ({"caches.per_cache_factors.get_users_in_room": "half"}, ConfigError),
        ({"event_cache_size": "1.5K"}, ValueError),
        ({"caches.cache_autotuning.max_cache_memory_usage": "640M"}, TypeError),
        ({"limit_remote_rooms.complexity": "seventeen"}, TypeError),
    ],
)
def test_what_is_wrong_is_refused(
    base: dict[str, Any], directory: pathlib.Path, settings: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        synapse.parse(base, settings, directory)


def test_the_table_is_the_installed_synapse() -> None:
    assert {cache.name: cache.base for cache in cache_table.CACHES} == synapse.cache_bases()


def test_every_per_cache_factor_names_a_cache() -> None:
    known = {cache.name for cache in cache_table.CACHES}
    planned = {
        name.removeprefix(_PER_CACHE)
        for settings in _homeserver_settings()
        for name in settings
        if name.startswith(_PER_CACHE)
    }
    assert {"get_users_in_room", "*getEvent*"} <= planned
    assert planned <= known


def test_no_planned_factor_leaves_a_cache_without_a_size() -> None:
    # int(base * factor) == 0 makes an ExpiringCache unbounded and an LruCache hold nothing.
    for settings in grid.different(_homeserver_settings()):
        for cache in cache_table.CACHES:
            factor = settings.get(_PER_CACHE + cache.name, settings["caches.global_factor"])
            assert int(cache.base * factor) >= 1, (cache.name, factor)
