# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan put into homeserver.yaml files as self-hosters have them: only owned lines differ, and they say what was planned."""

from __future__ import annotations

import copy
import difflib
import os
import re
import stat

import pytest
import yaml
from faults import NOBODY, ROOT, ignore_fork_warning, in_child
from homeserver_cases import CASES
from sample_plan import sample_plan

from ansible_collections.synapse.tuning.plugins.module_utils._backups import Keep
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import (
    FileProblem,
    PlanError,
    TuningError,
    YamlProblem,
)
from ansible_collections.synapse.tuning.plugins.module_utils._core.homeserver_values import means_the_same
from ansible_collections.synapse.tuning.plugins.module_utils._homeserver_file import Request, prepare, write

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)

# What a line may hold that is ours to add, change or remove.
NOTHING = Keep("20260102T030405.678901Z", backup=False)
OWNED = re.compile(
    r"""\s*["']?(?:event_cache_size|global_factor|get_users_in_room|\*getEvent\*|cp_min|cp_max|enabled|complexity
    |forget_rooms_on_leave)["']?\s*:\s*[^\s#]+\s*(?:\#.*)?$
    |\s*["']?(?:caches|per_cache_factors|limit_remote_rooms)["']?:$
    |\s*"limit_remote_rooms":\s\{.*|\s*<<:\s\*\w+$|\s*$
    """,
    re.VERBOSE,
)


def settings(plan=None):
    return {name: each["value"] for name, each in (plan or sample_plan())["homeserver"].items()}


def changed_lines(before, after):
    """(removed, added) lines of the shortest difference."""
    removed, added = [], []
    old, new = before.splitlines(), after.splitlines()
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            removed += old[a:b]
            added += new[c:d]
    return removed, added


def load(text):
    """As Synapse reads it; of several documents the first."""
    return next(iter(yaml.safe_load_all(text)), None) or {}


def expected(case, data):
    """The data with the sample plan's settings, made without the code under test."""
    data = copy.deepcopy(data)
    planned = settings()
    for section in [data.get("database") or {}, *(data.get("databases") or {}).values()]:
        if section.get("name") == "psycopg2":
            args = section["args"] = dict(section.get("args") or {})
            args.update(cp_min=2, cp_max=4)
    data.update(event_cache_size="10K", forget_rooms_on_leave=True)
    data["limit_remote_rooms"] = {**(data.get("limit_remote_rooms") or {}), "enabled": True, "complexity": 17.0}
    caches = data["caches"] = dict(data.get("caches") or {})
    caches["global_factor"] = 0.2
    factors = caches["per_cache_factors"] = dict(caches.get("per_cache_factors") or {})
    factors.update({"*getEvent*": 0.3, "get_users_in_room": 0.5})
    caches.pop("cache_autotuning", None)
    assert set(planned) == {
        "event_cache_size", "caches.global_factor", "caches.per_cache_factors.get_users_in_room",
        "caches.per_cache_factors.*getEvent*", "caches.cache_autotuning", "database.args.cp_min",
        "database.args.cp_max", "limit_remote_rooms.enabled", "limit_remote_rooms.complexity", "forget_rooms_on_leave",
    }  # fmt: skip
    return data


def run(path, **options):
    """Prepare and write, as the module does; the change."""
    change = prepare(Request(**{"plan": sample_plan(), "path": str(path), **options}))
    if change.changed:
        write(change, keep=NOTHING)
    return change


def snapshot(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@every_case
def test_the_file_says_what_was_planned_and_the_rest_stays(case, tmp_path):
    path = case.install(tmp_path)
    before = case.text
    change = prepare(Request(plan=sample_plan(), path=str(path)))
    assert path.read_bytes() == before.encode(), "prepare() must not write"
    run(path)
    after = path.read_bytes().decode()
    assert after == change.after
    if case.name == "tuned_otherwise.yaml":
        assert after == before
        return
    if case.name == "shared_anchor.yaml":  # who refers to the edited value sees the new one
        assert load(after)["x-elsewhere"]["cp_max"] == load(after)["x-maximum"] == 4
        return
    want = expected(case, load(before))
    if case.name == "quoted_numbers.yaml":  # the same size in another notation stays
        want["event_cache_size"] = "10240"
    assert load(after) == want
    removed, added = changed_lines(before, after)
    owned = [re.compile(pattern) for pattern in case.owned]
    foreign = [line for line in removed + added if not OWNED.match(line)]
    assert [line for line in foreign if not any(each.fullmatch(line) for each in owned)] == []


@every_case
def test_a_second_run_changes_nothing(case, tmp_path):
    path = case.install(tmp_path)
    run(path)
    once = snapshot(tmp_path)
    again = run(path)
    assert not again.changed
    assert again.restarts == ()
    assert not any(lever["differs"] or lever["action"] != "none" for lever in again.levers)
    assert snapshot(tmp_path) == once


@every_case
def test_line_endings_mark_and_last_line_stay(case, tmp_path):
    path = case.install(tmp_path)
    run(path)
    after = path.read_bytes().decode()
    assert after.startswith("\ufeff") == (".bom." in case.name)
    assert (after.count("\r\n") == after.count("\n")) == (".crlf." in case.name or "\n" not in after)
    if case.text:
        assert after.endswith(("\r", "\n")) == case.text.endswith(("\r", "\n"))


@every_case
def test_an_override_says_the_same_and_repeats_what_synapse_would_lose(case, tmp_path):
    path = case.install(tmp_path)
    before = path.read_bytes()
    change = run(path, override=True)
    assert path.read_bytes() == before
    dropin = tmp_path / "homeserver.tuning.yaml"
    assert change.path == str(dropin)
    if case.name == "tuned_otherwise.yaml":
        assert not change.changed
        assert not dropin.exists()
        return
    merged = {**load(before.decode()), **load(dropin.read_text())}
    want = expected(case, load(before.decode()))
    if case.name == "quoted_numbers.yaml":
        want["event_cache_size"] = "10240"
    if case.name == "shared_anchor.yaml":
        want["database"]["args"].update(cp_min=2, cp_max=4)
    assert merged == want
    assert stat.S_IMODE(dropin.stat().st_mode) == stat.S_IMODE(path.stat().st_mode)
    assert change.restarts[0]["action"] == "restart"
    assert "both files" in change.notes[0]
    again = run(path, override=True)
    assert not again.changed
    assert again.restarts == ()
    assert again.notes == change.notes


@every_case
def test_secrets_are_in_no_diff_and_no_lever(case, tmp_path):
    path = case.install(tmp_path)
    for override in (False, True):
        change = prepare(Request(plan=sample_plan(), path=str(path), override=override))
        shown = repr((change.diff(), change.levers, change.restarts, change.warnings, change.notes))
        assert "s3cret" not in shown
        assert "12345678" not in shown
        diff = change.diff()
        assert len(diff["after"].splitlines()) == len(change.after.splitlines())


def test_there_are_files_of_every_kind():
    assert len(CASES) >= 20
    assert sum(case.sqlite for case in CASES) == 4


# -- levers ----------------------------------------------------------------------
def test_levers_name_what_differs_and_what_it_takes(tmp_path):
    path = next(case for case in CASES if case.name == "psycopg2.yaml").install(tmp_path)
    change = prepare(Request(plan=sample_plan(), path=str(path), service="matrix"))
    by_name = {lever["lever"]: lever for lever in change.levers}
    assert by_name["caches.global_factor"] == {
        "file": "homeserver",
        "service": "matrix",
        "lever": "caches.global_factor",
        "current": 0.5,
        "planned": 0.2,
        "differs": True,
        "action": "reload",
    }
    assert by_name["database.args.cp_max"]["current"] == 10
    assert by_name["database.args.cp_max"]["action"] == "restart"
    assert by_name["caches.cache_autotuning"]["differs"] is False
    assert by_name["caches.cache_autotuning"]["action"] == "none"
    assert set(by_name) == set(settings())
    (restart,) = change.restarts
    assert restart["service"] == "matrix"
    assert restart["action"] == "restart"
    assert restart["because"] == [name for name, lever in by_name.items() if lever["differs"]]


def test_factors_alone_need_a_reload_only(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("server_name: x\ncaches:\n  global_factor: 0.5\n")
    plan = sample_plan()
    plan["homeserver"] = {
        name: each for name, each in plan["homeserver"].items() if name.startswith(("caches.global", "caches.per"))
    }
    assert run(path, plan=plan).restarts[0]["action"] == "reload"
    path.write_text("server_name: x\ncaches:\n  global_factor: 0.5\n")
    created = run(path, plan=plan, override=True)
    assert created.restarts[0]["action"] == "restart", "Synapse does not read a new file on HUP"
    plan["homeserver"]["caches.global_factor"]["value"] = 0.9
    assert run(path, plan=plan, override=True).restarts[0]["action"] == "reload"


@pytest.mark.parametrize(
    "lever, current, planned, same",
    [
        ("event_cache_size", "10K", 10240, True),
        ("event_cache_size", "10240", "10K", True),
        ("event_cache_size", 10240, "10K", True),
        ("event_cache_size", "1M", "1024K", True),
        ("event_cache_size", "10k", "10K", False),  # Synapse would not start on it
        ("event_cache_size", True, "1", False),
        ("event_cache_size", None, "10K", False),
        ("caches.cache_autotuning.max_cache_memory_usage", "1G", "1024M", True),
        ("caches.cache_autotuning.min_cache_ttl", "5m", 300000, True),
        ("caches.cache_autotuning.min_cache_ttl", "300s", "5m", True),
        ("caches.cache_autotuning.min_cache_ttl", "5", "5m", False),
        ("forgotten_room_retention_period", "4w", "28d", True),
        ("caches.global_factor", 1, 1.0, True),
        ("caches.global_factor", "1.0", 1.0, False),  # Synapse wants a number
        ("caches.global_factor", True, 1, False),
        ("limit_remote_rooms.complexity", 17, 17.0, True),
        ("limit_remote_rooms.enabled", "true", True, False),
        ("caches.cache_autotuning", None, None, True),
        ("caches.cache_autotuning", {}, None, True),
        ("caches.cache_autotuning", {"min_cache_ttl": "5m"}, None, False),
    ],
)
def test_values_are_compared_as_synapse_reads_them(lever, current, planned, same):
    assert means_the_same(lever, current, planned) is same


def test_autotuning_is_written_and_removed(tmp_path):
    path = tmp_path / "homeserver.yaml"
    text = "server_name: x\n\ncaches:\n  # mine\n  expire_caches: true\n\nmedia_store_path: m\n"
    path.write_text(text)
    plan = sample_plan()
    plan["homeserver"] = {
        f"caches.cache_autotuning.{name}": {"value": value}
        for name, value in (
            ("max_cache_memory_usage", "640M"),
            ("target_cache_memory_usage", "512M"),
            ("min_cache_ttl", "5m"),
        )
    }
    run(path, plan=plan)
    assert path.read_text() == text.replace(
        "  expire_caches: true\n",
        "  expire_caches: true\n  cache_autotuning:\n    max_cache_memory_usage: 640M\n"
        "    target_cache_memory_usage: 512M\n    min_cache_ttl: 5m\n",
    )
    plan["homeserver"] = {"caches.cache_autotuning": {"value": None}}
    run(path, plan=plan)
    assert path.read_text() == text


# -- warnings ----------------------------------------------------------------------
def test_sqlite_is_left_alone_with_a_warning(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("database:\n  name: sqlite3\n  args:\n    database: /data/homeserver.db\n")
    change = run(path)
    assert "cp_max" not in path.read_text()
    assert not any(lever["lever"].startswith("database") for lever in change.levers)
    assert [warning for warning in change.warnings if "SQLite" in warning and "migrate it to PostgreSQL" in warning]


def test_unknown_caches_are_named_with_the_nearest_real_one(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text(
        "caches:\n  per_cache_factors:\n    get_event_cache: 0.3\n    get_user_in_room: 1\n    zzzzzz: 1\n"
        "    stateGroupCache: 2\n"
    )
    change = run(path)
    lines = [warning for warning in change.warnings if "no cache" in warning]
    assert len(lines) == 3
    assert f"{path}:3: " in lines[0] and "'*getEvent*'" in lines[0]
    assert f"{path}:4: " in lines[1] and "did you mean 'get_users_in_room'?" in lines[1]
    assert "remove it" in lines[2]
    assert "get_event_cache: 0.3" in path.read_text()


def test_a_cache_is_found_under_the_spelling_that_the_file_has(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("caches:\n  per_cache_factors:\n    getEvent: 1.0\n")
    run(path)
    factors = load(path.read_text())["caches"]["per_cache_factors"]
    assert factors == {"getEvent": 0.3, "get_users_in_room": 0.5}


def test_those_who_refer_to_an_edited_value_are_named(tmp_path):
    path = next(case for case in CASES if case.name == "shared_anchor.yaml").install(tmp_path)
    change = run(path)
    assert [warning for warning in change.warnings if "'database.args.cp_max'" in warning and "line 7, 9" in warning]


def test_several_databases_get_a_pool_each(tmp_path):
    path = next(case for case in CASES if case.name == "two_databases.yaml").install(tmp_path)
    change = run(path)
    assert {lever["lever"] for lever in change.levers if "cp_max" in lever["lever"]} == {
        "databases.main.args.cp_max",
        "databases.state.args.cp_max",
    }
    assert [warning for warning in change.warnings if "pool of its own" in warning]


def test_a_drop_in_that_would_win_is_named(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("caches:\n  global_factor: 1\n")
    run(path, override=True)
    change = run(path)
    assert [warning for warning in change.warnings if "homeserver.tuning.yaml has caches" in warning]


# -- the drop-in --------------------------------------------------------------------
def test_the_drop_in_follows_the_file_that_it_repeats(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("database:\n  name: psycopg2\n  args:\n    password: s3cret-one\n")
    run(path, override=True)
    dropin = tmp_path / "homeserver.tuning.yaml"
    dropin.write_text(dropin.read_text() + "# mine\nreport_stats: true\n")
    path.write_text("database:\n  name: psycopg2\n  args:\n    password: s3cret-two\n    sslmode: require\n")
    change = run(path, override=True)
    assert load(dropin.read_text())["database"]["args"] == {
        "password": "s3cret-two", "sslmode": "require", "cp_min": 2, "cp_max": 4,
    }  # fmt: skip
    assert dropin.read_text().startswith("# The tuning of Synapse")
    assert dropin.read_text().endswith("# mine\nreport_stats: true\n")
    assert change.restarts == ({"service": "synapse", "action": "restart", "because": ["database"]},)
    assert not any(lever["differs"] for lever in change.levers)
    assert "s3cret" not in repr(change.diff())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_the_drop_in_is_as_closed_as_the_file(tmp_path, mode):
    path = tmp_path / "homeserver.yaml"
    path.write_text("server_name: x\n")
    path.chmod(mode)
    if ROOT:
        os.chown(path, 991, 992)
    old = os.umask(0)
    try:
        run(path, override=True)
    finally:
        os.umask(old)
    found, like = (tmp_path / "homeserver.tuning.yaml").stat(), path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (mode, like.st_uid, like.st_gid)


def test_a_drop_in_can_lie_elsewhere(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("server_name: x\n")
    (tmp_path / "conf.d").mkdir()
    elsewhere = tmp_path / "conf.d" / "tuning.yaml"
    assert run(path, override=True, dropin_path=str(elsewhere)).path == str(elsewhere)
    assert load(elsewhere.read_text())["caches"]["global_factor"] == 0.2
    with pytest.raises(FileProblem, match="is homeserver\\.yaml itself"):
        run(path, override=True, dropin_path=str(path))


# -- what goes wrong -----------------------------------------------------------------
UNREADABLE = [
    ("a: 1\n  b: [\n", r"homeserver.yaml:\d+:\d+: .+; correct the YAML there"),
    ("a: 1\nb: 2\na: 3\n", r"homeserver.yaml:3:1: the key 'a' is there twice \(first on line 1\); remove one"),
    ("- a\n- b\n", r"homeserver.yaml:1:1: the document is not a mapping; it must hold"),
    ("just text\n", r"homeserver.yaml:1:1: the document is not a mapping; it must hold"),
    ("a: *nowhere\n", r"homeserver.yaml:1:4: the alias '\*nowhere' has no anchor before it"),
    ("a: \x07\n", r"homeserver.yaml:1:4: the character U\+0007 is not allowed"),
    ("a: 1\t# a tab, which Synapse does not take\n", r"homeserver.yaml:1:5: .+; correct the YAML there"),
]
IN_THE_WAY = [
    ("caches: 5\n", r"homeserver.yaml:1:9: 'caches' is not a mapping; make it one or remove it"),
    ("database:\n  name: psycopg2\n  args: [1]\n", r"homeserver.yaml:3:9: 'cp_min' is no index of this list"),
]


@pytest.mark.parametrize(
    "text, message, override",
    [
        *[(*each, False) for each in UNREADABLE + IN_THE_WAY],
        *[(*each, True) for each in UNREADABLE],
    ],
)
def test_bad_files_stay_as_they_are(tmp_path, text, message, override):
    path = tmp_path / "homeserver.yaml"
    path.write_text(text)
    with pytest.raises(YamlProblem, match=message) as caught:
        run(path, override=override)
    assert "\n" not in str(caught.value)
    assert snapshot(tmp_path) == {"homeserver.yaml": text.encode()}


@pytest.mark.parametrize(
    "plan", [{}, {"schema_version": 2}, {"schema_version": 1}, {"schema_version": 1, "homeserver": {"a": 1}}]
)
def test_what_is_no_plan(tmp_path, plan):
    path = tmp_path / "homeserver.yaml"
    path.write_text("a: 1\n")
    with pytest.raises(PlanError, match="plan_info returns"):
        run(path, plan=plan)


def test_a_missing_file(tmp_path):
    with pytest.raises(FileProblem, match="check the path"):
        run(tmp_path / "homeserver.yaml")


def test_a_plan_without_synapse_changes_nothing(tmp_path):
    path = tmp_path / "homeserver.yaml"
    path.write_text("a: 1\n")
    assert not run(path, plan=sample_plan(synapse=False)).changed


@ignore_fork_warning
@pytest.mark.parametrize("override", [False, True])
def test_a_folder_that_cannot_be_written(tmp_path, override):
    path = tmp_path / "homeserver.yaml"
    path.write_text("a: 1\n")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(TuningError, match="permission denied"):
            in_child(lambda: run(path, override=override), user=NOBODY)
    finally:
        tmp_path.chmod(0o755)
    assert snapshot(tmp_path) == {"homeserver.yaml": b"a: 1\n"}
