# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook rooms on a real server: it purges what was named, and nothing else."""

from __future__ import annotations

from typing import Any

import play
import pytest
from client import Client
from deployment import Deployment
from running import Run

pytestmark = pytest.mark.slow

PLAYBOOK = play.PLAYBOOK.with_name("rooms.yml")


@pytest.fixture(scope="module")
def admin(stock: Deployment) -> Client:
    return stock.register("root", admin=True)


@pytest.fixture(scope="module")
def users(stock: Deployment) -> tuple[Client, Client]:
    return stock.register("ada"), stock.register("ben")


def rooms_of(stock: Deployment) -> set[str]:
    return {row[0] for row in stock.sql("SELECT room_id FROM rooms")}


@pytest.fixture(scope="module")
def rooms(users: tuple[Client, Client]) -> dict[str, str]:
    """One that both use, one of a single user's, and three that everybody has left."""
    ada, ben = users
    states = {"shared": 1, "alone": 5, "left": 30, "left too": 20, "left as well": 10}
    made = {name: ada.create_room(name=name) for name in states}
    ada.call("PUT", "/_matrix/client/v3/directory/room/%23friends:localhost", {"room_id": made["shared"]})
    ben.join(made["shared"])
    for name, number in states.items():
        for each in range(number):
            ada.set_state(made[name], "org.example.colour", {"number": each}, state_key=str(each))
        if name.startswith("left"):
            ada.call("POST", f"/_matrix/client/v3/rooms/{made[name]}/leave", {})
    return made


def look_after(stock: Deployment, admin: Client, *options: str, **more: Any) -> Run:
    variables = {"access_token": admin.token, **{f"rooms_{name}": value for name, value in more.items()}}
    return play.tune(stock, None, *options, playbook=PLAYBOOK, **variables)


def test_what_is_not_named_is_not_purged(stock: Deployment, admin: Client, rooms: dict[str, str]) -> None:
    before = rooms_of(stock)
    run = look_after(stock, admin).must_succeed()
    assert run.changed == 0
    assert all(room in run.stdout for room in rooms.values())
    assert "Nothing is purged: name rooms in synapse_tuning_rooms_purge" in run.stdout
    # A filter narrows the table, and takes a word more to purge.
    run = look_after(stock, admin, filter={"no_local_members": True}).must_succeed()
    assert rooms["left"] in run.stdout and rooms["alone"] not in run.stdout
    assert "synapse_tuning_rooms_confirm=true" in run.stdout
    # And so with check mode, which is believed.
    run = look_after(stock, admin, "--check", purge=[rooms["left"]]).must_succeed()
    assert f"{rooms['left']} would be purged, which returns about " in run.stdout
    assert rooms_of(stock) == before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"purge": ["shared"]}, "2 active local users are in it, and 1 may be"),
        ({"purge": ["shared"], "protect": ["#friends:localhost"]}, "it is protected by synapse_tuning_rooms_protect"),
        ({"purge": ["alone"], "protect": ["#nobody:localhost"]}, "#nobody:localhost in synapse_tuning_rooms_protect"),
        ({"purge": ["#nobody:localhost"]}, "#nobody:localhost leads to no room here; nothing was purged"),
        ({"purge": ["alone"], "filter": {"tombstoned": True}}, "Give either synapse_tuning_rooms_purge or"),
        ({"purge": ["alone"], "at_once": 6}, "synapse_tuning_rooms_at_once must be 1 to 5"),
    ],
)
def test_what_may_not_be_purged_is_refused(
    stock: Deployment, admin: Client, rooms: dict[str, str], given: dict[str, Any], said: str
) -> None:
    before = rooms_of(stock)
    by_id = {name: [rooms.get(each, each) for each in given[name]] for name in ("purge", "protect") if name in given}
    run = look_after(stock, admin, **{**given, **by_id})
    assert run.returncode != 0
    assert said in run.message
    assert rooms_of(stock) == before


def test_what_fails_is_said_and_the_others_go_on(
    stock: Deployment, users: tuple[Client, Client], rooms: dict[str, str]
) -> None:
    ada, _ben = users
    run = look_after(stock, ada, purge=[rooms["left"], rooms["left too"]])
    assert run.returncode != 0
    assert "lets only its administrators do this" in run.message
    assert rooms_of(stock) >= set(rooms.values())


def test_rooms_that_are_named_are_purged(stock: Deployment, admin: Client, rooms: dict[str, str]) -> None:
    before = rooms_of(stock)
    named = [rooms["left"], rooms["alone"], "!gone:localhost"]
    started = play.started(stock)
    run = look_after(stock, admin, purge=named, restart=True).must_succeed()
    assert before - rooms_of(stock) == {rooms["left"], rooms["alone"]}
    assert stock.sql(f"SELECT count(*) FROM state_groups_state WHERE room_id = '{rooms['left']}'") == [["0"]]
    assert f"{rooms['alone']} is purged, 1 local user was made to leave; about " in run.stdout
    assert "!gone:localhost is not there" in run.stdout
    assert str(admin.token) not in run.output
    now = play.started(stock)
    assert (now["db"] == started["db"], now["synapse"] == started["synapse"]) == (True, False)
    assert admin.server_version()
    # All of it again: there is nothing left to do, and nothing to restart for.
    again = look_after(stock, admin, purge=named, restart=True).must_succeed()
    assert again.changed == 0 and play.started(stock) == now


def test_a_filter_purges_what_it_matches_once_confirmed(
    stock: Deployment, admin: Client, rooms: dict[str, str]
) -> None:
    before = rooms_of(stock)
    # The heavier one is protected, and the run goes on without it.
    given = {"filter": {"no_local_members": True}, "confirm": True, "protect": [rooms["left too"]]}
    run = look_after(stock, admin, **given).must_succeed()
    assert before - rooms_of(stock) == {rooms["left as well"]}
    assert f"{rooms['left too']} is kept: it is protected" in run.stdout
