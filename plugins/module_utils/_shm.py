# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dynamic shared memory, of this host and as a container sees it."""

from __future__ import annotations

import os

from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import SourceError
from ansible_collections.synapse.tuning.plugins.module_utils._core.measurement import SharedMemory
from ansible_collections.synapse.tuning.plugins.module_utils._docker import Containers, Found

__all__ = ["dev_shm", "host_shm"]

_PATH = "/dev/shm"  # noqa: S108 - only looked at


def dev_shm(engine: Containers, container: Found) -> SharedMemory:
    """The one inside a container. Raises SourceError."""
    answer = engine.run(container.id, ["df", "-Pk", _PATH])
    try:
        size, used = answer.splitlines()[-1].split()[1:3]
        return SharedMemory(size=int(size) * 1024, used=int(used) * 1024)
    except (IndexError, ValueError):
        raise SourceError(f"df in {container.name} does not say how large {_PATH} is") from None


def host_shm() -> SharedMemory:
    """The one of this host. Raises SourceError."""
    try:
        found = os.statvfs(_PATH)
    except OSError as error:
        raise SourceError(f"{_PATH} can't be looked at: {error.strerror}") from error
    return SharedMemory(size=found.f_blocks * found.f_frsize, used=(found.f_blocks - found.f_bfree) * found.f_frsize)
