# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds a lock, and what another run may conclude."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.synapse.tuning.plugins.module_utils._core import run_lock
from ansible_collections.synapse.tuning.plugins.module_utils._core.run_lock import (
    ELSEWHERE,
    GONE,
    OURS,
    RUNNING,
    Holder,
    judge,
    parse,
    render,
)

MACHINE = "pid:[4026531836]"
CONTAINER = "pid:[4026532281]"

ADA = Holder(
    user="ada",
    controller="laptop.example.org",
    pid=4711,
    since="2026-01-31T20:15:00Z",
    started="ticks:123456",
    boot="109a7d57-92d9-44a3-a96c-77b09cdd1889",
    machine="0c1d2e",
    pid_namespace=MACHINE,
)
# Another run on the same controller.
BOB = replace(ADA, user="bob", pid=4800, started="ticks:222222", since="2026-01-31T20:20:00Z")


def never(pid: int) -> str | None:
    raise AssertionError(f"asked for process {pid} of another controller")


def test_the_text_is_for_people_and_comes_back_as_it_was() -> None:
    text = render(ADA)
    assert text.startswith('{\n  "lock": "synapse.tuning",\n  "version": 1,\n  "user": "ada",\n')
    assert text.endswith("}\n")
    assert parse(text) == ADA
    assert run_lock.is_lock(text) and not run_lock.is_free(text)


printable = st.text(max_size=255).filter(str.isprintable)


@given(st.builds(Holder, pid=st.integers(1, 2**31 - 1), **{name: printable for name in ADA.__dict__ if name != "pid"}))
def test_every_run_comes_back_as_it_was(holder: Holder) -> None:
    text = render(holder)
    assert parse(text.encode().decode()) == holder


@pytest.mark.parametrize("text", ["", "\n", "\0" * 300])
def test_a_file_that_nobody_came_to_write_is_free(text: str) -> None:
    assert run_lock.is_free(text) and run_lock.is_lock(text)
    assert parse(text) is None


def changed(**values: object) -> str:
    return json.dumps({**json.loads(render(ADA)), **values}, indent=2) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        render(ADA)[:-20],
        changed(version=2),
        changed(pid=0),
        changed(pid=-1),
        changed(pid=True),
        changed(pid="4711"),
        changed(pid=2**31),
        changed(user=None),
        changed(user="ada\nfatal: all is lost"),
        changed(controller="\x1b[2Jlaptop"),
        changed(user="a" * 256),
        changed(boot="\ud800"),
        render(ADA)[:-3] + ', "deep": ' + "[" * 100_000,
    ],
)
def test_a_damaged_or_newer_lock_names_nobody_but_is_known_as_one(text: str) -> None:
    assert parse(text) is None
    assert run_lock.is_lock(text)


@pytest.mark.parametrize("text", ["services: {}\n", "{}\n", '{"lock": "synapse.tuning"}', "[]", "4711\n", " {", "{"])
def test_a_file_of_somebody_is_no_lock(text: str) -> None:
    assert parse(text) is None
    assert not run_lock.is_lock(text)


def test_the_same_run_is_ours_whenever_it_took_it() -> None:
    later = replace(ADA, since="2026-01-31T21:00:00Z")
    assert judge(ADA, asker=later, start_of=never) == OURS


@pytest.mark.parametrize(
    ("started", "verdict"),
    [
        ("ticks:123456", RUNNING),
        (None, GONE),
        ("ticks:999999", GONE),  # the pid is another process's by now
        ("", RUNNING),  # hidden: in doubt it lives
        ("lstart:Sat Jan 31 20:14:59 2026", RUNNING),  # can't be compared
    ],
)
def test_a_run_of_this_controller_is_asked_about(started: str | None, verdict: str) -> None:
    asked = []

    def start_of(pid: int) -> str | None:
        asked.append(pid)
        return started

    assert judge(ADA, asker=BOB, start_of=start_of) == verdict
    assert asked == [ADA.pid]


def test_a_holder_that_did_not_know_its_start_lives_while_its_pid_does() -> None:
    assert judge(replace(ADA, started=""), asker=BOB, start_of=lambda _pid: "ticks:5") == RUNNING
    assert judge(replace(ADA, started=""), asker=BOB, start_of=lambda _pid: None) == GONE


def test_our_pid_with_another_start_is_a_run_before_us() -> None:
    before = replace(BOB, started="ticks:1")
    assert judge(before, asker=BOB, start_of=lambda _pid: BOB.started) == GONE


@pytest.mark.parametrize(
    "other",
    [
        {"controller": "desktop.example.org"},
        {"machine": "ffffff"},
        {"pid_namespace": CONTAINER},
        {"machine": "ffffff", "boot": "another"},
        {"controller": "desktop.example.org", "boot": "another"},
        {"pid_namespace": CONTAINER, "boot": "another"},
        {"machine": "", "boot": "another"},
    ],
)
def test_another_controller_is_never_asked_about(other: dict[str, str]) -> None:
    assert judge(replace(ADA, **other), asker=BOB, start_of=never) == ELSEWHERE
    assert judge(ADA, asker=replace(BOB, **other), start_of=never) == ELSEWHERE


def test_a_reboot_ends_every_run() -> None:
    assert judge(ADA, asker=replace(BOB, boot="another"), start_of=never) == GONE


def test_containers_of_one_image_are_no_rebooted_machine() -> None:
    inside = replace(ADA, pid_namespace=CONTAINER)
    assert judge(inside, asker=replace(inside, boot="another", pid=9), start_of=never) == ELSEWHERE


def test_a_name_alone_makes_no_controller() -> None:
    """Many machines are called localhost."""
    nameless = replace(ADA, controller="localhost", boot="", machine="")
    assert judge(nameless, asker=replace(nameless, pid=9), start_of=never) == ELSEWHERE
    assert judge(nameless, asker=nameless, start_of=never) == OURS


@pytest.mark.parametrize(("verdict", "doubt"), [(RUNNING, False), (ELSEWHERE, True)])
def test_a_refusal_says_who_since_when_and_what_to_do(verdict: str, doubt: bool) -> None:
    message = run_lock.refusal("/opt/synapse/.synapse-tuning.lock", ADA, verdict=verdict, waited=0)
    assert "\n" not in message
    for word in ("/opt/synapse/.synapse-tuning.lock", "ada", "laptop.example.org", "4711", "2026-01-31T20:15:00Z"):
        assert word in message
    assert "wait until it has ended, or break its lock with synapse_tuning_break_lock=true" in message
    assert ("can't be asked" in message) is doubt
    assert "after 90 s" in run_lock.refusal("/x", ADA, verdict=verdict, waited=90)
