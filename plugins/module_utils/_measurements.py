# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements on the disk: the newest as one file, and a history of them in a directory."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import MeasurementError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import Measurement
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurements import first, name_of, surplus

__all__ = ["Kept", "keep", "read"]

# Who uses a server, and when, is nobody else's business.
_FILE_MODE, _DIRECTORY_MODE = 0o600, 0o700


@dataclass(frozen=True)
class Kept:
    """What became of a measurement.

    Attributes:
        path: its file in the history. changed: whether anything was written.
        before: the measurement that it is to be compared with, None for none. before_path: its file.
        removed: files of the history that were too many.
    """

    path: str
    changed: bool
    before: Optional[Dict[str, Any]]
    before_path: Optional[str]
    removed: Sequence[str]


def keep(
    measurement: Dict[str, Any],
    *,
    path: str,
    directory: str,
    most: int,
    before: Optional[str] = None,
    dry_run: bool = False,
) -> Kept:
    """Keep a measurement.

    Args:
        measurement: as memory_info returned it.
        path: the file of the newest one. directory: the history, made where it is missing.
        most: how many of them stay.
        before: the one to compare with, by its path or its name in the directory; None for the first one.
        dry_run: write nothing.

    Raises MeasurementError or FileProblem.
    """
    name = name_of(Measurement.from_data(measurement).taken_at)
    names = _names(directory)
    found_path = _found(before, directory) if before else None
    if found_path is None:
        oldest = first(each for each in names if each != name)
        found_path = oldest and os.path.join(directory, oldest)
    found = read(found_path) if found_path else None
    text = json.dumps(measurement, indent=2, sort_keys=True) + "\n"
    own = os.path.join(directory, name)
    changed = [each for each in (own, path) if not _holds(each, text)]
    removed = [os.path.join(directory, each) for each in surplus({*names, name}, keep=most)]
    if not dry_run:
        if own in changed:
            _files.make_directory(directory, mode=_DIRECTORY_MODE)
        for each in changed:
            if not _files.create(each, text, mode=_FILE_MODE):
                _files.replace(each, text)
        for each in removed:
            with _files.problems(each, "removed"):
                os.unlink(each)
    return Kept(own, bool(changed or removed), found, found_path, removed)


def read(path: str) -> Dict[str, Any]:
    """A kept measurement. Raises MeasurementError or FileProblem."""
    try:
        data = json.loads(_files.read_text(path))
    except ValueError as error:
        raise MeasurementError(f"{_files.shown(path)} is not JSON: {error}; remove it, and measure again") from None
    try:
        return Measurement.from_data(data).as_data()
    except MeasurementError as error:
        raise MeasurementError(f"{_files.shown(path)}: {error}, or remove the file") from None


def _found(before: str, directory: str) -> str:
    return before if os.path.isabs(before) else os.path.join(directory, before)


def _names(directory: str) -> List[str]:
    with _files.problems(directory, "searched for measurements"):
        try:
            return os.listdir(directory)
        except FileNotFoundError:
            return []


def _holds(path: str, text: str) -> bool:
    return os.path.lexists(path) and _files.read_text(path) == text
