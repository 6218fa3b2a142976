# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Synapse needs to take up its files, and where its metrics are by them."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from ansible_collections.synapse.tuning.plugins.module_utils._core.caches import cache_entries
from ansible_collections.synapse.tuning.plugins.module_utils._core.due import RELOAD, RESTART, Due, due_of_synapse
from ansible_collections.synapse.tuning.plugins.module_utils._core.listeners import metrics_url
from ansible_collections.synapse.tuning.plugins.module_utils._core.readings import (
    Configuration,
    ConfigurationFile,
    Metrics,
    Missing,
    Readings,
)

NOTHING = Missing("not asked")


def readings(*files: ConfigurationFile, factor: Optional[float] = None) -> Readings:
    """Files, and the metrics of a Synapse with this factor."""
    sizes = {} if factor is None else cache_entries(factor=factor, per_cache_factors={})
    return Readings(
        metrics=NOTHING if factor is None else Metrics("1.163.2", sizes),
        configuration=Configuration(files),
        process=NOTHING,
        synapse=NOTHING,
        postgresql=NOTHING,
        database=NOTHING,
    )


def changed(now: dict[str, Any], before: Optional[dict[str, Any]], name: str = "/data/a.yaml") -> ConfigurationFile:
    return ConfigurationFile(name, now, changed=True, started=before)


def unchanged(data: dict[str, Any]) -> ConfigurationFile:
    return ConfigurationFile("/data/a.yaml", data, changed=False)


def test_files_as_synapse_read_them_need_nothing() -> None:
    assert due_of_synapse(readings(unchanged({"caches": {"global_factor": 0.2}}), factor=0.5)) is None
    # Written again with the same meaning, as by an editor.
    assert due_of_synapse(readings(changed({"a": [1]}, {"a": [1]}))) is None


def test_files_that_cannot_be_read_are_not_judged() -> None:
    found = readings()
    assert due_of_synapse(Readings(**{**vars(found), "configuration": NOTHING})) is None


def test_a_changed_file_of_which_no_backup_tells_needs_a_restart() -> None:
    assert due_of_synapse(readings(changed({}, None), factor=0.5)) == Due(RESTART, ("/data/a.yaml",))


FACTOR = ({"caches": {"global_factor": 0.2}}, {"caches": {"global_factor": 0.5}})


@pytest.mark.parametrize(
    ("now", "before"),
    [
        FACTOR,
        ({"caches": {"global_factor": 0.2}}, {}),
        ({"caches": {"global_factor": 0.2}}, {"caches": None}),
    ],
)
def test_factors_need_a_reload_until_the_metrics_show_them(now: dict[str, Any], before: dict[str, Any]) -> None:
    assert due_of_synapse(readings(changed(now, before), factor=0.5)) == Due(RELOAD, ("caches.global_factor",))
    assert due_of_synapse(readings(changed(now, before), factor=0.2)) is None


def test_what_a_reload_has_brought_is_taken_back_by_another() -> None:
    # The file is as it was when Synapse started, but the factor of in between is in effect.
    again = changed(FACTOR[1], FACTOR[1])
    assert due_of_synapse(readings(again, factor=0.2)) == Due(RELOAD, ("caches.global_factor",))
    assert due_of_synapse(readings(again, factor=0.5)) is None
    assert due_of_synapse(readings(unchanged(FACTOR[1]), factor=0.2)) is None


def test_without_metrics_nobody_could_tell_that_a_reload_worked() -> None:
    assert due_of_synapse(readings(changed(*FACTOR))) == Due(RESTART, ("caches.global_factor",))


@pytest.mark.parametrize(
    ("now", "before", "keys"),
    [
        (
            {"caches": {"global_factor": 0.2, "expire_caches": False}},
            {"caches": {"global_factor": 0.5}},
            ("caches.expire_caches", "caches.global_factor"),
        ),
        ({"event_cache_size": "20K"}, {}, ("event_cache_size",)),
        ({"database": {"args": {"cp_max": 4}}}, {"database": {"args": {"cp_max": 10}}}, ("database.args.cp_max",)),
        ({"presence": {"enabled": True}}, {"presence": {"enabled": 1}}, ("presence.enabled",)),
        ({"caches": {}}, {"caches": {"cache_autotuning": {"a": 1}}}, ("caches.cache_autotuning.a",)),
        ({"listeners": [1]}, {"listeners": {}}, ("listeners",)),
        ({"a": {"b": 1}}, {"a": 2}, ("a",)),
        ({"a": {}}, {}, ("a",)),
    ],
)
def test_all_else_needs_a_restart(now: dict[str, Any], before: dict[str, Any], keys: tuple[str, ...]) -> None:
    assert due_of_synapse(readings(changed(now, before), factor=0.5)) == Due(RESTART, keys)


def test_what_a_later_file_replaces_needs_nothing() -> None:
    later = ConfigurationFile("/data/b.yaml", {"caches": {"global_factor": 1}}, changed=False)
    assert due_of_synapse(readings(changed(*FACTOR), later, factor=1.0)) is None


def test_a_cache_that_synapse_does_not_have_is_never_waited_for() -> None:
    now = {"caches": {"global_factor": 0.2, "per_cache_factors": {"get_event_cache": 1}}}
    assert due_of_synapse(readings(changed(now, {}), factor=0.2)) is None


def test_a_factor_that_is_no_number_is_not_taken_for_reloaded() -> None:
    now = {"caches": {"global_factor": "lots"}}
    assert due_of_synapse(readings(changed(now, {}), factor=0.5)) == Due(RELOAD, ("caches.global_factor",))


def test_values_are_never_shown() -> None:
    found = due_of_synapse(readings(changed({"macaroon_secret_key": "s3cret"}, {"macaroon_secret_key": "0ld"})))
    assert found == Due(RESTART, ("macaroon_secret_key",))


# --- where the metrics are -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listener", "url"),
    [
        ({"type": "metrics", "port": 9000}, "http://127.0.0.1:9000/_synapse/metrics"),
        ({"type": "metrics", "port": 9000, "bind_addresses": ["::"]}, "http://127.0.0.1:9000/_synapse/metrics"),
        ({"type": "metrics", "port": 9000, "bind_addresses": ["::1"]}, "http://[::1]:9000/_synapse/metrics"),
        ({"type": "metrics", "port": 9000, "bind_address": "10.0.0.1"}, "http://10.0.0.1:9000/_synapse/metrics"),
        (
            {"type": "http", "port": 8008, "resources": [{"names": ["client", "metrics"]}]},
            "http://127.0.0.1:8008/_synapse/metrics",
        ),
        ({"type": "http", "port": 8008, "resources": [{"names": ["client"]}]}, None),
        ({"type": "http", "port": 8448, "tls": True, "resources": [{"names": ["metrics"]}]}, None),
        ({"type": "metrics", "path": "/run/metrics.sock"}, None),
    ],
)
def test_where_the_metrics_are(listener: dict[str, Any], url: Optional[str]) -> None:
    def of(**more: Any) -> Optional[str]:
        return metrics_url(Configuration((unchanged({"listeners": [{"type": "http", "port": 1}, listener], **more}),)))

    assert of(enable_metrics=True) == url
    assert of(enable_metrics=False) is None and of() is None
