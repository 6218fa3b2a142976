# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of Prometheus that the role monitoring writes, by promtool; each alert where it fires and where it must not."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from typing import Any

import jinja2
import memory_shapes as shapes
import pytest
import yaml
from watching import ROLE, THRESHOLDS

MIB = 1024**2
DAY = 86400


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        # What cannot be tested in CI is a failure there.
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is needed in CI: install Debian's package prometheus")
        pytest.skip("NO PROMTOOL, so the rules of Prometheus were not tested: install Debian's package prometheus")
    return found


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The file, as Ansible renders it."""
    # Ansible's own options.
    environment = jinja2.Environment(trim_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string((ROLE / "templates" / "rules.yml.j2").read_text("utf-8"))
    text = template.render(__synapse_tuning_monitoring_thresholds=THRESHOLDS, synapse_tuning_monitoring_minutes=5)
    path = tmp_path_factory.mktemp("rules") / "synapse-tuning.rules.yml"
    path.write_text(text, encoding="utf-8")
    return path


Series = dict[str, str]
Case = tuple[str, Series, str, set[str]]


def _constant(value: float, hours: float) -> str:
    return f"{value}x{int(hours * 12)}"


def _memory(held: str, *, part: str = "synapse", limit: int = shapes.LIMIT, started: str = "0") -> Series:
    """What the check writes of a part; `started` in seconds, as time begins at 0."""
    labels = f'{{project="a", part="{part}"}}'
    return {
        f"synapse_tuning_memory_held_bytes{labels}": held,
        f"synapse_tuning_memory_swapped_bytes{labels}": _constant(0, 40),
        f"synapse_tuning_memory_limit_bytes{labels}": _constant(limit * MIB, 40),
        f"synapse_tuning_start_time_seconds{labels}": started + "x480",
    }


def _shape(name: str) -> str:
    values = shapes.sampled({**shapes.LEAKS, **shapes.HEALTHY}[name])
    return " ".join(str(value * MIB) for value in values)


def _caches(lookups: float, hits: float, evicted: float, reason: str = "size") -> Series:
    """Each a second."""
    labels = 'project="a", name="*getEvent*", job="synapse"'
    return {
        f"synapse_util_caches_cache{{{labels}}}": f"0+{lookups * 300:.0f}x36",
        f"synapse_util_caches_cache_hits{{{labels}}}": f"0+{hits * 300:.0f}x36",
        f'synapse_util_caches_cache_evicted_size{{{labels}, reason="{reason}"}}': f"0+{evicted * 300:.0f}x36",
    }


def _table(*steps: str) -> Series:
    return {'synapse_tuning_state_groups_state_bytes{project="a"}': " ".join(steps)}


LEAK, NEAR, OOM = "SynapseTuningMemoryLeak", "SynapseTuningMemoryNearLimit", "SynapseTuningOomKill"
THRASH, TABLE, COMPRESSOR = "SynapseTuningCacheThrash", "SynapseTuningStateTableGrowth", "SynapseTuningCompressorNotRun"
UNSEEN, UNCHECKED = "SynapseTuningNotSeen", "SynapseTuningCheckNotRun"
_SUCCESS = 'synapse_tuning_compressor_last_success_timestamp_seconds{project="a"}'
_START = 'synapse_tuning_compressor_last_start_timestamp_seconds{project="a"}'
_KILLS = 'synapse_tuning_oom_kills_total{project="a", part="synapse"}'
_UP = 'synapse_tuning_source_up{project="a", source="synapse"}'
_CHECKED = 'synapse_tuning_last_check_timestamp_seconds{project="a"}'
GB = 1024 * MIB

CASES: list[Case] = [
    *((f"a leak, {name}", _memory(_shape(name)), "30h", {LEAK}) for name in shapes.LEAKS),
    *((f"no leak, {name}", _memory(_shape(name)), "30h", set()) for name in shapes.HEALTHY),
    ("a leak of a Synapse that was restarted", _memory(_shape("steady"), started=str(4 * 3600)), "30h", set()),
    ("a leak of PostgreSQL", _memory(_shape("steady"), part="postgresql"), "30h", {LEAK}),
    ("near the limit", _memory(_constant(940 * MIB, 1)), "30m", {NEAR}),
    ("near the limit for a moment", _memory(_constant(940 * MIB, 1)), "5m", set()),
    ("not near the limit", _memory(_constant(900 * MIB, 1)), "30m", set()),
    ("the host, which may be fuller", _memory(_constant(940 * MIB, 1), part="host"), "30m", set()),
    ("the host, too full", _memory(_constant(990 * MIB, 1), part="host"), "30m", {NEAR}),
    ("an OOM kill", {_KILLS: "0x12 1x36"}, "70m", {OOM}),
    ("an OOM kill hours ago", {_KILLS: "0x12 1x36"}, "150m", set()),
    ("old OOM kills", {_KILLS: "3x48"}, "70m", set()),
    ("caches that thrash", _caches(20, 10, 9), "2h", {THRASH}),
    ("caches that thrash for a moment", _caches(20, 10, 9), "5m", set()),
    ("busy caches", _caches(500, 490, 9), "2h", set()),
    ("caches that are asked for what is not there", _caches(20, 10, 0.1), "2h", set()),
    ("caches that nobody asks", _caches(1, 0, 1), "2h", set()),
    ("caches that expire", _caches(20, 10, 9, reason="time"), "2h", set()),
    ("a table that grows", _table(f"{GB}+{MIB}x360"), "26h", {TABLE}),
    ("a table that grows a little", _table(f"{GB}+{MIB // 10}x360"), "26h", set()),
    ("a large table that grows a little", _table(f"{10 * GB}+{MIB}x360"), "26h", set()),
    ("a room that was joined", _table(f"{GB}x120", f"{2 * GB}x120"), "26h", set()),
    ("a compressor that did not run", {_SUCCESS: _constant(0, 400), _START: _constant(0, 400)}, "16d", {COMPRESSOR}),
    ("a compressor that runs weekly", {_SUCCESS: f"0x167 {7 * DAY}x400", _START: "0x500"}, "16d", set()),
    ("a compressor that never ended well", {_START: _constant(0, 400)}, "2d", {COMPRESSOR}),
    ("a compressor in its first run", {_START: _constant(0, 400)}, "5h", set()),
    ("no compressor", {}, "16d", set()),
    ("a container that is gone", {_UP: _constant(0, 1)}, "30m", {UNSEEN}),
    ("a container that is being made anew", {_UP: _constant(0, 1)}, "5m", set()),
    ("a check that runs", {_CHECKED: "0+300x24"}, "1h", set()),
    ("a check that does not run", {_CHECKED: "0x24"}, "1h", {UNCHECKED}),
]


def _every(case: Case) -> str:
    """How often a case is looked at, which takes time where it is long; its series have as many values."""
    return "1h" if case[2].endswith("d") else "10m" if case[2] in ("26h", "30h") else "5m"


def _test(cases: list[Case]) -> dict[str, Any]:
    """One test of cases that are looked at alike, each of a project of its own."""
    return {
        "interval": _every(cases[0]),
        "input_series": [
            {"series": each.replace('project="a"', f'project="{name}"'), "values": values}
            for name, series, _at, _firing in cases
            for each, values in series.items()
        ],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (ALERTS{{project="{name}", alertstate="firing"}})',
                "eval_time": at,
                "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(firing)],
            }
            for name, _series, at, firing in cases
        ],
    }


def _promtool_test(
    promtool: str, rules: pathlib.Path, tests: list[dict[str, Any]], *, every: str = "5m"
) -> subprocess.CompletedProcess[str]:
    path = rules.with_name("tests.yml")
    path.write_text(json.dumps({"rule_files": [rules.name], "evaluation_interval": every, "tests": tests}), "utf-8")
    return subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)


def _names(rules: pathlib.Path) -> set[str]:
    groups = yaml.safe_load(rules.read_text("utf-8"))["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_alert_fires_when_it_should_and_else_does_not(promtool: str, rules: pathlib.Path) -> None:
    names = _names(rules)
    assert set().union(*(firing for *_rest, firing in CASES)) == names
    for every in ("5m", "10m", "1h"):
        cases = [case for case in CASES if _every(case) == every]
        run = _promtool_test(promtool, rules, [_test(cases)], every=every)
        assert run.returncode == 0, run.stdout + run.stderr


def test_a_wrong_expectation_is_seen(promtool: str, rules: pathlib.Path) -> None:
    name, series, at, _firing = next(case for case in CASES if case[3] == {OOM})
    assert _promtool_test(promtool, rules, [_test([(name, series, at, set())])]).returncode == 1


def test_what_an_alert_says(promtool: str, rules: pathlib.Path) -> None:
    expected = {
        NEAR: ({"project": "a", "part": "synapse"}, "synapse holds 91.8% of its memory"),
        LEAK: ({"project": "a", "part": "synapse"}, "synapse grows by 200MiB a day without an end"),
        THRASH: (
            {"project": "a", "name": "*getEvent*", "job": "synapse"},
            "The cache *getEvent* throws out what is asked for again, 10 misses a second",
        ),
        UNSEEN: ({"project": "a", "source": "synapse"}, "synapse does not run, or the check cannot see it"),
    }
    found = {
        rule["alert"]: rule
        for group in yaml.safe_load(rules.read_text("utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    tests = []
    for alert, (labels, summary) in expected.items():
        _name, series, at, _firing = next(case for case in CASES if case[3] == {alert})
        says = {**found[alert]["annotations"], "summary": summary}
        tests.append(
            {
                **_test([("a", series, at, {alert})]),
                "alert_rule_test": [
                    {
                        "eval_time": at,
                        "alertname": alert,
                        "exp_alerts": [{"exp_labels": {**labels, **found[alert]["labels"]}, "exp_annotations": says}],
                    }
                ],
            }
        )
    run = _promtool_test(promtool, rules, tests, every="10m")
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_check_and_the_rules_know_the_same_alerts(rules: pathlib.Path) -> None:
    check = (ROLE / "files" / "watch-memory" / "alerts.py").read_text("utf-8")
    # That the check does not run it cannot tell itself.
    assert {name for name in _names(rules) if f'"{name}"' not in check} == {UNCHECKED}
