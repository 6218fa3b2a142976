# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What synapse_auto_compressor prints: how far it came, and why it failed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

__all__ = ["Done", "advice", "done", "last_lines"]

_DONE = re.compile(r"Saved (-?\d+) rows\. Skipped (\d+)/(\d+) chunks")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_LINES = 5

# What it says, and what to do about it; the first that fits.
_ADVICE = (
    (
        ("password", "no pg_hba.conf entry"),
        "this login must be let in without a password from 127.0.0.1 in the database's container, as in an image made"
        " with its defaults; else set runtime to wheel, which needs no trust",
    ),
    (("No space left on device",), "make room on the database's disk and run again"),
    (("terminating connection", "Connection refused", "connection closed"), "see PostgreSQL's log and run again"),
    (
        ("executable file not found", "synapse_auto_compressor: not found"),
        "set image to one that has synapse_auto_compressor",
    ),
    (("permission denied",), "let login_user own Synapse's tables, or log in as their owner"),
)


@dataclass(frozen=True)
class Done:
    """Chunks that were taken, those of them left as they were, and rows that are gone."""

    chunks: int
    skipped: int
    saved: int


def done(output: str) -> Optional[Done]:
    """From its last line; None where it did not say."""
    found = _DONE.search(output)
    return Done(chunks=int(found.group(3)), skipped=int(found.group(2)), saved=int(found.group(1))) if found else None


def last_lines(output: str) -> str:
    """The end of what it printed, as one line."""
    lines = [_ESCAPES.sub("", line).strip() for line in re.split(r"[\r\n]+", output)]
    return " / ".join([line for line in lines if line][-_LINES:]) or "it printed nothing"


def advice(output: str) -> str:
    """What to do about a failure."""
    for signs, text in _ADVICE:
        if any(sign.lower() in output.lower() for sign in signs):
            return text
    return "run again, it goes on where it was"
