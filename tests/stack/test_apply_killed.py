# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed at any moment is finished by the next one."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import time
from collections.abc import Iterator

import deployment
import play
import pytest
from client import wait_until
from deployment import Deployment
from engine import Engine

pytestmark = pytest.mark.slow

MOMENTS = 10


@pytest.fixture(scope="module")
def project(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    found = deployment.create(engine, tmp_path_factory.mktemp("killed") / "killed")
    try:
        found.up()
        yield found
    finally:
        found.remove()


def test_killed_at_random_moments(project: Deployment, tmp_path: pathlib.Path) -> None:
    """Each time towards another plan, so that there is something to do; the last word is a run that goes through."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    user = project.register("ada")
    room = user.create_room()
    user.send(room, "kept")
    # What changes containers, only the file, and back.
    plans = [play.make_plan(), play.make_plan(presence="off"), play.make_plan(ram=4 * 1024**3, users=40)]
    began = time.monotonic()
    play.tune(project, plans[0]).must_succeed()
    duration = time.monotonic() - began
    killed = 0
    for moment in range(MOMENTS):
        planned = plans[(moment + 1) % len(plans)]
        log = tmp_path / f"{moment}.log"
        run = play.start(project, planned, log)
        time.sleep(chance.uniform(0.05, 1) * duration)
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
            killed += 1
        run.wait(60)
    # The next run wants what the last one did: it converges, every lever in effect.
    assert "levers are as planned on the running system" in play.tune(project, planned).must_succeed().stdout
    assert play.tune(project, planned).must_succeed().changed == 0
    assert killed >= MOMENTS // 2, "the runs were over before they could be killed"
    assert wait_until(lambda: user.texts(room), seconds=30, what="Synapse answers") == ["kept"]
    assert not list(project.directory.rglob(".synapse-tuning*")), "temporary files or a lock were left"
