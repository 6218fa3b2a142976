# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a measurement as a file."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Optional

from ansible_collections.synapse.tuning.plugins.module_utils import _files
from ansible_collections.synapse.tuning.plugins.module_utils._core.errors import PlanError
from ansible_collections.synapse.tuning.plugins.module_utils._core.known_plan import KnownPlan

__all__ = ["read_plan", "write"]

# It names rooms.
_MODE = 0o600


def read_plan(path: Optional[str]) -> Optional[KnownPlan]:
    """The plan in a file; None where there is no file. Raises FileProblem or PlanError."""
    if path is None or not os.path.lexists(path):
        return None
    try:
        return KnownPlan.from_data(json.loads(_files.read_text(path)))
    except ValueError as error:
        raise PlanError(f"{_files.shown(path)} is not JSON: {error}; plan again, or leave the plan out") from None
    except PlanError as error:
        raise PlanError(f"{_files.shown(path)}: {error}") from None


def write(path: str, text: str, *, dry_run: bool = False) -> Dict[str, Any]:
    """Write the page, where the file does not hold it already.

    Returns C(changed), and a diff that says what is written without showing all of it. Raises FileProblem.
    """
    is_new = not os.path.lexists(path)
    before = "" if is_new else _files.read_text(path)
    if before != text and not dry_run and not _files.create(path, text, mode=_MODE):
        _files.replace(path, text)
    return {
        "changed": before != text,
        "diff": {
            "before": "" if is_new else _said(before),
            "after": _said(text),
            "before_header": path,
            "after_header": path,
        },
    }


def _said(text: str) -> str:
    """No two pages are alike in what they show, so that much says all."""
    start = text.find("<p>Measured at ")
    line = text[start + len("<p>") : text.find("</p>", start)] if start >= 0 else "Another file."
    return f"{line} {len(text.encode('utf-8')):,} bytes\n"
