# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the README shows of a run, and whether a run gives it."""

from __future__ import annotations

import re

from running import ROOT

__all__ = ["ELIDED", "README", "missing", "shown"]

README = (ROOT / "README.md").read_text(encoding="utf-8")

ELIDED = "..."
"""A line that stands for any number of lines."""


def shown(name: str) -> str:
    """The code block that follows a mark in the README."""
    found = re.search(rf"<!-- {name} -->\n```\w+\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found.group(1)


def missing(block: str, printed: str) -> list[str]:
    """The first lines of a block that were not printed, as they stand there; empty where all were, in this order.

    Lines with nothing elided between them follow one another in print, too.
    """
    lines = printed.splitlines()
    position = 0
    for part in re.split(rf"^{re.escape(ELIDED)}\n", block, flags=re.MULTILINE):
        wanted = part.splitlines()
        starts = range(position, len(lines) - len(wanted) + 1)
        found = next((start for start in starts if lines[start : start + len(wanted)] == wanted), None)
        if found is None:
            return wanted
        position = found + len(wanted)
    return []
