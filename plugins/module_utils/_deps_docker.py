# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker SDK for Python, where the target has it. On its own: only what needs it pays for the import."""

from __future__ import annotations

import traceback
from typing import Any, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._deps import Library

__all__ = ["DOCKER", "docker"]

docker: Any = None
_error: Optional[str] = None
try:
    import docker
except ImportError:
    _error = traceback.format_exc()

DOCKER = Library(
    name="docker",
    reason=(
        "to ask the Docker Engine: 'apt install python3-docker' on Debian and Ubuntu, else "
        "'pip install docker' for the Python that Ansible uses on this host"
    ),
    error=_error,
)
