# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules that change files keep for M(synapse.tuning.rollback)."""

from __future__ import annotations


class ModuleDocFragment:
    """C(synapse.tuning.backups)."""

    DOCUMENTATION = r"""
options:
  backup:
    description:
      - Keep a copy of a file that is changed, as C(FILE.YYYYMMDDTHHMMSS.ffffffZ.bak) beside it, and the empty file
        C(FILE.YYYYMMDDTHHMMSS.ffffffZ.absent) where there was none. M(synapse.tuning.rollback) goes back to them.
    type: bool
    default: true
  backups:
    description:
      - How many backups of a file are kept, at least V(1).
      - The oldest, which is the file as it was before the first run, is always among them. The others are the newest.
        With V(1), it is the newest alone.
      - The empty file C(FILE.YYYYMMDDTHHMMSS.ffffffZ.pruned) says up to which run backups were removed.
    type: int
    default: 10
  run:
    description:
      - The stamp in the names of the backups, in UTC by the clock of the host, such as V(20260102T030405.678901Z).
      - Give the tasks of one play the same, and they are gone back from together. What a file was before the first of
        them is what is kept.
      - The default is the time of the task.
    type: str
"""
