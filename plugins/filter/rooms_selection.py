# SPDX-FileCopyrightText: 2026 The synapse.tuning authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decide which rooms may be purged."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rooms_selection
short_description: Decide which rooms may be purged
version_added: 0.1.0
author:
  - The synapse.tuning authors (@synapse-tuning)
description:
  - Of rooms that M(synapse.tuning.rooms_info) returned, says which may be purged, and why others may not.
options:
  _input:
    description: The rooms that a person named.
    type: list
    elements: dict
    required: true
  matched:
    description: The rooms that a filter matches.
    type: list
    elements: dict
    default: []
  protect:
    description: IDs and canonical aliases of rooms that must stay.
    type: list
    elements: str
    default: []
  max_active:
    description: How many users of this server may be active in a room that is purged.
    type: int
    default: 0
  confirmed:
    description: Whether what the filter matches may be purged.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Say what may be purged
  ansible.builtin.debug:
    msg: "{{ named.rooms | synapse.tuning.rooms_selection(protect=['#lobby:example.org']) }}"
"""

RETURN = r"""
_value:
  description:
    - A dictionary with C(purge), the rooms that may be purged, C(refused) and C(kept), a line for
      each room that was named or matched and is protected, and C(unconfirmed), how many rooms the filter matches
      that nobody has confirmed.
  type: dict
"""

from ansible_collections.synapse.tuning.plugins.module_utils._core.rooms_selection import select


def rooms_selection(named, matched=(), protect=(), max_active=0, confirmed=False):
    """Give the selection as plain values."""
    return select(named, matched, protect=protect, max_active=int(max_active), confirmed=confirmed is True).as_data()


class FilterModule:
    """The filter of this file."""

    def filters(self):
        """Name to function."""
        return {"rooms_selection": rooms_selection}
