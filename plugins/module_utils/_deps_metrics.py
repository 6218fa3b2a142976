# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""prometheus_client's parser, where the target has it. On its own: only what needs it pays for the import."""

from __future__ import annotations

import traceback
from typing import Any, Optional

from ansible_collections.synapse.tuning.plugins.module_utils._deps import Library

__all__ = ["PROMETHEUS_CLIENT", "prometheus_parser"]

prometheus_parser: Any = None
_error: Optional[str] = None
try:
    import prometheus_client.parser as prometheus_parser
except ImportError:
    _error = traceback.format_exc()

PROMETHEUS_CLIENT = Library(
    name="prometheus-client",
    reason=(
        "to read Synapse's metrics: 'apt install python3-prometheus-client' on Debian and Ubuntu, else "
        "'pip install prometheus-client' for the Python that Ansible uses on this host"
    ),
    error=_error,
)
