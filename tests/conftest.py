# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``ansible_collections.synapse.tuning`` mean this checkout, for the tests and what they start."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The file that takes longest begins: one worker has all of it, and the others would wait for it in the end."""
    items.sort(key=lambda item: item.path.name != "test_molecule.py")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout, which is also the collection."""
    return ROOT


@pytest.fixture(scope="session")
def collections_path() -> Path:
    """The folder to give as ``ANSIBLE_COLLECTIONS_PATH``."""
    return COLLECTIONS_PATH
