# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role monitoring's check, imported, and its thresholds."""

from __future__ import annotations

import pathlib
import sys
from typing import Any

import yaml

ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "monitoring"
sys.path.insert(0, str(ROLE / "files" / "watch-memory"))

import alerts  # noqa: E402
import sources  # noqa: E402
import watch  # noqa: E402

__all__ = ["ROLE", "THRESHOLDS", "alerts", "sources", "watch"]

THRESHOLDS: dict[str, Any] = {
    **yaml.safe_load((ROLE / "vars" / "main.yml").read_text("utf-8"))["__synapse_tuning_monitoring_usual"],
    "compressor_days": 15,
}
