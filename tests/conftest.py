# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``ansible_collections.synapse.tuning`` mean this checkout, for the tests and what they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# No test judges by time: machines that run these are busy. Hypothesis's own profile for CI is the
# same, and draws the same examples each time.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "busy machine")


def _collections_path() -> Path:
    """Return a folder whose ``ansible_collections/synapse/tuning`` is this checkout.

    `make venv` made the link in its own environment; any other Python gets one under ``.cache``.
    """
    for base in (Path(sys.prefix) / "collections", ROOT / ".cache" / "collections"):
        link = base / "ansible_collections" / "synapse" / "tuning"
        if link.is_dir() and link.resolve() == ROOT:
            return base
    link.parent.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(ROOT, target_is_directory=True)
    except FileExistsError:  # another test worker was faster
        pass
    return base


COLLECTIONS_PATH = _collections_path()
sys.path.insert(0, str(COLLECTIONS_PATH))

# The commands of this environment first, whether or not it is activated; and no other checkout's collection.
os.environ["PATH"] = str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"]
os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(COLLECTIONS_PATH)
os.environ["ANSIBLE_CONFIG"] = str(ROOT / "ansible.cfg")

# A third of what playbooks compute is the compiling of the same sources for each task.
_COMPILED = ROOT / ".cache" / "compiled"
_COMPILED.mkdir(parents=True, exist_ok=True)
os.environ["COMPILED_ONCE_FOLDER"] = str(_COMPILED)
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(ROOT / "tests" / "compiled_once"), os.environ.get("PYTHONPATH")])
)


_MOLECULE = "test_molecule.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Molecule's scenarios begin, as they take long."""
    items.sort(key=lambda item: item.path.name != _MOLECULE)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadfile` one worker has a whole file, as its tests share a deployment; Molecule's scenarios share none."""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if _MOLECULE in nodeid else super()._split_scope(nodeid)

    return Scheduling(config, log)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, which is also the collection."""
    return ROOT


@pytest.fixture(scope="session")
def collections_path() -> Path:
    """The folder to give as ``ANSIBLE_COLLECTIONS_PATH``."""
    return COLLECTIONS_PATH
