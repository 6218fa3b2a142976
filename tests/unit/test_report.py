# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the printed report says, and that a person can read it."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from simulated_server import Load, Server

from ansible_collections.synapse.tuning.plugins.module_utils._core.host import Inputs
from ansible_collections.synapse.tuning.plugins.module_utils._core.plan import make_plan
from ansible_collections.synapse.tuning.plugins.module_utils._core.report import Run, render

PLAN = make_plan(Inputs(users=5, ram=2 << 30))


def lever(service: str, name: str, current: Any, planned: Any, action: str, file: str = "compose") -> dict[str, Any]:
    return {
        "file": file,
        "service": service,
        "lever": name,
        "current": current,
        "planned": planned,
        "differs": current != planned,
        "action": action if current != planned else "none",
    }


def compose(*levers: dict[str, Any], path: str = "/opt/synapse/compose.yml") -> dict[str, Any]:
    return result(path, *levers, synapse_service="matrix", db_service="database")


def homeserver(*levers: dict[str, Any]) -> dict[str, Any]:
    return result("/opt/synapse/data/homeserver.yaml", *levers)


def result(path: str, *levers: dict[str, Any], **names: str) -> dict[str, Any]:
    restarts: dict[tuple[str, str], dict[str, Any]] = {}
    for one in levers:
        if one["differs"]:
            entry = {"service": one["service"], "action": one["action"], "because": []}
            restarts.setdefault((one["service"], one["action"]), entry)["because"].append(one["lever"])
    return {"path": path, "levers": list(levers), "restarts": list(restarts.values()), **names}


SHM = lever("database", "shm_size", "64m", "256m", "recreate")
BUFFERS = lever("database", "postgresql.shared_buffers", "256MB", "256MB", "recreate")
FACTOR = lever("matrix", "caches.global_factor", None, 0.2, "reload", "homeserver")
EVENTS = lever("matrix", "event_cache_size", "5K", "10K", "restart", "homeserver")


def shown(*, width: int = 110, **given: Any) -> str:
    given.setdefault("plan", PLAN)
    return render(Run(project_dir="/opt/my synapse", **given), width=width)


def section(text: str, title: str) -> str:
    found = re.search(rf"^{re.escape(title)}.*?(?=\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, text
    return found.group()


def test_current_beside_planned_with_the_reason_and_what_differs_first() -> None:
    text = shown(compose=compose(BUFFERS, SHM), homeserver=homeserver(FACTOR))
    first, second = section(text, "PLAN: 2 of 3 levers changed"), section(text, "PLAN: 1 lever already as planned")
    assert text.index(first) < text.index(second)
    assert re.search(r"^\* +shm_size +64m +256m +at least shared_buffers", first, re.MULTILINE)
    assert re.search(r"^\* +caches\.global_factor +\(none\) +0\.2 +for 5 users", first, re.MULTILINE)
    assert re.search(r"^= +shared_buffers +256MB +256MB +for 5 users", second, re.MULTILINE)
    assert "[/opt/synapse/compose.yml, service database]" in first
    assert "[/opt/synapse/data/homeserver.yaml]" in first


def test_the_heading_names_what_runs_not_what_was_planned_for() -> None:
    images = {"synapse": "matrixdotorg/synapse:v1.149.1", "postgresql": "postgres:16-alpine"}
    text = shown(compose={**compose(SHM), "images": images})
    assert "matrixdotorg/synapse:v1.149.1, postgres:16-alpine" in text
    assert "PostgreSQL 17" not in text
    assert "Synapse 1.163.2, PostgreSQL 17" in shown()


def test_every_lever_of_the_plan_when_there_is_nothing_to_compare_with() -> None:
    text = shown(check_mode=True)
    for name in ("memory_limit", "SYNAPSE_CACHE_FACTOR", "shared_buffers", "shm_size", "caches.global_factor"):
        assert re.search(rf"^\* +{re.escape(name)} +- ", text, re.MULTILINE), name
    assert "would change" in text
    assert "(check mode: nothing was written)" in text


def test_the_budget_adds_up_to_the_ram() -> None:
    rows = re.findall(r"^[a-z][a-z ]+?  +([\d.]+) +(\d+)%", section(shown(), "MEMORY BUDGET"), re.MULTILINE)
    *parts, (total, share) = rows
    assert (float(total), share) == (2048, "100")
    assert len(parts) >= len(PLAN["budget"])
    assert sum(float(size) for size, _unit in parts) == pytest.approx(2048, abs=0.1 * len(parts))


def test_a_budget_below_the_ram_shows_the_rest() -> None:
    plan = copy.deepcopy(PLAN)
    plan["budget"] = plan["budget"][:1]
    assert re.search(r"^not assigned +1792 ", shown(plan=plan), re.MULTILINE)


def test_a_service_has_one_restart_by_its_strongest_action() -> None:
    limit = lever("matrix", "memory_limit", None, "1G", "recreate")
    text = section(shown(compose=compose(SHM, limit), homeserver=homeserver(FACTOR)), "RESTART")
    assert "nothing has been restarted" in text
    assert re.search(r"^database +recreate +shm_size$", text, re.MULTILINE)
    assert re.search(r"^matrix +recreate +memory_limit, caches\.global_factor$", text, re.MULTILINE)
    assert "  cd '/opt/my synapse'\n" in text
    assert re.search(r"^  docker compose up -d +# recreates database, matrix$", text, re.MULTILINE)
    assert " restart matrix" not in text
    assert "HUP" not in text


def test_a_changed_homeserver_alone_is_not_seen_by_up() -> None:
    text = section(shown(compose=compose(BUFFERS), homeserver=homeserver(FACTOR, EVENTS)), "RESTART")
    assert "docker compose restart matrix" in text
    assert "up -d" not in text


def test_factors_need_a_signal_only() -> None:
    text = section(shown(compose=compose(BUFFERS), homeserver=homeserver(FACTOR)), "RESTART")
    assert "docker compose kill -s HUP matrix" in text
    assert "docker compose restart" not in text


def test_nothing_to_restart() -> None:
    assert "not needed" in section(shown(compose=compose(BUFFERS), homeserver=homeserver()), "RESTART")


def test_a_file_that_compose_does_not_find_is_named() -> None:
    text = shown(compose=compose(SHM, path="/opt/my synapse/stack.yml"))
    assert "docker compose -f '/opt/my synapse/stack.yml' up -d" in text


def test_a_new_deployment_is_started() -> None:
    created = ["/opt/synapse/data/homeserver.yaml", "/opt/synapse/compose.yml"]
    deployment = {"created": created, "warnings": ["server_name is the placeholder"]}
    text = shown(deployment=deployment, compose=compose(SHM))
    assert "created /opt/synapse/compose.yml" in text
    assert re.search(r"^  docker compose up -d +# starts it$", section(text, "START"), re.MULTILINE)
    assert "RESTART" not in text
    assert "- server_name is the placeholder" in section(text, "WARNINGS")
    assert "would create /opt/synapse/compose.yml" in shown(deployment=deployment, check_mode=True)


LARGE = make_plan(Inputs(users=5, ram=2 << 30, database_size=20 << 30))


def test_tables_that_nobody_looked_at_are_left_to_their_role() -> None:
    text = shown(plan=LARGE, compose=compose(BUFFERS), homeserver=homeserver(FACTOR))
    left = section(text, "PLAN: 2 levers left to the role synapse.tuning.postgresql")
    assert "[PostgreSQL, table state_groups_state]" in left
    assert re.search(r"^ +autovacuum_vacuum_scale_factor +- +0\.02 +the database holds 20 GiB", left, re.MULTILINE)
    assert "PLAN: 1 of 2 levers changed" in text
    assert "left to" not in shown(compose=compose(BUFFERS), homeserver=homeserver(FACTOR))


def test_tables_that_were_set_are_levers_like_others() -> None:
    name, done = "autovacuum_vacuum_scale_factor", "autovacuum_analyze_scale_factor"
    tables = [
        {"table": "state_groups_state", "option": name, "current": None, "planned": "0.02", "differs": True},
        {"table": "state_groups_state", "option": done, "current": "0.05", "planned": "0.05", "differs": False},
    ]
    text = shown(
        plan=LARGE,
        compose=compose(BUFFERS),
        homeserver=homeserver(FACTOR),
        postgresql={"tables": tables, "warnings": ["the database has no table x yet"]},
    )
    changed = section(text, "PLAN: 2 of 4 levers changed")
    assert re.search(rf"^\* +{name} +\(none\) +0\.02 +the database holds 20 GiB", changed, re.MULTILINE)
    assert "left to" not in text
    assert "- the database has no table x yet" in section(text, "WARNINGS")


def test_warnings_are_said_once() -> None:
    plan = {**PLAN, "warnings": ["an old Synapse"], "advice": ["more RAM"]}
    text = shown(plan=plan, compose={**compose(SHM), "warnings": ["an old Synapse", "an override wins"]})
    assert section(text, "WARNINGS").splitlines()[1:] == ["- an old Synapse", "- an override wins"]
    assert section(text, "ADVICE").splitlines()[1:] == ["- more RAM"]


@pytest.mark.parametrize(
    ("state", "changed", "check_mode", "says"),
    [
        ("installed", True, False, "installed: /s.sh runs by /etc/cron.d/x (1 3 * * 0)"),
        ("installed", True, True, "would be installed: /s.sh"),
        ("installed", False, True, "installed: /s.sh"),
        ("removed", True, True, "would be removed"),
        ("removed", True, False, "removed"),
        ("skipped", False, False, "skipped: only root can"),
    ],
)
def test_the_compressor(state: str, changed: bool, check_mode: bool, says: str) -> None:
    job = {"state": state, "changed": changed, "reason": "only root can", "script": "/s.sh"}
    job.update(cron_file="/etc/cron.d/x", schedule="1 3 * * 0")
    line = section(shown(compressor=job, check_mode=check_mode), "STATE COMPRESSOR").splitlines()[1]
    assert line.startswith(says)


@pytest.mark.parametrize("width", [100, 110, 120])
@pytest.mark.parametrize("ram", [1 << 30, 16 << 30, 256 << 30])
def test_no_line_is_too_long(width: int, ram: int) -> None:
    plan = make_plan(
        Inputs(
            users=5000 if ram > 1 << 30 else 5,
            ram=ram,
            cpus=16,
            storage="hdd",
            synapse_version="1.140.0",
            database_size=1 << 40,
        )
    )
    text = shown(plan=plan, compose=compose(SHM), homeserver=homeserver(FACTOR), width=width)
    assert [line for line in text.splitlines() if len(line) > width or line != line.rstrip()] == []


@pytest.mark.parametrize("topology", ["dedicated_synapse", "dedicated_database"])
def test_a_host_with_one_of_the_two(topology: str) -> None:
    text = shown(plan=make_plan(Inputs(users=50, ram=8 << 30, topology=topology)))
    assert ("shared_buffers " in text) == (topology == "dedicated_database")
    assert ("caches.global_factor " in text) == (topology == "dedicated_synapse")
    assert re.search(r"^total +8192 +100%", text, re.MULTILINE)


def test_check_mode_says_what_a_real_run_will_do_by_itself() -> None:
    text = shown(compose=compose(SHM), check_mode=True, apply=True)
    restart = section(text, "RESTART: what a real run will do")
    assert re.search(r"^database +recreate +shm_size$", restart, re.MULTILINE)
    assert "docker compose" not in text
    started = shown(deployment={"created": ["/opt/synapse/compose.yml"]}, check_mode=True, apply=True)
    assert "starts PostgreSQL, then Synapse" in section(started, "START: what a real run will do")


def test_what_was_interrupted_takes_the_place_of_what_to_type() -> None:
    text = shown(compose=compose(SHM), apply=True, interruptions=["db is recreated"])
    assert section(text, "APPLIED").strip() == "APPLIED\n- db is recreated"
    assert "docker compose" not in text and "RESTART" not in text
    assert "nothing to do: the containers were as their files say" in shown(apply=True, interruptions=[])


def read_back(name: str, effective: Any, state: str, because: str, *, ok: bool) -> dict[str, Any]:
    return {
        "lever": name,
        "planned": "x",
        "effective": effective,
        "state": state,
        "because": because,
        "source": "pg_settings",
        "ok": ok,
    }


VERIFIED = {
    "levers": [
        read_back("postgresql.jit", "off", "in_effect", "from the server's command line", ok=True),
        read_back("homeserver.caches.global_factor", None, "unknown", "Synapse has no metrics", ok=False),
        read_back("compose.synapse.environment.OLD", 0.2, "without_effect", "ignored since 1.60", ok=True),
        read_back("postgresql.work_mem", "32MB", "overridden", "by ALTER ROLE", ok=False),
    ]
}


def test_what_was_read_back_begins_with_what_differs() -> None:
    text = section(shown(effective=VERIFIED), "VERIFIED: 2 of 4 levers are as planned on the running system")
    rows = [re.split(r"  +", line) for line in text.splitlines()[3:]]
    assert rows == [
        ["!", "postgresql.work_mem", "32MB", "overridden", "by ALTER ROLE"],
        ["?", "homeserver.caches.global_factor", "(none)", "unknown", "Synapse has no metrics"],
        ["+", "postgresql.jit", "off", "in effect", "pg_settings"],
        ["+", "compose.synapse.environment.OLD", "0.2", "without effect", "ignored since 1.60"],
    ]


def test_only_what_was_read_back() -> None:
    text = render(Run(plan=PLAN, effective=VERIFIED), width=110, only_verified=True)
    assert text.strip().startswith("VERIFIED") and "MEMORY BUDGET" not in text


def test_what_was_learned_is_shown_with_its_reason() -> None:
    server = Server(work_mem=8 << 20, max_connections=90)
    plan = make_plan(Inputs(users=5, ram=2 << 30), server.measured(Load(connections=60)))
    text = shown(plan=plan)
    assert "by the measurement of 2026-11-28T16:40:00Z" in text
    learned = section(text, "LEARNED from the measurement of 2026-11-28T16:40:00Z: 3 levers")
    assert re.search(r"^max_connections +30 +90 +in effect, and kept: at most 60 were open", learned, re.MULTILINE)
    assert max(len(line) for line in learned.splitlines()) <= 110


def test_a_plan_without_a_measurement_says_nothing_of_learning() -> None:
    assert "LEARNED" not in shown() and "measurement" not in shown()
