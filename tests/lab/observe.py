# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the collection itself reads of a server: the measurement that a plan learns from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from deployment import Deployment
from engine import StackError

__all__ = ["observe"]

_MODULE = "ansible_collections.synapse.tuning.plugins.modules.memory_info"


def observe(project: Deployment) -> dict[str, Any]:
    """Run the module memory_info on a deployment; return its `measurement`."""
    run = subprocess.run(
        [sys.executable, "-m", _MODULE],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": {"project_dir": str(project.directory)}}),
        env={**project.engine.environment(), "PYTHONPATH": os.environ["ANSIBLE_COLLECTIONS_PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode != 0:
        raise StackError(f"memory_info: {run.stdout.strip()} {run.stderr.strip()}")
    return dict(json.loads(run.stdout)["measurement"])
