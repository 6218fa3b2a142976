# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Synapse releases that matter to memory or safety."""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

__all__ = ["NEWEST", "parse_version", "release_warnings"]

# The newest release this collection was made for, and what a new deployment gets.
NEWEST = "1.163.2"

Version = Tuple[int, int, int]

# (first affected, first fixed, what it does), from Synapse's changelog and advisories.
_FLAWS: Tuple[Tuple[Version, Version, str], ...] = (
    ((1, 90, 0), (1, 92, 0), "memory grows linearly (#16210)"),
    ((0, 0, 0), (1, 120, 1), "a request can exhaust the memory (CVE-2024-52805)"),
    ((0, 0, 0), (1, 131, 0), "the notifier leaks memory (#18380)"),
    ((1, 140, 0), (1, 147, 0), "looping calls leak memory (#19416)"),
    ((0, 0, 0), (1, 157, 2), "it lacks the security fixes of 2026-07-28 (six high advisories)"),
)

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:$|[^\d.])")


def parse_version(text: str) -> Optional[Version]:
    """Read C(1.163.2), C(v1.149.1) or an image tag; None where it holds no version."""
    found = _VERSION.match(text.strip())
    if not found:
        return None
    return int(found.group(1)), int(found.group(2)), int(found.group(3) or 0)


def release_warnings(version: str) -> List[str]:
    """One line for each known flaw of a Synapse version, worst last; none for a tag like C(latest)."""
    parsed = parse_version(version)
    if parsed is None:
        return []
    return [
        "Synapse {0}: {1}; fixed in {2}: upgrade".format(".".join(map(str, parsed)), flaw, ".".join(map(str, fixed)))
        for first, fixed, flaw in _FLAWS
        if first <= parsed < fixed
    ]
