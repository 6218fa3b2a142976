# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Say what became of rooms that were to be purged."""

from __future__ import annotations

DOCUMENTATION = r"""
name: purged
short_description: Say what became of rooms that were to be purged
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Holds what came back against what was estimated, and makes lines for people of it.
options:
  _input:
    description: What M(synapse.tuning.room) returned for each room, the results of its loop.
    type: list
    elements: dict
    required: true
  chosen:
    description: What M(synapse.tuning.rooms_info) returned before.
    type: dict
    required: true
  keep:
    description: The rooms that P(synapse.tuning.purgeable#filter) kept.
    type: list
    elements: dict
    required: true
  left:
    description: What M(synapse.tuning.rooms_info) returned for the same rooms afterwards.
    type: dict
    required: true
  check_mode:
    description: Whether nothing was purged really.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show what became of them
  ansible.builtin.debug:
    msg: "{{ (done.results | synapse.tuning.purged(chosen=before, keep=[], left=after)).lines }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary. C(purged) and C(absent) are lists of IDs, C(failed) and C(lines) of lines, C(kept) is O(keep).
  type: dict
"""

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_selection import purged


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Name to function."""
        return {"purged": purged}
