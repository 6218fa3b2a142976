# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stock deployment becomes the planned one: brought up, verified, and with no more of an interruption than was said."""

from __future__ import annotations

import pathlib
import re

import play
import pytest
from client import Client
from deployment import Deployment

pytestmark = pytest.mark.slow


def said(output: str) -> list[str]:
    """What the run said that it would interrupt."""
    found = re.search(
        r"TASK \[[^]]*Say what will be interrupted\] \*+\nok: \[localhost\] => \{\n(.*?)\n\}", output, re.S
    )
    return re.findall(r'^\s+"(.*)",?$', found.group(1), re.MULTILINE) if found else []


def sizes(project: Deployment) -> dict[str, float]:
    return {labels["name"]: size for labels, size in project.metrics()["synapse_util_caches_cache_max_size"]}


@pytest.fixture(scope="module")
def room(stock: Deployment) -> tuple[Client, str, list[str]]:
    """A user with a room that has messages."""
    user = stock.register("ada")
    room = user.create_room()
    texts = [f"before {number}" for number in range(20)]
    for text in texts:
        user.send(room, text)
    return user, room, texts


# The tests of this module are a story: one deployment, in the order in which they stand.


def test_check_mode_says_what_it_would_do_and_does_nothing(stock: Deployment) -> None:
    before, running = play.files(stock), play.started(stock)
    run = play.tune(stock, play.make_plan(), "--check", "--diff").must_succeed()
    assert (play.files(stock), play.started(stock)) == (before, running)
    assert run.changed > 0
    assert "RESTART: what a real run will do" in run.stdout
    assert re.search(r"^db +recreate", run.stdout, re.MULTILINE) and re.search(
        r"^synapse +recreate", run.stdout, re.MULTILINE
    )


def test_only_writing_starts_nothing(stock: Deployment) -> None:
    running = play.started(stock)
    before = (stock.directory / "compose.yml").read_bytes(), (stock.directory / "data/homeserver.yaml").read_bytes()
    run = play.tune(stock, play.make_plan(), apply=False).must_succeed()
    assert play.started(stock) == running
    assert "RESTART: nothing has been restarted" in run.stdout
    undone = play.tune(
        stock, None, playbook=play.PLAYBOOK.with_name("rollback.yml"), apply=False, rollback_to="original"
    )
    undone.must_succeed()
    assert before == (
        (stock.directory / "compose.yml").read_bytes(),
        (stock.directory / "data/homeserver.yaml").read_bytes(),
    )
    assert play.started(stock) == running


def test_a_stock_deployment_becomes_the_planned_one(stock: Deployment, room: tuple[Client, str, list[str]]) -> None:
    user, place, texts = room
    password = stock.settings["POSTGRES_PASSWORD"]
    with play.Syncing(stock.login("ada")) as syncing:
        run = play.tune(stock, play.make_plan(), "--diff").must_succeed()
        user.send(place, "after")
    assert said(run.stdout) == [
        "db is recreated: its part of the compose files has changed",
        "synapse is recreated: its part of the compose files has changed",
    ]
    # Every lever that there is, none of them unknown.
    total = re.search(r"^VERIFIED: (\d+) of (\d+) levers", run.stdout, re.MULTILINE)
    assert total and total.group(1) == total.group(2) and int(total.group(1)) > 20, run.stdout
    limits = {service: stock.inspect(service)["HostConfig"]["Memory"] >> 20 for service in ("db", "synapse")}
    assert limits == {"db": 512, "synapse": 1024}
    assert stock.sql("SHOW shared_buffers") == [["64MB"]]
    assert sizes(stock)["*getEvent*"] == 10_240
    # Nothing was lost, and the client came back by itself after the one restart.
    assert user.texts(place) == [*texts, "after"]
    assert syncing.texts == ["after"]
    assert len(syncing.outages) == 1
    assert password not in run.output


def test_a_second_run_does_nothing(stock: Deployment) -> None:
    before, running = play.files(stock), play.started(stock)
    run = play.tune(stock, play.make_plan()).must_succeed()
    assert run.changed == 0
    assert (play.files(stock), play.started(stock)) == (before, running)
    assert said(run.stdout) == []
    check = play.tune(stock, play.make_plan(), "--check", "--diff").must_succeed()
    assert check.changed == 0
    assert not re.search(r"^[-+](?![-+ ]{2})", check.stdout, re.MULTILINE)


def test_factors_alone_are_taken_up_by_a_reload(stock: Deployment, room: tuple[Client, str, list[str]]) -> None:
    running = play.started(stock)
    with play.Syncing(stock.login("ada")) as syncing:
        run = play.tune(stock, play.make_plan(per_cache_factors={"get_users_in_room": 0.7})).must_succeed()
    assert said(run.stdout) == ["synapse takes up, without an interruption, caches.per_cache_factors.get_users_in_room"]
    assert play.started(stock) == running
    assert sizes(stock)["get_users_in_room"] == 70_000
    assert syncing.outages == []
    assert play.tune(stock, play.make_plan(per_cache_factors={"get_users_in_room": 0.7})).must_succeed().changed == 0
    # And back: the file is then as it was when Synapse started, but Synapse is not.
    run = play.tune(stock, play.make_plan()).must_succeed()
    assert said(run.stdout) == ["synapse takes up, without an interruption, caches.per_cache_factors.get_users_in_room"]
    assert play.started(stock) == running
    assert sizes(stock)["get_users_in_room"] == 50_000


def test_what_concerns_synapse_leaves_the_database_alone(stock: Deployment) -> None:
    running, made = play.started(stock), play.containers(stock)
    planned = play.make_plan(presence="off")
    run = play.tune(stock, planned).must_succeed()
    assert said(run.stdout) == ["synapse is restarted for presence.enabled"]
    assert play.containers(stock) == made
    now = play.started(stock)
    assert (now["db"] == running["db"], now["synapse"] == running["synapse"]) == (True, False)


def test_a_stopped_database_is_started(stock: Deployment) -> None:
    stock.compose("stop", "db", "--timeout", "30")
    run = play.tune(stock, play.make_plan(presence="off")).must_succeed()
    assert said(run.stdout) == ["db is started"]


def test_a_file_that_is_mounted_by_itself(stock: Deployment, tmp_path: pathlib.Path) -> None:
    # The container keeps the old file when it is replaced: a reload would read that.
    compose = stock.directory / "compose.yml"
    text = compose.read_text(encoding="utf-8")
    lone = "- ./data:/data\n      - ./data/homeserver.yaml:/data/homeserver.yaml\n"
    assert "- ./data:/data\n" in text
    compose.write_text(text.replace("- ./data:/data\n", lone), encoding="utf-8")
    stock.up()
    run = play.tune(stock, play.make_plan(presence="off", per_cache_factors={"get_users_in_room": 0.6})).must_succeed()
    user = stock.login("ada")
    user.send(user.create_room(), "so that the cache is used")
    assert sizes(stock)["get_users_in_room"] == 60_000
    assert said(run.stdout) and "get_users_in_room" in said(run.stdout)[0]
