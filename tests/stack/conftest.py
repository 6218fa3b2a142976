# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures: the engine with all images, a stock deployment that runs on it, and one on the made database."""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Iterator

import pytest

# For `import engine` and `import running`, whatever import mode pytest runs in.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "integration"))
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import deployment
import images
import made as made_database
from engine import Engine, StackError


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running Docker Engine that has the images."""
    shared = Engine()
    lease = shared.lease()
    try:
        lease.__enter__()
    except StackError as problem:
        # What cannot be tested in CI is a failure there.
        if os.environ.get("CI") == "true":
            pytest.fail(f"the test stack is needed in CI: {problem}")
        pytest.skip(f"NO TEST STACK, so nothing real was tested: {problem}")
    try:
        images.build_all(shared)
        yield shared
    finally:
        lease.__exit__(None, None, None)


@pytest.fixture(scope="module")
def stock(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[deployment.Deployment]:
    """A stock deployment that is up; one for the tests of a module."""
    project = deployment.create(engine, tmp_path_factory.mktemp("synapse") / "stock")
    try:
        project.up()
        yield project
    finally:
        project.remove()


@pytest.fixture(scope="module")
def made(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[made_database.Made]:
    """A stock deployment that is up on the made database; one for the tests of a module."""
    with made_database.restored(engine, tmp_path_factory.mktemp("made") / "made") as restored:
        yield restored
